package traceql

import (
	"cmp"
	"context"
	"math"
	"slices"
	"sync"

	"belfry/traces"
)

// A pipeline is answered from the nested sets that a store keeps beside its
// spans: each {…} gives a list of marks (trace, left, right), and the pipeline is
// evaluated on these. Nothing but the lists is held, and no trace is fetched to
// find out whether it matches. Traces that the store cannot answer for are
// fetched and evaluated whole.

// match is a trace that matches, or with all set a span that the pipeline gives.
type match struct {
	anchor int64 // start of the newest span that the first stage selects, or of the span
	place  traces.Place
}

// joinedScan finds what a pipeline gives in the traces that a store has joined.
type joinedScan struct {
	view     traces.Joined
	plan     *markPlan
	from, to int64
	limit    int64 // marks and values held at once
	stats    traces.Stats
}

// cutMarks is Stats.Cut when one trace selects more spans than fit into memory.
const cutMarks = "selected spans in memory"

// part finds the matches of one part: one for each trace that matches, or with
// all one for each span.
func (s *joinedScan) part(ctx context.Context, p traces.JoinedPart, all bool) ([]match, error) {
	return s.between(ctx, p, all, 0, uint32(p.Traces))
}

// between looks at the traces numbered lo to hi of a part; at one half after the
// other if their marks are too many.
func (s *joinedScan) between(ctx context.Context, p traces.JoinedPart, all bool, lo, hi uint32) ([]match, error) {
	lists, fits, err := s.scanLeaves(ctx, p, lo, hi)
	if err != nil {
		return nil, err
	}
	if fits || hi-lo <= 1 {
		if !fits && s.stats.Cut == "" {
			s.stats.Cut = cutMarks
		}
		return s.merge(lists, int(hi), all), nil
	}
	middle := lo + (hi-lo)/2
	first, err := s.between(ctx, p, all, lo, middle)
	if err != nil {
		return nil, err
	}
	second, err := s.between(ctx, p, all, middle, hi)
	return append(first, second...), err
}

// scanLeaves returns the marks of all leaves, nil if nothing can match.
func (s *joinedScan) scanLeaves(ctx context.Context, p traces.JoinedPart, lo, hi uint32) (lists []markList, fits bool, err error) {
	lists = make([]markList, len(s.plan.leaves))
	held := int64(0)
	seen := ^uint64(0)
	for i := range s.plan.leaves {
		l := &leafScan{joinedScan: s, part: p, leaf: &s.plan.leaves[i], lo: lo, hi: hi, room: s.limit - held}
		if err := l.run(ctx); err != nil {
			return nil, false, err
		}
		lists[i] = l.list
		if l.over {
			return lists, false, nil
		}
		held += l.list.size()
		if len(l.list.marks) == 0 {
			if seen &^= 1 << i; !s.plan.mayHold(seen) {
				return nil, true, nil
			}
		}
	}
	return lists, true, nil
}

// merge walks the leaves' marks trace by trace. Traces are numbered below n.
func (s *joinedScan) merge(lists []markList, n int, all bool) []match {
	m := newMerger(s.plan, lists)
	rest := make([][]mark, len(lists))
	for i := range lists {
		lists[i].byTrace(n)
		rest[i] = lists[i].marks
	}
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
		if s.plan.mayHold(seen) {
			out = m.trace(out, all)
		}
	}
}

// merger evaluates the pipeline on the marks of one trace after the other. It is
// the evaluator's spanTable.
type merger struct {
	plan  *markPlan
	lists []markList
	runs  [][]mark
	sets  []positions // of each leaf
	marks []merged    // the trace's marked spans, by left number
	every positions
	shape nest
}

// merged is a marked span, with the list that has its values.
type merged struct {
	*mark
	list *markList
}

func newMerger(plan *markPlan, lists []markList) *merger {
	return &merger{plan: plan, lists: lists, runs: make([][]mark, len(lists)), sets: make([]positions, len(lists))}
}

func (m *merger) filter(cond Expr, among positions) positions {
	set := m.sets[cond.(slot)]
	if len(among) == len(m.marks) {
		return set
	}
	return intersection(among, set)
}

func (m *merger) value(e Expr, pos int32) Static {
	at := &m.marks[pos]
	return at.list.values[int(at.row)*len(m.plan.values)+int(e.(slot))]
}

func (m *merger) nest() *nest { return &m.shape }

// trace appends the matches of the trace whose marks are in runs.
func (m *merger) trace(out []match, all bool) []match {
	m.gather()
	e := evaluator{m}
	p := m.plan.pipeline
	if first, ok := p[0].(Spanset); ok && len(p) == 1 {
		return m.matches(out, e.spanset(first, m.every), all)
	}
	sets := e.run(p[:1], m.every)
	if all {
		return m.matches(out, spansOf(e.runFrom(p[1:], sets)), true)
	}
	anchors := spansOf(sets)
	if len(sets) == 0 || len(e.runFrom(p[1:], sets)) == 0 {
		return out
	}
	return m.matches(out, anchors, false)
}

// matches appends one match for all of some spans, or with all one for each.
func (m *merger) matches(out []match, spans positions, all bool) []match {
	if all {
		for _, at := range spans {
			out = append(out, match{m.marks[at].start, m.marks[at].place})
		}
		return out
	}
	if len(spans) == 0 {
		return out
	}
	newest := match{anchor: math.MinInt64}
	for _, at := range spans {
		if s := m.marks[at]; s.start >= newest.anchor {
			newest = match{s.start, s.place}
		}
	}
	return append(out, newest)
}

// gather brings the marks of all leaves together, each span once.
func (m *merger) gather() {
	m.marks, m.every = m.marks[:0], m.every[:0]
	m.shape.left, m.shape.right, m.shape.parent = m.shape.left[:0], m.shape.right[:0], m.shape.parent[:0]
	for i := range m.sets {
		m.sets[i] = m.sets[i][:0]
	}
	for {
		var next *mark
		list := 0
		for i, run := range m.runs {
			if len(run) > 0 && (next == nil || run[0].left < next.left) {
				next, list = &run[0], i
			}
		}
		if next == nil {
			return
		}
		p := int32(len(m.marks))
		for i, run := range m.runs {
			if len(run) > 0 && run[0].left == next.left {
				m.sets[i] = append(m.sets[i], p)
				m.runs[i] = run[1:]
			}
		}
		m.marks, m.every = append(m.marks, merged{next, &m.lists[list]}), append(m.every, p)
		m.shape.left, m.shape.right, m.shape.parent = append(m.shape.left, next.left), append(m.shape.right, next.right), append(m.shape.parent, next.parent)
	}
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
