package query

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

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
// buckets of histograms, 20 % gauges, with the labels of a cluster.
func fleet(b *testing.B, s storage.Storage) {
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
			lb.Set("status", fmt.Sprint(200+i%5*100))
		case i < benchSeries*8/10:
			lb.Set("__name__", "http_request_duration_seconds_bucket")
			lb.Set("le", les[i/5000%8])
		default:
			lb.Set("__name__", "memory_bytes")
			lb.Set("area", fmt.Sprint(i/5000))
		}
		series = append(series, lb.Labels())
	}
	refs := make([]storage.SeriesRef, len(series))
	vals := make([]float64, len(series))
	for scrape := range int64(benchScrapes) {
		app := s.AppenderV2(context.Background())
		for i, ls := range series {
			vals[i] += float64(rng.IntN(20))
			ref, err := app.Append(refs[i], ls, 0, scrape*15_000, vals[i], nil, nil, storage.AOptions{})
			require.NoError(b, err)
			refs[i] = ref
		}
		require.NoError(b, app.Commit())
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
	for _, q := range []struct{ name, expr string }{
		{"rate", `sum by (service) (rate(http_requests_total[5m]))`},
		{"histogram", `histogram_quantile(0.99, sum by (service, le) (rate(http_request_duration_seconds_bucket[5m])))`},
		{"count", `count by (service) ({__name__=~".+"})`},
		{"regex", `sum by (service) (rate(http_requests_total{pod=~"pod-1.*"}[5m]))`},
		{"topk", `topk(5, rate(http_requests_total{service="service-01"}[5m]))`},
		{"selector", `memory_bytes{service=~"service-0.*"}`},
	} {
		for name, e := range map[string]promql.QueryEngine{"columns": p.fast, "prometheus": p.plain} {
			b.Run(q.name+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					query, err := e.NewRangeQuery(context.Background(), s, nil, q.expr, time.UnixMilli(0), time.UnixMilli(benchScrapes*15_000), 15*time.Second)
					require.NoError(b, err)
					require.NoError(b, query.Exec(context.Background()).Err)
					query.Close()
				}
			})
		}
	}
}

// BenchmarkRefresh asks for three hours by 15 s: cold, for steps that nobody has
// asked for, and refreshed, a scrape later each time.
func BenchmarkRefresh(b *testing.B) {
	const series, scrapes = 5000, 720
	s := newScriptStore(b)
	b.Cleanup(func() { require.NoError(b, s.Close()) })
	at := int64(1_700_000_010_000)
	refs, v := make([]storage.SeriesRef, series), 0.0
	scrape := func() {
		at += 15_000
		app := s.AppenderV2(context.Background())
		for i := range refs {
			v++
			ls := labels.EmptyLabels()
			if refs[i] == 0 {
				ls = labels.FromStrings("__name__", "requests_total", "service", fmt.Sprint(i%20), "instance", fmt.Sprint(i))
			}
			ref, err := app.Append(refs[i], ls, 0, at, v, nil, nil, storage.AOptions{})
			require.NoError(b, err)
			refs[i] = ref
		}
		require.NoError(b, app.Commit())
	}
	for range scrapes {
		scrape()
	}
	cfg := scriptConfig()
	cfg.MaxSamples, cfg.ResultCache = 50_000_000, 64<<20
	e := NewEngine(Options{Config: cfg})
	ask := func(shift int64) {
		end := time.UnixMilli(at/15_000*15_000 + shift)
		q, err := e.NewRangeQuery(context.Background(), s, nil, "sum by (service) (rate(requests_total[5m]))", end.Add(-3*time.Hour), end, 15*time.Second)
		require.NoError(b, err)
		require.NoError(b, q.Exec(context.Background()).Err)
	}
	b.Run("cold", func(b *testing.B) {
		for i := int64(1); b.Loop(); i++ {
			ask(i % 15_000)
		}
	})
	b.Run("refreshed", func(b *testing.B) {
		ask(0)
		for b.Loop() {
			b.StopTimer()
			scrape()
			b.StartTimer()
			ask(0)
		}
	})
}
