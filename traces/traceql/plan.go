package traceql

import (
	"slices"
	"strings"

	"belfry/traces"
)

// plan is what the store is asked for to answer a query.
type plan struct {
	leaves   []leaf            // what candidate traces are found by; at least one
	need     func(uint64) bool // whether a trace in which leaf i was seen if bit i is set can match
	filter   traces.Filter     // holds if one of the leaves' filters does
	fields   []traces.Field    // of the leaves' filters
	evaluate []traces.Field    // what evaluating a whole trace needs, leaves included

	// loose: spans that no leaf lets through may be selected all the same.
	loose bool

	// single is the one filter that is all of the query's conditions, if they
	// can be decided span by span.
	single   Expr
	isSingle bool
}

// leaf is a {…} of the first stage.
type leaf struct {
	expr   Expr
	filter traces.Filter
}

// maxLeaves is the number of bits at hand; a query with more lets the rest through.
const maxLeaves = 64

func newPlan(p Pipeline) *plan {
	pl := &plan{}
	var evaluate fieldSet
	for _, stage := range p {
		evaluate.addStage(stage)
	}
	pl.evaluate = evaluate.list
	n := needNode{kind: needAlways}
	if len(p) > 0 {
		n = pl.needOfStage(p[0])
	}
	if n.kind == needAlways {
		n = needNode{kind: needLeaf, leaf: leaf{}}
		if first, ok := firstFilter(p); ok {
			n.leaf.expr = first.Expr
		}
	}
	pl.need = pl.compile(n)
	var anyOf traces.Or
	var fields fieldSet
	for _, l := range pl.leaves {
		anyOf = append(anyOf, l.filter)
		fields.addFilter(l.filter)
	}
	if len(anyOf) == 1 {
		pl.filter = anyOf[0]
	} else {
		pl.filter = anyOf
	}
	if first, ok := firstFilter(p); ok && !needsTree(first.Expr) {
		fields.addExpr(first.Expr)
		if onlySelects(p[1:]) {
			pl.single, pl.isSingle = first.Expr, true
		}
	}
	pl.fields = fields.list
	return pl
}

func firstFilter(p Pipeline) (Filter, bool) {
	if len(p) == 0 {
		return Filter{}, false
	}
	f, ok := p[0].(Filter)
	return f, ok
}

func onlySelects(p Pipeline) bool {
	for _, stage := range p {
		if _, ok := stage.(Select); !ok {
			return false
		}
	}
	return true
}

type needKind uint8

const (
	needAlways needKind = iota
	needLeaf
	needAnd
	needOr
)

type needNode struct {
	kind        needKind
	leaf        leaf
	left, right *needNode
}

func (pl *plan) needOfStage(s Stage) needNode {
	switch s := s.(type) {
	case Filter:
		if f := pushdown(s.Expr); f != nil {
			return needNode{kind: needLeaf, leaf: leaf{expr: s.Expr, filter: f}}
		}
	case Sub:
		return pl.needOfStage(s.Pipeline[0])
	case SpansetOp:
		right := pl.needOfStage(s.Right)
		if strings.HasPrefix(s.Op, "!") {
			return right
		}
		left := pl.needOfStage(s.Left)
		switch {
		case s.Op == "||":
			if left.kind == needAlways || right.kind == needAlways {
				return needNode{}
			}
			return needNode{kind: needOr, left: &left, right: &right}
		case left.kind == needAlways:
			pl.loose = pl.loose || right.kind != needAlways
			return right
		case right.kind == needAlways:
			pl.loose = true
			return left
		}
		return needNode{kind: needAnd, left: &left, right: &right}
	case ScalarFilter:
		return pl.needOfScalar(ScalarOp{Left: s.Left, Right: s.Right})
	}
	return needNode{}
}

// needOfScalar is what a trace needs for one of the pipelines in a number to give
// spans.
func (pl *plan) needOfScalar(s Scalar) needNode {
	switch s := s.(type) {
	case Piped:
		return pl.needOfStage(s.Pipeline[0])
	case ScalarOp:
		if _, static := s.Left.(Static); static {
			return pl.needOfScalar(s.Right)
		}
		if _, static := s.Right.(Static); static {
			return pl.needOfScalar(s.Left)
		}
		left, right := pl.needOfScalar(s.Left), pl.needOfScalar(s.Right)
		if left.kind == needAlways || right.kind == needAlways {
			return needNode{}
		}
		return needNode{kind: needOr, left: &left, right: &right}
	}
	return needNode{}
}

func (pl *plan) compile(n needNode) func(uint64) bool {
	switch n.kind {
	case needAnd, needOr:
		left, right := pl.compile(*n.left), pl.compile(*n.right)
		if n.kind == needAnd {
			return func(seen uint64) bool { return left(seen) && right(seen) }
		}
		return func(seen uint64) bool { return left(seen) || right(seen) }
	}
	pl.leaves = append(pl.leaves, n.leaf)
	if len(pl.leaves) > maxLeaves {
		return func(uint64) bool { return true }
	}
	bit := uint64(1) << (len(pl.leaves) - 1)
	return func(seen uint64) bool { return seen&bit != 0 }
}

