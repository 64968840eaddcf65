package traceql

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSketchKeepsItsAccuracy(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var a, b sketch
	var values []float64
	for i := range 20_000 {
		v := math.Exp(r.NormFloat64()*3) * float64(1-2*(i%3%2))
		if i%50 == 0 {
			v = 0
		}
		values = append(values, v)
		if i%2 == 0 {
			a.add(v)
		} else {
			b.add(v)
		}
	}
	a.merge(&b)
	slices.Sort(values)
	for _, q := range []float64{0, 0.01, 0.3, 0.5, 0.9, 0.99, 1} {
		want := values[max(int(math.Ceil(q*float64(len(values))))-1, 0)]
		require.InDelta(t, want, a.quantile(q), math.Abs(want)*0.0101+1e-11, "quantile %g", q)
	}
}

func TestBucketsBoundTheirValues(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for range 100_000 {
		v := math.Exp(r.NormFloat64() * 20)
		b := float64(bucketOf(v))
		require.LessOrEqual(t, v, math.Pow(sketchGamma, b)*(1+1e-9))
		require.Greater(t, v, math.Pow(sketchGamma, b-1)*(1-1e-9))
	}
	var s sketch
	for _, v := range []float64{math.Inf(1), 1, math.MaxFloat64, math.Inf(-1), 2e-12} {
		s.add(v)
	}
	require.InDelta(t, 1, s.quantile(0.6), 0.011)
}
