package tsdb

import (
	"context"
	"errors"
)

// MetricsAppender stores OTLP metrics.
type MetricsAppender interface {
	// Append translates a request to series and appends them for a tenant. The
	// request is an ExportMetricsServiceRequest in protobuf wire form; it is only
	// read, and only until Append returns.
	//
	// A nil error means that every data point but the rejected ones would
	// survive kill -9. Points that are bad on their own (too far in the past,
	// a duplicate with another value, too many labels) are rejected and
	// counted, the others are kept. An error means that the caller may not
	// count on any of them; its fault.Kind says whether to send them again.
	Append(ctx context.Context, tenant string, request []byte) (AppendResult, error)
}

// ErrUnknownReference is the error of an append to a series that is named by a
// reference alone, if the store does not know (or no longer knows) the reference.
// The sample is not counted as refused: it can be appended again with labels.
var ErrUnknownReference = errors.New("no series of this reference")

// AppendResult says what became of a request's data points.
type AppendResult struct {
	Accepted int
	Rejected int
	Reason   string // why points were rejected, the most common reasons first; empty if none was
}
