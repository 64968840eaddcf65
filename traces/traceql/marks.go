package traceql

import (
	"slices"
	"strings"

	"belfry/traces"
)

// markPlan is a pipeline made ready to be evaluated on marks: the spans that its
// conditions select, each with the values that its stages read.
type markPlan struct {
	pipeline Pipeline // with slots where expressions were
	leaves   []leafPlan
	values   []Expr
}

// leafPlan is a condition of the pipeline, in two steps.
type leafPlan struct {
	whole Expr // nil: every span
	now   Expr // what is decided on a span's own fields; nil: nothing
	later Expr // what needs fields of the parent; nil: nothing

	own, parents []FieldRef // that later reads
}

// slot stands for an expression: the leaf, or the value, of that number.
type slot int

func (slot) isExpr()        {}
func (slot) String() string { return "?" }

// planMarks returns the plan of a pipeline, nil if it cannot be answered from marks.
func planMarks(p Pipeline) *markPlan {
	m := &marker{plan: &markPlan{}, leaves: map[string]slot{}, values: map[string]slot{}}
	m.plan.pipeline = m.stages(p, true)
	if m.failed || len(m.plan.leaves) == 0 || len(m.plan.leaves) > maxLeaves {
		return nil
	}
	return m.plan
}

// marker puts slots into a pipeline.
type marker struct {
	plan           *markPlan
	leaves, values map[string]slot
	failed         bool
}

// stages rewrites a pipeline; whole says that it begins with all spans of a trace.
func (m *marker) stages(p Pipeline, whole bool) Pipeline {
	out := make(Pipeline, len(p))
	for i, stage := range p {
		out[i] = m.stage(stage, whole)
		whole = false
	}
	return out
}

func (m *marker) stage(stage Stage, whole bool) Stage {
	switch s := stage.(type) {
	case Spanset:
		return m.spanset(s, whole)
	case ScalarFilter:
		return ScalarFilter{s.Op, m.scalar(s.Left, whole), m.scalar(s.Right, whole)}
	case GroupBy:
		m.all(whole)
		out := GroupBy{By: make([]Expr, len(s.By))}
		for i, by := range s.By {
			out.By[i] = m.value(by)
		}
		return out
	case Coalesce, Select:
		m.all(whole)
	}
	return stage
}

func (m *marker) spanset(s Spanset, whole bool) Spanset {
	switch s := s.(type) {
	case Filter:
		if s.Expr == nil && !whole {
			return s
		}
		return Filter{m.leaf(s)}
	case SpansetOp:
		return SpansetOp{s.Op, m.spanset(s.Left, whole), m.spanset(s.Right, whole)}
	case Sub:
		return Sub{m.stages(s.Pipeline, whole)}
	}
	m.failed = true
	return s
}

func (m *marker) scalar(s Scalar, whole bool) Scalar {
	switch s := s.(type) {
	case Aggregate:
		m.all(whole)
		if s.Of != nil {
			s.Of = m.value(s.Of)
		}
		return s
	case ScalarOp:
		return ScalarOp{s.Op, m.scalar(s.Left, whole), m.scalar(s.Right, whole)}
	case Piped:
		return Piped{m.stages(s.Pipeline, whole), m.scalar(s.Of, false)}
	}
	return s
}

// all sees to it that every span is marked, if a stage is given all of them.
func (m *marker) all(whole bool) {
	if whole {
		m.leaf(Filter{})
	}
}

func (m *marker) leaf(f Filter) slot {
	text := f.String()
	if s, known := m.leaves[text]; known {
		return s
	}
	s := slot(len(m.plan.leaves))
	leaf := leafPlan{whole: f.Expr}
	for _, part := range conjuncts(f.Expr, nil) {
		if refs := fieldsOf(part, nil); slices.ContainsFunc(refs, func(r FieldRef) bool { return r.Parent }) {
			leaf.later = conjunction(leaf.later, part)
		} else {
			leaf.now = conjunction(leaf.now, part)
		}
	}
	for _, ref := range fieldsOf(leaf.later, nil) {
		switch {
		case ref.Parent:
			leaf.parents = append(leaf.parents, ref)
		case isMulti(ref.Field):
			m.failed = true
		default:
			leaf.own = append(leaf.own, ref)
		}
	}
	m.leaves[text] = s
	m.plan.leaves = append(m.plan.leaves, leaf)
	return s
}

