package column

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/stretchr/testify/require"
)

// encodeNative encodes histograms of one layout, whose numbers may grow or not.
func encodeNative(t testing.TB, rng *rand.Rand, h histogram.Histogram, n int) *chunkenc.HistogramChunk {
	return encodeGrowing(t, rng, h, n, 36)
}

// encodeGrowing is encodeNative for growth by a number of bits.
func encodeGrowing(t testing.TB, rng *rand.Rand, h histogram.Histogram, n, most int) *chunkenc.HistogramChunk {
	t.Helper()
	c := chunkenc.NewHistogramChunk()
	app, err := c.Appender()
	require.NoError(t, err)
	at := rng.Int64N(1 << 41)
	for i := range n {
		next := h
		next.PositiveBuckets, next.NegativeBuckets = append([]int64(nil), h.PositiveBuckets...), append([]int64(nil), h.NegativeBuckets...)
		if i > 0 && i == n-1 && rng.IntN(2) == 0 { // after which nothing follows
			next = histogram.Histogram{Sum: math.Float64frombits(value.StaleNaN), CounterResetHint: h.CounterResetHint}
		}
		at += 1 + rng.Int64N(1<<rng.IntN(30))
		_, _, app, err = app.AppendHistogram(nil, 0, at, &next, true)
		require.NoError(t, err)
		size := rng.IntN(most) // of what is added, in bits
		h.Count += rng.Uint64N(1<<size + 1)
		if h.Schema != histogram.CustomBucketsSchema {
			h.ZeroCount += rng.Uint64N(1<<size + 1)
		}
		h.Sum = []float64{h.Sum, h.Sum + 1, rng.Float64(), -h.Sum, math.Float64frombits(rng.Uint64())}[rng.IntN(5)]
		// The first grows most, so that none of the others is less than before.
		for _, buckets := range [][]int64{h.PositiveBuckets, h.NegativeBuckets} {
			last := int64(0)
			for k := range buckets {
				more := int64(0)
				if rng.IntN(2) == 0 {
					more = rng.Int64N(1<<size + 1)
				}
				buckets[k] += more - last
				last = more
			}
		}
	}
	return c
}

func nativeLayouts() []histogram.Histogram {
	zeros := func(n int) []int64 { return make([]int64, n) }
	return []histogram.Histogram{
		{},
		{Schema: 3, ZeroThreshold: math.Ldexp(1, -128), PositiveSpans: []histogram.Span{{Offset: -3, Length: 5}, {Offset: 7, Length: 40}}, PositiveBuckets: zeros(45)},
		{Schema: -4, ZeroThreshold: 0.3, NegativeSpans: []histogram.Span{{Offset: 1, Length: 2}}, NegativeBuckets: zeros(2)},
		{Schema: 8, ZeroThreshold: 1e-300, PositiveSpans: []histogram.Span{{Offset: 100000, Length: 1}}, PositiveBuckets: zeros(1), NegativeSpans: []histogram.Span{{Offset: -1, Length: 3}}, NegativeBuckets: zeros(3)},
		{Schema: histogram.CustomBucketsSchema, CustomValues: []float64{-1, 0, 0.005, 1.0 / 3, 1e9}, PositiveSpans: []histogram.Span{{Length: 6}}, PositiveBuckets: zeros(6)},
	}
}

// viaIterator reads a chunk as Prometheus does.
func viaIterator(t testing.TB, c chunkenc.Chunk) (points []promql.HPoint) {
	t.Helper()
	it := c.Iterator(nil)
	for it.Next() != chunkenc.ValNone {
		at, h := it.AtFloatHistogram(nil)
		points = append(points, promql.HPoint{T: at, H: h})
	}
	require.NoError(t, it.Err())
	return points
}

