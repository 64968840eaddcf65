package query

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"

	"belfry/internal/config"
	"belfry/internal/tenant"
)

// cachedWorld is a store under appends, deletions and queries.
type cachedWorld struct {
	*testing.T
	*rand.Rand
	s             scriptStore
	cached, plain *Engine
	now           int64 // milliseconds
	natives       bool  // y_total is of native histograms
}

func newCachedWorld(t *testing.T, seed uint64) *cachedWorld {
	cfg := scriptConfig()
	cfg.ResultCache = config.ByteSize(1 << 20)
	w := &cachedWorld{T: t, Rand: rand.New(rand.NewPCG(seed, 5)), now: 1_700_000_000_000}
	w.s = newScriptStore(t).(scriptStore)
	t.Cleanup(func() { require.NoError(t, w.s.Close()) })
	w.cached = NewEngine(Options{Config: cfg, Registerer: prometheus.NewRegistry()})
	cfg.ResultCache, cfg.TailCache = 0, 0
	w.plain = NewEngine(Options{Config: cfg})
	return w
}

func (w *cachedWorld) tenant() context.Context {
	return tenant.WithID(context.Background(), []string{"a", "b"}[w.IntN(2)])
}

// scrape appends a sample of each series, some late, some not at all.
func (w *cachedWorld) scrape() {
	w.now += 15_000
	app := w.s.AppenderV2(w.tenant())
	for i := range 6 {
		at := w.now - w.Int64N(1000)
		switch w.IntN(80) {
		case 0:
			continue
		case 1:
			at -= w.Int64N(3_600_000)
		}
		name := []string{"x_total", "y_total", "gauge"}[i%3]
		ls := labels.FromStrings("__name__", name, "i", strconv.Itoa(i), "job", strconv.Itoa(i%2))
		if w.IntN(200) == 0 { // a series that comes and goes
			ls = labels.FromStrings("__name__", name, "i", strconv.Itoa(w.IntN(100)), "job", "2")
		}
		if w.IntN(100) == 0 {
			_, _ = app.Append(0, ls, 0, at, math.Float64frombits(value.StaleNaN), nil, nil, storage.AOptions{})
			continue
		}
		if w.natives && i%3 == 1 { // in the place of a value
			h := &histogram.FloatHistogram{
				Schema: int32(i % 2), Sum: float64(at % 1009), PositiveSpans: []histogram.Span{{Length: 3}},
				PositiveBuckets: []float64{float64(at % 977), float64(at % 331), float64(at % 19)},
			}
			h.Count = h.PositiveBuckets[0] + h.PositiveBuckets[1] + h.PositiveBuckets[2]
			_, _ = app.Append(0, ls, 0, at, 0, nil, h, storage.AOptions{})
			continue
		}
		// The value is the time's: whether a late duplicate is refused depends on
		// what is still in the head.
		_, _ = app.Append(0, ls, 0, at, float64(at*7919%1009+int64(i)), nil, nil, storage.AOptions{})
	}
	require.NoError(w, app.Commit())
}

func (w *cachedWorld) remove() {
	from := w.now - w.Int64N(7_200_000)
	to := from + w.Int64N(600_000)
	if w.IntN(4) == 0 {
		to = math.MaxInt64
	}
	m := labels.MustNewMatcher(labels.MatchEqual, "i", strconv.Itoa(w.IntN(6)))
	require.NoError(w, w.s.Delete(w.tenant(), from, to, m))
}

