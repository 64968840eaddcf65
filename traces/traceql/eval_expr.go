package traceql

import (
	"belfry/traces"
)

// spanAt is a span that an expression is evaluated on. tree is nil if only the
// span is at hand; fields that need the trace are nil then.
type spanAt struct {
	row  row // instead of all else, if set, but for fields of events and links
	span *traces.Span
	tree *traces.Tree
	pos  int32
}

// row gives the values of a span whose fields are columns.
type row interface {
	value(ref FieldRef) traces.Value
}

func at(t *traces.Tree, pos int32) spanAt { return spanAt{span: &t.Spans[pos], tree: t, pos: pos} }

// holds reports whether a condition is true; a nil condition is.
func (s spanAt) holds(e Expr) bool { return e == nil || s.eval(e).isTrue() }

// eval returns the value of an expression, the first one where a field has several.
func (s spanAt) eval(e Expr) Static {
	switch e := e.(type) {
	case Static:
		return e
	case FieldRef:
		return s.field(e)
	case Unary:
		of := s.eval(e.Of)
		switch {
		case e.Op == "!" && of.Type == TypeBool:
			return boolStatic(!of.Value.Bool())
		case e.Op == "-":
			return arithmetic("-", Static{TypeInt, traces.Int(0)}, of)
		}
		return Static{}
	case Match:
		return boolStatic(s.match(e))
	case Binary:
		return s.binary(e)
	}
	return Static{}
}

func (s spanAt) binary(e Binary) Static {
	switch e.Op {
	case "&&":
		return boolStatic(s.holds(e.Left) && s.holds(e.Right))
	case "||":
		return boolStatic(s.holds(e.Left) || s.holds(e.Right))
	case "+", "-", "*", "/", "%", "^":
		return arithmetic(e.Op, s.eval(e.Left), s.eval(e.Right))
	}
	return boolStatic(s.compare(e))
}

var compareOps = map[string]traces.Op{
	"=": traces.OpEqual, "!=": traces.OpNotEqual, "<": traces.OpLess,
	"<=": traces.OpLessEqual, ">": traces.OpGreater, ">=": traces.OpGreaterEqual,
}

// compare holds if some value of the one side and some value of the other meet
// the comparison; != holds if there are such values, and none are equal.
func (s spanAt) compare(e Binary) bool {
	left, right := e.Left, e.Right
	if isNil(left) || isNil(right) {
		if isNil(left) {
			left = right
		}
		present := false
		s.values(left, func(Static) bool { present = true; return false })
		return present == (e.Op == "!=")
	}
	op := compareOps[e.Op]
	comparable, equal, holds := false, false, false
	s.values(left, func(l Static) bool {
		s.values(right, func(r Static) bool {
			order, ok := l.compare(r)
			comparable = comparable || ok
			equal = equal || ok && order == 0
			holds = holds || ok && op.Holds(order)
			return true
		})
		return true
	})
	if op == traces.OpNotEqual {
		return comparable && !equal
	}
	return holds
}

func isNil(e Expr) bool {
	s, ok := e.(Static)
	return ok && s.Type == TypeNil
}

func (s spanAt) match(e Match) bool {
	text, matched := false, false
	s.values(e.Of, func(v Static) bool {
		if v.Type == TypeString {
			text = true
			matched = matched || e.Re.MatchString(v.Value.Str())
		}
		return !matched
	})
	if e.Negate {
		return text && !matched
	}
	return matched
}

// values calls yield with all values of an expression: fields of events and
// links have several, and arrays are their elements.
func (s spanAt) values(e Expr, yield func(Static) bool) {
	ref, ok := e.(FieldRef)
	if !ok {
		if v := s.eval(e); v.Type != TypeNil {
			yield(v)
		}
		return
	}
	if isMulti(ref.Field) {
		span := s.refSpan(ref)
		if span == nil {
			return
		}
		span.Values(ref.Field, func(v traces.Value) bool { return yieldElements(typed(ref, v), yield) })
		return
	}
	if v := s.field(ref); v.Type != TypeNil {
		yieldElements(v, yield)
	}
}

func yieldElements(v Static, yield func(Static) bool) bool {
	if v.Value.Kind() != traces.KindArray {
		return yield(v)
	}
	for _, e := range v.Value.Elements() {
		if !yield(staticOf(e)) {
			return false
		}
	}
	return true
}

// isMulti reports whether a span has several of a field: those of events and links.
func isMulti(f traces.Field) bool {
	switch {
	case f.Scope == traces.ScopeEvent || f.Scope == traces.ScopeLink:
		return true
	case f.Scope != traces.ScopeIntrinsic:
		return false
	}
	switch f.Name {
	case traces.EventName, traces.EventTimeSinceStart, traces.LinkTraceID, traces.LinkSpanID:
		return true
	}
	return false
}

// refSpan returns the span whose field is meant, nil if there is none.
func (s spanAt) refSpan(ref FieldRef) *traces.Span {
	if !ref.Parent {
		return s.span
	}
	if s.tree == nil || s.tree.Parent[s.pos] < 0 {
		return nil
	}
	return &s.tree.Spans[s.tree.Parent[s.pos]]
}

// typed gives a store's value the type that the field has in the language.
func typed(ref FieldRef, v traces.Value) Static {
	if v.IsNil() {
		return Static{}
	}
	if t := ref.fieldType(); t != typeUnknown {
		return Static{t, v}
	}
	return staticOf(v)
}

func (s spanAt) field(ref FieldRef) Static {
	if s.row != nil && (s.span == nil || !isMulti(ref.Field)) {
		return typed(ref, s.row.value(ref))
	}
	if ref.Field.Scope == traces.ScopeIntrinsic {
		if v, ok := s.treeField(ref); ok {
			return v
		}
	}
	span := s.refSpan(ref)
	if span == nil {
		return Static{}
	}
	return typed(ref, span.Value(ref.Field))
}

// treeField returns the intrinsics that need the trace.
func (s spanAt) treeField(ref FieldRef) (v Static, ok bool) {
	name := ref.Field.Name
	switch name {
	case traceDuration, rootName, rootServiceName, childCount, selfTime, nestedSetLeft, nestedSetRight, nestedSetParent:
	default:
		return Static{}, false
	}
	t := s.tree
	if t == nil {
		return Static{}, true
	}
	integer := func(n int32) Static { return Static{TypeInt, traces.Int(int64(n))} }
	switch name {
	case traceDuration:
		return Static{TypeDuration, traces.Int(t.Duration())}, true
	case rootName, rootServiceName:
		if t.Root < 0 {
			return Static{}, true
		}
		root := &t.Spans[t.Root]
		if name == rootName {
			return Static{TypeString, traces.String(root.Name)}, true
		}
		return Static{TypeString, traces.String(root.Resource.Service())}, true
	case selfTime:
		return Static{TypeDuration, traces.Int(t.SelfTime[s.pos])}, true
	case childCount:
		return integer(t.ChildCount[s.pos]), true
	case nestedSetLeft:
		return integer(t.Left[s.pos]), true
	case nestedSetRight:
		return integer(t.Right[s.pos]), true
	}
	if p := t.Parent[s.pos]; p >= 0 {
		return integer(t.Left[p]), true
	}
	return integer(-1), true
}
