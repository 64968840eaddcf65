package traceql

import (
	"math"

	"belfry/traces"
)

// FilterTree returns the spans of a trace that meet a query of one {…}, with the
// way from each of them up to its top if hierarchy is wanted.
func FilterTree(t *traces.Tree, query string, hierarchy bool) (*traces.Tree, error) {
	q, err := Parse(query)
	if err != nil {
		return nil, err
	}
	f, ok := firstFilter(q.Pipeline)
	if !ok || len(q.Pipeline) != 1 || q.Metrics != nil {
		return nil, errorAt(query, 0, "expected one {…}")
	}
	trace := newWholeTrace(t, math.MinInt64, math.MaxInt64)
	keep := make([]bool, len(t.Spans))
	for _, p := range trace.spanset(f, trace.seen) {
		for ; p >= 0 && !keep[p]; p = t.Parent[p] {
			keep[p] = true
			if !hierarchy {
				break
			}
		}
	}
	var spans []traces.Span
	for i, kept := range keep {
		if kept {
			spans = append(spans, t.Spans[i])
		}
	}
	return traces.NewTree(spans), nil
}
