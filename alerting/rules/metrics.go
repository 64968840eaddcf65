package rules

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
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
	if reg != nil {
		reg.MustRegister(m.sendFailures, m.stateFailures, m.stateBytes, m.restored, m.dropped)
	}
	return m
}
