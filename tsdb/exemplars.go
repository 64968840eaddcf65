package tsdb

import (
	"context"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
)

// SeriesExemplar is an exemplar that came without its sample.
type SeriesExemplar struct {
	Series   labels.Labels
	Exemplar exemplar.Exemplar
}

// ExemplarAppender takes what remote write sends apart from samples.
type ExemplarAppender interface {
	// AppendExemplars stores exemplars of series that exist, for the tenant
	// in ctx, and returns how many. Exemplars are an aid: those that cannot
	// be kept are left out without an error.
	AppendExemplars(ctx context.Context, exemplars []SeriesExemplar) (stored int, err error)

	// RecordMetadata remembers a metric family's type, unit and help, for the
	// tenant in ctx.
	RecordMetadata(ctx context.Context, family string, md metadata.Metadata) error
}

// SpanFinder finds spans that can stand as exemplars where an application sent
// none. The trace store's side implements it.
type SpanFinder interface {
	// FindSpans returns spans of the tenant in ctx, the newest first, at most
	// q.Limit. It stops within milliseconds of ctx's end.
	FindSpans(ctx context.Context, q SpanSearch) ([]ExemplarSpan, error)
}

// SpanSearch says which spans.
type SpanSearch struct {
	Service    string // the resource's service.name
	Name       string // of the span; empty is any
	Start, End int64  // milliseconds, when the span began
	Limit      int
}

// ExemplarSpan is a span as an exemplar needs it.
type ExemplarSpan struct {
	TraceID, SpanID string // hex digits
	Time            int64  // of its end, milliseconds
	Seconds         float64
}
