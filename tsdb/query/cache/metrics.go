package cache

import "github.com/prometheus/client_golang/prometheus"

type cacheMetrics struct {
	requests *prometheus.CounterVec
	steps    *prometheus.CounterVec
	evicted  prometheus.Counter
}

func newCacheMetrics(reg prometheus.Registerer, c *Cache) *cacheMetrics {
	m := &cacheMetrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_metrics_result_cache_requests_total",
			Help: "Range queries that may be cached, by how much of the result was there: hit, partial, miss; bypass for a tenant without data.",
		}, []string{"outcome"}),
		steps: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_metrics_result_cache_steps_total",
			Help: "Steps of range queries that came from the cache and that were computed.",
		}, []string{"source"}),
		evicted: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "belfry_metrics_result_cache_evicted_total",
			Help: "Results that were dropped to make room for others.",
		}),
	}
	if reg != nil {
		reg.MustRegister(m.requests, m.steps, m.evicted, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "belfry_metrics_result_cache_bytes",
			Help: "Memory that the results of range queries take, about.",
		}, func() float64 {
			c.mu.Lock()
			defer c.mu.Unlock()
			return float64(c.bytes)
		}))
	}
	return m
}

// Steps counts steps by where they came from: "cache", "computed".
func (c *Cache) Steps() *prometheus.CounterVec { return c.metrics.steps }