// ask is a dashboard: one of few queries over a span that ends about now.
func (w *cachedWorld) ask() {
	exprs := []string{
		"sum by (job) (rate(x_total[5m]))",
		"x_total",
		"gauge offset 10m",
		"gauge offset -3m",
		"max_over_time(sum(rate(y_total[2m]))[10m:1m])",
		"sum(x_total) / on () count(gauge)",
		`label_replace(y_total, "z", "$1", "i", "(.*)")`,
		"absent(x_total > 990)",
		"gauge > 500",
		"sum(rate(gauge[1m])) + time()",
		"count by (job) (gauge)",
		"rate(y_total[3m])",
		"topk(2, increase(x_total[4m]) * 2)",
		"bottomk by (job) (1, sum_over_time(gauge[3m]))",
		"stddev without (i) (rate(x_total[5m]))",
		"rate(x_total[5m]) / ignoring (i) sum by (job) (rate(y_total[5m]))",
		"gauge > bool max without () (gauge offset 1m)",
		"quantile(0.9, gauge)",
		"max without (i) (max_over_time(gauge[5m])) > 10",
		"sum by (job) (gauge offset 2m)",
		"avg(quantile_over_time(0.5, gauge[6m]))",
	}
	if w.natives {
		exprs = append(exprs, "histogram_quantile(0.9, sum by (job) (rate(y_total[5m])))", "y_total", "histogram_avg(sum(increase(y_total[2m])))", "avg without (i) (y_total)", "sum by (job) (y_total) * 2")
	}
	expr := exprs[w.IntN(len(exprs))]
	step := []int64{15_000, 60_000}[w.IntN(2)]
	end := w.now
	if w.IntN(5) == 0 {
		end -= w.Int64N(1_800_000)
	}
	end = end / step * step
	start := end - []int64{600_000, 3_600_000}[w.IntN(2)]/step*step
	if w.IntN(10) == 0 {
		start += 7
		end += w.Int64N(step)
	}
	ctx := w.tenant()
	instant := w.IntN(4) == 0
	run := func(e *Engine) *promql.Result {
		if instant {
			q, err := e.NewInstantQuery(ctx, w.s, nil, expr, time.UnixMilli(w.now))
			require.NoError(w, err)
			return q.Exec(ctx)
		}
		q, err := e.NewRangeQuery(ctx, w.s, nil, expr, time.UnixMilli(start), time.UnixMilli(end), time.Duration(step)*time.Millisecond)
		require.NoError(w, err)
		return q.Exec(ctx)
	}
	want, got := run(w.plain), run(w.cached)
	require.NoError(w, got.Err, "%s from %d to %d by %d", expr, start, end, step)
	require.Empty(w, valueDifference(want.Value, got.Value), "%s from %d to %d by %d at %d", expr, start, end, step, w.now)
}

// TestCacheChangesNothing appends, also late, deletes and asks, in any order.
func TestCacheChangesNothing(t *testing.T) {
	for seed := range uint64(6) {
		w := newCachedWorld(t, seed)
		w.natives = seed >= 4
		for range 1200 {
			switch w.IntN(60) {
			case 0:
				if seed%2 == 0 {
					w.remove()
				}
			case 11:
				// A late sample where others were deleted is hidden until the
				// head is a block.
				if seed%2 == 1 && w.IntN(10) == 0 {
					require.NoError(w, w.s.CompactHead(w.tenant()))
				}
			case 1, 2, 3, 4, 5, 6, 7, 8, 9, 10:
				w.scrape()
			default:
				w.ask()
			}
		}
		fromCache, computed := w.steps()
		require.Positive(t, fromCache)
		fromTail, read := w.evaluations()
		require.Positive(t, fromTail)
		t.Logf("seed %d: %.0f steps from the cache, %.0f computed; %.0f evaluations of tails, %.0f of what was read for them", seed, fromCache, computed, fromTail, read)
	}
}

// steps returns how many came from the cache and how many were computed.
func (w *cachedWorld) steps() (fromCache, computed float64) {
	c := w.cached.cache.Steps()
	return testutil.ToFloat64(c.WithLabelValues("cache")), testutil.ToFloat64(c.WithLabelValues("computed"))
}

// evaluations returns how many were made from samples in memory, and how many put
// them there.
func (w *cachedWorld) evaluations() (fromTail, read float64) {
	c := w.cached.limits.Tails.Evaluations()
	return testutil.ToFloat64(c.WithLabelValues("tail")), testutil.ToFloat64(c.WithLabelValues("read"))
}

