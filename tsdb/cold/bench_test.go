package cold

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	promtsdb "github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/stretchr/testify/require"

	"belfry/tsdb"
)

// fleetScrapes is how often the series of the benchmark are scraped: three hours
// at 15 s.
const fleetScrapes = 720

// fleetSeries returns the i-th of n series of a busy fleet: a quarter is
// constant, a quarter counts fast, a fifth slowly, a tenth each are CPU seconds,
// sizes in bytes and noisy gauges. Series of one target are scraped together,
// some milliseconds off the beat.
func fleetSeries(i, n int, begin int64) (labels.Labels, []int64, []float64) {
	targets := max(n/200, 1)
	target, metric := i%targets, i/targets
	rng := rand.New(rand.NewPCG(7, uint64(i)))
	jitter := rand.New(rand.NewPCG(8, uint64(target)))
	ls := labels.FromStrings(
		"__name__", fmt.Sprintf("fleet_metric_%d_total", metric/4),
		"job", fmt.Sprintf("job-%d", target%10), "instance", fmt.Sprintf("10.1.%d.%d:9100", target/250, target%250),
		"namespace", fmt.Sprintf("ns-%d", target%7), "pod", fmt.Sprintf("app-%d-6d5f7c9b8-%05x", target%10, target*7919),
		"cluster", "prod-eu-1", "mode", fmt.Sprintf("mode%d", metric%4), "version", fmt.Sprintf("v1.%d", target%3),
	)
	times, values := make([]int64, fleetScrapes), make([]float64, fleetScrapes)
	next := fleetValue(rng, i%20)
	for k := range times {
		times[k] = begin + int64(k)*15_000 + int64(target*37%15_000) + jitter.Int64N(5)
		values[k] = next()
	}
	return ls, times, values
}

func fleetValue(rng *rand.Rand, kind int) func() float64 {
	v := float64(rng.IntN(1e6))
	rate := 5 + rng.Float64()*2000
	switch {
	case kind < 5:
		return func() float64 { return v }
	case kind < 9:
		return func() float64 {
			if rng.IntN(8) == 0 {
				v += float64(1 + rng.IntN(3))
			}
			return v
		}
	case kind < 14:
		return func() float64 { v += math.Round(rate * (0.9 + 0.2*rng.Float64())); return v }
	case kind < 16:
		return func() float64 { v += rng.Float64() * 3; return math.Round(v*100) / 100 }
	case kind < 18:
		pages := rng.IntN(1 << 18)
		return func() float64 { pages = max(pages+rng.IntN(401)-200, 0); return float64(pages) * 4096 }
	}
	return func() float64 { return math.Round((50+rng.NormFloat64()*10)*10) / 10 }
}

func columnsOf(times []int64, values []float64) func(chunkenc.Iterator) chunkenc.Iterator {
	return func(chunkenc.Iterator) chunkenc.Iterator { return tsdb.NewColumnIterator(times, values) }
}

// BenchmarkFleet makes one of Prometheus' blocks of a fleet's series cold and
// reports the bytes a sample of both and what the work costs.
func BenchmarkFleet(b *testing.B) {
	n := 2000
	if s := os.Getenv("BELFRY_BENCH_SERIES"); s != "" {
		_, err := fmt.Sscan(s, &n)
		require.NoError(b, err)
	}
	begin := floorDiv(t0, 6*hour) * 6 * hour
	all := make([]storage.Series, n)
	for i := range all {
		ls, times, values := fleetSeries(i, n, begin)
		all[i] = &storage.SeriesEntry{Lset: ls, SampleIteratorFn: columnsOf(times, values)}
	}
	dir, err := promtsdb.CreateBlock(all, b.TempDir(), 24*hour, discard)
	require.NoError(b, err)
	src, err := promtsdb.OpenBlock(discard, dir, nil, promtsdb.DefaultPostingsDecoderFactory)
	require.NoError(b, err)
	defer src.Close()
	samples := float64(n * fleetScrapes)

	var built *Block
	b.Run("build", func(b *testing.B) {
		for b.Loop() {
			p := Plan{ID: newID(), Sources: []Source{From(src)}, MinTime: src.MinTime(), MaxTime: src.MaxTime()}
			built, err = Build(b.Context(), filepath.Join(b.TempDir(), "cold"), p)
			require.NoError(b, err)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/samples, "ns/sample")
		b.ReportMetric(float64(src.Size())/samples, "prometheus-B/sample")
		b.ReportMetric(float64(built.Size())/samples, "B/sample")
		for which := sectionColumns; which <= lastSection; which++ {
			b.Logf("section %d: %.4f bytes a sample, %.1f a series", which, float64(len(built.sections[which]))/samples, float64(len(built.sections[which]))/float64(n))
		}
	})
	b.Run("read", func(b *testing.B) {
		var c tsdb.Columns
		for b.Loop() {
			q, err := built.Querier(math.MinInt64, math.MaxInt64)
			require.NoError(b, err)
			set := q.Select(b.Context(), true, nil, everything()...)
			for set.Next() {
				c.Reset()
				_, err := tsdb.ReadColumns(&c, set.At(), math.MinInt64, math.MaxInt64)
				require.NoError(b, err)
			}
			require.NoError(b, q.Close())
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/samples, "ns/sample")
	})
}
