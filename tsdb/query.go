package tsdb

import (
	"github.com/prometheus/prometheus/storage"
)

// Queryable is the read side of a metrics store. One value serves all tenants:
// the tenant is the one in the context that Select, LabelValues, LabelNames
// and ExemplarQuerier are given (tenant.ID). A tenant that has never written
// anything has no series; asking for them is no error.
//
// It is safe for concurrent use; a querier that it returns is used by one
// goroutine at a time and must be closed.
type Queryable interface {
	storage.SampleAndChunkQueryable
	storage.ExemplarQueryable
}

// Appendable is the write side for callers that have Prometheus samples in
// hand: scraping, remote write, recording rules. The tenant is the one in the
// context given to AppenderV2 (or to Appender, which exists for the rule
// manager and takes floats and histograms only).
//
// Append returns the error of that one sample; Rejected tells whether the
// sample was bad (the caller goes on with the others) or the store cannot take
// anything now (the caller gives up). Nothing is kept before Commit returns.
type Appendable interface {
	storage.Appendable
	storage.AppendableV2
}

// MetricSeries is how many series a metric has.
type MetricSeries struct {
	Name    string
	Active  int // written to in the last hours
	Created int // in the last hour
}