func (m *marker) value(e Expr) slot {
	text := e.String()
	if s, known := m.values[text]; known {
		return s
	}
	if !onColumns(e) {
		m.failed = true
	}
	s := slot(len(m.plan.values))
	m.values[text] = s
	m.plan.values = append(m.plan.values, e)
	return s
}

// conjuncts adds the conditions that are joined by && to list.
func conjuncts(e Expr, list []Expr) []Expr {
	if b, ok := e.(Binary); ok && b.Op == "&&" {
		return conjuncts(b.Right, conjuncts(b.Left, list))
	}
	if e == nil {
		return list
	}
	return append(list, e)
}

func conjunction(a, b Expr) Expr {
	if a == nil {
		return b
	}
	return Binary{Op: "&&", Left: a, Right: b}
}

// mayHold reports whether a trace in which the leaves of seen were found can match.
func (pl *markPlan) mayHold(seen uint64) bool { return pipelineMayHold(pl.pipeline, seen) }

func pipelineMayHold(p Pipeline, seen uint64) bool {
	for _, stage := range p {
		if !stageMayHold(stage, seen) {
			return false
		}
	}
	return true
}

func stageMayHold(stage Stage, seen uint64) bool {
	switch s := stage.(type) {
	case Filter:
		leaf, ok := s.Expr.(slot)
		return !ok || seen>>leaf&1 != 0
	case Sub:
		return pipelineMayHold(s.Pipeline, seen)
	case SpansetOp:
		switch {
		case s.Op == "||":
			return stageMayHold(s.Left, seen) || stageMayHold(s.Right, seen)
		case strings.HasPrefix(s.Op, "!"):
			return stageMayHold(s.Right, seen)
		}
		return stageMayHold(s.Left, seen) && stageMayHold(s.Right, seen)
	case ScalarFilter:
		return scalarMayHold(s.Left, seen) || scalarMayHold(s.Right, seen)
	}
	return true
}

// scalarMayHold reports whether a number can be made of any spans.
func scalarMayHold(s Scalar, seen uint64) bool {
	switch s := s.(type) {
	case Static:
		return false
	case ScalarOp:
		return scalarMayHold(s.Left, seen) || scalarMayHold(s.Right, seen)
	case Piped:
		return pipelineMayHold(s.Pipeline, seen)
	}
	return true
}

// mark is a span that a leaf selected.
type mark struct {
	start               int64
	trace               uint32
	left, right, parent int32
	row                 uint32 // of markList.values
	place               traces.Place
}

// markList are the marks of a leaf.
type markList struct {
	marks  []mark
	values []Static // of each row those of the plan
	own    []Static // of each row those of the leaf's later
}

// size is about how many marks without values take as much memory.
func (l *markList) size() int64 { return int64(len(l.marks) + len(l.values) + len(l.own)) }

// add appends the marks of a block.
func (l *markList) add(o *markList, values, own int) {
	base := uint32(0)
	switch {
	case values > 0:
		base = uint32(len(l.values) / values)
	case own > 0:
		base = uint32(len(l.own) / own)
	}
	for i := range o.marks {
		o.marks[i].row += base
	}
	l.marks = append(l.marks, o.marks...)
	l.values = append(l.values, o.values...)
	l.own = append(l.own, o.own...)
}

// byTrace sorts the marks by trace, then left number. Traces are numbered below n.
func (l *markList) byTrace(n int) {
	starts := make([]uint32, n+1)
	for i := range l.marks {
		starts[l.marks[i].trace+1]++
	}
	for i := 1; i < len(starts); i++ {
		starts[i] += starts[i-1]
	}
	out := make([]mark, len(l.marks))
	for i := range l.marks {
		m := &l.marks[i]
		out[starts[m.trace]] = *m
		starts[m.trace]++
	}
	byLeft := func(a, b mark) int { return int(a.left) - int(b.left) }
	for from, to := 0, 0; from < len(out); from = to {
		for to = from + 1; to < len(out) && out[to].trace == out[from].trace; to++ {
		}
		if run := out[from:to]; !slices.IsSortedFunc(run, byLeft) {
			slices.SortFunc(run, byLeft)
		}
	}
	l.marks = out
}
