package traces

// Nesting is who is whose parent in a trace, by positions in the order of the
// spans' starts. The zero Nesting is empty; Nest fills it, time and again if wanted.
type Nesting struct {
	Parent []int32 // position of the parent, -1 for a top
	Tops   []int32 // spans without a parent here, by start
	Root   int32   // the first span that says that it has no parent; -1 if there is none

	// Nested sets: span a is an ancestor of span b if and only if
	// Left[a] < Left[b] && Right[b] < Right[a]. Numbers start at 1.
	Left, Right []int32
	ChildCount  []int32

	state            []uint8
	path             []int32
	firstChild, next []int32
	byID             map[SpanID]int32
	self, covered    []int64
}

// ParentLeft returns the left number of a span's parent, -1 for a top.
func (t *Nesting) ParentLeft(i int32) int32 {
	if p := t.Parent[i]; p >= 0 {
		return t.Left[p]
	}
	return -1
}

// SelfTimes returns the time of each span during which none of its children ran, in nanoseconds: children
// at the same time count once, and none beyond the span. starts and durations are those of the
// spans that Nest was given. The next call overwrites what this one returns.
func (t *Nesting) SelfTimes(starts, durations []int64) []int64 {
	self, covered := resize(&t.self, len(starts)), resize(&t.covered, len(starts))
	for i := range self {
		self[i], covered[i] = durations[i], starts[i]
	}
	for i, p := range t.Parent { // of one parent in the order of their starts
		if p < 0 {
			continue
		}
		from, to := max(starts[i], covered[p]), min(starts[i]+durations[i], starts[p]+durations[p])
		if to > from {
			self[p] -= to - from
			covered[p] = to
		}
	}
	return self
}

// fewSpans is up to how many spans comparing all IDs is quicker than a map.
const fewSpans = 24

// Nest finds out the structure of a trace from its spans' IDs, in the order of
// their starts. Where an ID occurs twice the first span is meant.
func (t *Nesting) Nest(ids, parents []SpanID) {
	n := len(ids)
	t.Root, t.Tops = -1, t.Tops[:0]
	for _, s := range []*[]int32{&t.Parent, &t.Left, &t.Right, &t.ChildCount} {
		resize(s, n)
	}
	if n > fewSpans {
		if t.byID == nil {
			t.byID = make(map[SpanID]int32, n)
		}
		clear(t.byID)
		for i, id := range ids {
			if _, taken := t.byID[id]; !taken {
				t.byID[id] = int32(i)
			}
		}
	}
	for i := range ids {
		t.Parent[i] = -1
		if parents[i].IsZero() {
			if t.Root < 0 {
				t.Root = int32(i)
			}
			continue
		}
		if p := t.find(ids, parents[i]); p != int32(i) {
			t.Parent[i] = p
		}
	}
	t.breakCycles()
	t.number()
}

// find returns the position of the first span of that ID, -1 if there is none.
func (t *Nesting) find(ids []SpanID, id SpanID) int32 {
	if len(ids) <= fewSpans {
		for i := range ids {
			if ids[i] == id {
				return int32(i)
			}
		}
		return -1
	}
	if p, ok := t.byID[id]; ok {
		return p
	}
	return -1
}

// resize makes *s n zeros long, and returns it.
func resize[T any](s *[]T, n int) []T {
	if cap(*s) < n {
		*s = make([]T, n)
	}
	*s = (*s)[:n]
	clear(*s)
	return *s
}

// breakCycles cuts the parent of the first span of every cycle, so that all
// spans are reached from a top.
func (t *Nesting) breakCycles() {
	const unseen, open, done = 0, 1, 2
	state := resize(&t.state, len(t.Parent))
	path := t.path
	for i := range t.Parent {
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
	t.path = path
}

// number fills Tops, ChildCount and the nested sets without recursion: traces
// can be as deep as they are long.
func (t *Nesting) number() {
	n := int32(len(t.Parent))
	firstChild, next := resize(&t.firstChild, int(n)), resize(&t.next, int(n))
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
