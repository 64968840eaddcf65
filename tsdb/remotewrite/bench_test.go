package remotewrite

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/prometheus/prompb"

	"belfry/tsdb"
)

// BenchmarkWrite sends requests of 1000 series with one sample each, as
// Prometheus does; the time is per request.
func BenchmarkWrite(b *testing.B) {
	const series = 1000
	for _, version := range []string{typeV1, typeV2} {
		b.Run(map[string]string{typeV1: "1.0", typeV2: "2.0"}[version], func(b *testing.B) {
			h, _ := newHandler(b, func(c *tsdb.Config) { c.Limits.MaxAhead *= 1000 })
			in := make([]prompb.TimeSeries, series)
			for i := range in {
				in[i] = seriesV1(t0, float64(i), "__name__", fmt.Sprintf("http_requests_%d_total", i%20), "instance", "10.0.0.1:9090", "job", "shop", "method", "GET", "route", fmt.Sprintf("/api/v1/things/%d", i))
			}
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				b.StopTimer()
				for i := range in {
					in[i].Samples[0].Timestamp = t0 + int64(n)
				}
				var data []byte
				var err error
				if version == typeV1 {
					data, err = (&prompb.WriteRequest{Timeseries: in}).Marshal()
				} else {
					data, err = toV2(in).Marshal()
				}
				if err != nil {
					b.Fatal(err)
				}
				r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(snappy.Encode(nil, data)))
				r.Header.Set("Content-Type", version)
				w := httptest.NewRecorder()
				b.StartTimer()
				h.ServeHTTP(w, r)
				if w.Code != 204 {
					b.Fatal(w.Body.String())
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/series, "ns/sample")
		})
	}
}
