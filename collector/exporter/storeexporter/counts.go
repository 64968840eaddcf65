package storeexporter

import (
	"github.com/prometheus/client_golang/prometheus"

	"belfry/collector/internal/ingest"
	"belfry/internal/fault"
)

// Counts are the exporter's own metrics.
type Counts struct {
	records  *prometheus.CounterVec
	failures *prometheus.CounterVec
}

// NewCounts returns the metrics.
func NewCounts() *Counts {
	c := &Counts{
		records: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_collector_records_total",
			Help: "Log records, spans and data points handed to the stores, by what became of them.",
		}, []string{"signal", "result"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_collector_append_failures_total",
			Help: "Appends of which the stores kept nothing, by whether the sender may try again.",
		}, []string{"signal", "retryable"}),
	}
	for _, signal := range ingest.Signals() {
		for _, result := range []string{"accepted", "rejected"} {
			c.records.WithLabelValues(signal.String(), result)
		}
		for _, retryable := range []string{"true", "false"} {
			c.failures.WithLabelValues(signal.String(), retryable)
		}
	}
	return c
}

// Describe implements prometheus.Collector.
func (c *Counts) Describe(ch chan<- *prometheus.Desc) {
	c.records.Describe(ch)
	c.failures.Describe(ch)
}

// Collect implements prometheus.Collector.
func (c *Counts) Collect(ch chan<- prometheus.Metric) {
	c.records.Collect(ch)
	c.failures.Collect(ch)
}

func (c *Counts) appended(signal ingest.Signal, r result) {
	c.records.WithLabelValues(signal.String(), "accepted").Add(float64(r.Accepted))
	c.records.WithLabelValues(signal.String(), "rejected").Add(float64(r.Rejected))
}

func (c *Counts) failed(signal ingest.Signal, err error) {
	retryable := "false"
	if fault.Retryable(err) {
		retryable = "true"
	}
	c.failures.WithLabelValues(signal.String(), retryable).Inc()
}

// Records returns the counter of a signal's records with one result: accepted
// or rejected.
func (c *Counts) Records(signal, result string) prometheus.Counter {
	return c.records.WithLabelValues(signal, result)
}
