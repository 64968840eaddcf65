package traces

import "slices"

// Values calls yield with the values of a field of a span until it returns
// false: none, one, or for fields of events and links one for each.
func (s *Span) Values(f Field, yield func(Value) bool) {
	switch f.Scope {
	case ScopeEvent:
		for i := range s.Events {
			if v, ok := Lookup(s.Events[i].Attributes, f.Name); ok && !yield(v) {
				return
			}
		}
	case ScopeLink:
		for i := range s.Links {
			if v, ok := Lookup(s.Links[i].Attributes, f.Name); ok && !yield(v) {
				return
			}
		}
	case ScopeIntrinsic:
		switch f.Name {
		case EventName:
			for i := range s.Events {
				if !yield(String(s.Events[i].Name)) {
					return
				}
			}
		case EventTimeSinceStart:
			for i := range s.Events {
				if !yield(Int(s.Events[i].Time - s.Start)) {
					return
				}
			}
		case LinkTraceID:
			for i := range s.Links {
				if !yield(String(s.Links[i].TraceID.String())) {
					return
				}
			}
		case LinkSpanID:
			for i := range s.Links {
				if !yield(String(s.Links[i].SpanID.String())) {
					return
				}
			}
		default:
			if v := s.Value(f); !v.IsNil() {
				yield(v)
			}
		}
	default:
		if v := s.Value(f); !v.IsNil() {
			yield(v)
		}
	}
}

// Value returns the value of a field that a span has once at most, and the
// first one of fields of events and links. It is nil if there is none.
func (s *Span) Value(f Field) Value {
	switch f.Scope {
	case ScopeSpan:
		v, _ := Lookup(s.Attributes, f.Name)
		return v
	case ScopeResource:
		v, _ := Lookup(s.Resource.Attributes, f.Name)
		return v
	case ScopeInstrumentation:
		v, _ := Lookup(s.Resource.ScopeAttributes, f.Name)
		return v
	case ScopeAny:
		if v, ok := Lookup(s.Attributes, f.Name); ok && !v.IsNil() {
			return v
		}
		v, _ := Lookup(s.Resource.Attributes, f.Name)
		return v
	case ScopeIntrinsic:
		return s.intrinsic(f.Name)
	}
	var first Value
	s.Values(f, func(v Value) bool { first = v; return false })
	return first
}

func (s *Span) intrinsic(name string) Value {
	switch name {
	case Name:
		return String(s.Name)
	case Duration:
		return Int(s.Duration)
	case SpanKindField:
		return Int(int64(s.Kind))
	case StatusField:
		return Int(int64(s.Status))
	case StatusMessage:
		return optional(s.StatusMessage)
	case TraceIDField:
		return String(s.TraceID.String())
	case SpanIDField:
		return String(s.ID.String())
	case ParentIDField:
		if s.ParentID.IsZero() {
			return Value{}
		}
		return String(s.ParentID.String())
	case InstrumentationName:
		return optional(s.Resource.ScopeName)
	case InstrumentationVersion:
		return optional(s.Resource.ScopeVersion)
	case EventName, EventTimeSinceStart, LinkTraceID, LinkSpanID:
		var first Value
		s.Values(Intrinsic(name), func(v Value) bool { first = v; return false })
		return first
	}
	return Value{}
}

// optional makes nothing of an empty text: OTLP does not tell them apart.
func optional(s string) Value {
	if s == "" {
		return Value{}
	}
	return String(s)
}

// Match reports whether a filter holds for a span whose fields are filled.
func Match(f Filter, s *Span) bool {
	switch f := f.(type) {
	case And:
		for _, part := range f {
			if !Match(part, s) {
				return false
			}
		}
		return true
	case Or:
		for _, part := range f {
			if Match(part, s) {
				return true
			}
		}
		return false
	case Compare:
		return matchCompare(f, s)
	case Regexp:
		return matchRegexp(f, s)
	case Exists:
		found := false
		s.Values(f.Field, func(v Value) bool { found = !v.IsNil(); return !found })
		return found != f.Negate
	}
	return true
}

// anyElement calls test for each element of v if it is an array, for v otherwise.
func anyElement(v Value, test func(Value) bool) bool {
	if v.Kind() != KindArray {
		return test(v)
	}
	return slices.ContainsFunc(v.Elements(), test)
}

func matchCompare(f Compare, s *Span) bool {
	comparable, equal, holds := false, false, false
	s.Values(f.Field, func(v Value) bool {
		anyElement(v, func(e Value) bool {
			order, ok := e.Compare(f.Value)
			comparable = comparable || ok
			equal = equal || ok && order == 0
			holds = holds || ok && f.Op.Holds(order)
			return false
		})
		return true
	})
	if f.Op == OpNotEqual {
		return comparable && !equal
	}
	return holds
}

// Holds reports whether the comparison holds for an order as cmp.Compare gives it.
func (o Op) Holds(order int) bool {
	switch o {
	case OpEqual:
		return order == 0
	case OpNotEqual:
		return order != 0
	case OpLess:
		return order < 0
	case OpLessEqual:
		return order <= 0
	case OpGreater:
		return order > 0
	case OpGreaterEqual:
		return order >= 0
	}
	return false
}

func matchRegexp(f Regexp, s *Span) bool {
	text, matched := false, false
	s.Values(f.Field, func(v Value) bool {
		anyElement(v, func(e Value) bool {
			if e.Kind() == KindString {
				text = true
				matched = matched || f.Re.MatchString(e.Str())
			}
			return matched
		})
		return !matched
	})
	if f.Negate {
		return text && !matched
	}
	return matched
}

// Overlaps reports whether the span belongs to the range [from, to) as the
// package comment defines it.
func (s *Span) Overlaps(from, to int64) bool {
	return s.Start < to && (s.Start >= from || s.End() >= from)
}

// MatchValue reports whether a condition holds where its field has the value v,
// nil for none.
func MatchValue(f Filter, v Value) bool {
	if c, ok := f.(Compare); ok && v.kind != KindArray {
		order, ok := v.Compare(c.Value)
		return ok && c.Op.Holds(order)
	}
	field := Intrinsic("value")
	span := &Span{Attributes: []Attribute{{Key: field.Name, Value: v}}, Resource: &Resource{}}
	field.Scope = ScopeSpan
	switch f := f.(type) {
	case Compare:
		f.Field = field
		return Match(f, span)
	case Regexp:
		f.Field = field
		return Match(f, span)
	case Exists:
		f.Field = field
		return Match(f, span)
	}
	return true
}
