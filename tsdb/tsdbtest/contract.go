package tsdbtest

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"github.com/stretchr/testify/require"

	"belfry/internal/tenant"
	"belfry/tsdb"
)

// Store is an implementation under test. It must take samples of the last
// hour.
type Store interface {
	tsdb.Queryable
	tsdb.Appendable
}

// Run checks that what open returns keeps the contract of package tsdb. open is
// called once a test and closes the store when the test ends.
func Run(t *testing.T, open func(t *testing.T) Store) {
	for _, tc := range []struct {
		name string
		test func(*testing.T, Store)
	}{
		{"visible once committed, not before", testCommit},
		{"rolled back is not visible", testRollback},
		{"tenants do not see each other", testTenants},
		{"a bad sample does not cost the good ones", testPartial},
		{"values keep every bit", testBits},
		{"histograms", testHistograms},
		{"exemplars", testExemplars},
		{"matchers", testMatchers},
		{"label names and values", testLabels},
		{"time range is inclusive", testRange},
		{"chunks hold what samples hold", testChunks},
		{"canceled queries end", testCancel},
		{"concurrent appends and queries", testConcurrent},
		{"older interface", testV1},
	} {
		t.Run(tc.name, func(t *testing.T) { tc.test(t, open(t)) })
	}
}

// start is when the tests' samples begin. A store may refuse what is old.
func start() int64 { return time.Now().Add(-30 * time.Minute).Truncate(time.Minute).UnixMilli() }

func ctxOf(id string) context.Context { return tenant.WithID(context.Background(), id) }

func put(t testing.TB, app storage.AppenderV2, ts int64, v float64, lbls ...string) {
	t.Helper()
	_, err := app.Append(0, labels.FromStrings(lbls...), 0, ts, v, nil, nil, storage.AOptions{})
	require.NoError(t, err)
}

func line(ts int64, v float64, lbls ...string) string {
	return fmt.Sprintf("%s %g@%g", labels.FromStrings(lbls...), v, float64(ts)/1000)
}

func testCommit(t *testing.T, s Store) {
	ctx, t0 := ctxOf("a"), start()
	app := s.AppenderV2(ctx)
	put(t, app, t0, 1, "__name__", "x", "i", "1")
	put(t, app, t0, 2, "__name__", "x", "i", "2")
	require.Empty(t, Dump(t, ctx, s))
	require.NoError(t, app.Commit())
	require.Equal(t, []string{line(t0, 1, "__name__", "x", "i", "1"), line(t0, 2, "__name__", "x", "i", "2")}, Dump(t, ctx, s))
}

func testRollback(t *testing.T, s Store) {
	ctx, t0 := ctxOf("a"), start()
	app := s.AppenderV2(ctx)
	put(t, app, t0, 1, "__name__", "x")
	require.NoError(t, app.Rollback())
	require.Empty(t, Dump(t, ctx, s))
	app = s.AppenderV2(ctx)
	put(t, app, t0, 2, "__name__", "x")
	require.NoError(t, app.Commit())
	require.Equal(t, []string{line(t0, 2, "__name__", "x")}, Dump(t, ctx, s))
}

func testTenants(t *testing.T, s Store) {
	t0 := start()
	for i, id := range []string{"a", "b"} {
		app := s.AppenderV2(ctxOf(id))
		put(t, app, t0, float64(i), "__name__", "x", "of", id)
		require.NoError(t, app.Commit())
	}
	require.Equal(t, []string{line(t0, 0, "__name__", "x", "of", "a")}, Dump(t, ctxOf("a"), s))
	require.Equal(t, []string{line(t0, 1, "__name__", "x", "of", "b")}, Dump(t, ctxOf("b"), s))
	require.Empty(t, Dump(t, ctxOf("never-seen"), s))
	require.Empty(t, Dump(t, context.Background(), s), "the default tenant is one of its own")
	q, err := s.Querier(t0, t0)
	require.NoError(t, err)
	defer func() { require.NoError(t, q.Close()) }()
	values, _, err := q.LabelValues(ctxOf("b"), "of", nil)
	require.NoError(t, err)
	require.Equal(t, []string{"b"}, values)
}

