package e2e

import (
	"fmt"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/stretchr/testify/require"
)

// lokiPush is a Loki push request in protobuf with one stream of one entry.
func lokiPush(labels, text string, at time.Time, metaName, metaValue string) []byte {
	timestamp := field(1, varint(1, uint64(at.Unix())), varint(2, uint64(at.Nanosecond())))
	metadata := field(3, field(1, []byte(metaName)), field(2, []byte(metaValue)))
	return field(1, field(1, []byte(labels)), field(2, timestamp, field(2, []byte(text)), metadata))
}

func TestLokiPush(t *testing.T) {
	s := newServer(t, "")
	s.start()
	now := time.Now()
	for name, push := range map[string]func() answer{
		"json": func() answer {
			return s.send("/loki/api/v1/push", fmt.Appendf(nil,
				`{"streams":[{"stream":{"job":"pushed","form":"json"},"values":[["%d","a pushed line",{"trace":"t1"}]]}]}`, now.UnixNano()),
				"Content-Type", "application/json")
		},
		"protobuf": func() answer {
			return s.send("/loki/api/v1/push", snappy.Encode(nil, lokiPush(`{job="pushed", form="protobuf"}`, "a pushed line", now, "trace", "t1")),
				"Content-Type", "application/x-protobuf")
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := push()
			require.Equal(t, 204, a.code, a.body)
			found, err := s.lokiLines(fmt.Sprintf(`{job="pushed", form=%q}`, name))
			require.NoError(t, err, "answered after it was kept")
			require.Len(t, found, 1)
			require.Equal(t, "a pushed line", found[0].text)
			require.Equal(t, "t1", found[0].labels["trace"], "structured metadata")
		})
	}
	s.stop()
}

func (s *server) remoteWrite(version string, message []byte) answer {
	s.t.Helper()
	contentType := "application/x-protobuf"
	if version == "2.0.0" {
		contentType += ";proto=io.prometheus.write.v2.Request"
	}
	return s.send("/api/v1/write", snappy.Encode(nil, message),
		"Content-Type", contentType, "Content-Encoding", "snappy", "X-Prometheus-Remote-Write-Version", version)
}

func TestRemoteWrite(t *testing.T) {
	s := newServer(t, "")
	s.start()
	now := time.Now().UnixMilli()
	t.Run("1.0", func(t *testing.T) {
		message, err := (&prompb.WriteRequest{
			Timeseries: []prompb.TimeSeries{{
				Labels:    []prompb.Label{{Name: "__name__", Value: "written_total"}, {Name: "version", Value: "1"}},
				Samples:   []prompb.Sample{{Timestamp: now - 1000, Value: 41}, {Timestamp: now, Value: 42}},
				Exemplars: []prompb.Exemplar{{Labels: []prompb.Label{{Name: "trace_id", Value: "e1"}}, Value: 1, Timestamp: now}},
			}},
			Metadata: []prompb.MetricMetadata{{Type: prompb.MetricMetadata_COUNTER, MetricFamilyName: "written_total", Help: "What was written."}},
		}).Marshal()
		require.NoError(t, err)
		a := s.remoteWrite("0.1.0", message)
		require.Equal(t, 2, a.code/100, a.body)
		require.Equal(t, "42", s.wantSample(`written_total{version="1"}`).value)
		require.Equal(t, []string{"e1"}, s.exemplars(t, `written_total{version="1"}`))
		require.Equal(t, "counter", s.metricType(t, "written_total"))
	})
	t.Run("2.0", func(t *testing.T) {
		message, err := (&writev2.Request{
			Symbols: []string{"", "__name__", "written2_total", "version", "2", "trace_id", "e2", "written_seconds", "Help."},
			Timeseries: []writev2.TimeSeries{{
				LabelsRefs: []uint32{1, 2, 3, 4},
				Samples:    []writev2.Sample{{Timestamp: now, Value: 43}},
				Exemplars:  []writev2.Exemplar{{LabelsRefs: []uint32{5, 6}, Value: 1, Timestamp: now}},
				Metadata:   writev2.Metadata{Type: writev2.Metadata_METRIC_TYPE_COUNTER, HelpRef: 8},
			}, {
				LabelsRefs: []uint32{1, 7, 3, 4},
				Histograms: []writev2.Histogram{{
					Count: &writev2.Histogram_CountInt{CountInt: 3}, Sum: 4.5, Schema: 1, ZeroThreshold: 1e-9,
					ZeroCount:     &writev2.Histogram_ZeroCountInt{ZeroCountInt: 1},
					PositiveSpans: []writev2.BucketSpan{{Offset: 1, Length: 1}}, PositiveDeltas: []int64{2}, Timestamp: now,
				}},
			}},
		}).Marshal()
		require.NoError(t, err)
		a := s.remoteWrite("2.0.0", message)
		require.Equal(t, 2, a.code/100, a.body)
		require.Equal(t, "1", a.header.Get("X-Prometheus-Remote-Write-Samples-Written"))
		require.Equal(t, "1", a.header.Get("X-Prometheus-Remote-Write-Histograms-Written"))
		require.Equal(t, "1", a.header.Get("X-Prometheus-Remote-Write-Exemplars-Written"))
		require.Equal(t, "43", s.wantSample(`written2_total{version="2"}`).value)
		require.Equal(t, []string{"e2"}, s.exemplars(t, `written2_total`))
		require.Equal(t, "3", s.wantSample(`written_seconds`).histogram["count"])
		require.Equal(t, "1.5", s.wantSample(`histogram_avg(written_seconds)`).value)
	})
	s.stop()
}

