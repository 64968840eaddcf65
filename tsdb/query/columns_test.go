package query

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"github.com/stretchr/testify/require"

	"belfry/internal/tenant"
)

// fill appends n counters of 60 samples each, a minute apart from time 0 on.
func fill(t testing.TB, s storage.Storage, n int) {
	t.Helper()
	app := s.AppenderV2(tenant.WithID(context.Background(), tenant.Default))
	for i := range n {
		ls := labels.FromStrings("__name__", "requests_total", "instance", strconv.Itoa(i), "job", strconv.Itoa(i%10))
		for k := range int64(60) {
			_, err := app.Append(0, ls, 0, k*60_000, float64(k*int64(i)), nil, nil, storage.AOptions{})
			require.NoError(t, err)
		}
	}
	require.NoError(t, app.Commit())
}

func execRange(ctx context.Context, e promql.QueryEngine, s storage.Queryable, expr string) *promql.Result {
	q, err := e.NewRangeQuery(ctx, s, nil, expr, time.UnixMilli(600_000), time.UnixMilli(3_600_000), time.Minute)
	if err != nil {
		return &promql.Result{Err: err}
	}
	return q.Exec(ctx) // not closed, which would hand its points to the next query
}

func TestPathsAreCounted(t *testing.T) {
	s := newScriptStore(t)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	fill(t, s, 20)
	app := s.AppenderV2(context.Background())
	_, err := app.Append(0, labels.FromStrings("__name__", "native"), 0, 700_000, 0, tsdbutil.GenerateTestHistogram(1), nil, storage.AOptions{})
	require.NoError(t, err)
	require.NoError(t, app.Commit())

	e := NewEngine(Options{Name: "x", Config: scriptConfig(), Registerer: prometheus.NewRegistry()})
	for _, tc := range []struct{ expr, path, reason string }{
		{"sum by (job) (rate(requests_total[5m]))", pathFragments, ""},
		{"requests_total", pathFragments, ""},
		{"topk(2, sum by (job) (rate(requests_total[5m])))", pathMixed, ""},
		{"max_over_time(sum(requests_total)[10m:1m])", pathMixed, ""},
		{"sum(rate(native[5m]))", pathFragments, ""},
		{"histogram_count(sum(rate(native[5m])))", pathFragments, ""},
		{"histogram_quantile(0.9, sum(rate(native[5m])))", pathFragments, ""},
		{"sum(native) + sum(native)", pathFragments, ""},
		{"rate(max_over_time(native[5m])[10m:1m])", pathMixed, ""},
		{`count_values("v", native)`, pathGeneral, "data"},
		{"vector(1)", pathGeneral, "no_fragment"},
		{"sum(requests_total @ 100)", pathGeneral, "no_fragment"},
	} {
		before := testutil.ToFloat64(e.metrics.queries.WithLabelValues(tc.path, tc.reason))
		require.NoError(t, execRange(context.Background(), e, s, tc.expr).Err, tc.expr)
		after := testutil.ToFloat64(e.metrics.queries.WithLabelValues(tc.path, tc.reason))
		require.InDelta(t, before+1, after, 0, tc.expr)
	}
}

func TestColumnsKeepToTheSampleLimit(t *testing.T) {
	s := newScriptStore(t)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	fill(t, s, 300)
	cfg := scriptConfig()
	cfg.MaxSamples = 1000
	e := NewEngine(Options{Config: cfg})
	for _, expr := range []string{"requests_total", "rate(requests_total[5m])", "topk(1, rate(requests_total[5m]))", "sum by (instance) (requests_total)"} {
		err := execRange(context.Background(), e, s, expr).Err
		require.ErrorAs(t, err, new(promql.ErrTooManySamples), expr)
		require.EqualError(t, err, "query processing would load too many samples into memory in query execution")
	}
	// An aggregation holds its groups, not what it aggregates.
	require.NoError(t, execRange(context.Background(), e, s, "sum(rate(requests_total[5m]))").Err)
}

