package query

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"
)

const (
	benchSeries  = 100_000
	benchScrapes = 60
)

// fleet appends 100,000 series of 60 scrapes at 15 s: 40 % counters, 40 %
// buckets of histograms, 20 % gauges, with the labels of a cluster. What it
// returns appends one more scrape and returns its time, milliseconds.
func fleet(b *testing.B, s storage.Storage) func() int64 {
	b.Helper()
	rng := rand.New(rand.NewPCG(1, 1))
	var series []labels.Labels
	les := []string{"0.005", "0.05", "0.1", "0.5", "1", "2.5", "10", "+Inf"}
	for i := range benchSeries {
		lb := labels.NewBuilder(labels.EmptyLabels())
		lb.Set("service", fmt.Sprintf("service-%02d", i%20))
		lb.Set("instance", fmt.Sprintf("10.0.%d.%d:8080", i/20%10, i/200%25))
		lb.Set("pod", fmt.Sprintf("pod-%d", i%5000))
		lb.Set("node", fmt.Sprintf("node-%d", i%50))
		switch {
		case i < benchSeries*4/10:
			lb.Set("__name__", "http_requests_total")
			lb.Set("route", fmt.Sprintf("/api/%d", i/5000))
			lb.Set("status", strconv.Itoa(200+i%5*100))
		case i < benchSeries*8/10:
			lb.Set("__name__", "http_request_duration_seconds_bucket")
			lb.Set("le", les[i/5000%8])
		default:
			lb.Set("__name__", "memory_bytes")
			lb.Set("area", strconv.Itoa(i/5000))
		}
		series = append(series, lb.Labels())
	}
	vals := make([]float64, len(series))
	return scrapes(b, s, series, func(i int) (float64, *histogram.Histogram) {
		vals[i] += float64(rng.IntN(20))
		return vals[i], nil
	})
}

// scrapes appends benchScrapes samples of each series, and returns what appends one more.
func scrapes(b *testing.B, s storage.Storage, series []labels.Labels, sample func(i int) (float64, *histogram.Histogram)) func() int64 {
	b.Helper()
	refs := make([]storage.SeriesRef, len(series))
	at := int64(-15_000)
	scrape := func() int64 {
		at += 15_000
		app := s.AppenderV2(context.Background())
		for i, ls := range series {
			v, h := sample(i)
			ref, err := app.Append(refs[i], ls, 0, at, v, h, nil, storage.AOptions{})
			require.NoError(b, err)
			refs[i] = ref
		}
		require.NoError(b, app.Commit())
		return at
	}
	for range benchScrapes {
		scrape()
	}
	return scrape
}

type fleetQuery struct{ name, expr string }

func fleetQueries() []fleetQuery {
	return []fleetQuery{
		{"rate", `sum by (service) (rate(http_requests_total[5m]))`},
		{"histogram", `histogram_quantile(0.99, sum by (service, le) (rate(http_request_duration_seconds_bucket[5m])))`},
		{"count", `count by (service) ({__name__=~".+"})`},
		{"regex", `sum by (service) (rate(http_requests_total{pod=~"pod-1.*"}[5m]))`},
		{"topk", `topk(5, rate(http_requests_total{service="service-01"}[5m]))`},
		{"top", `topk by (service) (5, rate(http_requests_total[5m]))`},
		{"quantile", `quantile by (service) (0.95, rate(http_requests_total[5m]))`},
		{"stddev", `stddev by (service) (rate(http_requests_total[5m]))`},
		{"values", `count_values by (service) ("v", round(rate(http_requests_total[5m]), 0.1))`},
		{"ratio", `sum by (service) (rate(http_requests_total[2m]) / rate(http_requests_total[5m]))`},
		{"join", `sum by (area) (rate(http_requests_total[2m]) * on (pod, service) group_left (area) memory_bytes{area="16"})`},
		{"and", `sum by (service) (rate(http_requests_total[5m]) and on (pod, service) memory_bytes{area="16"} > 100)`},
		{"or", `count by (service) (rate(http_requests_total[5m]) > 1 or memory_bytes)`},
		{"selector", `memory_bytes{service=~"service-0.*"}`},
	}
}

// BenchmarkFleet asks what dashboards ask, of this engine and of Prometheus'.
func BenchmarkFleet(b *testing.B) {
	s := newScriptStore(b)
	b.Cleanup(func() { require.NoError(b, s.Close()) })
	fleet(b, s)
	cfg := scriptConfig()
	cfg.MaxSamples = 50_000_000
	p := pairOf(engineOpts(Options{Config: cfg}))
	for _, q := range fleetQueries() {

		for name, e := range map[string]promql.QueryEngine{"columns": p.fast, "prometheus": p.plain} {
			b.Run(q.name+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					askRange(b, e, s, q.expr, time.UnixMilli(0), time.UnixMilli(benchScrapes*15_000))
				}
			})
		}
	}
}

// askRange asks for a range by 15 s.
func askRange(b *testing.B, e promql.QueryEngine, s storage.Queryable, expr string, from, to time.Time) {
	q, err := e.NewRangeQuery(context.Background(), s, nil, expr, from, to, 15*time.Second)
	require.NoError(b, err)
	defer q.Close()
	require.NoError(b, q.Exec(context.Background()).Err)
}

// BenchmarkRefresh asks for an hour by 15 s over the fleet: cold, for steps that
// nobody has asked for, and refreshed, a scrape later each time, with the newest
// samples in memory and without.
func BenchmarkRefresh(b *testing.B) {
	s := newScriptStore(b)
	b.Cleanup(func() { require.NoError(b, s.Close()) })
	scrape := fleet(b, s)
	for _, expr := range fleetQueries() {
		for _, tails := range []bool{false, true} {
			cfg := scriptConfig()
			cfg.MaxSamples, cfg.ResultCache = 50_000_000, 64<<20
			if !tails {
				cfg.TailCache = 0
			}
			e := NewEngine(Options{Config: cfg})
			now := int64(0)
			ask := func(shift int64) {
				end := time.UnixMilli(now/15_000*15_000 + shift)
				askRange(b, e, s, expr.expr, end.Add(-15*time.Minute), end)
			}
			now = scrape()
			if !tails {
				b.Run(expr.name+"/cold", func(b *testing.B) {
					for i := int64(1); b.Loop(); i++ {
						ask(i % 15_000)
					}
				})
			}
			b.Run(fmt.Sprintf("%s/refreshed/tails=%t", expr.name, tails), func(b *testing.B) {
				ask(0)
				now = scrape()
				ask(0)
				for b.Loop() {
					b.StopTimer()
					now = scrape()
					b.StartTimer()
					ask(0)
				}
			})
		}
	}
}
