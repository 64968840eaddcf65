package traces

import (
	"cmp"
	"slices"
)

// Tree is the structure of one trace. Whatever is broken in it is shown all the
// same: a span whose parent is missing, or that is its own ancestor, becomes a
// top of its own. Positions are indexes into Spans.
type Tree struct {
	Spans  []Span  // ordered by start; exact duplicates are left out
	Parent []int32 // position of the parent, -1 for a top
	Tops   []int32 // spans without a parent here, by start
	Root   int32   // the first span that says that it has no parent; -1 if there is none

	// Nested sets: span a is an ancestor of span b if and only if
	// Left[a] < Left[b] && Right[b] < Right[a]. Numbers start at 1.
	Left, Right []int32
	ChildCount  []int32

	Start, End int64 // of the first span, and of the last to end
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
	n := len(spans)
	t := &Tree{
		Spans: spans, Root: -1,
		Parent: make([]int32, n), Left: make([]int32, n), Right: make([]int32, n), ChildCount: make([]int32, n),
	}
	if n == 0 {
		return t
	}
	t.Start, t.End = spans[0].Start, spans[0].End()
	byID := make(map[SpanID]int32, n)
	for i := range spans {
		t.End = max(t.End, spans[i].End())
		if _, taken := byID[spans[i].ID]; !taken {
			byID[spans[i].ID] = int32(i)
		}
	}
	for i := range spans {
		t.Parent[i] = -1
		if spans[i].ParentID.IsZero() {
			if t.Root < 0 {
				t.Root = int32(i)
			}
			continue
		}
		if p, ok := byID[spans[i].ParentID]; ok && p != int32(i) {
			t.Parent[i] = p
		}
	}
	t.breakCycles()
	t.number()
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

// breakCycles cuts the parent of the first span of every cycle, so that all
// spans are reached from a top.
func (t *Tree) breakCycles() {
	const unseen, open, done = 0, 1, 2
	state := make([]uint8, len(t.Spans))
	var path []int32
	for i := range t.Spans {
		path = path[:0]
		at := int32(i)
		for at >= 0 && state[at] == unseen {
			state[at] = open
			path = append(path, at)
			at = t.Parent[at]
		}
		if at >= 0 && state[at] == open {
			first := at
			for next := t.Parent[at]; next != at; next = t.Parent[next] {
				first = min(first, next)
			}
			t.Parent[first] = -1
		}
		for _, p := range path {
			state[p] = done
		}
	}
}

// number fills Tops, ChildCount and the nested sets without recursion: traces
// can be as deep as they are long.
func (t *Tree) number() {
	n := int32(len(t.Spans))
	firstChild, next := make([]int32, n), make([]int32, n)
	for i := range firstChild {
		firstChild[i] = -1
	}
	for i := n - 1; i >= 0; i-- { // backwards, so that the lists run forwards
		if p := t.Parent[i]; p >= 0 {
			next[i], firstChild[p] = firstChild[p], i
			t.ChildCount[p]++
		}
	}
	counter := int32(0)
	for i := range n {
		if t.Parent[i] >= 0 {
			continue
		}
		t.Tops = append(t.Tops, i)
		for at := i; ; {
			if t.Left[at] == 0 {
				counter++
				t.Left[at] = counter
			}
			if c := firstChild[at]; c >= 0 {
				firstChild[at] = next[c]
				at = c
				continue
			}
			counter++
			t.Right[at] = counter
			if at == i {
				break
			}
			at = t.Parent[at]
		}
	}
}
