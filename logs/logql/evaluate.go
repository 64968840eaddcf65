package logql

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync/atomic"

	"belfry/internal/fault"
	"belfry/logs"
	"belfry/logs/logql/syntax"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
)

// series is one series' values at the steps; vals[i] counts if has[i].
type series struct {
	lbls labels.Labels
	vals []float64
	has  []bool
}

// evaluation is one run of a metric query.
type evaluation struct {
	engine *Engine
	tenant string
	steps  steps
	budget budget
	stats  logs.Stats
}

func (e *Engine) evaluation(tenant string, s steps) *evaluation {
	return &evaluation{
		engine: e, tenant: tenant, steps: s,
		budget: budget{
			series: new(atomic.Int64), points: new(atomic.Int64),
			maxSeries: int64(e.limits.MaxInnerSeries), maxPoints: int64(e.limits.MaxPoints),
		},
	}
}

func (ev *evaluation) constant(v float64) []series {
	s := series{lbls: labels.EmptyLabels(), vals: make([]float64, ev.steps.n), has: make([]bool, ev.steps.n)}
	for i := range s.vals {
		s.vals[i], s.has[i] = v, true
	}
	return []series{s}
}

func (ev *evaluation) eval(ctx context.Context, e syntax.SampleExpr, h hint) ([]series, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	switch e := e.(type) {
	case *syntax.Literal:
		return ev.constant(e.Value), nil
	case *syntax.Vector:
		return ev.constant(e.Value), nil
	case *syntax.RangeAggregation:
		return ev.rangeAggregation(ctx, e, h)
	case *syntax.VectorAggregation:
		inner, err := ev.eval(ctx, e.Expr, hintFor(e))
		if err != nil {
			return nil, err
		}
		return ev.vectorAggregation(e, inner), nil
	case *syntax.BinaryOperation:
		return ev.binary(ctx, e)
	case *syntax.LabelReplace:
		inner, err := ev.eval(ctx, e.Expr, hint{})
		if err != nil {
			return nil, err
		}
		return ev.labelReplace(e, inner)
	}
	return nil, fmt.Errorf("unknown expression %T", e)
}

// hintFor says what an aggregation looks at.
func hintFor(e *syntax.VectorAggregation) hint {
	switch {
	case e.Grouping == nil && e.Op != syntax.OpSort && e.Op != syntax.OpSortDesc:
		return hint{by: []string{}, op: e.Op}
	case e.Grouping != nil && !e.Grouping.Without:
		return hint{by: e.Grouping.Labels, op: e.Op}
	}
	return hint{}
}

func (ev *evaluation) labelReplace(e *syntax.LabelReplace, in []series) ([]series, error) {
	for i := range in {
		src := in[i].lbls.Get(e.Src)
		m := e.Regex.FindStringSubmatchIndex(src)
		if m == nil {
			continue
		}
		value := e.Regex.ExpandString(nil, e.Replacement, src, m)
		in[i].lbls = labels.NewBuilder(in[i].lbls).Set(e.Dst, string(value)).Labels()
	}
	return in, unique(in)
}

func unique(in []series) error {
	seen := make(map[string]struct{}, len(in))
	var key []byte
	for _, s := range in {
		key = s.lbls.Bytes(key)
		if _, dup := seen[string(key)]; dup {
			return fault.Invalidf("vector cannot contain metrics with the same labelset: %s", s.lbls)
		}
		seen[string(key)] = struct{}{}
	}
	return nil
}

// keepsOrder reports whether the order of an expression's series means something.
func keepsOrder(e syntax.SampleExpr) bool {
	v, ok := e.(*syntax.VectorAggregation)
	if !ok {
		return false
	}
	switch v.Op {
	case syntax.OpSort, syntax.OpSortDesc, syntax.OpTopK, syntax.OpBottomK, syntax.OpApproxTopK:
		return true
	}
	return false
}

func (ev *evaluation) matrix(in []series) promql.Matrix {
	out := make(promql.Matrix, 0, len(in))
	for _, s := range in {
		var points []promql.FPoint
		for i, ok := range s.has {
			if ok {
				points = append(points, promql.FPoint{T: ev.steps.at(i) / 1e6, F: s.vals[i]})
			}
		}
		if points != nil {
			out = append(out, promql.Series{Metric: s.lbls, Floats: points})
		}
	}
	slices.SortFunc(out, func(a, b promql.Series) int { return labels.Compare(a.Metric, b.Metric) })
	return out
}

func (ev *evaluation) vector(in []series, ordered bool) promql.Vector {
	out := promql.Vector{}
	for _, s := range in {
		if s.has[0] {
			out = append(out, promql.Sample{T: ev.steps.start / 1e6, F: s.vals[0], Metric: s.lbls})
		}
	}
	if !ordered {
		slices.SortFunc(out, func(a, b promql.Sample) int { return labels.Compare(a.Metric, b.Metric) })
	}
	return out
}

func compareFloat(a, b float64) int { return cmp.Compare(a, b) } // NaN first