func TestRefreshComputesTheNewestOnly(t *testing.T) {
	w := newCachedWorld(t, 9)
	ctx := tenant.WithID(context.Background(), "a")
	ask := func(expr string) {
		end := w.now / 15_000 * 15_000
		q, err := w.cached.NewRangeQuery(ctx, w.s, nil, expr, time.UnixMilli(end-3_600_000), time.UnixMilli(end), 15*time.Second)
		require.NoError(t, err)
		require.NoError(t, q.Exec(ctx).Err)
	}
	for range 600 {
		w.now += 15_000
		app := w.s.AppenderV2(ctx)
		_, err := app.Append(0, labels.FromStrings("__name__", "x_total"), 0, w.now, 1, nil, nil, storage.AOptions{})
		require.NoError(t, err)
		require.NoError(t, app.Commit())
	}
	ask("sum(rate(x_total[5m]))")
	_, first := w.steps()
	require.InDelta(t, 241, first, 0)
	ask("sum(rate(x_total[5m]))") // nothing has happened
	_, second := w.steps()
	require.InDelta(t, first, second, 0)
	for range 4 {
		w.now += 15_000
		app := w.s.AppenderV2(ctx)
		_, err := app.Append(0, labels.FromStrings("__name__", "x_total"), 0, w.now, 1, nil, nil, storage.AOptions{})
		require.NoError(t, err)
		require.NoError(t, app.Commit())
		ask("sum(rate(x_total[5m]))")
	}
	_, third := w.steps()
	require.LessOrEqual(t, third-second, 4*5.0, "a minute of steps a refresh, and the new one")

	before, _ := w.steps()
	for _, expr := range []string{"x_total @ end()", "sort(x_total)", "limitk(1, x_total)", "x_total * step()", `rate({__name__=~"x.*"}[5m])`} {
		ask(expr)
		ask(expr)
	}
	after, _ := w.steps()
	require.InDelta(t, before, after, 0, "steps that depend on the request are not kept")
}

// Histograms are in the cache as they were computed, and stay so whatever is done with
// an answer.
func TestRefreshedHistograms(t *testing.T) {
	w := newCachedWorld(t, 9)
	ctx := tenant.WithID(context.Background(), "a")
	scrape := func() {
		w.now += 15_000
		app := w.s.AppenderV2(ctx)
		for i := range 4 {
			n := float64(w.now / 1000 % 5000)
			h := &histogram.FloatHistogram{Count: n, Sum: n, PositiveSpans: []histogram.Span{{Length: 1}}, PositiveBuckets: []float64{n}}
			_, err := app.Append(0, labels.FromStrings("__name__", "took", "i", strconv.Itoa(i)), 0, w.now, 0, nil, h, storage.AOptions{})
			require.NoError(t, err)
		}
		require.NoError(t, app.Commit())
	}
	ask := func(e *Engine, expr string) *promql.Result {
		end := w.now / 15_000 * 15_000
		q, err := e.NewRangeQuery(ctx, w.s, nil, expr, time.UnixMilli(end-3_600_000), time.UnixMilli(end), 15*time.Second)
		require.NoError(t, err)
		res := q.Exec(ctx)
		require.NoError(t, res.Err)
		return res
	}
	exprs := []string{"histogram_quantile(0.9, sum(rate(took[5m])))", "sum by (i) (rate(took[5m]))", "took"}
	for range 300 {
		scrape()
	}
	for _, expr := range exprs {
		ask(w.cached, expr)
	}
	_, first := w.steps()
	for range 4 {
		scrape()
		for _, expr := range exprs {
			want, got := ask(w.plain, expr), ask(w.cached, expr)
			require.Empty(t, valueDifference(want.Value, got.Value), expr)
			for _, s := range got.Value.(promql.Matrix) {
				require.Len(t, want.Value.(promql.Matrix)[0].Floats, len(s.Floats))
				require.Len(t, want.Value.(promql.Matrix)[0].Histograms, len(s.Histograms))
			}
		}
	}
	_, after := w.steps()
	require.LessOrEqual(t, after-first, float64(len(exprs)*4*5), "a minute of steps a refresh, and the new one")
}

