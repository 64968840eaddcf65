package traceql

import (
	"context"
	"slices"
	"strings"

	"belfry/internal/fault"
	"belfry/traces"
)

// RangeRequest asks for series over a time range.
type RangeRequest struct {
	Query     *Query
	From, To  int64 // nanoseconds; spans that started in [From, To) count
	Step      int64 // nanoseconds; 0 for one step that is the whole range
	Exemplars int   // of the whole answer
}

// RangeResult holds the series of a metrics query, sorted by labels.
type RangeResult struct {
	Series []Series
	Stats  traces.Stats
}

// Range evaluates a metrics query. The steps begin at From; the last one ends at
// or after To, but no span after To counts.
func (e *Engine) Range(ctx context.Context, tenant string, req RangeRequest) (*RangeResult, error) {
	if err := checkRange(req.From, req.To); err != nil {
		return nil, err
	}
	if req.Step <= 0 {
		req.Step = req.To - req.From
	}
	if steps := (req.To - req.From + req.Step - 1) / req.Step; steps > int64(e.limits.Points) {
		return nil, fault.Invalidf("%d steps are over the limit of %d; choose a larger step", steps, e.limits.Points)
	}
	if req.Query.extrapolates() {
		return nil, fault.Invalidf("the hint extrapolate is not supported: numbers are those of the spans that are stored")
	}
	req.Exemplars = req.Query.exemplars(req.Exemplars)
	return e.rangeQuery(ctx, tenant, req.Query, &req)
}

// extrapolates reports whether a query asks for numbers of more spans than there are.
func (q *Query) extrapolates() bool {
	return slices.ContainsFunc(q.Hints, func(h Hint) bool { return h.Name == "extrapolate" && h.Value.isTrue() })
}

// exemplars returns how many exemplars a query may have that was asked for with so
// many: its hint exemplars is true, false or a smaller number.
func (q *Query) exemplars(asked int) int {
	for _, h := range q.Hints {
		switch {
		case h.Name != "exemplars":
		case h.Value.Type == TypeBool && !h.Value.Value.Bool():
			return 0
		case h.Value.Type == TypeInt:
			return max(0, min(asked, int(h.Value.Value.Int())))
		}
	}
	return asked
}

func (e *Engine) rangeQuery(ctx context.Context, tenant string, q *Query, req *RangeRequest) (*RangeResult, error) {
	var result *RangeResult
	var err error
	switch {
	case q.Math != nil:
		result, err = e.mathQuery(ctx, tenant, q.Math, req)
	case q.Metrics != nil:
		result, err = e.metricsQuery(ctx, tenant, q, req)
	default:
		return nil, fault.Invalidf("not a metrics query: end it with a function such as | rate()")
	}
	if err != nil {
		return nil, err
	}
	for _, stage := range q.Then {
		result.Series = stage.apply(result.Series)
	}
	if len(result.Series) > e.limits.Series {
		return nil, fault.New(fault.Unprocessable, "query gives %d series, over the limit of %d; group by less or use topk", len(result.Series), e.limits.Series)
	}
	sortSeries(result.Series)
	return result, nil
}

// sortSeries orders series by their labels as text.
func sortSeries(list []Series) {
	type named struct {
		name   string
		series Series
	}
	order := make([]named, len(list))
	for i, s := range list {
		order[i] = named{s.Labels.String(), s}
	}
	slices.SortFunc(order, func(a, b named) int { return strings.Compare(a.name, b.name) })
	for i := range order {
		list[i] = order[i].series
	}
}

func (e *Engine) metricsQuery(ctx context.Context, tenant string, q *Query, req *RangeRequest) (*RangeResult, error) {
	pipeline := q.Pipeline
	if len(pipeline) == 0 {
		pipeline = Pipeline{Filter{}}
	}
	pl := newPlan(pipeline)
	result := &RangeResult{}
	var aggregators []*aggregator
	newAggregator := func() *aggregator {
		a := newAggregator(q.Metrics, req, e.limits)
		aggregators = append(aggregators, a)
		return a
	}
	var err error
	if pl.isSingle && !metricsNeedTree(q.Metrics) {
		result.Stats, err = e.scanMetrics(ctx, tenant, pl, q.Metrics, req, newAggregator)
	} else {
		f := metricsFetch{Engine: e, tenant: tenant, plan: pl, pipeline: pipeline, metrics: q.Metrics, req: req, newAggregator: newAggregator}
		err = f.run(ctx)
		result.Stats = f.stats
	}
	if err != nil {
		return nil, err
	}
	for len(aggregators) > 1 {
		last := len(aggregators) - 1
		aggregators[0].merge(aggregators[last])
		aggregators = aggregators[:last]
	}
	if len(aggregators) == 0 {
		newAggregator()
	}
	if aggregators[0].overflow {
		return nil, fault.New(fault.Unprocessable, "query gives more than %d series; group by less", e.limits.Series)
	}
	result.Series = aggregators[0].series()
	return result, nil
}

func metricsNeedTree(m *Metrics) bool {
	if m.Of != nil && needsTree(m.Of) || m.Compare != nil && needsTree(m.Compare.Selection.Expr) {
		return true
	}
	return slices.ContainsFunc(m.By, FieldRef.needsTree)
}

// metricsFields adds the fields that a function reads; nil means all.
func metricsFields(base []traces.Field, m *Metrics) []traces.Field {
	if m.Func == "compare" {
		return nil
	}
	fields := fieldSet{list: append([]traces.Field(nil), base...)}
	fields.addExpr(m.Of)
	for _, by := range m.By {
		fields.addRef(by)
	}
	return orNone(fields.list)
}

// scanMetrics aggregates spans as the store finds them, as columns if it can.
func (e *Engine) scanMetrics(ctx context.Context, tenant string, pl *plan, m *Metrics, req *RangeRequest, newAggregator func() *aggregator) (traces.Stats, error) {
	q := traces.SpanQuery{From: req.From, To: req.To, ByStart: true, Filter: pl.filter, Fields: metricsFields(pl.fields, m)}
	if store, ok := e.store.(traces.ColumnQuerier); ok && onColumns(pl.single) && m.onColumns() {
		q.Fields = nil // those that are asked for are read
		return store.ScanColumns(ctx, tenant, q, func() traces.ColumnVisitor {
			return newColumnAggregator(newAggregator(), pl.single).visit
		})
	}
	return e.store.Scan(ctx, tenant, q, func() traces.Visitor {
		a := newAggregator()
		return func(spans []traces.Span) error {
			for i := range spans {
				if s := (spanAt{span: &spans[i]}); s.holds(pl.single) {
					a.observe(s)
				}
			}
			if a.overflow {
				return traces.ErrStop
			}
			return nil
		}
	})
}
