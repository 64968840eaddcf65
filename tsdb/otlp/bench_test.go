package otlp

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"belfry/internal/tenant"
	"belfry/tsdb"
	"belfry/tsdb/store"
)

// BenchmarkAppend appends requests of one service with points of ten counters, the
// same series each time: large requests, and small ones, of which each pays for a
// transaction.
func BenchmarkAppend(b *testing.B) {
	for _, points := range []int{10, 1000} {
		b.Run(strconv.Itoa(points), func(b *testing.B) {
			cfg := tsdb.DefaultConfig()
			cfg.MinFreeDisk = 0
			cfg.Limits.MaxAhead *= 1000
			s, err := store.Open(store.Options{Dir: b.TempDir(), Config: cfg})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() {
				if err := s.Close(); err != nil {
					b.Error(err)
				}
			})
			a := New(Options{Appendable: s, Config: cfg.OTLP})
			md, ms := counters(points)
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				b.StopTimer()
				for i := range ms.Len() {
					for _, p := range ms.At(i).Sum().DataPoints().All() {
						p.SetTimestamp(ts(time.Duration(n) * time.Millisecond))
					}
				}
				message := wire(md)
				b.StartTimer()
				res, err := a.Append(context.Background(), tenant.Default, message)
				if err != nil || res.Rejected > 0 {
					b.Fatal(res, err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(points), "ns/sample")
		})
	}
}

func counters(points int) (pmetric.Metrics, pmetric.MetricSlice) {
	md, ms := resource(map[string]any{"service.name": "shop", "service.instance.id": "1", "host.name": "h", "k8s.pod.name": "shop-1"})
	for i := range 10 {
		m := ms.AppendEmpty()
		m.SetName(fmt.Sprintf("http.server.requests.%d", i))
		sum := m.SetEmptySum()
		sum.SetIsMonotonic(true)
		sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		for j := range points / 10 {
			dp := sum.DataPoints().AppendEmpty()
			dp.SetIntValue(int64(j))
			dp.Attributes().PutStr("http.route", fmt.Sprintf("/things/%d", j))
			dp.Attributes().PutStr("http.request.method", "GET")
		}
	}
	return md, ms
}
