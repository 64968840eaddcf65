package app

import (
	"context"
	"time"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"belfry/internal/tenant"
	"belfry/traces/spanmetrics"
	"belfry/tsdb"
)

// seriesSink stores what is counted in spans as ordinary series.
type seriesSink struct{ to tsdb.Appendable }

// AppendSamples implements spanmetrics.SeriesSink. A sample that is refused by
// itself does not keep the others out.
func (s seriesSink) AppendSamples(ctx context.Context, id string, t time.Time, samples []spanmetrics.Sample) error {
	app := s.to.AppenderV2(tenant.WithID(ctx, id))
	var opts storage.AOptions
	for _, sample := range samples {
		opts.Exemplars = opts.Exemplars[:0]
		if sample.Exemplar != nil {
			opts.Exemplars = append(opts.Exemplars, exemplar.Exemplar{
				Labels: labels.FromStrings("trace_id", sample.Exemplar.TraceID.String()),
				Value:  sample.Exemplar.Value,
				Ts:     t.UnixMilli(),
				HasTs:  true,
			})
		}
		_, err := app.Append(0, sample.Labels, 0, t.UnixMilli(), sample.Value, nil, nil, opts)
		if _, rejected := tsdb.Rejected(err); err != nil && !rejected {
			_ = app.Rollback()
			return err
		}
	}
	return app.Commit()
}