// Native histograms count for as much as they take: what is decoded, and what a group
// adds up.
func TestHistogramsKeepToTheSampleLimit(t *testing.T) {
	s := newScriptStore(t)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	app := s.AppenderV2(context.Background())
	for i := range 50 {
		for k := range int64(60) {
			h := tsdbutil.GenerateTestHistogram(k)
			h.PositiveSpans[0].Offset = int32(i) // other buckets than all before
			_, err := app.Append(0, labels.FromStrings("__name__", "took", "i", strconv.Itoa(i)), 0, k*60_000, 0, h, nil, storage.AOptions{})
			require.NoError(t, err)
		}
	}
	require.NoError(t, app.Commit())
	for expr, enough := range map[string]int{
		"took": 50_000, "rate(took[5m])": 50_000, "sum by (i) (took)": 100_000, "sum(rate(took[5m]))": 10_000,
		"histogram_quantile(0.9, sum(rate(took[5m])))": 10_000, "histogram_quantile(0.9, rate(took[5m]))": 8_000,
	} {
		for _, limit := range []int{2_000, enough} {
			cfg := scriptConfig()
			cfg.MaxSamples = limit
			q, err := NewEngine(Options{Config: cfg}).NewRangeQuery(context.Background(), s, nil, expr, time.UnixMilli(600_000), time.UnixMilli(3_600_000), time.Minute)
			require.NoError(t, err)
			res := q.Exec(context.Background())
			if limit == enough {
				require.NoError(t, res.Err, "%s with %d", expr, limit)
				require.Greater(t, q.Stats().Samples.PeakSamples, 2_000, expr)
				require.LessOrEqual(t, q.Stats().Samples.PeakSamples, enough, expr)
			} else {
				require.ErrorAs(t, res.Err, new(promql.ErrTooManySamples), expr)
			}
		}
	}
}

// Values that nearly every sample has another of are not counted in columns.
func TestManyValuesFallBack(t *testing.T) {
	s := newScriptStore(t)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	fill(t, s, 800)
	e := NewEngine(Options{Name: "x", Config: scriptConfig(), Registerer: prometheus.NewRegistry()})
	p := pairOf(engineOpts(Options{Config: scriptConfig()}))
	for expr, path := range map[string]string{`count_values("v", requests_total)`: pathGeneral, `count_values("v", requests_total % 50)`: pathFragments} {
		reason := map[string]string{pathGeneral: "data"}[path]
		got := execRange(context.Background(), e, s, expr)
		require.Empty(t, difference(expr, execRange(context.Background(), p.plain, s, expr), got), expr)
		require.InDelta(t, 1, testutil.ToFloat64(e.metrics.queries.WithLabelValues(path, reason)), 0, expr)
	}
}

// slowStore is a store whose series go on until the query is cancelled.
type slowStore struct {
	storage.Storage
	cancel context.CancelFunc
}

func (s slowStore) ChunkQuerier(mint, maxt int64) (storage.ChunkQuerier, error) {
	q, err := s.Storage.ChunkQuerier(mint, maxt)
	return slowQuerier{q, s.cancel}, err
}

type slowQuerier struct {
	storage.ChunkQuerier
	cancel context.CancelFunc
}

func (q slowQuerier) Select(ctx context.Context, sorted bool, h *storage.SelectHints, ms ...*labels.Matcher) storage.ChunkSeriesSet {
	set := q.ChunkQuerier.Select(ctx, sorted, h, ms...)
	if !set.Next() {
		return set
	}
	return &endless{ChunkSeriesSet: set, series: set.At(), cancel: q.cancel}
}

type endless struct {
	storage.ChunkSeriesSet
	series storage.ChunkSeries
	cancel context.CancelFunc
	n      int
}

func (e *endless) Next() bool {
	if e.n++; e.n == 10_000 {
		e.cancel()
	}
	return true
}

func (e *endless) At() storage.ChunkSeries { return e.series }

func TestColumnsStopWhenCancelled(t *testing.T) {
	s := newScriptStore(t)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	fill(t, s, 1)
	for _, expr := range []string{"sum(rate(requests_total[5m]))", "sum(rate(requests_total[5m])) * 2 + vector(1)"} {
		ctx, cancel := context.WithCancel(context.Background())
		err := execRange(ctx, NewEngine(Options{Config: scriptConfig()}), slowStore{s, cancel}, expr).Err
		require.ErrorAs(t, err, new(promql.ErrQueryCanceled), expr)
		cancel()
	}
}

// TestDetectsHistogramsLate meets a native histogram after many floats.
func TestDetectsHistogramsLate(t *testing.T) {
	s := newScriptStore(t)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	fill(t, s, 500)
	app := s.AppenderV2(context.Background())
	_, err := app.Append(0, labels.FromStrings("__name__", "requests_total", "job", "0", "z", "z"), 0, 3_500_000, 0, tsdbutil.GenerateTestHistogram(1), nil, storage.AOptions{})
	require.NoError(t, err)
	require.NoError(t, app.Commit())
	p := pairOf(engineOpts(Options{Config: scriptConfig()}))
	for _, expr := range []string{"sum by (job) (requests_total)", "count(requests_total)", "sum(rate(requests_total[5m])) / 2", "min(requests_total)"} {
		require.Empty(t, difference(expr, execRange(context.Background(), p.plain, s, expr), execRange(context.Background(), p.fast, s, expr)), expr)
	}
}
