package rules

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	promrules "github.com/prometheus/prometheus/rules"
)

type metrics struct {
	groups      *promrules.Metrics // prometheus_rule_*: durations, missed iterations, failures by group
	queryOffset atomic.Int64       // nanoseconds; read by the manager, set by a reload

	sendFailures  prometheus.Counter
	stateFailures prometheus.Counter
	stateBytes    prometheus.Gauge
	restored      prometheus.Gauge
	dropped       prometheus.Gauge
	storedLeftOut prometheus.Gauge
	slow          prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		groups: promrules.NewGroupMetrics(reg),
		sendFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "belfry_rules_alerts_not_sent_total", Help: "Alerts that the router did not take; firing ones are sent again.",
		}),
		stateFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "belfry_rules_state_write_failures_total", Help: "Writes of the rule state file that failed.",
		}),
		stateBytes: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "belfry_rules_state_bytes", Help: "Size of the rule state file when it was last written.",
		}),
		restored: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "belfry_rules_alerts_restored", Help: "Alerts whose state was restored at the last start.",
		}),
		dropped: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "belfry_rules_alerts_not_restored", Help: "Saved alerts that no longer fit a rule, or were pending for longer than the outage tolerance allows.",
		}),
	}
	m.storedLeftOut = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "belfry_rules_stored_groups_left_out", Help: "Rule groups made by API that do not run, because they no longer pass the checks or a rule file has the name of their namespace.",
	})
	m.slow = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "belfry_rules_slow_groups", Help: "Rule groups whose last evaluation took longer than their interval.",
	})
	if reg != nil {
		reg.MustRegister(m.sendFailures, m.stateFailures, m.stateBytes, m.restored, m.dropped, m.storedLeftOut, m.slow)
	}
	return m
}

// missed returns how many evaluations of a group were left out since the start,
// because the one before was not done.
func (m *metrics) missed(g *promrules.Group) int {
	var out dto.Metric
	if err := m.groups.IterationsMissed.WithLabelValues(promrules.GroupKey(g.File(), g.Name())).Write(&out); err != nil {
		return 0
	}
	return int(out.GetCounter().GetValue())
}
