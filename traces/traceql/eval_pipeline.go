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

func (s *spanset) with(key string, v traces.Value) []traces.Attribute {
	out := make([]traces.Attribute, 0, len(s.attributes)+1)
	for _, a := range s.attributes {
		if a.Key != key {
			out = append(out, a)
		}
	}
	return append(out, traces.Attribute{Key: key, Value: v})
}

// evaluator runs pipelines over one trace. Filters see only spans that belong
// to [from, to); structure is that of the whole trace.
type evaluator struct {
	tree     *traces.Tree
	from, to int64
	nest     *nest // once it is needed
}

// run returns the spansets that the pipeline gives, none if the trace does not match.
func (e *evaluator) run(p Pipeline) []spanset {
	all := make(positions, 0, len(e.tree.Spans))
	for i := range e.tree.Spans {
		if e.tree.Spans[i].Overlaps(e.from, e.to) {
			all = append(all, int32(i))
		}
	}
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
		var out positions
		for _, p := range among {
			if at(e.tree, p).holds(s.Expr) {
				out = append(out, p)
			}
		}
		return out
	case Sub:
		var out positions
		for _, set := range e.runFrom(s.Pipeline, []spanset{{spans: among}}) {
			out = union(out, set.spans)
		}
		return out
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
		if e.nest == nil {
			e.nest = nestOf(e.tree)
		}
		return e.nest.relate(s.Op, left, right)
	}
	return nil
}

func (e *evaluator) groupBy(g GroupBy, set spanset) []spanset {
	index := map[string]int{}
	var out []spanset
	for _, p := range set.spans {
		var key strings.Builder
		values := make([]Static, len(g.By))
		for i, by := range g.By {
			values[i] = at(e.tree, p).eval(by)
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

func (e *evaluator) scalarFilter(f ScalarFilter, set spanset) (spanset, bool) {
	left, right := e.scalar(f.Left, &set), e.scalar(f.Right, &set)
	order, ok := left.compare(right)
	return set, ok && compareOps[f.Op].Holds(order)
}

// scalar computes a number of a spanset, and notes aggregates in its attributes.
func (e *evaluator) scalar(s Scalar, set *spanset) Static {
	switch s := s.(type) {
	case Static:
		return s
	case ScalarOp:
		return arithmetic(s.Op, e.scalar(s.Left, set), e.scalar(s.Right, set))
	case Aggregate:
		v := e.aggregate(s, set.spans)
		if v.Type != TypeNil {
			set.attributes = set.with(s.String(), v.Output())
		}
		return v
	}
	return Static{}
}

func (e *evaluator) aggregate(a Aggregate, spans positions) Static {
	if a.Func == "count" {
		return Static{TypeInt, traces.Int(int64(len(spans)))}
	}
	n, sum := 0, Static{TypeInt, traces.Int(0)}
	low, high := Static{}, Static{}
	for _, p := range spans {
		v := at(e.tree, p).eval(a.Of)
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