// exemplars returns the trace IDs of a query's exemplars.
func (s *server) exemplars(t *testing.T, query string) []string {
	t.Helper()
	var found struct {
		Data []struct {
			Exemplars []struct{ Labels map[string]string }
		}
	}
	require.NoError(t, s.get("/api/v1/query_exemplars", &found, "query", query,
		"start", strconv.FormatInt(time.Now().Add(-time.Hour).Unix(), 10), "end", strconv.FormatInt(time.Now().Add(time.Minute).Unix(), 10)))
	var ids []string
	for _, series := range found.Data {
		for _, e := range series.Exemplars {
			ids = append(ids, e.Labels["trace_id"])
		}
	}
	return ids
}

func (s *server) metricType(t *testing.T, name string) string {
	t.Helper()
	var found struct {
		Data map[string][]struct{ Type, Help string }
	}
	require.NoError(t, s.get("/api/v1/metadata", &found, "metric", name))
	require.Len(t, found.Data[name], 1, "metadata of %s", name)
	return found.Data[name][0].Type
}

func TestScrape(t *testing.T) {
	reg := prometheus.NewRegistry()
	orders := prometheus.NewCounter(prometheus.CounterOpts{Name: "shop_orders_total", Help: "Orders."})
	latency := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "shop_latency_seconds", Help: "Latency.", NativeHistogramBucketFactor: 1.1, NativeHistogramMaxExemplars: 4,
	})
	reg.MustRegister(orders, latency)
	orders.(prometheus.ExemplarAdder).AddWithExemplar(5, prometheus.Labels{"trace_id": "scraped1"})
	for i := range 10 {
		latency.(prometheus.ExemplarObserver).ObserveWithExemplar(float64(i+1)/10, prometheus.Labels{"trace_id": "scraped2"})
	}
	exporter := httptest.NewServer(promhttp.HandlerFor(reg, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	defer exporter.Close()

	s := newServer(t, fmt.Sprintf(`
global: {scrape_interval: 1s}
scrape_configs:
  - job_name: shop
    scrape_interval: 200ms
    scrape_timeout: 200ms
    scrape_native_histograms: true
    scrape_protocols: [PrometheusProto, OpenMetricsText1.0.0]
    static_configs: [{targets: [%q], labels: {area: north}}]
`, exporter.Listener.Addr().String()))
	s.start()
	require.Equal(t, "5", s.wantSample(`shop_orders_total{job="shop", area="north"}`).value)
	require.Equal(t, "1", s.wantSample(`up{job="shop"}`).value)
	require.Equal(t, "10", s.wantSample(`shop_latency_seconds`).histogram["count"], "a native histogram")
	median, err := strconv.ParseFloat(s.wantSample(`histogram_quantile(0.5, shop_latency_seconds)`).value, 64)
	require.NoError(t, err)
	require.InDelta(t, 0.5, median, 0.1)
	require.Equal(t, []string{"scraped1"}, s.exemplars(t, "shop_orders_total"))
	require.Contains(t, s.exemplars(t, "shop_latency_seconds"), "scraped2")
	require.Equal(t, "counter", s.metricType(t, "shop_orders_total"))

	var targets struct {
		Data struct {
			ActiveTargets []struct{ ScrapeURL, Health string }
		}
	}
	require.NoError(t, s.get("/api/v1/targets", &targets))
	require.Len(t, targets.Data.ActiveTargets, 1)
	require.Equal(t, "up", targets.Data.ActiveTargets[0].Health)

	t.Run("an exporter that is gone is down, with a reason", func(t *testing.T) {
		exporter.Close()
		s.wantSample(`up{job="shop"} == 0`)
		samples, err := s.promSamples(`shop_orders_total`)
		require.NoError(t, err)
		require.Empty(t, samples, "stale at once")
	})
	s.stop()
}
