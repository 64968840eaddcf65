package traceql

import (
	"math"

	"belfry/traces"
)

// Around says what is kept of a trace beside the spans that a filter matches.
type Around struct {
	Ancestors   int // levels above each of them; -1: all
	Descendants int // levels below each of them; -1: all
}

// FilterTree returns the spans of a trace that meet a query of one {…}, and those
// around them.
func FilterTree(t *traces.Tree, query string, around Around) (*traces.Tree, error) {
	q, err := Parse(query)
	if err != nil {
		return nil, err
	}
	f, ok := firstFilter(q.Pipeline)
	if !ok || len(q.Pipeline) != 1 || q.Metrics != nil {
		return nil, errorAt(query, 0, "expected one {…}")
	}
	trace := newWholeTrace(t, math.MinInt64, math.MaxInt64)
	matched := trace.spanset(f, trace.seen)
	keep := make([]bool, len(t.Spans))
	markAncestors(t, keep, matched, around.Ancestors)
	markDescendants(t, keep, matched, around.Descendants)
	var spans []traces.Span
	for i, kept := range keep {
		if kept {
			spans = append(spans, t.Spans[i])
		}
	}
	return traces.NewTree(spans), nil
}

// markAncestors marks spans, and those up to so many levels above them.
func markAncestors(t *traces.Tree, keep []bool, spans positions, levels int) {
	if levels < 0 {
		levels = len(t.Spans)
	}
	reach := make([]int32, len(t.Spans)) // levels that were gone up from a span already, and one
	for _, p := range spans {
		for left := int32(levels) + 1; p >= 0 && reach[p] < left; p = t.Parent[p] {
			reach[p], keep[p] = left, true
			left--
		}
	}
}

// markDescendants marks those up to so many levels below spans.
func markDescendants(t *traces.Tree, keep []bool, spans positions, levels int) {
	if levels == 0 || len(spans) == 0 {
		return
	}
	if levels < 0 {
		levels = len(t.Spans)
	}
	left := make([]int, len(t.Spans)) // levels that are left below a span, and one
	for _, p := range spans {
		left[p] = levels + 1
	}
	byLeft := nestOf(t).byLeft(all(len(t.Spans))) // parents before their children
	for _, p := range byLeft {
		if parent := t.Parent[p]; parent >= 0 {
			left[p] = max(left[p], left[parent]-1)
		}
		keep[p] = keep[p] || left[p] > 0
	}
}

// all returns the positions below n.
func all(n int) positions {
	out := make(positions, n)
	for i := range out {
		out[i] = int32(i)
	}
	return out
}
