package store

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// storeMetrics are the store's own metrics. Each open tenant's database adds
// Prometheus' prometheus_tsdb_* metrics with the label tenant.
type storeMetrics struct {
	reg  prometheus.Registerer
	mine []prometheus.Collector

	appended           *prometheus.CounterVec
	rejected           *prometheus.CounterVec
	droppedSeries      *prometheus.CounterVec
	failedCommits      *prometheus.CounterVec
	backgroundFailures *prometheus.CounterVec
	cold               *coldMetrics
	series             *seriesCacheMetrics

	mu      sync.Mutex
	tenants map[string]prometheus.Registerer
}

func newStoreMetrics(reg prometheus.Registerer, s *Store) *storeMetrics {
	m := &storeMetrics{
		reg: reg,
		appended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_metrics_samples_appended_total",
			Help: "Samples appended to the metrics store.",
		}, []string{"tenant"}),
		rejected: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_metrics_samples_rejected_total",
			Help: "Samples that the metrics store refused, by reason.",
		}, []string{"tenant", "reason"}),
		droppedSeries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_metrics_series_limit_dropped_total",
			Help: "Samples of new series dropped at a limit (of the tenant, of one metric, of the values of one label), by the metric that wanted them.",
		}, []string{"tenant", "metric", "limit", "label"}),
		failedCommits: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_metrics_failed_commits_total",
			Help: "Appends that could not be written to the log.",
		}, []string{"tenant"}),
		backgroundFailures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_metrics_background_failures_total",
			Help: "Failures of the metrics store's background work.",
		}, []string{"tenant", "work"}),
		cold:    newColdMetrics(s),
		series:  newSeriesCacheMetrics(s),
		tenants: map[string]prometheus.Registerer{},
	}
	m.mine = []prometheus.Collector{
		m.appended, m.rejected, m.droppedSeries, m.failedCommits, m.backgroundFailures, m.cold, m.series,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "belfry_metrics_open_tenants",
			Help: "Tenants whose metrics are in memory.",
		}, func() float64 {
			s.mu.Lock()
			defer s.mu.Unlock()
			return float64(len(s.open))
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "belfry_metrics_disk_free_bytes",
			Help: "Free space on the volume of the metrics store.",
		}, func() float64 { return float64(s.disk.free()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "belfry_metrics_disk_low",
			Help: "1 while metrics are refused because the disk is nearly full.",
		}, func() float64 {
			if s.disk.isLow.Load() {
				return 1
			}
			return 0
		}),
	}
	if reg != nil {
		for _, c := range m.mine {
			reg.MustRegister(c)
		}
	}
	return m
}

func (m *storeMetrics) unregister() {
	if m.reg == nil {
		return
	}
	for _, c := range m.mine {
		m.reg.Unregister(c)
	}
}

// addTenant publishes a database's own metrics.
func (m *storeMetrics) addTenant(d *database) {
	if m.reg == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	reg := prometheus.WrapRegistererWith(prometheus.Labels{"tenant": d.id}, m.reg)
	if err := reg.Register(d.registry); err != nil {
		d.store.log.Warn("metrics of a tenant's database cannot be published", "tenant", d.id, "error", err)
		return
	}
	m.tenants[d.id] = reg
}

func (m *storeMetrics) removeTenant(d *database) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if reg, ok := m.tenants[d.id]; ok {
		reg.Unregister(d.registry)
		delete(m.tenants, d.id)
	}
}
