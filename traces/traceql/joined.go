package traceql

import (
	"cmp"
	"context"
	"math"
	"slices"
	"sync"

	"belfry/traces"
)

// A query on the structure of traces is answered from the nested sets that a
// store keeps beside its spans: each {…} gives a list of (trace, left, right),
// and operators merge these lists. Nothing but the lists is held, and no trace is
// fetched to find out whether it matches. Traces that the store cannot answer for
// are fetched and evaluated whole.

// structure is the first stage of a pipeline, if it is made of {…} on columns and operators alone.
type structure struct {
	leaves []Filter
	root   *structureNode
}

// structureNode is a leaf, or an operator on two nodes.
type structureNode struct {
	leaf        int
	op          string // "" for a leaf
	left, right *structureNode
}

// structureOf returns the structure of a stage; ok is false if it is another kind of stage.
func structureOf(stage Stage) (st *structure, ok bool) {
	st = &structure{}
	st.root, ok = st.add(stage)
	return st, ok
}

func (st *structure) add(stage Stage) (*structureNode, bool) {
	switch s := stage.(type) {
	case Filter:
		if !onColumns(s.Expr) {
			return nil, false
		}
		text := s.String()
		for i, have := range st.leaves {
			if have.String() == text {
				return &structureNode{leaf: i}, true
			}
		}
		st.leaves = append(st.leaves, s)
		return &structureNode{leaf: len(st.leaves) - 1}, len(st.leaves) <= maxLeaves
	case Sub:
		if len(s.Pipeline) == 1 {
			return st.add(s.Pipeline[0])
		}
	case SpansetOp:
		left, ok := st.add(s.Left)
		if !ok {
			return nil, false
		}
		right, ok := st.add(s.Right)
		return &structureNode{op: s.Op, left: left, right: right}, ok
	}
	return nil, false
}

// mayHold reports whether a trace in which the leaves of seen were found can match.
func (n *structureNode) mayHold(seen uint64) bool {
	switch {
	case n.op == "":
		return seen>>n.leaf&1 != 0
	case n.op == "||":
		return n.left.mayHold(seen) || n.right.mayHold(seen)
	case n.op[0] == '!':
		return n.right.mayHold(seen)
	}
	return n.left.mayHold(seen) && n.right.mayHold(seen)
}

// mark is a span that a leaf selected.
type mark struct {
	trace               uint32
	left, right, parent int32
	start               int64
	place               traces.Place
}

// match is a trace that matches, or with all set a span that the stage selects.
type match struct {
	anchor int64 // start of the newest span that the stage selects
	place  traces.Place
}

// joinedScan finds what a structure selects in the traces that a store has joined.
type joinedScan struct {
	view     traces.Joined
	st       *structure
	from, to int64
	limit    int64 // marks held at once
	stats    traces.Stats
	marks    [][]mark // of each leaf
}

// cutMarks is Stats.Cut when a stage selects more spans than fit into memory.
const cutMarks = "selected spans in memory"

// part finds the matches of one part: one for each trace that matches, or with
// all one for each span.
func (s *joinedScan) part(ctx context.Context, p traces.JoinedPart, all bool) ([]match, error) {
	held := int64(0)
	s.marks = make([][]mark, len(s.st.leaves))
	for i, leaf := range s.st.leaves {
		marks, err := s.scanLeaf(ctx, p, leaf, s.limit-held)
		if err != nil {
			return nil, err
		}
		held += int64(len(marks))
		s.marks[i] = byTrace(marks, p.Traces)
		if s.hopeless(i + 1) {
			return nil, nil
		}
	}
	return s.merge(all), nil
}

// hopeless reports whether nothing can match whatever the leaves from n on give.
func (s *joinedScan) hopeless(n int) bool {
	seen := ^uint64(0)
	for i := range n {
		if len(s.marks[i]) == 0 {
			seen &^= 1 << i
		}
	}
	return !s.st.root.mayHold(seen)
}

var placeFields = []traces.Field{
	traces.Intrinsic(traces.TraceOrdinal), traces.Intrinsic(traces.NestedSetLeft),
	traces.Intrinsic(traces.NestedSetRight), traces.Intrinsic(traces.NestedSetParent),
}

// scanLeaf returns the spans that a leaf selects, at most limit.
func (s *joinedScan) scanLeaf(ctx context.Context, p traces.JoinedPart, leaf Filter, limit int64) ([]mark, error) {
	var mu sync.Mutex
	var marks []mark
	over := false
	q := traces.SpanQuery{From: s.from, To: s.to, Filter: pushdownJoined(leaf.Expr), Fields: plainFields(fieldsOf(leaf.Expr, nil))}
	stats, err := s.view.Whole(ctx, p, q, func() traces.ColumnVisitor {
		e := &columnEval{}
		return func(c traces.Columns) error {
			e.reset(c)
			keep, err := e.mask(leaf.Expr)
			if err != nil {
				return err
			}
			found, err := marksOf(e, keep)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			if int64(len(marks)+len(found)) > limit {
				over = true
				return traces.ErrStop
			}
			marks = append(marks, found...)
			return nil
		}
	})
	s.stats.Add(stats)
	if over && s.stats.Cut == "" {
		s.stats.Cut = cutMarks
	}
	return marks, err
}

