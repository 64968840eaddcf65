package plugin

import (
	"context"
	"slices"
	"strings"

	"github.com/grafana/grafana-plugin-sdk-go/data"

	"belfry/ui/grafana/pkg/belfry"
	"belfry/ui/grafana/pkg/rewrite"
)

// traces answers TraceQL: a search, numbers over time, or one trace if the
// expression is its ID.
func (d *Datasource) traces(ctx context.Context, q *Query) (data.Frames, error) {
	if strings.TrimSpace(q.Expr) == "" {
		q.Expr = "{}"
	}
	id, one := rewrite.TraceID(q.Expr)
	numbers := !one && rewrite.IsTraceMetrics(q.Expr)
	if q.by.alert && !numbers {
		return nil, invalidf("an alert rule needs numbers: compute them, as in { status = error } | rate()")
	}
	if one {
		return d.trace(ctx, q, id)
	}
	expr, err := rewrite.TraceQL(q.Expr, q.Filters, q.GroupBy)
	if err != nil {
		return nil, invalid{err}
	}
	if numbers {
		return d.traceNumbers(ctx, q, expr)
	}
	return d.searchTraces(ctx, q, expr)
}

func (d *Datasource) searchTraces(ctx context.Context, q *Query, expr string) (data.Frames, error) {
	page, err := d.client.SearchTraces(ctx, belfry.TraceSearch{
		Query: expr, Start: q.from, End: q.to, Limit: q.Limit, SpansPerTrace: q.SpansPerTrace,
	})
	if err != nil {
		return nil, err
	}
	frame := d.tracesFrame(page.Traces)
	if q.Table == "spans" {
		frame = d.spansFrame(page.Traces)
	}
	frame.Meta = &data.FrameMeta{
		Type: data.FrameTypeTable, PreferredVisualization: data.VisTypeTable, ExecutedQueryString: expr,
		Stats: []data.QueryStat{stat("Scanned", "decbytes", page.Bytes), stat("Spans scanned", "short", page.Spans)},
	}
	frame.Meta.Notices = cutNotices(page.Cut)
	if page.HasMore {
		frame.AppendNotices(data.Notice{Severity: data.NoticeSeverityInfo, Text: "There are more traces than these: raise the limit, or narrow the query."})
	}
	return data.Frames{frame}, nil
}

func cutNotices(bound string) []data.Notice {
	if bound == "" {
		return nil
	}
	return notices([]string{"The result is incomplete: the query was cut short by its bound on " + bound + "."})
}

func (d *Datasource) traceNumbers(ctx context.Context, q *Query, expr string) (data.Frames, error) {
	exemplars := 0
	if !q.by.numbers && (q.Exemplars == nil || *q.Exemplars) {
		exemplars = 100
	}
	var frames data.Frames
	if q.Mode != "instant" {
		from, to := q.aligned()
		series, cut, err := d.client.TraceMetrics(ctx, expr, from, to, q.step, exemplars)
		if err != nil {
			return nil, err
		}
		frames = append(frames, d.traceSeries(q, expr, series, cut, false)...)
		if exemplars > 0 {
			var all []belfry.Exemplar
			for _, s := range series {
				all = append(all, s.Exemplars...)
			}
			if f := d.exemplarFrame(all, q); f != nil {
				frames = append(frames, f)
			}
		}
	}
	if q.Mode == "instant" || q.Mode == "both" {
		series, cut, err := d.client.TraceMetrics(ctx, expr, q.from, q.to, 0, 0)
		if err != nil {
			return nil, err
		}
		frames = append(frames, d.traceSeries(q, expr, series, cut, true)...)
	}
	return frames, nil
}

func (d *Datasource) traceSeries(q *Query, expr string, series []belfry.TraceSeries, cut string, instant bool) data.Frames {
	res := &belfry.Result{Kind: belfry.KindMatrix}
	if cut != "" {
		res.Warnings = []string{"The result is incomplete: the query was cut short by its bound on " + cut + "."}
	}
	for _, s := range series {
		res.Series = append(res.Series, s.Series)
	}
	slices.SortStableFunc(res.Series, func(a, b belfry.Series) int {
		return strings.Compare(seriesName(a.Labels, ""), seriesName(b.Labels, ""))
	})
	return d.numbers(q, expr, res, instant)
}

// trace answers with the spans of one trace and the services that it went through.
func (d *Datasource) trace(ctx context.Context, q *Query, id string) (data.Frames, error) {
	td, cut, err := d.client.Trace(ctx, id)
	if belfry.Missing(err) {
		f := data.NewFrame("Trace")
		f.Meta = &data.FrameMeta{PreferredVisualization: data.VisTypeTrace}
		f.AppendNotices(data.Notice{Severity: data.NoticeSeverityInfo, Text: "There is no trace " + id + "."})
		return data.Frames{f}, nil
	}
	if err != nil {
		return nil, err
	}
	spans := flatten(td)
	frame := d.traceFrame(spans)
	frame.Meta = &data.FrameMeta{
		PreferredVisualization: data.VisTypeTrace, ExecutedQueryString: id, Notices: cutNotices(cut),
		Custom: map[string]any{"traceFormat": "otlp"},
	}
	frames := data.Frames{frame}
	if on(d.settings.NodeGraph) {
		frames = append(frames, d.traceGraph(spans)...)
	}
	return frames, nil
}
