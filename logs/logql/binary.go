package logql

import (
	"context"

	"belfry/internal/fault"
	"belfry/logs/logql/syntax"

	"github.com/prometheus/prometheus/model/labels"
)

func (ev *evaluation) binary(ctx context.Context, e *syntax.BinaryOperation) ([]series, error) {
	l, err := ev.eval(ctx, e.LHS, hint{})
	if err != nil {
		return nil, err
	}
	r, err := ev.eval(ctx, e.RHS, hint{})
	if err != nil {
		return nil, err
	}
	switch e.Op {
	case "and", "or", "unless":
		return ev.setOperation(e, l, r), nil
	}
	if lit, ok := e.LHS.(*syntax.Literal); ok {
		return withLiteral(e, r, lit.Value, true), nil
	}
	if lit, ok := e.RHS.(*syntax.Literal); ok {
		return withLiteral(e, l, lit.Value, false), nil
	}
	if e.Matching.Card == syntax.OneToMany {
		l, r = r, l
	}
	return ev.match(e, l, r)
}

// withLiteral combines each value with a number. A comparison keeps the series'
// value, on whichever side it stands.
func withLiteral(e *syntax.BinaryOperation, in []series, lit float64, left bool) []series {
	for _, s := range in {
		for i, ok := range s.has {
			if !ok {
				continue
			}
			a, b := s.vals[i], lit
			if left {
				a, b = b, a
			}
			v, keep := syntax.Arithmetic(e.Op, a, b)
			switch {
			case !isComparison(e.Op):
				s.vals[i] = v
			case e.Bool:
				s.vals[i] = float64(boolInt(keep))
			default:
				s.has[i] = keep
			}
		}
	}
	return in
}

func isComparison(op string) bool {
	switch op {
	case "==", "!=", ">", ">=", "<", "<=":
		return true
	}
	return false
}

// signature returns the labels that series are matched by, as a key.
func signature(m *syntax.Matching, l labels.Labels) string {
	b := labels.NewBuilder(l)
	if m.On {
		b.Keep(m.Labels...)
	} else {
		b.Del(m.Labels...)
	}
	return string(b.Labels().Bytes(nil))
}

// match combines one-to-one, or many (l) to one (r).
func (ev *evaluation) match(e *syntax.BinaryOperation, many, one []series) ([]series, error) {
	ones := map[string][]*series{}
	for i := range one {
		k := signature(&e.Matching, one[i].lbls)
		ones[k] = append(ones[k], &one[i])
	}
	results := map[string]*series{}
	var order []*series
	for i := range many {
		m := &many[i]
		candidates := ones[signature(&e.Matching, m.lbls)]
		for step, ok := range m.has {
			if !ok {
				continue
			}
			o, err := presentAt(candidates, step)
			if err != nil {
				return nil, err
			}
			if o == nil {
				continue
			}
			a, b := m.vals[step], o.vals[step]
			if e.Matching.Card == syntax.OneToMany {
				a, b = b, a
			}
			v, keep := syntax.Arithmetic(e.Op, a, b)
			if isComparison(e.Op) {
				switch {
				case e.Bool:
					v = float64(boolInt(keep))
				case !keep:
					continue
				}
			}
			lbls := resultLabels(&e.Matching, m.lbls, o.lbls)
			key := string(lbls.Bytes(nil))
			out := results[key]
			if out == nil {
				if err := ev.budget.addPoints(ev.steps.n); err != nil {
					return nil, err
				}
				out = &series{lbls: lbls, vals: make([]float64, ev.steps.n), has: make([]bool, ev.steps.n)}
				results[key] = out
				order = append(order, out)
			}
			if out.has[step] {
				if e.Matching.Card == syntax.OneToOne {
					return nil, fault.Invalidf("multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)")
				}
				return nil, fault.Invalidf("multiple matches for labels: grouping labels must ensure unique matches")
			}
			out.vals[step], out.has[step] = v, true
		}
	}
	out := make([]series, len(order))
	for i, s := range order {
		out[i] = *s
	}
	return out, nil
}

// presentAt returns the one candidate that has a value at a step.
func presentAt(candidates []*series, step int) (*series, error) {
	var found *series
	for _, c := range candidates {
		if !c.has[step] {
			continue
		}
		if found != nil {
			return nil, fault.Invalidf("found duplicate series on one side of the operation: [%s, %s]; many-to-many matching not allowed: matching labels must be unique on one side", found.lbls, c.lbls)
		}
		found = c
	}
	return found, nil
}

func resultLabels(m *syntax.Matching, many, one labels.Labels) labels.Labels {
	b := labels.NewBuilder(many)
	if m.Card == syntax.OneToOne {
		if m.On {
			b.Keep(m.Labels...)
		} else {
			b.Del(m.Labels...)
		}
	}
	for _, name := range m.Include {
		b.Set(name, one.Get(name)) // an empty value deletes
	}
	return b.Labels()
}

func (ev *evaluation) setOperation(e *syntax.BinaryOperation, l, r []series) []series {
	// present[signature][step]: the other side has a series there.
	present := func(in []series) map[string][]bool {
		out := map[string][]bool{}
		for _, s := range in {
			k := signature(&e.Matching, s.lbls)
			if out[k] == nil {
				out[k] = make([]bool, ev.steps.n)
			}
			for i, ok := range s.has {
				out[k][i] = out[k][i] || ok
			}
		}
		return out
	}
	mask := func(in []series, other map[string][]bool, keepIfPresent bool) {
		for i := range in {
			p := other[signature(&e.Matching, in[i].lbls)]
			for step := range in[i].has {
				has := p != nil && p[step]
				in[i].has[step] = in[i].has[step] && has == keepIfPresent
			}
		}
	}
	switch e.Op {
	case "and":
		mask(l, present(r), true)
		return l
	case "unless":
		mask(l, present(r), false)
		return l
	}
	mask(r, present(l), false)
	return ev.union(l, r)
}

// union joins series of the same labels into one.
func (ev *evaluation) union(l, r []series) []series {
	byKey := map[string]int{}
	for i := range l {
		byKey[string(l[i].lbls.Bytes(nil))] = i
	}
	for _, s := range r {
		i, ok := byKey[string(s.lbls.Bytes(nil))]
		if !ok {
			l = append(l, s)
			continue
		}
		for step, has := range s.has {
			if has {
				l[i].vals[step], l[i].has[step] = s.vals[step], true
			}
		}
	}
	return l
}
