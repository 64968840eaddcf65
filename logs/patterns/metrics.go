package patterns

import "github.com/prometheus/client_golang/prometheus"

type metrics struct{ found, skipped, news, errors prometheus.Counter }

func newMetrics() *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "belfry", Subsystem: "logs", Name: name, Help: help})
	}
	return &metrics{
		found:   counter("patterns_found_total", "Patterns of log lines found."),
		skipped: counter("pattern_lines_skipped_total", "Log lines that no pattern was found for, because of a bound."),
		news:    counter("patterns_new_total", "Patterns told as never seen before."),
		errors:  counter("pattern_errors_total", "Counts or clusters that could not be written."),
	}
}

func (m *metrics) register(miner *Miner, reg prometheus.Registerer) error {
	if reg == nil {
		return nil
	}
	known := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "belfry", Subsystem: "logs", Name: "patterns", Help: "Patterns of log lines that are known.",
	}, func() float64 { return float64(miner.size()) })
	for _, c := range []prometheus.Collector{m.found, m.skipped, m.news, m.errors, known} {
		if err := reg.Register(c); err != nil {
			return err
		}
	}
	return nil
}

func (m *Miner) size() (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range m.tenants {
		for _, s := range t.services {
			n += s.size
		}
	}
	return n
}
