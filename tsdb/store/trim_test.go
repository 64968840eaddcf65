package store

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/stretchr/testify/require"

	"belfry/internal/tenant"
	metrics "belfry/tsdb"
)

// Ends of a range between several deletions of one series, which Prometheus'
// tsdb cannot cut chunks at, and ends at the ends of time.
func TestRangesEndBetweenDeletions(t *testing.T) {
	const start = 1_700_000_000_000
	cfg := metrics.DefaultConfig()
	cfg.MinFreeDisk = 0
	cfg.Retention.Time = 0
	s, err := Open(Options{Dir: t.TempDir(), Config: cfg})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	ctx := context.Background()
	app := s.AppenderV2(ctx)
	for i := range int64(100) {
		_, err := app.Append(0, labels.FromStrings("__name__", "x"), 0, start+i, float64(i), nil, nil, storage.AOptions{})
		require.NoError(t, err)
	}
	require.NoError(t, app.Commit())
	x := labels.MustNewMatcher(labels.MatchEqual, "__name__", "x")
	for _, d := range [][2]int64{{10, 19}, {40, 49}, {60, 69}, {80, 89}} {
		require.NoError(t, s.Delete(ctx, start+d[0], start+d[1], x))
	}
	require.NoError(t, s.Delete(ctx, math.MinInt64, start-1, x))
	gone := func(i int64) bool { return i/10 == 1 || i/10 == 4 || i/10 == 6 || i/10 == 8 }

	check := func(t *testing.T, mint, maxt int64, hints *storage.SelectHints) {
		t.Helper()
		var want []int64
		for i := range int64(100) {
			if !gone(i) && start+i >= mint && start+i <= maxt {
				want = append(want, start+i)
			}
		}
		q, err := s.Querier(mint, maxt)
		require.NoError(t, err)
		set := q.Select(ctx, true, hints, x)
		var got []int64
		for set.Next() {
			it := set.At().Iterator(nil)
			if hints != nil && hints.Func == "series" {
				continue
			}
			for it.Next() != chunkenc.ValNone {
				got = append(got, it.AtT())
			}
			require.NoError(t, it.Err())
		}
		require.NoError(t, set.Err())
		require.NoError(t, q.Close())
		if hints == nil || hints.Func != "series" {
			require.Equal(t, want, got)
		}
		cq, err := s.ChunkQuerier(mint, maxt)
		require.NoError(t, err)
		chunks := cq.Select(ctx, true, hints, x)
		got = nil
		for chunks.Next() {
			it := chunks.At().Iterator(nil)
			for it.Next() {
				samples := it.At().Chunk.Iterator(nil)
				for samples.Next() != chunkenc.ValNone {
					require.False(t, gone(samples.AtT()-start), samples.AtT()-start)
					if samples.AtT() >= mint && samples.AtT() <= maxt {
						got = append(got, samples.AtT())
					}
				}
			}
			require.NoError(t, it.Err())
		}
		require.NoError(t, chunks.Err())
		require.NoError(t, cq.Close())
		require.Equal(t, want, got)
	}
	ranges := func(t *testing.T) {
		for _, mint := range []int64{math.MinInt64, math.MinInt64 + 1, 0, start, start + 15, start + 30, start + 75, start + 95, math.MaxInt64} {
			for _, maxt := range []int64{math.MinInt64, 0, start + 5, start + 15, start + 30, start + 45, start + 55, start + 65, start + 75, start + 99, math.MaxInt64 - 1, math.MaxInt64} {
				t.Run(fmt.Sprintf("%d to %d", mint, maxt), func(t *testing.T) {
					check(t, mint, maxt, nil)
					check(t, mint, maxt, &storage.SelectHints{Start: mint, End: maxt})
					check(t, mint, maxt, &storage.SelectHints{Start: mint, End: maxt, Func: "series"})
				})
			}
		}
	}
	t.Run("head", ranges)
	require.NoError(t, s.CompactHead(ctx))
	t.Run("block", ranges)
	freeze(t, s, tenant.Default)
	t.Run("cold", ranges)
}
