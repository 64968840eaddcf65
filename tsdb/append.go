package tsdb

import (
	"context"

	"go.opentelemetry.io/collector/pdata/pmetric"
)

// MetricsAppender stores OTLP metrics.
type MetricsAppender interface {
	// AppendMetrics translates OTLP metrics to series and appends them for a
	// tenant. It does not modify md and keeps no reference to it.
	//
	// A nil error means that every data point but the rejected ones would
	// survive kill -9. Points that are bad on their own (too far in the past,
	// a duplicate with another value, too many labels) are rejected and
	// counted, the others are kept. An error means that the caller may not
	// count on any of them; its fault.Kind says whether to send them again.
	AppendMetrics(ctx context.Context, tenant string, md pmetric.Metrics) (AppendResult, error)
}

// AppendResult says what became of a request's data points.
type AppendResult struct {
	Accepted int
	Rejected int
	Reason   string // why points were rejected, the most common reasons first; empty if none was
}
