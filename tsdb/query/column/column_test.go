package column

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/stretchr/testify/require"
)

func encode(t testing.TB, points []promql.FPoint) *chunkenc.XORChunk {
	t.Helper()
	c := chunkenc.NewXORChunk()
	app, err := c.Appender()
	require.NoError(t, err)
	for _, p := range points {
		app.Append(0, p.T, p.F)
	}
	return c
}

func requireSame(t testing.TB, want, got []promql.FPoint) {
	t.Helper()
	require.Len(t, got, len(want))
	for i := range want {
		require.Equal(t, want[i].T, got[i].T, "time of sample %d", i)
		require.Equal(t, math.Float64bits(want[i].F), math.Float64bits(got[i].F), "value of sample %d", i)
	}
}

func TestXORDecodesEveryBit(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	values := []func(i int, last float64) float64{
		func(int, float64) float64 { return 7 },
		func(i int, _ float64) float64 { return float64(i) },
		func(_ int, last float64) float64 { return last + float64(rng.IntN(100)) },
		func(int, float64) float64 { return math.Float64frombits(rng.Uint64()) },
		func(int, float64) float64 {
			return [...]float64{math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1), math.MaxFloat64, math.Float64frombits(value.StaleNaN)}[rng.IntN(6)]
		},
	}
	steps := []func() int64{
		func() int64 { return 15_000 },
		func() int64 { return 15_000 + rng.Int64N(20) - 10 },
		func() int64 { return 1 + rng.Int64N(1<<15) },
		func() int64 { return 1 + rng.Int64N(1<<19) },
		func() int64 { return 1 + rng.Int64N(1<<40) },
	}
	for _, next := range values {
		for _, step := range steps {
			for _, n := range []int{0, 1, 2, 3, 120, 500} {
				var points []promql.FPoint
				at, last := rng.Int64N(1<<41)-1<<40, 0.0
				for i := range n {
					last = next(i, last)
					points = append(points, promql.FPoint{T: at, F: last})
					at += step()
				}
				got, err := new(xorDecoder).append(nil, encode(t, points).Bytes())
				require.NoError(t, err)
				requireSame(t, points, got)
			}
		}
	}
}

func series(cs ...chunkenc.Chunk) storage.ChunkSeries {
	metas := make([]chunks.Meta, len(cs))
	for i, c := range cs {
		metas[i].Chunk = c
	}
	return &storage.ChunkSeriesEntry{
		Lset:            labels.FromStrings("a", "b"),
		ChunkIteratorFn: func(chunks.Iterator) chunks.Iterator { return storage.NewListChunkSeriesIterator(metas...) },
	}
}

func TestReaderJoinsChunks(t *testing.T) {
	r := NewReader()
	a := []promql.FPoint{{T: 1, F: 1}, {T: 2, F: 2}}
	b := []promql.FPoint{{T: 3, F: 3}}
	got, err := r.Read(series(encode(t, a), encode(t, b)), 0, math.MaxInt64)
	require.NoError(t, err)
	requireSame(t, append(a, b...), got.Floats)

	_, err = r.Read(series(encode(t, b), encode(t, a)), 0, math.MaxInt64)
	require.ErrorIs(t, err, ErrOverlap)
}

func TestReaderReadsXOR2(t *testing.T) {
	c := chunkenc.NewXOR2Chunk()
	app, err := c.Appender()
	require.NoError(t, err)
	app.Append(0, 1, 2)
	app.Append(0, 5, 3)
	got, err := NewReader().Read(series(c), 0, math.MaxInt64)
	require.NoError(t, err)
	requireSame(t, []promql.FPoint{{T: 1, F: 2}, {T: 5, F: 3}}, got.Floats)
}

func FuzzXOR(f *testing.F) {
	f.Add(encode(f, []promql.FPoint{{T: 1, F: 1}, {T: 5, F: 2}, {T: 7, F: 2}, {T: 9000, F: -1e300}}).Bytes())
	f.Add([]byte{0, 3, 1, 2})
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := new(xorDecoder).append(nil, data)
		if err != nil || len(data) < xorHeader {
			return
		}
		chunk, err := chunkenc.FromData(chunkenc.EncXOR, data)
		require.NoError(t, err)
		var want []promql.FPoint
		it := chunk.Iterator(nil)
		for it.Next() == chunkenc.ValFloat {
			ts, v := it.At()
			want = append(want, promql.FPoint{T: ts, F: v})
		}
		require.NoError(t, it.Err())
		requireSame(t, want, got)
	})
}

func BenchmarkXOR(b *testing.B) {
	var points []promql.FPoint
	rng := rand.New(rand.NewPCG(1, 2))
	v := 0.0
	for i := range 120 {
		v += float64(rng.IntN(100))
		points = append(points, promql.FPoint{T: int64(i) * 15_000, F: v})
	}
	c := encode(b, points)
	b.Run("column", func(b *testing.B) {
		var (
			dst []promql.FPoint
			d   xorDecoder
		)
		for b.Loop() {
			dst, _ = d.append(dst[:0], c.Bytes())
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(points)), "ns/sample")
	})
	b.Run("iterator", func(b *testing.B) {
		var it chunkenc.Iterator
		for b.Loop() {
			it = c.Iterator(it)
			for it.Next() == chunkenc.ValFloat {
				it.At()
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(points)), "ns/sample")
	})
}
