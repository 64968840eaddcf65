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
