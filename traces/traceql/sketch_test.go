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
	var pool sketchPool
	a, b := pool.sketch(), pool.sketch()
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
	a.merge(b)
	slices.Sort(values)
	for _, q := range []float64{0, 0.01, 0.3, 0.5, 0.9, 0.99, 1} {
		want := values[max(int(math.Ceil(q*float64(len(values))))-1, 0)]
		require.InDelta(t, want, a.ranked(rankOf(q, int64(len(values)))), math.Abs(want)*0.01+1e-11, "quantile %g", q)
	}
}

func TestBucketsBoundTheirValues(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for range 100_000 {
		v := math.Exp(r.NormFloat64() * 20)
		b := bucketOf(v)
		low, high := bucketBound(b), bucketBound(b+1)
		require.LessOrEqual(t, low, v)
		require.Greater(t, high, v)
		require.LessOrEqual(t, high, low*(1+1.0/64))
		require.InEpsilon(t, low, bucketValue(b), 0.008)
		require.InEpsilon(t, high, bucketValue(b), 0.008)
	}
	s := new(sketchPool).sketch()
	for _, v := range []float64{math.Inf(1), 1, math.MaxFloat64, math.Inf(-1), 2e-12} {
		s.add(v)
	}
	require.InDelta(t, 1, s.ranked(rankOf(0.6, 5)), 0.01)
	require.Greater(t, s.ranked(rankOf(0.8, 5)), math.MaxFloat64*0.98)
	require.Equal(t, math.Inf(1), s.ranked(rankOf(1, 5)))
	require.Equal(t, math.Inf(-1), s.ranked(rankOf(0, 5)))
}

func TestFewNumbersAreRankedAsTheyCame(t *testing.T) {
	few := func() *sketch {
		s := new(sketchPool).sketch()
		for _, v := range []float64{8, 1, -2, 0, 4, -16} {
			s.add(v)
		}
		return s
	}
	s := few()
	for rank, want := range []float64{-16, -2, 0, 1, 4, 8} {
		require.InDelta(t, want, s.ranked(int64(rank)+1), math.Abs(want)*0.01)
	}
	sum := new(sketchPool).sketch()
	sum.merge(few())
	sum.merge(few())
	for rank, want := range []float64{-16, -16, -2, -2, 0, 0, 1, 1, 4, 4, 8, 8} {
		require.InDelta(t, want, sum.ranked(int64(rank)+1), math.Abs(want)*0.01)
	}
}

func TestTheLeastAndTheGreatestNumberAreExact(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	a := &aggregator{quantiles: true}
	var c cell
	low, high := math.Inf(1), math.Inf(-1)
	for range 1000 {
		v := r.ExpFloat64()
		low, high = min(low, v), max(high, v)
		c.add(v, a)
	}
	require.Equal(t, low, c.quantile(0))
	require.Equal(t, high, c.quantile(1))
}

// TestManyNumbersInOneBucket: counts go on behind what their arrays hold, by one and when they are merged.
func TestManyNumbersInOneBucket(t *testing.T) {
	var pool sketchPool
	a, b := pool.sketch(), pool.sketch()
	for range 1000 {
		a.add(4)
		b.add(4)
		b.add(-16)
	}
	for range 10 {
		a.add(0x1p-20) // in arrays far apart
		b.add(0x1p60)
	}
	a.merge(b)
	require.Equal(t, int64(1000), a.negative.total())
	require.Equal(t, int64(2020), a.positive.total())
	for rank, want := range map[int64]float64{1: -16, 1000: -16, 1001: 0x1p-20, 1010: 0x1p-20, 1011: 4, 3010: 4, 3011: 0x1p60, 3020: 0x1p60} {
		require.InEpsilon(t, want, a.ranked(rank), 0.01, "rank %d", rank)
	}
}