func testPartial(t *testing.T, s Store) {
	ctx, t0 := ctxOf("a"), start()
	app := s.AppenderV2(ctx)
	put(t, app, t0, 1, "__name__", "x")
	require.NoError(t, app.Commit())
	app = s.AppenderV2(ctx)
	for want, bad := range map[tsdb.Reason]struct {
		ls labels.Labels
		t  int64
	}{
		tsdb.Duplicate:      {labels.FromStrings("__name__", "x"), t0},
		tsdb.TooFarInFuture: {labels.FromStrings("__name__", "x"), t0 + (48 * time.Hour).Milliseconds()},
		tsdb.InvalidLabels:  {labels.FromStrings("no", "name"), t0},
	} {
		_, err := app.Append(0, bad.ls, 0, bad.t, 9, nil, nil, storage.AOptions{})
		got, ok := tsdb.Rejected(err)
		require.True(t, ok, "%v", err)
		require.Equal(t, want, got)
	}
	put(t, app, t0+1000, 2, "__name__", "x")
	require.NoError(t, app.Commit())
	require.Equal(t, []string{line(t0, 1, "__name__", "x"), line(t0+1000, 2, "__name__", "x")}, Dump(t, ctx, s))
}

func testBits(t *testing.T, s Store) {
	ctx, t0 := ctxOf("a"), start()
	values := []float64{
		0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), math.NaN(), math.Float64frombits(value.StaleNaN),
		math.Float64frombits(0x7ff8000000000123), math.SmallestNonzeroFloat64, math.MaxFloat64, 0.1, 1 << 53, math.Pi,
	}
	app := s.AppenderV2(ctx)
	for i, v := range values {
		put(t, app, t0+int64(i), v, "__name__", "x")
	}
	require.NoError(t, app.Commit())
	q, err := s.Querier(t0, t0+1000)
	require.NoError(t, err)
	defer func() { require.NoError(t, q.Close()) }()
	set := q.Select(ctx, false, nil, labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, "x"))
	require.True(t, set.Next())
	it := set.At().Iterator(nil)
	for i, v := range values {
		require.Equal(t, chunkenc.ValFloat, it.Next())
		ts, got := it.At()
		require.Equal(t, t0+int64(i), ts)
		require.Equal(t, math.Float64bits(v), math.Float64bits(got), "value %d", i)
	}
	require.Equal(t, chunkenc.ValNone, it.Next())
}

func testHistograms(t *testing.T, s Store) {
	ctx, t0 := ctxOf("a"), start()
	h := tsdbutil.GenerateTestHistogram(1)
	fh := tsdbutil.GenerateTestFloatHistogram(2)
	custom := tsdbutil.GenerateTestCustomBucketsHistogram(3)
	app := s.AppenderV2(ctx)
	for _, sample := range []struct {
		name string
		h    *histogram.Histogram
		fh   *histogram.FloatHistogram
	}{{"int", h, nil}, {"float", nil, fh}, {"custom", custom, nil}} {
		_, err := app.Append(0, labels.FromStrings("__name__", sample.name), 0, t0, 0, sample.h, sample.fh, storage.AOptions{})
		require.NoError(t, err)
	}
	require.NoError(t, app.Commit())
	seconds := float64(t0) / 1000
	require.Equal(t, []string{
		fmt.Sprintf(`{__name__="custom"} %s@%g`, custom.ToFloat(nil), seconds),
		fmt.Sprintf(`{__name__="float"} %s@%g`, fh, seconds),
		fmt.Sprintf(`{__name__="int"} %s@%g`, h.ToFloat(nil), seconds),
	}, Dump(t, ctx, s))
}

