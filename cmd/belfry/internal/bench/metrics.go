package bench

import (
	"net/url"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

const (
	scrapeInterval = 15 * time.Second

	// One batch is about 1,000 series of one pod: counters, and histograms of
	// eleven series each.
	counterPoints   = 600
	histogramPoints = 36
)

// latencyBounds are the buckets of the histogram: with the last, the sum and the
// count they are eleven series a point.
func latencyBounds() []float64 { return []float64{0.005, 0.01, 0.05, 0.1, 0.5, 1, 2.5, 10} }

// metrics makes a scrape of 1,000 series of one pod, in a protocol; batches follow
// each other pod by pod, then scrape by scrape.
func (g generator) metrics(series int, in protocol) batchMaker {
	pods := max(series/recordsPerPost, 1)
	return func(n int) ([]byte, int, error) {
		scrape, pod := n/pods, n%pods
		rng := g.rng(n)
		data := pmetric.NewMetrics()
		rm := data.ResourceMetrics().AppendEmpty()
		describe(rm.Resource(), pod%len(serviceNames), pod)
		metrics := rm.ScopeMetrics().AppendEmpty().Metrics()
		at := pcommon.NewTimestampFromTime(g.start.Add(time.Duration(scrape) * scrapeInterval))
		begin := pcommon.NewTimestampFromTime(g.start)
		label := func(a pcommon.Map, i int) {
			a.PutStr("http.route", routes[i%len(routes)])
			a.PutStr("http.request.method", verbs[3:][i%3])
			a.PutInt("shard", int64(i))
		}
		counter := metrics.AppendEmpty()
		counter.SetName("shop.operations")
		counter.SetUnit("1")
		sum := counter.SetEmptySum()
		sum.SetIsMonotonic(true)
		sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		for i := range counterPoints {
			p := sum.DataPoints().AppendEmpty()
			p.SetStartTimestamp(begin)
			p.SetTimestamp(at)
			p.SetIntValue(int64(scrape*(i%100+1)*7) + rng.Int64N(int64(i%100+1)))
			label(p.Attributes(), i)
		}
		metric := metrics.AppendEmpty()
		metric.SetName("shop.latency")
		metric.SetUnit("s")
		histogram := metric.SetEmptyHistogram()
		histogram.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		for i := range histogramPoints {
			p := histogram.DataPoints().AppendEmpty()
			p.SetStartTimestamp(begin)
			p.SetTimestamp(at)
			p.ExplicitBounds().FromRaw(latencyBounds())
			total := uint64(0)
			for b := range len(latencyBounds()) + 1 {
				c := uint64(scrape*(b+i+1)) + rng.Uint64N(uint64(b+1))
				p.BucketCounts().Append(c)
				total += c
			}
			p.SetCount(total)
			p.SetSum(float64(total) / 16)
			label(p.Attributes(), i)
		}
		body, err := in.encode(data)
		return body, counterPoints + histogramPoints*(len(latencyBounds())+3), err
	}
}

// metricQueries are the questions of a dashboard, each asked twice: cold, for
// steps that nobody has asked for before, and refreshed, a step later each time.
// more are parameters of a peer that turn its cache off for the first.
func (g generator) metricQueries(prefix string, scrapes int, more url.Values) []query {
	to := g.start.Add(time.Duration(scrapes) * scrapeInterval)
	ask := func(expr string, cold bool) (urls []string) {
		for run := range queryRuns {
			shift, params := time.Duration(run)*scrapeInterval, url.Values(nil)
			if cold {
				shift, params = time.Duration(run+1)*time.Second, more
			}
			urls = append(urls, prefix+"/api/v1/query_range?"+
				values(params, "query", expr, "start", seconds(g.start.Add(shift)), "end", seconds(to.Add(shift)), "step", "15"))
		}
		return urls
	}
	var out []query
	for _, q := range []struct{ name, expr string }{
		{"sum by (service_name) (rate)", `sum by (service_name) (rate(shop_operations_total[5m]))`},
		{"histogram_quantile by service", `histogram_quantile(0.99, sum by (service_name, le) (rate(shop_latency_seconds_bucket[5m])))`},
		{"count by service", `count by (service_name) ({__name__=~"shop_operations_total|shop_latency_seconds_bucket"})`},
		{"regex", `sum by (http_route) (rate(shop_operations_total{http_route=~"/api/.*",shard=~".*[05]"}[5m]))`},
		{"topk", `topk(5, rate(shop_operations_total{service_name="cart"}[5m]))`},
	} {
		out = append(out, query{name: q.name + ", cold", urls: ask(q.expr, true)}, query{name: q.name + ", refreshed", urls: ask(q.expr, false)})
	}
	return out
}
