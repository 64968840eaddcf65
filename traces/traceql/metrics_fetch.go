package traceql

import (
	"context"

	"belfry/traces"
)

// metricsFetch aggregates what a pipeline selects that is not decided span by span.
type metricsFetch struct {
	*Engine
	tenant        string
	plan          *plan
	pipeline      Pipeline
	metrics       *Metrics
	req           *RangeRequest
	newAggregator func() *aggregator
	stats         traces.Stats
}

func (f *metricsFetch) run(ctx context.Context) error {
	scan := func(q traces.SpanQuery, v func() traces.Visitor) (traces.Stats, error) {
		return f.store.Scan(ctx, f.tenant, q, v)
	}
	if f.metrics.onColumns() {
		if plan, view := f.joined(f.tenant, f.pipeline); view != nil {
			defer view.Close()
			if err := f.whole(ctx, plan, view); err != nil {
				return err
			}
			scan = func(q traces.SpanQuery, v func() traces.Visitor) (traces.Stats, error) { return view.Apart(ctx, q, v) }
		}
	}
	a := f.newAggregator()
	stats, done, err := f.observeLocal(scan, f.pipeline, f.metrics, f.req, a)
	f.stats.Add(stats)
	if err != nil || done {
		return err
	}
	list, stats, err := f.scanCandidates(f.plan, f.req.From, f.req.To, scan)
	f.stats.Add(stats)
	if err != nil {
		return err
	}
	return f.fetchAll(ctx, list, a)
}

// whole aggregates what is selected in the traces that the store has joined.
func (f *metricsFetch) whole(ctx context.Context, plan *markPlan, view traces.Joined) error {
	js := joinedScan{view: view, plan: plan, from: f.req.From, to: f.req.To, limit: int64(f.limits.Marks)}
	defer func() { f.stats.Add(js.stats) }()
	fields := metricsFields(nil, f.metrics)
	for _, p := range view.Parts() {
		matches, err := js.part(ctx, p, true)
		if err != nil {
			return err
		}
		var places []traces.Place
		for _, m := range matches {
			if m.anchor >= f.req.From && m.anchor < f.req.To {
				places = append(places, m.place)
			}
		}
		if len(places) == 0 {
			continue
		}
		stats, err := view.Pick(ctx, places, f.picked(fields), func() traces.ColumnVisitor {
			return newColumnAggregator(f.newAggregator(), nil).visit
		})
		js.stats.Add(stats)
		if err != nil {
			return err
		}
	}
	return nil
}

// picked adds the fields as queries name them: fieldSet leaves out those of the trace.
func (f *metricsFetch) picked(fields []traces.Field) []traces.Field {
	for _, ref := range f.metrics.refs() {
		fields = append(fields, ref.Field)
	}
	return fields
}

// fetchAll evaluates whole traces, and aggregates the spans that come out.
func (f *metricsFetch) fetchAll(ctx context.Context, list []candidate, a *aggregator) error {
	fields := metricsFields(f.plan.evaluate, f.metrics)
	for len(list) > 0 && !a.overflow {
		n := min(maxFetch, len(list))
		trees, stats, err := f.fetch(ctx, f.tenant, list[:n], fields, f.req.From, f.req.To)
		f.stats.Add(stats)
		if err != nil {
			return err
		}
		list = list[n:]
		for _, tree := range trees {
			if tree != nil {
				a.observeTree(tree, f.pipeline)
			}
		}
	}
	return nil
}