// marksOf returns the rows of keep (nil: all).
func marksOf(e *columnEval, keep []bool) ([]mark, error) {
	n := 0
	for _, k := range keep {
		if k {
			n++
		}
	}
	if keep == nil {
		n = e.n
	}
	if n == 0 {
		return nil, nil
	}
	var cols [4]*traces.Column
	for i, f := range placeFields {
		c, err := e.column(f)
		if err != nil {
			return nil, err
		}
		if c == nil {
			return nil, nil
		}
		cols[i] = c
	}
	starts := e.cols.Starts()
	marks := make([]mark, 0, n)
	for i, start := range starts {
		if keep != nil && !keep[i] || !cols[0].Has(i) {
			continue
		}
		marks = append(marks, mark{
			trace: uint32(cols[0].Nums[i]), left: int32(cols[1].Nums[i]), right: int32(cols[2].Nums[i]), parent: int32(cols[3].Nums[i]),
			start: start, place: e.cols.Place(i),
		})
	}
	return marks, nil
}

// byTrace sorts marks by trace, then left number. Traces are numbered below n.
func byTrace(marks []mark, n int) []mark {
	starts := make([]uint32, n+1)
	for i := range marks {
		if int(marks[i].trace) < n {
			starts[marks[i].trace+1]++
		}
	}
	for i := 1; i < len(starts); i++ {
		starts[i] += starts[i-1]
	}
	out := make([]mark, starts[n])
	for i := range marks {
		m := &marks[i]
		if int(m.trace) >= n {
			continue
		}
		out[starts[m.trace]] = *m
		starts[m.trace]++
	}
	byLeft := func(a, b mark) int { return cmp.Compare(a.left, b.left) }
	for from, to := 0, 0; from < len(out); from = to {
		for to = from + 1; to < len(out) && out[to].trace == out[from].trace; to++ {
		}
		if run := out[from:to]; !slices.IsSortedFunc(run, byLeft) {
			slices.SortFunc(run, byLeft)
		}
	}
	return out
}

// merge walks the leaves' marks trace by trace.
func (s *joinedScan) merge(all bool) []match {
	rest := slices.Clone(s.marks)
	m := merger{st: s.st, sets: make([]positions, len(rest))}
	var out []match
	for {
		trace := uint32(math.MaxUint32)
		for _, marks := range rest {
			if len(marks) > 0 {
				trace = min(trace, marks[0].trace)
			}
		}
		if trace == math.MaxUint32 {
			return out
		}
		seen := uint64(0)
		for i, marks := range rest {
			n := 0
			for n < len(marks) && marks[n].trace == trace {
				n++
			}
			if n > 0 {
				seen |= 1 << i
			}
			m.runs[i] = marks[:n]
			rest[i] = marks[n:]
		}
		if !s.st.root.mayHold(seen) {
			continue
		}
		out = m.trace(out, all)
	}
}

// merger evaluates the structure on one trace after the other.
type merger struct {
	st   *structure
	runs [maxLeaves][]mark
	sets []positions
	all  []*mark // the trace's marked spans, by left number
	nest nest
}

// trace appends the matches of the trace whose marks are in runs.
func (m *merger) trace(out []match, all bool) []match {
	n := len(m.st.leaves)
	m.all = m.all[:0]
	m.nest.left, m.nest.right, m.nest.parent = m.nest.left[:0], m.nest.right[:0], m.nest.parent[:0]
	var at [maxLeaves]int
	for i := range n {
		m.sets[i] = m.sets[i][:0]
	}
	for {
		var next *mark
		for i := range n {
			if at[i] < len(m.runs[i]) {
				if c := &m.runs[i][at[i]]; next == nil || c.left < next.left {
					next = c
				}
			}
		}
		if next == nil {
			break
		}
		p := int32(len(m.all))
		for i := range n {
			if at[i] < len(m.runs[i]) && m.runs[i][at[i]].left == next.left {
				m.sets[i] = append(m.sets[i], p)
				at[i]++
			}
		}
		m.all = append(m.all, next)
		m.nest.left, m.nest.right, m.nest.parent = append(m.nest.left, next.left), append(m.nest.right, next.right), append(m.nest.parent, next.parent)
	}
	selected := m.eval(m.st.root)
	if len(selected) == 0 {
		return out
	}
	if all {
		for _, p := range selected {
			out = append(out, match{m.all[p].start, m.all[p].place})
		}
		return out
	}
	best := match{anchor: math.MinInt64}
	for _, p := range selected {
		if s := m.all[p]; s.start >= best.anchor {
			best = match{s.start, s.place}
		}
	}
	return append(out, best)
}

func (m *merger) eval(n *structureNode) positions {
	if n.op == "" {
		return m.sets[n.leaf]
	}
	left, right := m.eval(n.left), m.eval(n.right)
	switch n.op {
	case "&&":
		if len(left) == 0 || len(right) == 0 {
			return nil
		}
		return union(left, right)
	case "||":
		return union(left, right)
	}
	return m.nest.relate(n.op, left, right)
}

// newestFirst orders matches.
func newestFirst(matches []match) {
	slices.SortFunc(matches, func(a, b match) int { return cmp.Compare(b.anchor, a.anchor) })
}

// identify returns the traces of matches, in no order.
func identify(ctx context.Context, view traces.Joined, matches []match) ([]candidate, traces.Stats, error) {
	anchors := make(map[traces.Place]int64, len(matches))
	places := make([]traces.Place, len(matches))
	for i, m := range matches {
		places[i] = m.place
		anchors[m.place] = m.anchor
	}
	var mu sync.Mutex
	var list []candidate
	stats, err := view.Pick(ctx, places, nil, func() traces.ColumnVisitor {
		return func(c traces.Columns) error {
			spans, err := c.Spans([]traces.Field{})
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			for i := range spans {
				list = append(list, candidate{id: spans[i].TraceID, anchor: anchors[c.Place(i)]})
			}
			return nil
		}
	})
	return list, stats, err
}
