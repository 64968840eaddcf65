package traceql

import (
	"cmp"
	"context"
	"math"
	"slices"

	"belfry/traces"
)

// apply keeps the points that the stage lets through, and the series that still have some.
func (st SecondStage) apply(series []Series) []Series {
	keep := st.threshold
	if st.Op == "topk" || st.Op == "bottomk" {
		keep = st.best(series)
	}
	var out []Series
	for i, s := range series {
		var points []Point
		for _, p := range s.Points {
			if keep(i, p) {
				points = append(points, p)
			}
		}
		if len(points) > 0 {
			out = append(out, Series{Labels: s.Labels, Points: points, Exemplars: s.Exemplars})
		}
	}
	return out
}

func (st SecondStage) threshold(_ int, p Point) bool {
	return !math.IsNaN(p.Value) && compareOps[st.Op].Holds(cmp.Compare(p.Value, st.Value))
}

// best returns whether a point is among the k largest or smallest of its step.
func (st SecondStage) best(series []Series) func(int, Point) bool {
	type entry struct {
		series int
		value  float64
	}
	steps := map[int64][]entry{}
	for i, s := range series {
		for _, p := range s.Points {
			steps[p.Time] = append(steps[p.Time], entry{i, p.Value})
		}
	}
	type place struct {
		time   int64
		series int
	}
	chosen := map[place]bool{}
	for t, entries := range steps {
		slices.SortFunc(entries, func(a, b entry) int {
			order := cmp.Compare(a.value, b.value)
			if st.Op == "topk" {
				order = -order
			}
			return cmp.Or(order, cmp.Compare(series[a.series].Labels.String(), series[b.series].Labels.String()))
		})
		for _, e := range entries[:min(st.K, len(entries))] {
			chosen[place{t, e.series}] = true
		}
	}
	return func(i int, p Point) bool { return chosen[place{p.Time, i}] }
}

// mathQuery combines the points of series with equal labels; a series without
// labels goes with every one of the other side. A point that the other side
// lacks is dropped, and so is what division by zero gives.
func (e *Engine) mathQuery(ctx context.Context, tenant string, m *Math, req *RangeRequest) (*RangeResult, error) {
	result := &RangeResult{}
	operand := func(o Operand) ([]Series, error) {
		if o.Query == nil {
			return nil, nil
		}
		r, err := e.rangeQuery(ctx, tenant, o.Query, req)
		if err != nil {
			return nil, err
		}
		result.Stats.Add(r.Stats)
		return r.Series, nil
	}
	left, err := operand(m.Left)
	if err != nil {
		return nil, err
	}
	right, err := operand(m.Right)
	if err != nil {
		return nil, err
	}
	switch {
	case m.Left.Query == nil:
		result.Series = mapPoints(right, func(_ int64, v float64) (float64, bool) { return calculate(m.Op, m.Left.Number.Value.Float(), v) })
	case m.Right.Query == nil:
		result.Series = mapPoints(left, func(_ int64, v float64) (float64, bool) { return calculate(m.Op, v, m.Right.Number.Value.Float()) })
	default:
		result.Series = joinSeries(m.Op, left, right)
	}
	return result, nil
}

func calculate(op string, a, b float64) (float64, bool) {
	var v float64
	switch op {
	case "+":
		v = a + b
	case "-":
		v = a - b
	case "*":
		v = a * b
	case "/":
		v = a / b
	}
	return v, !math.IsNaN(v) && !math.IsInf(v, 0)
}

func mapPoints(series []Series, f func(int64, float64) (float64, bool)) []Series {
	var out []Series
	for _, s := range series {
		mapped := Series{Labels: s.Labels, Exemplars: s.Exemplars}
		for _, p := range s.Points {
			if v, ok := f(p.Time, p.Value); ok {
				mapped.Points = append(mapped.Points, Point{p.Time, v})
			}
		}
		if len(mapped.Points) > 0 {
			out = append(out, mapped)
		}
	}
	return out
}

func joinSeries(op string, left, right []Series) []Series {
	if one, ok := unlabeled(left); ok && len(right) > 0 {
		if _, both := unlabeled(right); !both {
			var out []Series
			for _, r := range right {
				out = append(out, joinPoints(r, one, func(of, with float64) (float64, bool) { return calculate(op, with, of) })...)
			}
			return out
		}
	}
	var other func(Series) *Series
	if one, ok := unlabeled(right); ok {
		other = func(Series) *Series { return &one }
	} else {
		byLabels := make(map[string]*Series, len(right))
		for i := range right {
			byLabels[right[i].Labels.withoutName().String()] = &right[i]
		}
		other = func(s Series) *Series { return byLabels[s.Labels.withoutName().String()] }
	}
	var out []Series
	for _, l := range left {
		if r := other(l); r != nil {
			out = append(out, joinPoints(l, *r, func(of, with float64) (float64, bool) { return calculate(op, of, with) })...)
		}
	}
	return out
}

// unlabeled returns the only series of a side, if it has no labels.
func unlabeled(side []Series) (Series, bool) {
	if len(side) == 1 && len(side[0].Labels.withoutName()) == 0 {
		return side[0], true
	}
	return Series{}, false
}

// joinPoints gives a series the values that f makes of it and of another at equal times.
func joinPoints(s, with Series, f func(of, with float64) (float64, bool)) []Series {
	values := make(map[int64]float64, len(with.Points))
	for _, p := range with.Points {
		values[p.Time] = p.Value
	}
	if len(s.Labels.withoutName()) == 0 {
		s.Labels = Labels{{nameLabel, traces.String("math")}}
	}
	return mapPoints([]Series{s}, func(t int64, v float64) (float64, bool) {
		other, ok := values[t]
		if !ok {
			return 0, false
		}
		return f(v, other)
	})
}
