package query

import "github.com/prometheus/client_golang/prometheus"

// How a query was evaluated.
const (
	pathFragments = "fragments" // in columns as a whole
	pathMixed     = "mixed"     // in columns where it touches series, the rest by Prometheus' engine
	pathGeneral   = "general"   // by Prometheus' engine
)

type engineMetrics struct{ queries *prometheus.CounterVec }

func newEngineMetrics(reg prometheus.Registerer) *engineMetrics {
	m := &engineMetrics{
		queries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_metrics_queries_total",
			Help: "PromQL queries by how they were evaluated: in columns (fragments), partly so (mixed) or by Prometheus' engine (general), and for the last why.",
		}, []string{"path", "reason"}),
	}
	if reg != nil {
		reg.MustRegister(m.queries)
	}
	return m
}

func (m *engineMetrics) count(path, reason string) { m.queries.WithLabelValues(path, reason).Inc() }