func requireSameHistograms(t testing.TB, want, got []promql.HPoint) {
	t.Helper()
	require.Len(t, got, len(want))
	for i, w := range want {
		require.Equal(t, w.T, got[i].T)
		if value.IsStaleNaN(w.H.Sum) {
			require.True(t, value.IsStaleNaN(got[i].H.Sum))
			continue
		}
		require.True(t, w.H.Equals(got[i].H), "%v, want %v", got[i].H, w.H)
		require.Equal(t, w.H.CounterResetHint, got[i].H.CounterResetHint)
	}
}

func TestNativeDecodesEveryBit(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var (
		d    nativeDecoder
		pool histogramPool
	)
	for _, layout := range nativeLayouts() {
		for _, hint := range []histogram.CounterResetHint{histogram.UnknownCounterReset, histogram.GaugeType} {
			for _, n := range []int{0, 1, 2, 3, 150} {
				layout.CounterResetHint = hint
				c := encodeNative(t, rng, layout, n)
				pool.reset()
				got, known, err := d.append(nil, &pool, c.Bytes(), math.MinInt64, math.MaxInt64)
				require.NoError(t, err)
				require.True(t, known)
				want := viaIterator(t, c)
				requireSameHistograms(t, want, got)

				if n > 2 { // some of them only
					from, to := n/3, n-n/4-1
					pool.reset()
					got, _, err = d.append(nil, &pool, c.Bytes(), want[from].T, want[to].T)
					require.NoError(t, err)
					requireSameHistograms(t, want[from:to+1], got)
				}
			}
		}
	}
}

func TestReaderReadsBothKinds(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	natives := encodeNative(t, rng, nativeLayouts()[1], 10)
	r := NewReader()
	for range 2 { // memory is used again
		got, err := r.Read(series(encode(t, []promql.FPoint{{T: -5, F: 1}}), natives), 0, math.MaxInt64)
		require.NoError(t, err)
		requireSame(t, []promql.FPoint{{T: -5, F: 1}}, got.Floats)
		requireSameHistograms(t, viaIterator(t, natives), got.Histograms)
	}
	require.Positive(t, r.Size())
	_, err := r.Read(series(natives, natives), 0, math.MaxInt64)
	require.ErrorIs(t, err, ErrOverlap)
}

func FuzzNative(f *testing.F) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, layout := range nativeLayouts() {
		f.Add(encodeNative(f, rng, layout, 3).Bytes())
	}
	f.Add([]byte("\x00\x0300\xeeY.0\x7f\xe0" + strings.Repeat("0", 66))) // a bound of more than 63 bits
	f.Fuzz(func(t *testing.T, data []byte) {
		var (
			d    nativeDecoder
			pool histogramPool
		)
		got, known, err := d.append(nil, &pool, data, math.MinInt64, math.MaxInt64)
		if err != nil || !known || len(data) < nativeHeader {
			return
		}
		if math.IsNaN(d.layout.ZeroThreshold) || slices.ContainsFunc(d.layout.CustomValues, math.IsNaN) {
			return // not equal to itself
		}
		chunk, err := chunkenc.FromData(chunkenc.EncHistogram, data)
		require.NoError(t, err)
		requireSameHistograms(t, viaIterator(t, chunk), got)
	})
}

func BenchmarkNative(b *testing.B) {
	c := encodeGrowing(b, rand.New(rand.NewPCG(1, 2)), nativeLayouts()[1], 100, 4)
	b.Run("column", func(b *testing.B) {
		var (
			d    nativeDecoder
			pool histogramPool
			dst  []promql.HPoint
		)
		for b.Loop() {
			pool.reset()
			dst, _, _ = d.append(dst[:0], &pool, c.Bytes(), math.MinInt64, math.MaxInt64)
		}
	})
	b.Run("iterator", func(b *testing.B) {
		var it chunkenc.Iterator
		h := &histogram.FloatHistogram{}
		for b.Loop() {
			it = c.Iterator(it)
			for it.Next() != chunkenc.ValNone {
				it.AtFloatHistogram(h)
			}
		}
	})
}
