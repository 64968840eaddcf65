package app

import (
	"context"
	"time"

	"belfry/internal/tenant"
	"belfry/traces"
	"belfry/tsdb"
)

// maxExemplarBytes bounds what the search of spans for exemplars decodes.
const maxExemplarBytes = 64 << 20

// spanFinder finds exemplars for histograms in the trace store.
type spanFinder struct{ from traces.Querier }

var _ tsdb.SpanFinder = spanFinder{}

// FindSpans implements tsdb.SpanFinder.
func (f spanFinder) FindSpans(ctx context.Context, q tsdb.SpanSearch) ([]tsdb.ExemplarSpan, error) {
	filter := traces.And{traces.Compare{
		Field: traces.Field{Scope: traces.ScopeResource, Name: "service.name"}, Op: traces.OpEqual, Value: traces.String(q.Service),
	}}
	if q.Name != "" {
		filter = append(filter, traces.Compare{
			Field: traces.Field{Scope: traces.ScopeIntrinsic, Name: traces.Name}, Op: traces.OpEqual, Value: traces.String(q.Name),
		})
	}
	var out []tsdb.ExemplarSpan
	_, err := f.from.Newest(ctx, tenant.ID(ctx), traces.SpanQuery{
		From: q.Start * int64(time.Millisecond), To: (q.End + 1) * int64(time.Millisecond), ByStart: true,
		Filter: filter, Fields: []traces.Field{}, Limits: traces.Limits{Bytes: maxExemplarBytes},
	}, func(spans []traces.Span) error {
		for i := range spans {
			if len(out) == q.Limit {
				return traces.ErrStop
			}
			s := &spans[i]
			out = append(out, tsdb.ExemplarSpan{
				TraceID: s.TraceID.String(), SpanID: s.ID.String(),
				Time: s.End() / int64(time.Millisecond), Seconds: time.Duration(s.Duration).Seconds(),
			})
		}
		return nil
	})
	return out, err
}
