package traceql

import (
	"math"
	"strings"

	"belfry/traces"
)

// spanset is a set of spans of one trace, with what stages found out about it.
type spanset struct {
	spans      positions
	attributes []traces.Attribute // groups and aggregates, by their text
}

// with returns the attributes with one more, or one of the same key replaced.
func (s *spanset) with(key string, v traces.Value) []traces.Attribute {
	out := make([]traces.Attribute, 0, len(s.attributes)+1)
	for _, a := range s.attributes {
		if a.Key != key {
			out = append(out, a)
		}
	}
	return append(out, traces.Attribute{Key: key, Value: v})
}

// spanTable is what an evaluator knows of the spans of one trace.
type spanTable interface {
	// filter returns those of some spans for which a condition is true.
	filter(cond Expr, among positions) positions
	// value returns the value of an expression on a span.
	value(e Expr, pos int32) Static
	// nest returns the structure of the spans.
	nest() *nest
}

// evaluator runs pipelines over the spans of one trace.
type evaluator struct{ spans spanTable }

// run returns the spansets that a pipeline makes of the given spans, none if the
// trace does not match.
func (e *evaluator) run(p Pipeline, all positions) []spanset {
	if len(all) == 0 {
		return nil
	}
	return e.runFrom(p, []spanset{{spans: all}})
}

func (e *evaluator) runFrom(p Pipeline, sets []spanset) []spanset {
	for _, stage := range p {
		var out []spanset
		switch stage := stage.(type) {
		case Spanset:
			for _, set := range sets {
				if spans := e.spanset(stage, set.spans); len(spans) > 0 {
					out = append(out, spanset{spans, set.attributes})
				}
			}
		case ScalarFilter:
			for _, set := range sets {
				if kept, ok := e.scalarFilter(stage, set); ok {
					out = append(out, kept)
				}
			}
		case GroupBy:
			for _, set := range sets {
				out = append(out, e.groupBy(stage, set)...)
			}
		case Coalesce:
			var spans positions
			for _, set := range sets {
				spans = union(spans, set.spans)
			}
			out = []spanset{{spans: spans}}
		default:
			out = sets
		}
		if sets = out; len(sets) == 0 {
			return nil
		}
	}
	return sets
}

// spanset returns the spans that an expression selects out of some.
func (e *evaluator) spanset(s Spanset, among positions) positions {
	switch s := s.(type) {
	case Filter:
		if s.Expr == nil {
			return among
		}
		return e.spans.filter(s.Expr, among)
	case Sub:
		return e.selected(s.Pipeline, among)
	case SpansetOp:
		left, right := e.spanset(s.Left, among), e.spanset(s.Right, among)
		switch s.Op {
		case "&&":
			if len(left) == 0 || len(right) == 0 {
				return nil
			}
			return union(left, right)
		case "||":
			return union(left, right)
		}
		return e.spans.nest().relate(s.Op, left, right)
	}
	return nil
}

// selected returns the spans of all spansets that a pipeline gives.
func (e *evaluator) selected(p Pipeline, among positions) positions {
	if len(p) == 1 {
		if s, ok := p[0].(Spanset); ok {
			return e.spanset(s, among)
		}
	}
	return spansOf(e.run(p, among))
}

// spansOf returns the spans of all of some spansets.
func spansOf(sets []spanset) positions {
	var out positions
	for _, set := range sets {
		out = union(out, set.spans)
	}
	return out
}

func (e *evaluator) groupBy(g GroupBy, set spanset) []spanset {
	index := map[string]int{}
	var out []spanset
	for _, p := range set.spans {
		var key strings.Builder
		values := make([]Static, len(g.By))
		for i, by := range g.By {
			values[i] = e.spans.value(by, p)
			key.WriteString(values[i].String())
			key.WriteByte(0)
		}
		n, known := index[key.String()]
		if !known {
			n = len(out)
			index[key.String()] = n
			group := spanset{attributes: set.attributes}
			for i, by := range g.By {
				group.attributes = group.with("by("+by.String()+")", groupValue(values[i]))
			}
			out = append(out, group)
		}
		out[n].spans = append(out[n].spans, p)
	}
	return out
}

// groupValue shows a missing value as text, because OTLP's empty value is lost on many clients.
func groupValue(s Static) traces.Value {
	if s.Type == TypeNil {
		return traces.String("nil")
	}
	return s.Output()
}

// scalarFilter keeps a spanset for which a comparison holds: the spans that its
// numbers were made of.
func (e *evaluator) scalarFilter(f ScalarFilter, set spanset) (spanset, bool) {
	n := scalars{evaluator: e, set: set}
	left, right := n.of(f.Left, set.spans), n.of(f.Right, set.spans)
	order, ok := left.compare(right)
	n.set.spans = n.used
	return n.set, ok && len(n.used) > 0 && compareOps[f.Op].Holds(order)
}

// scalars computes the numbers of a spanset, and notes aggregates in its attributes.
type scalars struct {
	*evaluator
	set  spanset
	used positions
}

func (n *scalars) of(s Scalar, spans positions) Static {
	switch s := s.(type) {
	case Static:
		return s
	case ScalarOp:
		return arithmetic(s.Op, n.of(s.Left, spans), n.of(s.Right, spans))
	case Piped:
		inner := scalars{evaluator: n.evaluator}
		v := inner.of(s.Of, n.selected(s.Pipeline, spans))
		n.used = union(n.used, inner.used)
		n.note(s, v)
		return v
	case Aggregate:
		n.used = union(n.used, spans)
		v := n.aggregate(s, spans)
		n.note(s, v)
		return v
	}
	return Static{}
}

func (n *scalars) note(s Scalar, v Static) {
	if v.Type != TypeNil {
		n.set.attributes = n.set.with(s.String(), v.Output())
	}
}

func (e *evaluator) aggregate(a Aggregate, spans positions) Static {
	if a.Func == "count" {
		return Static{TypeInt, traces.Int(int64(len(spans)))}
	}
	n, sum := 0, Static{TypeInt, traces.Int(0)}
	low, high := Static{}, Static{}
	for _, p := range spans {
		v := e.spans.value(a.Of, p)
		if !v.Type.isNumber() || math.IsNaN(v.Value.Float()) {
			continue
		}
		n++
		sum = arithmetic("+", sum, v)
		if order, ok := v.compare(low); n == 1 || ok && order < 0 {
			low = v
		}
		if order, ok := v.compare(high); n == 1 || ok && order > 0 {
			high = v
		}
	}
	if n == 0 {
		return Static{}
	}
	switch a.Func {
	case "sum":
		return sum
	case "min":
		return low
	case "max":
		return high
	}
	if sum.Type == TypeDuration {
		return Static{TypeDuration, traces.Int(int64(sum.Value.Float() / float64(n)))}
	}
	return Static{TypeFloat, traces.Float(sum.Value.Float() / float64(n))}
}
