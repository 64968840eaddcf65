package traceql

import "belfry/traces"

// pushdown returns a filter that holds for every span for which the condition is
// true, of what a span alone can tell; nil if that is nothing.
func pushdown(e Expr) traces.Filter {
	return pusher{can: func(r FieldRef) bool { return !r.needsTree() }}.push(e)
}

// pushdownJoined is pushdown where the place of spans in their traces is known.
func pushdownJoined(e Expr) traces.Filter {
	return pusher{can: func(r FieldRef) bool { return !r.Parent }}.push(e)
}

// pushdownParent returns a filter on spans that holds for every one below which the
// condition, which names fields of the parent, can be true of a span.
func pushdownParent(e Expr) traces.Filter {
	return pusher{can: func(r FieldRef) bool { return r.Parent }, present: true}.push(e)
}

// pusher makes filters of conditions on the fields that a store can decide.
type pusher struct {
	can     func(FieldRef) bool
	present bool // only conditions that no missing value meets
}

func (p pusher) push(e Expr) traces.Filter {
	switch e := e.(type) {
	case Static:
		if e.Type == TypeBool && !e.Value.Bool() {
			return traces.Or{}
		}
	case Match:
		if ref, ok := e.Of.(FieldRef); ok && p.can(ref) {
			return traces.Regexp{Field: ref.Field, Re: e.Re, Negate: e.Negate}
		}
	case Binary:
		return p.binary(e)
	}
	return nil
}

func (p pusher) binary(e Binary) traces.Filter {
	switch e.Op {
	case "&&":
		left, right := p.push(e.Left), p.push(e.Right)
		switch {
		case left == nil:
			return right
		case right == nil:
			return left
		}
		return append(flatten[traces.And](left), flatten[traces.And](right)...)
	case "||":
		left, right := p.push(e.Left), p.push(e.Right)
		if left == nil || right == nil {
			return nil
		}
		return append(flatten[traces.Or](left), flatten[traces.Or](right)...)
	}
	op, isComparison := compareOps[e.Op]
	if !isComparison {
		return nil
	}
	ref, isRef := e.Left.(FieldRef)
	value, isStatic := e.Right.(Static)
	if !isRef {
		ref, isRef = e.Right.(FieldRef)
		value, isStatic = e.Left.(Static)
		op = mirrored(op)
	}
	if !isRef || !isStatic || !p.can(ref) {
		return nil
	}
	if value.Type == TypeNil {
		if p.present {
			return nil
		}
		return traces.Exists{Field: ref.Field, Negate: op == traces.OpEqual}
	}
	if t := ref.fieldType(); (value.Type == TypeStatus || value.Type == TypeKind) && t != value.Type {
		return traces.Or{} // no attribute has this type
	}
	return traces.Compare{Field: ref.Field, Op: op, Value: value.Value}
}

func flatten[T ~[]traces.Filter](f traces.Filter) T {
	if list, ok := f.(any).(T); ok {
		return append(T(nil), list...)
	}
	return T{f}
}

func mirrored(op traces.Op) traces.Op {
	switch op {
	case traces.OpLess:
		return traces.OpGreater
	case traces.OpLessEqual:
		return traces.OpGreaterEqual
	case traces.OpGreater:
		return traces.OpLess
	case traces.OpGreaterEqual:
		return traces.OpLessEqual
	}
	return op
}
