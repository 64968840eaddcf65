package traceql

import (
	"belfry/internal/fault"
	"belfry/traces"
)

// ExactFilter returns a query of one {…} as a condition on single spans that
// means neither more nor less than it, for what cannot be taken back. Within the
// braces there may be comparisons of a field with a value, joined by && and ||;
// {} is every span.
func ExactFilter(query string) (traces.Filter, error) {
	q, err := Parse(query)
	if err != nil {
		return nil, err
	}
	f, ok := firstFilter(q.Pipeline)
	if !ok || len(q.Pipeline) != 1 || q.Metrics != nil || q.Math != nil {
		return nil, errorAt(query, 0, "expected one {…}")
	}
	if f.Expr == nil {
		return nil, nil //nolint:nilnil // a nil filter is every span
	}
	return exact(f.Expr)
}

func exact(e Expr) (traces.Filter, error) {
	switch e := e.(type) {
	case Match:
		if ref, ok := e.Of.(FieldRef); ok && !ref.needsTree() {
			return traces.Regexp{Field: ref.Field, Re: e.Re, Negate: e.Negate}, nil
		}
	case Binary:
		if e.Op == "&&" || e.Op == "||" {
			left, err := exact(e.Left)
			if err != nil {
				return nil, err
			}
			right, err := exact(e.Right)
			if err != nil {
				return nil, err
			}
			if e.Op == "&&" {
				return traces.And{left, right}, nil
			}
			return traces.Or{left, right}, nil
		}
		if f := pushdown(e); f != nil { // a comparison, which is taken as it is or not at all
			return f, nil
		}
	}
	return nil, fault.Invalidf("%s cannot be decided on a single span: only comparisons of its fields with values are taken", e)
}
