package query

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"
)

const benchNatives = 4_000

// nativeFleet appends 4,000 counters of native histograms, of schema 3 and some 30
// buckets each, of 60 scrapes at 15 s. What it returns appends one more scrape and
// returns its time, milliseconds.
func nativeFleet(b *testing.B, s storage.Storage) func() int64 {
	b.Helper()
	rng := rand.New(rand.NewPCG(1, 1))
	series := make([]labels.Labels, benchNatives)
	made := make([]*nativeSeries, benchNatives)
	for i := range series {
		series[i] = labels.FromStrings("__name__", "latency_seconds", "service", fmt.Sprintf("service-%02d", i%20), "pod", fmt.Sprintf("pod-%d", i/4), "route", fmt.Sprintf("/api/%d", i%4))
		made[i] = &nativeSeries{Rand: rng, integers: true, h: histogram.FloatHistogram{Schema: 3, ZeroThreshold: math.Ldexp(1, -128)}, counts: map[int32]float64{}}
	}
	return scrapes(b, s, series, func(i int) (float64, *histogram.Histogram) {
		g := made[i]
		for range 20 + rng.IntN(20) {
			n := float64(1 + rng.IntN(9))
			g.counts[int32(rng.NormFloat64()*4)+int32(i%7)-30] += n
			g.h.Count += n
			g.h.Sum += n * rng.Float64()
		}
		h, _ := g.sample()
		return 0, h
	})
}

func nativeQueries() []fleetQuery {
	return []fleetQuery{
		{"quantile", `histogram_quantile(0.9, sum by (service) (rate(latency_seconds[5m])))`},
		{"pods", `histogram_quantile(0.9, rate(latency_seconds{service=~"service-0.*"}[5m]))`},
		{"count", `histogram_count(sum by (service) (rate(latency_seconds[5m])))`},
		{"sum", `sum(latency_seconds)`},
		{"increase", `increase(latency_seconds{service="service-01"}[10m])`},
	}
}

// BenchmarkNatives asks what dashboards ask of native histograms, of this engine and
// of Prometheus'.
func BenchmarkNatives(b *testing.B) {
	s := newScriptStore(b)
	b.Cleanup(func() { require.NoError(b, s.Close()) })
	nativeFleet(b, s)
	cfg := scriptConfig()
	cfg.MaxSamples = 50_000_000
	p := pairOf(engineOpts(Options{Config: cfg}))
	for _, q := range nativeQueries() {
		for _, engine := range []struct {
			name string
			promql.QueryEngine
		}{{"columns", p.fast}, {"prometheus", p.plain}} {
			b.Run(q.name+"/"+engine.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					askRange(b, engine, s, q.expr, time.UnixMilli(0), time.UnixMilli(benchScrapes*15_000))
				}
			})
		}
	}
}

// BenchmarkNativeRefresh is BenchmarkRefresh for native histograms.
func BenchmarkNativeRefresh(b *testing.B) {
	s := newScriptStore(b)
	b.Cleanup(func() { require.NoError(b, s.Close()) })
	scrape := nativeFleet(b, s)
	for _, expr := range nativeQueries()[:3] {
		cfg := scriptConfig()
		cfg.MaxSamples, cfg.ResultCache = 50_000_000, 64<<20
		e := NewEngine(Options{Config: cfg})
		now := scrape()
		ask := func(shift int64) {
			end := time.UnixMilli(now/15_000*15_000 + shift)
			askRange(b, e, s, expr.expr, end.Add(-15*time.Minute), end)
		}
		b.Run(expr.name+"/cold", func(b *testing.B) {
			for i := int64(1); b.Loop(); i++ {
				ask(i % 15_000)
			}
		})
		b.Run(expr.name+"/refreshed", func(b *testing.B) {
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
