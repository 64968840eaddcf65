package query

import (
	"context"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"github.com/stretchr/testify/require"

	"belfry/tsdb"
	"belfry/tsdb/store"
)

// What is asked of cold blocks is answered as before they were cold, also where
// a range begins in a block and ends in the head.
func TestColdBlocksAnswerAsBefore(t *testing.T) {
	cfg := tsdb.DefaultConfig()
	cfg.MinFreeDisk = 0
	s, err := store.Open(store.Options{Dir: t.TempDir(), Config: cfg})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	ctx := context.Background()
	start := time.Now().Add(-14 * time.Hour).Truncate(6 * time.Hour)
	scrape := func(from, to int) {
		for i := from; i < to; i++ {
			app := s.AppenderV2(ctx)
			at := start.Add(time.Duration(i) * time.Minute).UnixMilli()
			for n := range 6 {
				ls := labels.FromStrings("__name__", "x_total", "job", strconv.Itoa(n%2), "i", strconv.Itoa(n))
				_, err := app.Append(0, ls, 0, at, float64((i*(n+1))%500)/4, nil, nil, storage.AOptions{})
				require.NoError(t, err)
			}
			_, err := app.Append(0, labels.FromStrings("__name__", "h"), 0, at, 0, tsdbutil.GenerateTestHistogram(int64(i)), nil, storage.AOptions{})
			require.NoError(t, err)
			require.NoError(t, app.Commit())
		}
	}
	scrape(0, 240)
	engine := NewEngine(Options{Config: cfg.Query})
	defer func() { require.NoError(t, engine.Close()) }()
	ask := func() map[string]string {
		out := map[string]string{}
		for _, expr := range []string{
			`sum by (job) (rate(x_total[5m]))`, `max_over_time(x_total{i=~"[1-3]"}[10m])`, `count(x_total)`, `topk(2, x_total)`,
			`histogram_quantile(0.9, rate(h[5m]))`, `h`, `sum(increase(h[1h]))`, `histogram_count(sum(rate(h[5m])))`, `x_total{job="1"} / on (i) x_total`, `{__name__=~".+"} offset 30m`,
		} {
			q, err := engine.NewRangeQuery(ctx, s, nil, expr, start, start.Add(5*time.Hour), 150*time.Second)
			require.NoError(t, err)
			res := q.Exec(ctx)
			require.NoError(t, res.Err, expr)
			out[expr] = res.String()
			require.NotEmpty(t, out[expr], expr)
			q.Close()
		}
		return out
	}
	require.NoError(t, s.CompactHead(ctx))
	scrape(240, 280)
	want := ask()
	require.NoError(t, s.RewriteCold(ctx))
	metas, err := s.Admin("default").BlockMetas()
	require.NoError(t, err)
	require.Len(t, metas, 1)
	require.Equal(t, int64(0), metas[0].MinTime-start.UnixMilli())
	require.Equal(t, want, ask())
}

// Native histograms in cold blocks, in Prometheus' and in the head, and in two of them,
// are the same to both engines.
func TestColdNativesAnswerAsBefore(t *testing.T) {
	cfg := tsdb.DefaultConfig()
	cfg.MinFreeDisk = 0
	s, err := store.Open(store.Options{Dir: t.TempDir(), Config: cfg})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	ctx := context.Background()
	_, seed := randomRun(t)
	rng := rand.New(rand.NewPCG(seed, 6))
	hour := time.Hour.Milliseconds()
	start := time.Now().Add(-14 * time.Hour).Truncate(6 * time.Hour).UnixMilli()
	var made []*nativeSeries
	fill := func(from, to int64) {
		app := s.AppenderV2(ctx)
		for i := range 24 {
			metric := nativeMetrics[i%len(nativeMetrics)]
			if len(made) <= i {
				made = append(made, newNativeSeries(rng, metric))
			}
			ls := labels.FromStrings("__name__", metric, "job", strconv.Itoa(i%2), "i", strconv.Itoa(i))
			made[i].append(t, app, ls, start+from, start+to)
		}
		require.NoError(t, app.Commit())
	}
	p := pairOf(engineOpts(Options{Config: cfg.Query}))
	var texts []string
	gen := nativeExprs{exprs{rng}}
	for len(texts) < 60 {
		if e := gen.expr(); !strings.Contains(e, "@") {
			texts = append(texts, e)
		}
	}
	both := &comparing{t: t, pairs: []pair{p}}
	var before []*promql.Result
	ask := func() {
		for i, expr := range texts {
			q, err := both.NewRangeQuery(ctx, s, nil, expr, time.UnixMilli(start+hour), time.UnixMilli(start+5*hour), 7*time.Minute)
			if err != nil {
				before = append(before, nil) // not every sentence that grows is one
				continue
			}
			got := q.Exec(ctx) // not closed, which would hand its points to the next query
			if len(before) <= i {
				before = append(before, got)
			} else if before[i] != nil && got.Err == nil {
				require.Empty(t, difference(expr, before[i], got), expr)
			}
		}
	}
	fill(0, 4*hour)
	require.NoError(t, s.CompactHead(ctx))
	fill(4*hour+1, 5*hour)
	ask()
	require.NoError(t, s.RewriteCold(ctx))
	ask()
}