func testExemplars(t *testing.T, s Store) {
	ctx, t0 := ctxOf("a"), start()
	app := s.AppenderV2(ctx)
	want := exemplar.Exemplar{Labels: labels.FromStrings("trace_id", "4bf92f35"), Value: 0.3, Ts: t0, HasTs: true}
	_, err := app.Append(0, labels.FromStrings("__name__", "x_bucket", "le", "1"), 0, t0, 1, nil, nil, storage.AOptions{Exemplars: []exemplar.Exemplar{want}})
	require.NoError(t, err)
	require.NoError(t, app.Commit())
	for id, n := range map[string]int{"a": 1, "b": 0} {
		q, err := s.ExemplarQuerier(ctxOf(id))
		require.NoError(t, err)
		got, err := q.Select(t0-1000, t0+1000, []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, "x_bucket")})
		require.NoError(t, err)
		require.Len(t, got, n, id)
		if n > 0 {
			require.Equal(t, `{__name__="x_bucket", le="1"}`, got[0].SeriesLabels.String())
			require.Equal(t, []exemplar.Exemplar{want}, got[0].Exemplars)
		}
	}
}

func testMatchers(t *testing.T, s Store) {
	ctx, t0 := ctxOf("a"), start()
	app := s.AppenderV2(ctx)
	for _, env := range []string{"prod", "staging", ""} {
		put(t, app, t0, 1, "__name__", "x", "env", env)
	}
	require.NoError(t, app.Commit())
	for _, tc := range []struct {
		matcher *labels.Matcher
		want    []string
	}{
		{labels.MustNewMatcher(labels.MatchEqual, "env", "prod"), []string{"prod"}},
		{labels.MustNewMatcher(labels.MatchNotEqual, "env", "prod"), []string{"", "staging"}},
		{labels.MustNewMatcher(labels.MatchRegexp, "env", "pro.|sta.*"), []string{"prod", "staging"}},
		{labels.MustNewMatcher(labels.MatchNotRegexp, "env", "pro.+"), []string{"", "staging"}},
		{labels.MustNewMatcher(labels.MatchEqual, "env", ""), []string{""}},
		{labels.MustNewMatcher(labels.MatchEqual, "missing", "1"), nil},
	} {
		var want []string
		for _, env := range tc.want {
			want = append(want, line(t0, 1, "__name__", "x", "env", env))
		}
		for i := range want {
			want[i] = fmt.Sprintf("%s 1@%g", labels.FromStrings("__name__", "x", "env", tc.want[i]).WithoutEmpty(), float64(t0)/1000)
		}
		got := Dump(t, ctx, s, labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, "x"), tc.matcher)
		require.ElementsMatch(t, want, got, tc.matcher.String())
	}
}

func testLabels(t *testing.T, s Store) {
	ctx, t0 := ctxOf("a"), start()
	app := s.AppenderV2(ctx)
	put(t, app, t0, 1, "__name__", "x", "b", "2")
	put(t, app, t0, 1, "__name__", "y", "b", "1", "c", "3")
	require.NoError(t, app.Commit())
	q, err := s.Querier(t0, t0)
	require.NoError(t, err)
	defer func() { require.NoError(t, q.Close()) }()
	names, _, err := q.LabelNames(ctx, nil)
	require.NoError(t, err)
	require.Equal(t, []string{"__name__", "b", "c"}, names)
	values, _, err := q.LabelValues(ctx, "b", nil)
	require.NoError(t, err)
	require.Equal(t, []string{"1", "2"}, values)
	values, _, err = q.LabelValues(ctx, "b", nil, labels.MustNewMatcher(labels.MatchEqual, "c", "3"))
	require.NoError(t, err)
	require.Equal(t, []string{"1"}, values)
}

func testRange(t *testing.T, s Store) {
	ctx, t0 := ctxOf("a"), start()
	app := s.AppenderV2(ctx)
	for i := range int64(5) {
		put(t, app, t0+i, float64(i), "__name__", "x")
	}
	require.NoError(t, app.Commit())
	q, err := s.Querier(t0+1, t0+3)
	require.NoError(t, err)
	defer func() { require.NoError(t, q.Close()) }()
	set := q.Select(ctx, false, nil, labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, "x"))
	require.True(t, set.Next())
	var got []float64
	for it := set.At().Iterator(nil); it.Next() == chunkenc.ValFloat; {
		_, v := it.At()
		got = append(got, v)
	}
	require.Equal(t, []float64{1, 2, 3}, got)
}

