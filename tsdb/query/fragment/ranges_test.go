package fragment

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
)

// TestRangeFunctionsAreToTheBit compares with Prometheus' function on each
// window by itself.
func TestRangeFunctionsAreToTheBit(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, name := range []string{
		"rate", "increase", "delta", "irate", "idelta", "sum_over_time", "avg_over_time", "min_over_time", "max_over_time", "count_over_time",
		"last_over_time", "first_over_time", "present_over_time", "changes", "resets", "deriv", "stddev_over_time", "mad_over_time",
	} {
		for range 50 {
			points := randomPoints(rng)
			expr, err := testParser().ParseExpr(name + "(x[90s] offset 13s)")
			require.NoError(t, err)
			r := rules()
			r.Grid = Grid{Start: 100_000 + rng.Int64N(50_000), End: 900_000, Step: 1 + rng.Int64N(60_000)}
			f := Split(expr, r).Root
			require.NotNil(t, f)
			got := make([]float64, f.grid.Steps())
			for i := range got {
				got[i] = absent()
			}
			newRangeEvaluator(f).eval(points, labels.EmptyLabels(), got)
			for step := range got {
				want, ok := reference(expr.(*parser.Call), points, f.grid.At(step), 90_000, 13_000)
				require.Equal(t, ok, !isAbsent(got[step]), "%s at step %d", name, step)
				if ok && !(math.IsNaN(want) && math.IsNaN(got[step])) {
					require.Equal(t, math.Float64bits(want), math.Float64bits(got[step]), "%s at step %d: %v, want %v", name, step, got[step], want)
				}
			}
		}
	}
}

func reference(call *parser.Call, points []promql.FPoint, at, span, offset int64) (float64, bool) {
	var window []promql.FPoint
	for _, p := range points {
		if p.T > at-offset-span && p.T <= at-offset {
			window = append(window, p)
		}
	}
	if len(window) == 0 {
		return 0, false
	}
	vec, _ := promql.FunctionCalls[call.Func.Name](nil, promql.Matrix{{Floats: window}}, call.Args, &promql.EvalNodeHelper{Ts: at})
	if len(vec) == 0 {
		return 0, false
	}
	return vec[0].F, true
}

func randomPoints(rng *rand.Rand) []promql.FPoint {
	var points []promql.FPoint
	v := 0.0
	for at := rng.Int64N(100_000); at < 900_000; at += 1 + rng.Int64N(30_000) {
		switch rng.IntN(12) {
		case 0:
			v = 0
		case 1:
			v = -v
		case 2:
			points = append(points, promql.FPoint{T: at, F: [...]float64{math.NaN(), math.Inf(1), math.Inf(-1)}[rng.IntN(3)]})
			continue
		case 3: // the same again
		default:
			v += rng.Float64() * 100
		}
		points = append(points, promql.FPoint{T: at, F: v})
	}
	return points
}
