package router

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	received        prometheus.Counter
	invalid         prometheus.Counter
	journalFailures prometheus.Counter
	damaged         prometheus.Counter
	receivers       prometheus.Gauge
	integrations    prometheus.Gauge
	inhibitRules    prometheus.Gauge
	requestDuration *prometheus.HistogramVec
	shareFailures   prometheus.Counter
	members         prometheus.Gauge
	flapping        prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		received: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "belfry_router_alerts_received_total", Help: "Alerts taken from within the process.",
		}),
		invalid: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "belfry_router_alerts_invalid_total", Help: "Alerts from within the process that were not valid.",
		}),
		journalFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "belfry_router_journal_failures_total", Help: "Changes of silences and the notification log that a crash would lose.",
		}),
		damaged: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "belfry_router_snapshots_damaged_total", Help: "Snapshots of silences and the notification log that could not be read at start.",
		}),
		receivers: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "alertmanager_receivers", Help: "Number of configured receivers that a route uses.",
		}),
		integrations: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "alertmanager_integrations", Help: "Number of integrations of those receivers.",
		}),
		inhibitRules: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "alertmanager_inhibition_rules", Help: "Number of configured inhibition rules.",
		}),
		requestDuration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "alertmanager_http_request_duration_seconds", Help: "Latency of HTTP requests.",
			Buckets: prometheus.DefBuckets,
		}, []string{"handler", "method", "code"}),
	}
	m.shareFailures = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "belfry_router_share_failures_total", Help: "Failed attempts to share silences and notifications with other processes.",
	})
	m.members = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "belfry_router_members", Help: "Processes that share silences and notifications, this one included; 0 if it is alone by configuration.",
	})
	m.flapping = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "belfry_router_alerts_flapping", Help: "Alerts that have fired and resolved too often lately and are held.",
	})
	reg.MustRegister(m.flapping, m.shareFailures, m.members, m.received, m.invalid, m.journalFailures, m.damaged, m.receivers, m.integrations, m.inhibitRules, m.requestDuration)
	return m
}

func (m *metrics) configured(run *routing) {
	n := 0
	for _, list := range run.receivers {
		n += len(list)
	}
	m.receivers.Set(float64(len(run.receivers)))
	m.integrations.Set(float64(n))
	m.inhibitRules.Set(float64(len(run.config.InhibitRules)))
}