// seen returns the bits of the leaves whose filters hold for a span.
func (pl *plan) seen(s *traces.Span) uint64 {
	bits := uint64(0)
	for i := range min(len(pl.leaves), maxLeaves) {
		if traces.Match(pl.leaves[i].filter, s) {
			bits |= 1 << i
		}
	}
	return bits
}

func needsTree(e Expr) bool {
	switch e := e.(type) {
	case FieldRef:
		return e.needsTree()
	case Unary:
		return needsTree(e.Of)
	case Match:
		return needsTree(e.Of)
	case Binary:
		return needsTree(e.Left) || needsTree(e.Right)
	}
	return false
}

// fieldSet gathers fields, each once.
type fieldSet struct{ list []traces.Field }

func (s *fieldSet) add(f traces.Field) {
	if len(s.list) == 0 || !traces.HasField(s.list, f) {
		s.list = append(s.list, f)
	}
}

func (s *fieldSet) addRef(ref FieldRef) {
	if ref.Field.Scope == traces.ScopeIntrinsic {
		switch ref.Field.Name {
		case rootName:
			s.add(traces.Intrinsic(traces.Name))
			return
		case rootServiceName:
			s.add(traces.ServiceName())
			return
		case traceDuration, childCount, selfTime, nestedSetLeft, nestedSetRight, nestedSetParent:
			return
		}
	}
	s.add(ref.Field)
}

func (s *fieldSet) addExpr(e Expr) {
	switch e := e.(type) {
	case FieldRef:
		s.addRef(e)
	case Unary:
		s.addExpr(e.Of)
	case Match:
		s.addExpr(e.Of)
	case Binary:
		s.addExpr(e.Left)
		s.addExpr(e.Right)
	}
}

func (s *fieldSet) addScalar(x Scalar) {
	switch x := x.(type) {
	case Aggregate:
		s.addExpr(x.Of)
	case ScalarOp:
		s.addScalar(x.Left)
		s.addScalar(x.Right)
	case Piped:
		for _, stage := range x.Pipeline {
			s.addStage(stage)
		}
		s.addScalar(x.Of)
	}
}

func (s *fieldSet) addStage(stage Stage) {
	switch stage := stage.(type) {
	case Filter:
		s.addExpr(stage.Expr)
	case SpansetOp:
		s.addStage(stage.Left)
		s.addStage(stage.Right)
	case Sub:
		for _, inner := range stage.Pipeline {
			s.addStage(inner)
		}
	case ScalarFilter:
		s.addScalar(stage.Left)
		s.addScalar(stage.Right)
	case GroupBy:
		for _, by := range stage.By {
			s.addExpr(by)
		}
	case Select:
		for _, f := range stage.Fields {
			s.addRef(f)
		}
	}
}

func (s *fieldSet) addFilter(f traces.Filter) {
	switch f := f.(type) {
	case traces.And:
		for _, part := range f {
			s.addFilter(part)
		}
	case traces.Or:
		for _, part := range f {
			s.addFilter(part)
		}
	case traces.Compare:
		s.add(f.Field)
	case traces.Regexp:
		s.add(f.Field)
	case traces.Exists:
		s.add(f.Field)
	}
}

// outputFields are the fields that an answer shows of each matched span: those
// of its conditions, and the selected ones.
func outputFields(p Pipeline) []FieldRef {
	var out []FieldRef
	add := func(ref FieldRef) {
		if slices.Contains(out, ref) {
			return
		}
		out = append(out, ref)
	}
	var expr func(Expr)
	expr = func(e Expr) {
		switch e := e.(type) {
		case FieldRef:
			add(e)
		case Unary:
			expr(e.Of)
		case Match:
			expr(e.Of)
		case Binary:
			expr(e.Left)
			expr(e.Right)
		}
	}
	var walk func(Stage)
	walk = func(stage Stage) {
		switch stage := stage.(type) {
		case Filter:
			expr(stage.Expr)
		case SpansetOp:
			walk(stage.Left)
			walk(stage.Right)
		case Sub:
			for _, inner := range stage.Pipeline {
				walk(inner)
			}
		case Select:
			for _, f := range stage.Fields {
				add(f)
			}
		case ScalarFilter:
			for _, inner := range pipelinesOf(ScalarOp{Left: stage.Left, Right: stage.Right}) {
				for _, of := range inner {
					walk(of)
				}
			}
		}
	}
	for _, stage := range p {
		walk(stage)
	}
	return out
}

// pipelinesOf returns the pipelines in a number.
func pipelinesOf(s Scalar) []Pipeline {
	switch s := s.(type) {
	case Piped:
		return []Pipeline{s.Pipeline}
	case ScalarOp:
		return append(pipelinesOf(s.Left), pipelinesOf(s.Right)...)
	}
	return nil
}

// ParseFilter reads a query of one {…} and returns what of it a store can decide.
func ParseFilter(query string) (traces.Filter, error) {
	q, err := Parse(query)
	if err != nil {
		return nil, err
	}
	f, ok := firstFilter(q.Pipeline)
	if !ok || len(q.Pipeline) != 1 || q.Metrics != nil {
		return nil, errorAt(query, 0, "expected one {…}")
	}
	return pushdown(f.Expr), nil
}
