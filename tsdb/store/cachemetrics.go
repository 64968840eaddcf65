package store

import "github.com/prometheus/client_golang/prometheus"

// seriesCacheMetrics are the metrics of the open tenants' series caches.
type seriesCacheMetrics struct {
	store          *Store
	entries, bytes *prometheus.Desc
}

func newSeriesCacheMetrics(s *Store) *seriesCacheMetrics {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("belfry_metrics_series_cache_"+name, help, []string{"tenant"}, nil)
	}
	return &seriesCacheMetrics{
		store:   s,
		entries: desc("entries", "Data points and resources of senders whose series are known without making labels."),
		bytes:   desc("bytes", "Memory of the cache of senders' series."),
	}
}

// Describe implements prometheus.Collector.
func (m *seriesCacheMetrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- m.entries
	ch <- m.bytes
}

// Collect implements prometheus.Collector.
func (m *seriesCacheMetrics) Collect(ch chan<- prometheus.Metric) {
	m.store.mu.Lock()
	defer m.store.mu.Unlock()
	for id, db := range m.store.open {
		if !db.opened() {
			continue
		}
		stats := db.series.Stats()
		ch <- prometheus.MustNewConstMetric(m.entries, prometheus.GaugeValue, float64(stats.Entries), id)
		ch <- prometheus.MustNewConstMetric(m.bytes, prometheus.GaugeValue, float64(stats.Bytes), id)
	}
}