func testChunks(t *testing.T, s Store) {
	ctx, t0 := ctxOf("a"), start()
	app := s.AppenderV2(ctx)
	for i := range int64(300) {
		put(t, app, t0+i*1000, float64(i), "__name__", "x")
	}
	require.NoError(t, app.Commit())
	q, err := s.ChunkQuerier(t0, t0+300_000)
	require.NoError(t, err)
	defer func() { require.NoError(t, q.Close()) }()
	set := q.Select(ctx, true, nil, labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, "x"))
	require.True(t, set.Next())
	n := 0
	for chunks := set.At().Iterator(nil); chunks.Next(); {
		for it := chunks.At().Chunk.Iterator(nil); it.Next() != chunkenc.ValNone; n++ {
			_, v := it.At()
			require.InDelta(t, float64(n), v, 0)
		}
	}
	require.Equal(t, 300, n)
	require.False(t, set.Next())
	require.NoError(t, set.Err())
}

func testCancel(t *testing.T, s Store) {
	ctx, cancel := context.WithCancel(ctxOf("a"))
	app := s.AppenderV2(ctx)
	for i := range 2000 {
		put(t, app, start(), 1, "__name__", "x", "i", strconv.Itoa(i))
	}
	require.NoError(t, app.Commit())
	cancel()
	q, err := s.Querier(math.MinInt64, math.MaxInt64)
	require.NoError(t, err)
	defer func() { require.NoError(t, q.Close()) }()
	set := q.Select(ctx, true, nil, labels.MustNewMatcher(labels.MatchRegexp, "i", ".*9.*"))
	n := 0
	for set.Next() {
		n++
	}
	require.True(t, set.Err() != nil || n < 2000, "a canceled query ran to its end")
}

func testConcurrent(t *testing.T, s Store) {
	t0 := start()
	const writers, batches = 4, 25
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			ctx := ctxOf(fmt.Sprintf("t%d", w%2))
			for b := range int64(batches) {
				app := s.AppenderV2(ctx)
				for i := range 10 {
					_, err := app.Append(0, labels.FromStrings("__name__", "x", "w", strconv.Itoa(w), "i", strconv.Itoa(i)), 0, t0+b*1000, float64(b), nil, nil, storage.AOptions{})
					if err != nil {
						t.Errorf("append: %v", err)
					}
				}
				if err := app.Commit(); err != nil {
					t.Errorf("commit: %v", err)
				}
			}
		})
		wg.Go(func() {
			for range batches {
				q, err := s.Querier(t0, t0+batches*1000)
				if err != nil {
					t.Errorf("querier: %v", err)
					return
				}
				set := q.Select(ctxOf(fmt.Sprintf("t%d", w%2)), false, nil, labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, "x"))
				for set.Next() {
					for it := set.At().Iterator(nil); it.Next() != chunkenc.ValNone; {
					}
				}
				if err := set.Err(); err != nil {
					t.Errorf("select: %v", err)
				}
				if err := q.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			}
		})
	}
	wg.Wait()
	for _, id := range []string{"t0", "t1"} {
		require.Len(t, Dump(t, ctxOf(id), s), writers/2*batches*10, id)
	}
}

func testV1(t *testing.T, s Store) {
	ctx, t0 := ctxOf("a"), start()
	app := s.Appender(ctx)
	_, err := app.Append(0, labels.FromStrings("__name__", "x"), t0, 1)
	require.NoError(t, err)
	_, err = app.AppendHistogram(0, labels.FromStrings("__name__", "y"), t0, tsdbutil.GenerateTestHistogram(1), nil)
	require.NoError(t, err)
	require.NoError(t, app.Commit())
	require.Len(t, Dump(t, ctx, s), 2)
}
