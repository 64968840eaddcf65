package traces

import (
	"cmp"
	"slices"
)

// Tree is the structure of one trace. Whatever is broken in it is shown all the
// same: a span whose parent is missing, or that is its own ancestor, becomes a
// top of its own.
type Tree struct {
	Spans []Span // ordered by start; exact duplicates are left out
	Nesting

	SelfTime   []int64 // of each span; see Nesting.SelfTimes
	Start, End int64   // of the first span, and of the last to end
}

// Duration returns the time from the first start to the last end, nanoseconds.
func (t *Tree) Duration() int64 { return max(0, t.End-t.Start) }

// Top returns the position of the span that stands for the trace: its root, or
// the first top where the root is missing; -1 for an empty tree.
func (t *Tree) Top() int32 {
	switch {
	case t.Root >= 0:
		return t.Root
	case len(t.Tops) > 0:
		return t.Tops[0]
	}
	return -1
}

// NewTree builds the tree of the spans of one trace. It orders spans in place,
// and keeps them.
func NewTree(spans []Span) *Tree {
	spans = sortUnique(spans)
	t := &Tree{Spans: spans}
	ids, parents := make([]SpanID, len(spans)), make([]SpanID, len(spans))
	for i := range spans {
		ids[i], parents[i] = spans[i].ID, spans[i].ParentID
		if i == 0 {
			t.Start, t.End = spans[0].Start, spans[0].End()
		}
		t.End = max(t.End, spans[i].End())
	}
	t.Nest(ids, parents)
	starts, durations := make([]int64, len(spans)), make([]int64, len(spans))
	for i := range spans {
		starts[i], durations[i] = spans[i].Start, spans[i].Duration
	}
	t.SelfTime = t.SelfTimes(starts, durations)
	return t
}

func sortUnique(spans []Span) []Span {
	slices.SortStableFunc(spans, func(a, b Span) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), slices.Compare(a.ID[:], b.ID[:]))
	})
	return slices.CompactFunc(spans, func(a, b Span) bool {
		return a.ID == b.ID && a.Start == b.Start && a.Duration == b.Duration && a.ParentID == b.ParentID &&
			a.Name == b.Name && a.Kind == b.Kind
	})
}
