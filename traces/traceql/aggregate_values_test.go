package traceql

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"belfry/traces"
)

func TestHistogramBucketsBoundTheirValues(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	values := []float64{1, 2, 0.5, 3, math.SmallestNonzeroFloat64, 3 * math.SmallestNonzeroFloat64, 0x1p-1022, 0x1.8p-1022, 0x1p1023}
	for range 10_000 {
		values = append(values, math.Abs(math.Float64frombits(r.Uint64()&^(1<<62))))
	}
	for _, v := range values {
		bucket := histogramBucket(v)
		require.LessOrEqual(t, v, bucket)
		fraction, _ := math.Frexp(bucket)
		require.Equal(t, 0.5, fraction, "%g is a power of two", bucket)
		if half := bucket / 2; half > 0 {
			require.Greater(t, v, half)
		}
	}
	require.Equal(t, 0.0, histogramBucket(0))
	require.Equal(t, 0.0, histogramBucket(-3))
	require.Equal(t, math.Inf(1), histogramBucket(math.MaxFloat64))
	require.Equal(t, math.Inf(1), histogramBucket(math.Inf(1)))
}

// TestValuesOfColumns: whatever a column looks like, a row has the number that its value is.
func TestValuesOfColumns(t *testing.T) {
	words := []uint64{0, 1, math.Float64bits(2.5), math.Float64bits(math.NaN()), ^uint64(0), 7e9}
	mixed := []traces.Value{{}, traces.Int(3), traces.Float(0.5), traces.String("4"), traces.Float(math.NaN()), traces.Bool(true), traces.Int(-8)}
	columns := map[string]*traces.Column{
		"none":           nil,
		"integers":       {Kind: traces.KindInt, Nums: words},
		"some integers":  {Kind: traces.KindInt, Nums: words, Present: []uint64{0b101101}},
		"floats":         {Kind: traces.KindFloat, Nums: words},
		"some floats":    {Kind: traces.KindFloat, Nums: words, Present: []uint64{0b011011}},
		"booleans":       {Kind: traces.KindBool, Nums: []uint64{0, 1, 1, 0, 1, 0}},
		"various":        {Dict: mixed, IDs: []uint32{6, 5, 4, 3, 2, 1}},
		"various, again": {Dict: mixed, IDs: []uint32{0, 0, 2, 6, 6, 1}},
	}
	c := newColumnAggregator(newAggregator(&Metrics{Func: "sum_over_time"}, &RangeRequest{To: 1, Step: 1}, Limits{}), nil)
	for _, of := range []string{"duration", "span.x", "span.x + 1", "1"} {
		q, err := Parse("{ } | sum_over_time(" + of + ")")
		require.NoError(t, err)
		c.a.metrics = q.Metrics
		for name, col := range columns {
			t.Run(of+" of "+name, func(t *testing.T) {
				toy := &toyColumns{starts: make([]int64, len(words)), columns: map[traces.Field]*traces.Column{}}
				for _, ref := range q.Metrics.refs() {
					toy.columns[ref.Field] = col
				}
				c.eval.reset(toy)
				require.NoError(t, c.eval.load(q.Metrics.refs()))
				c.readValues()
				for i := range words {
					want := spanAt{row: &rowAt{e: &c.eval, i: i}}.eval(q.Metrics.Of)
					skipped := c.skip != nil && c.skip[i]
					require.Equal(t, !want.Type.isNumber() || math.IsNaN(seconds(want)), skipped, "row %d", i)
					if !skipped {
						require.Equal(t, seconds(want), c.values[i], "row %d", i)
					}
				}
			})
		}
	}
}
