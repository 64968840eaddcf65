package traceql

import (
	"slices"
	"sync/atomic"

	"belfry/traces"
)

// A pipeline is local if what it gives follows from the spans that its first
// stage's filters let through, without the rest of their traces: no structure, no
// field of the trace or the parent. Such a pipeline needs one scan, and no trace
// is fetched to find out whether it matches.

// localFilter returns the filter that holds for every span that a local pipeline
// looks at, nil for all spans.
func localFilter(p Pipeline) (f traces.Filter, ok bool) {
	if len(p) == 0 {
		return nil, false
	}
	for _, stage := range p {
		if !isLocal(stage) {
			return nil, false
		}
	}
	filters, all := stageFilters(p[0])
	switch {
	case all:
		return nil, true
	case len(filters) == 1:
		return filters[0], true
	}
	return traces.Or(filters), true
}

func isLocal(stage Stage) bool {
	switch s := stage.(type) {
	case Filter:
		return !needsTree(s.Expr)
	case SpansetOp:
		return (s.Op == "&&" || s.Op == "||") && isLocal(s.Left) && isLocal(s.Right)
	case Sub:
		return !slices.ContainsFunc(s.Pipeline, func(inner Stage) bool { return !isLocal(inner) })
	case ScalarFilter:
		return isLocalScalar(s.Left) && isLocalScalar(s.Right)
	case GroupBy:
		if slices.ContainsFunc(s.By, needsTree) {
			return false
		}
	}
	return true
}

func isLocalScalar(s Scalar) bool {
	switch s := s.(type) {
	case Aggregate:
		return !needsTree(s.Of)
	case ScalarOp:
		return isLocalScalar(s.Left) && isLocalScalar(s.Right)
	case Piped:
		return !slices.ContainsFunc(s.Pipeline, func(inner Stage) bool { return !isLocal(inner) }) && isLocalScalar(s.Of)
	}
	return true
}

// stageFilters returns the filters of a stage's leaves; all says that one of
// them lets every span through.
func stageFilters(stage Stage) (filters []traces.Filter, all bool) {
	switch s := stage.(type) {
	case Filter:
		f := pushdown(s.Expr)
		return []traces.Filter{f}, f == nil
	case Sub:
		return stageFilters(s.Pipeline[0])
	case SpansetOp:
		left, leftAll := stageFilters(s.Left)
		right, rightAll := stageFilters(s.Right)
		return append(left, right...), leftAll || rightAll
	case ScalarFilter:
		left, leftAll := scalarFilters(s.Left)
		right, rightAll := scalarFilters(s.Right)
		return append(left, right...), leftAll || rightAll
	}
	return nil, true
}

func scalarFilters(s Scalar) (filters []traces.Filter, all bool) {
	switch s := s.(type) {
	case Piped:
		return stageFilters(s.Pipeline[0])
	case ScalarOp:
		left, leftAll := scalarFilters(s.Left)
		right, rightAll := scalarFilters(s.Right)
		return append(left, right...), leftAll || rightAll
	}
	_, static := s.(Static)
	return nil, !static
}

// scanLocal returns, for every trace with a span that the filter lets through,
// the tree of those spans alone; nil if they are more than fit into memory.
func (e *Engine) scanLocal(scan scanner, filter traces.Filter, fields []traces.Field, from, to int64) ([]*traces.Tree, traces.Stats, error) {
	type byTrace = map[traces.TraceID][]traces.Span
	var workers []byTrace
	var held atomic.Int64
	limit := int64(e.limits.FetchSpans)
	stats, err := scan(traces.SpanQuery{From: from, To: to, Filter: filter, Fields: orNone(fields)},
		func() traces.Visitor {
			mine := byTrace{}
			workers = append(workers, mine)
			return func(spans []traces.Span) error {
				if held.Add(int64(len(spans))) > limit {
					return traces.ErrStop
				}
				for i := range spans {
					mine[spans[i].TraceID] = append(mine[spans[i].TraceID], spans[i])
				}
				return nil
			}
		})
	if err != nil || held.Load() > limit {
		return nil, stats, err
	}
	all := byTrace{}
	for _, w := range workers {
		for id, spans := range w {
			all[id] = append(all[id], spans...)
		}
	}
	trees := make([]*traces.Tree, 0, len(all))
	for _, spans := range all {
		trees = append(trees, traces.NewTree(spans))
	}
	return trees, stats, nil
}

// localCandidates returns the traces that a local pipeline matches; ok is false
// if it is not local, or too large for memory.
func (s *search) localCandidates(scan scanner) (list []candidate, ok bool, err error) {
	filter, ok := localFilter(s.req.Query.Pipeline)
	if !ok {
		return nil, false, nil
	}
	trees, stats, err := s.scanLocal(scan, filter, s.plan.evaluate, s.req.From, s.req.To)
	s.result.Stats.Add(stats)
	if err != nil || trees == nil {
		return nil, false, err
	}
	for _, tree := range trees {
		trace := newWholeTrace(tree, s.req.From, s.req.To)
		if len(trace.spansets(s.req.Query.Pipeline)) == 0 {
			continue
		}
		if anchor, found := trace.anchor(s.req.Query.Pipeline); found {
			list = append(list, candidate{id: tree.Spans[0].TraceID, anchor: anchor})
		}
	}
	sortCandidates(list)
	return list, true, nil
}

// observeLocal aggregates the spans of a local pipeline.
func (e *Engine) observeLocal(scan scanner, p Pipeline, m *Metrics, req *RangeRequest, a *aggregator) (stats traces.Stats, ok bool, err error) {
	filter, ok := localFilter(p)
	if !ok || metricsNeedTree(m) {
		return stats, false, nil
	}
	var fields fieldSet
	for _, stage := range p {
		fields.addStage(stage)
	}
	wanted := metricsFields(fields.list, m)
	if wanted == nil {
		return stats, false, nil
	}
	trees, stats, err := e.scanLocal(scan, filter, wanted, req.From, req.To)
	if err != nil || trees == nil {
		return stats, false, err
	}
	for _, tree := range trees {
		a.observeTree(tree, p)
	}
	return stats, true, nil
}

// observeTree counts the spans of a trace that a pipeline gives.
func (a *aggregator) observeTree(tree *traces.Tree, p Pipeline) {
	trace := newWholeTrace(tree, a.req.From, a.req.To)
	for _, pos := range trace.selected(p, trace.seen) {
		if start := tree.Spans[pos].Start; start >= a.req.From && start < a.req.To {
			a.observe(at(tree, pos))
		}
	}
}
