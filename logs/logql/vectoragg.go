package logql

import (
	"cmp"
	"math"
	"slices"

	"belfry/logs/logql/syntax"

	"github.com/prometheus/prometheus/model/labels"
)

func (ev *evaluation) vectorAggregation(e *syntax.VectorAggregation, in []series) []series {
	// A fixed order makes sums and ties repeatable.
	slices.SortFunc(in, func(a, b series) int { return labels.Compare(a.lbls, b.lbls) })
	switch e.Op {
	case syntax.OpSort, syntax.OpSortDesc:
		return ev.sorted(e, in)
	case syntax.OpTopK, syntax.OpBottomK, syntax.OpApproxTopK:
		return ev.topK(e, in)
	}
	keys := map[string]int{}
	var groups []*groupAgg
	for _, s := range in {
		lbls := groupLabels(e.Grouping, s.lbls)
		k := string(lbls.Bytes(nil))
		g, ok := keys[k]
		if !ok {
			g = len(groups)
			keys[k] = g
			groups = append(groups, newGroupAgg(lbls, ev.steps.n))
		}
		groups[g].add(e.Op, &s)
	}
	out := make([]series, len(groups))
	for i, g := range groups {
		out[i] = g.finish(e.Op)
	}
	return out
}

func groupLabels(g *syntax.Grouping, l labels.Labels) labels.Labels {
	switch {
	case g == nil:
		return labels.EmptyLabels()
	case g.Without:
		return labels.NewBuilder(l).Del(g.Labels...).Labels()
	}
	return labels.NewBuilder(l).Keep(g.Labels...).Labels()
}

// groupAgg aggregates the series of a group, step by step.
type groupAgg struct {
	out   series
	count []float64
	mean  []float64
	m2    []float64
}

func newGroupAgg(lbls labels.Labels, n int) *groupAgg {
	return &groupAgg{
		out:   series{lbls: lbls, vals: make([]float64, n), has: make([]bool, n)},
		count: make([]float64, n),
	}
}

func (g *groupAgg) add(op string, s *series) {
	if g.mean == nil && (op == syntax.OpStddev || op == syntax.OpStdvar) {
		g.mean, g.m2 = make([]float64, len(s.vals)), make([]float64, len(s.vals))
	}
	for i, ok := range s.has {
		if !ok {
			continue
		}
		v, first := s.vals[i], !g.out.has[i]
		g.out.has[i] = true
		g.count[i]++
		switch op {
		case syntax.OpSum, syntax.OpAvg:
			g.out.vals[i] += v
		case syntax.OpMin:
			if first || v < g.out.vals[i] || math.IsNaN(g.out.vals[i]) {
				g.out.vals[i] = v
			}
		case syntax.OpMax:
			if first || v > g.out.vals[i] || math.IsNaN(g.out.vals[i]) {
				g.out.vals[i] = v
			}
		case syntax.OpStddev, syntax.OpStdvar:
			delta := v - g.mean[i]
			g.mean[i] += delta / g.count[i]
			g.m2[i] += delta * (v - g.mean[i])
		}
	}
}

func (g *groupAgg) finish(op string) series {
	for i, ok := range g.out.has {
		if !ok {
			continue
		}
		switch op {
		case syntax.OpCount:
			g.out.vals[i] = g.count[i]
		case syntax.OpAvg:
			g.out.vals[i] /= g.count[i]
		case syntax.OpStdvar:
			g.out.vals[i] = g.m2[i] / g.count[i]
		case syntax.OpStddev:
			g.out.vals[i] = math.Sqrt(g.m2[i] / g.count[i])
		}
	}
	return g.out
}

// sorted orders instant vectors; over a range every step would have an order of
// its own, so nothing is done.
func (ev *evaluation) sorted(e *syntax.VectorAggregation, in []series) []series {
	if ev.steps.n > 1 {
		return in
	}
	slices.SortStableFunc(in, func(a, b series) int {
		if e.Op == syntax.OpSortDesc {
			a, b = b, a
		}
		return cmp.Compare(a.vals[0], b.vals[0])
	})
	return in
}

// topK keeps, at each step and in each group, the k largest or smallest values.
// NaN is neither.
func (ev *evaluation) topK(e *syntax.VectorAggregation, in []series) []series {
	groups := map[string][]int{}
	var order []string
	for i, s := range in {
		k := string(groupLabels(e.Grouping, s.lbls).Bytes(nil))
		if groups[k] == nil {
			order = append(order, k)
		}
		groups[k] = append(groups[k], i)
	}
	keep := make([][]bool, len(in))
	for i := range keep {
		keep[i] = make([]bool, ev.steps.n)
	}
	better := func(a, b float64) int {
		switch {
		case math.IsNaN(a) || math.IsNaN(b):
			return cmp.Compare(boolInt(math.IsNaN(a)), boolInt(math.IsNaN(b)))
		case e.Op == syntax.OpBottomK:
			return compareFloat(a, b)
		}
		return compareFloat(b, a)
	}
	var ranked []int
	var present []int
	for step := range ev.steps.n {
		ranked = ranked[:0]
		for _, k := range order {
			present = present[:0]
			for _, i := range groups[k] {
				if in[i].has[step] {
					present = append(present, i)
				}
			}
			slices.SortStableFunc(present, func(a, b int) int { return better(in[a].vals[step], in[b].vals[step]) })
			for _, i := range present[:min(e.Param, len(present))] {
				keep[i][step] = true
				ranked = append(ranked, i)
			}
		}
	}
	var out []series
	if ev.steps.n == 1 {
		for _, i := range ranked {
			out = append(out, in[i])
		}
		return out
	}
	for i := range in {
		if slices.Contains(keep[i], true) {
			in[i].has = keep[i]
			out = append(out, in[i])
		}
	}
	return out
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
