package store

import (
	"github.com/prometheus/client_golang/prometheus"
)

// coldMetrics are the metrics of cold blocks: what the job did, and what there
// is.
type coldMetrics struct {
	store *Store

	blocks, seconds, samples, read, written *prometheus.CounterVec // by tenant and kind of rewriting

	live, bytes, kept, deletions, waiting *prometheus.Desc // by tenant
}

func newColdMetrics(s *Store) *coldMetrics {
	counter := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "belfry_metrics_cold_" + name, Help: help}, []string{"tenant", "kind"})
	}
	gauge := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("belfry_metrics_cold_"+name, help, []string{"tenant"}, nil)
	}
	return &coldMetrics{
		store:     s,
		blocks:    counter("blocks_written_total", "Cold blocks written: rewrite makes one of Prometheus' blocks cold, merge joins cold blocks, clean leaves deleted samples out."),
		seconds:   counter("write_seconds_total", "Time spent on writing cold blocks."),
		samples:   counter("samples_written_total", "Samples of the cold blocks that were written."),
		read:      counter("source_bytes_total", "Bytes of the blocks that cold blocks were written from."),
		written:   counter("written_bytes_total", "Bytes of the cold blocks that were written."),
		live:      gauge("blocks", "Cold blocks."),
		bytes:     gauge("bytes", "Bytes of the cold blocks."),
		kept:      gauge("samples", "Samples in the cold blocks."),
		deletions: gauge("tombstones", "Deleted intervals of series that are still on disk in cold blocks."),
		waiting:   gauge("waiting_blocks", "Finished blocks that are not cold yet."),
	}
}

// Describe implements prometheus.Collector.
func (m *coldMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range []prometheus.Collector{m.blocks, m.seconds, m.samples, m.read, m.written} {
		c.Describe(ch)
	}
	for _, d := range []*prometheus.Desc{m.live, m.bytes, m.kept, m.deletions, m.waiting} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *coldMetrics) Collect(ch chan<- prometheus.Metric) {
	for _, c := range []prometheus.Collector{m.blocks, m.seconds, m.samples, m.read, m.written} {
		c.Collect(ch)
	}
	for _, d := range m.store.opened() {
		var bytes int64
		var samples, tombstones uint64
		blocks := d.cold.list()
		for _, b := range blocks {
			stats := b.Meta().Stats
			bytes += b.Size()
			samples += stats.NumSamples
			tombstones += stats.NumTombstones
		}
		waiting := 0
		for _, meta := range d.tsdb.BlockMetas() {
			if !d.cold.replaces(&meta) {
				waiting++
			}
		}
		for desc, v := range map[*prometheus.Desc]float64{
			m.live: float64(len(blocks)), m.bytes: float64(bytes), m.kept: float64(samples),
			m.deletions: float64(tombstones), m.waiting: float64(waiting),
		} {
			ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v, d.id)
		}
	}
}

// opened returns the databases that are open.
func (s *Store) opened() []*database {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*database
	for _, d := range s.open {
		if d.opened() && !d.closing {
			all = append(all, d)
		}
	}
	return all
}