func TestRefreshReadsNoSeries(t *testing.T) {
	w := newCachedWorld(t, 9)
	ctx := tenant.WithID(context.Background(), "a")
	scrape := func(pods int) {
		w.now += 15_000
		app := w.s.AppenderV2(ctx)
		for pod := range pods {
			_, err := app.Append(0, labels.FromStrings("__name__", "x_total", "pod", strconv.Itoa(pod)), 0, w.now, float64(w.now%977), nil, nil, storage.AOptions{})
			require.NoError(t, err)
		}
		require.NoError(t, app.Commit())
	}
	ask := func(e *Engine) (*promql.Result, int64) {
		end := w.now / 15_000 * 15_000
		q, err := e.NewRangeQuery(ctx, w.s, nil, "sum by (pod) (rate(x_total[5m]))", time.UnixMilli(end-600_000), time.UnixMilli(end), 15*time.Second)
		require.NoError(t, err)
		res := q.Exec(ctx)
		require.NoError(t, res.Err)
		return res, q.Stats().Samples.SamplesRead
	}
	for range 60 {
		scrape(5)
	}
	for range 2 {
		ask(w.cached)
		scrape(5)
	}
	for pods := range 8 { // some pause, one is new
		scrape(pods)
		got, read := ask(w.cached)
		want, _ := ask(w.plain)
		require.Empty(t, valueDifference(want.Value, got.Value))
		require.Zero(t, read)
	}
	require.NoError(t, w.s.Delete(ctx, 0, w.now-60_000, labels.MustNewMatcher(labels.MatchEqual, "pod", "1")))
	scrape(5)
	got, read := ask(w.cached)
	want, _ := ask(w.plain)
	require.Empty(t, valueDifference(want.Value, got.Value))
	require.Positive(t, read, "after a deletion")
}

func TestTailsAreBounded(t *testing.T) {
	w := newCachedWorld(t, 9)
	cfg := scriptConfig()
	cfg.ResultCache, cfg.TailCache = 0, config.ByteSize(20_000)
	reg := prometheus.NewRegistry()
	e := NewEngine(Options{Name: "api", Config: cfg, Registerer: reg})
	ctx := tenant.WithID(context.Background(), "a")
	app := w.s.AppenderV2(ctx)
	for i := range 1000 {
		_, err := app.Append(0, labels.FromStrings("__name__", "x_total", "i", strconv.Itoa(i), "few", strconv.Itoa(i%100)), 0, w.now, 1, nil, nil, storage.AOptions{})
		require.NoError(t, err)
	}
	require.NoError(t, app.Commit())
	bytes := func() float64 {
		families, err := reg.Gather()
		require.NoError(t, err)
		for _, f := range families {
			if f.GetName() == "belfry_metrics_tail_cache_bytes" {
				return f.GetMetric()[0].GetGauge().GetValue()
			}
		}
		require.Fail(t, "no such metric")
		return 0
	}
	for i := range 400 {
		expr := fmt.Sprintf(`sum(x_total{few="%d"})`, i/4)
		if i%7 == 0 {
			expr = "sum(x_total)" // never fits
		}
		q, err := e.NewInstantQuery(ctx, w.s, nil, expr, time.UnixMilli(w.now))
		require.NoError(t, err)
		require.NoError(t, q.Exec(ctx).Err)
		require.LessOrEqual(t, bytes(), 20_000.0)
	}
	require.Positive(t, bytes())
	require.Positive(t, testutil.ToFloat64(e.limits.Tails.Evaluations().WithLabelValues("tail")))
}
