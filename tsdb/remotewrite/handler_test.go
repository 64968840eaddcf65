package remotewrite

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"github.com/stretchr/testify/require"

	"belfry/internal/config"
	"belfry/internal/fault"
	"belfry/internal/tenant"
	"belfry/tsdb"
	"belfry/tsdb/store"
	"belfry/tsdb/tsdbtest"
)

var t0 = time.Now().Add(-20 * time.Minute).Truncate(time.Minute).UnixMilli()

const (
	typeV1 = "application/x-protobuf"
	typeV2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request"
)

func newHandler(t testing.TB, change func(*tsdb.Config)) (*Handler, *store.Store) {
	t.Helper()
	cfg := tsdb.DefaultConfig()
	cfg.MinFreeDisk = 0
	if change != nil {
		change(&cfg)
	}
	s, err := store.Open(store.Options{Dir: t.TempDir(), Config: cfg})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return New(Options{Store: s, Config: cfg.RemoteWrite}), s
}

func post(h http.Handler, contentType string, body []byte, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/api/v1/write", bytes.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	r.Header.Set("Content-Encoding", "snappy")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func pack(t testing.TB, m interface{ Marshal() ([]byte, error) }) []byte {
	t.Helper()
	data, err := m.Marshal()
	require.NoError(t, err)
	return snappy.Encode(nil, data)
}

func pairs(lbls ...string) (out []prompb.Label) {
	for i := 0; i < len(lbls); i += 2 {
		out = append(out, prompb.Label{Name: lbls[i], Value: lbls[i+1]})
	}
	return out
}

func seriesV1(ts int64, v float64, lbls ...string) prompb.TimeSeries {
	return prompb.TimeSeries{Labels: pairs(lbls...), Samples: []prompb.Sample{{Timestamp: ts, Value: v}}}
}

func line(ts int64, v float64, lbls ...string) string {
	return fmt.Sprintf("%s %g@%g", labels.FromStrings(lbls...), v, float64(ts)/1000)
}

func TestNegotiation(t *testing.T) {
	h, _ := newHandler(t, nil)
	v1 := pack(t, &prompb.WriteRequest{})
	for _, tc := range []struct {
		contentType, encoding string
		code                  int
	}{
		{"", "snappy", 204},
		{"application/x-protobuf", "snappy", 204},
		{"application/x-protobuf", "", 204},
		{"application/x-protobuf; proto=prometheus.WriteRequest", "snappy", 204},
		{"application/x-protobuf;proto=io.prometheus.write.v2.Request", "snappy", 204},
		{"application/x-protobuf;proto=io.prometheus.write.v3.Request", "snappy", 415},
		{"application/x-protobuf;proto", "snappy", 415},
		{"application/json", "snappy", 415},
		{"text/plain", "snappy", 415},
		{"application/x-protobuf", "gzip", 415},
		{"application/x-protobuf", "zstd", 415},
	} {
		require.Equal(t, tc.code, post(h, tc.contentType, v1, "Content-Encoding", tc.encoding).Code, "%s %s", tc.contentType, tc.encoding)
	}
	r := httptest.NewRequest(http.MethodGet, "/api/v1/write", nil)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	require.Equal(t, 405, w.Code)
	require.Equal(t, "POST", w.Header().Get("Allow"))
}

func TestBrokenBodies(t *testing.T) {
	h, s := newHandler(t, func(c *tsdb.Config) { c.RemoteWrite.MaxRequestSize = 10_000 })
	bomb := snappy.Encode(nil, make([]byte, 50_000))
	require.Less(t, len(bomb), 10_000)
	lying := append([]byte{0xff, 0xff, 0xff, 0xff, 0x0f}, bomb[3:]...) // says 4 GiB
	for name, tc := range map[string]struct {
		body []byte
		code int
	}{
		"not snappy":                 {[]byte("hello"), 400},
		"nothing":                    {nil, 400},
		"truncated snappy":           {pack(t, &prompb.WriteRequest{Timeseries: []prompb.TimeSeries{seriesV1(t0, 1, "__name__", "xxxxxxxxxxxxxxxxxxxx")}})[:20], 400},
		"not protobuf":               {snappy.Encode(nil, []byte("\x0a\xff")), 400},
		"series is not protobuf":     {snappy.Encode(nil, []byte("\x0a\x02\xff\xff\x2a\x02\xff\xff")), 400},
		"decompresses to too much":   {bomb, 413},
		"pretends to hold gigabytes": {lying, 413},
		"too large":                  {bytes.Repeat([]byte{0xaa}, 10_001), 413},
	} {
		for _, typ := range []string{typeV1, typeV2} {
			w := post(h, typ, tc.body)
			require.Equal(t, tc.code, w.Code, "%s: %s", name, w.Body.String())
		}
	}
	// Without a length that tells.
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(strings.Repeat("x", 20_000)))
	r.ContentLength = -1
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	require.Equal(t, 413, w.Code)
	require.Empty(t, tsdbtest.Dump(t, context.Background(), s))
}

func TestV1(t *testing.T) {
	h, s := newHandler(t, nil)
	native := tsdbutil.GenerateTestHistogram(2)
	req := &prompb.WriteRequest{
		Timeseries: []prompb.TimeSeries{
			{Labels: pairs("__name__", "x", "job", "a"), Samples: []prompb.Sample{{Timestamp: t0, Value: 1}, {Timestamp: t0 + 1000, Value: 2}}},
			seriesV1(t0, math.NaN(), "__name__", "nan"),
			{Labels: pairs("job", "unsorted", "__name__", "x"), Samples: []prompb.Sample{{Timestamp: t0, Value: 3}}},
			{Labels: pairs("__name__", "h"), Histograms: []prompb.Histogram{prompb.FromIntHistogram(t0, native)}},
			{Labels: pairs("__name__", "fh"), Histograms: []prompb.Histogram{prompb.FromFloatHistogram(t0, native.ToFloat(nil))}},
			// As Prometheus sends them: the exemplar in a series of its own.
			{Labels: pairs("__name__", "x", "job", "a"), Exemplars: []prompb.Exemplar{{Labels: pairs("trace_id", "t"), Value: 1, Timestamp: t0}}},
		},
		Metadata: []prompb.MetricMetadata{{Type: prompb.MetricMetadata_COUNTER, MetricFamilyName: "x", Help: "X.", Unit: "s"}},
	}
	ctx := tenant.WithID(context.Background(), "acme")
	r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(pack(t, req))).WithContext(ctx)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	require.Equal(t, 204, w.Code, w.Body.String())
	require.Empty(t, w.Header().Get("X-Prometheus-Remote-Write-Samples-Written"), "which 2.0 receivers send, and 1.0 senders take for one")
	seconds := float64(t0) / 1000
	require.Equal(t, []string{
		fmt.Sprintf(`{__name__="fh"} %s@%g`, native.ToFloat(nil), seconds),
		fmt.Sprintf(`{__name__="h"} %s@%g`, native.ToFloat(nil), seconds),
		line(t0, math.NaN(), "__name__", "nan"),
		line(t0, 1, "__name__", "x", "job", "a"),
		line(t0+1000, 2, "__name__", "x", "job", "a"),
		line(t0, 3, "__name__", "x", "job", "unsorted"),
	}, tsdbtest.Dump(t, ctx, s))
	md, err := s.Metadata(ctx, "")
	require.NoError(t, err)
	require.Equal(t, map[string][]metadata.Metadata{"x": {{Type: model.MetricTypeCounter, Unit: "s", Help: "X."}}}, md)
	require.Equal(t, 1, countExemplars(t, s, ctx))
	require.Empty(t, tsdbtest.Dump(t, context.Background(), s))

	// The same request again is no error: senders repeat what they are unsure of.
	require.Equal(t, 204, post(h, typeV1, pack(t, req)).Code)
	require.Equal(t, 204, post(h, typeV1, pack(t, req)).Code)
}

func countExemplars(t *testing.T, s *store.Store, ctx context.Context) (n int) {
	t.Helper()
	q, err := s.ExemplarQuerier(ctx)
	require.NoError(t, err)
	got, err := q.Select(0, math.MaxInt64, []*labels.Matcher{labels.MustNewMatcher(labels.MatchRegexp, "__name__", ".+")})
	require.NoError(t, err)
	for _, r := range got {
		n += len(r.Exemplars)
	}
	return n
}

// badSeries are series that are refused, each with the reason in the answer.
var badSeries = map[string]prompb.TimeSeries{
	"invalid_labels":        seriesV1(t0, 1, "no", "name"),
	"is not unique":         seriesV1(t0, 1, "__name__", "x", "a", "1", "a", "2"),
	"invalid UTF-8":         seriesV1(t0, 1, "__name__", "x", "a", "\xff"),
	"series without sample": {Labels: pairs("__name__", "x")},
	"too_old":               seriesV1(t0-10*3600_000, 1, "__name__", "x"),
	"too_far_in_future":     seriesV1(t0+10*3600_000, 1, "__name__", "x"),
	"duplicate_timestamp":   seriesV1(t0, 99, "__name__", "x"),
	"too_many_labels":       seriesV1(t0, 1, "__name__", "x", "a", "1", "b", "1", "c", "1", "d", "1"),
	"label_too_long":        seriesV1(t0, 1, "__name__", "x", "a", strings.Repeat("v", 101)),
	"invalid_histogram":     {Labels: pairs("__name__", "h"), Histograms: []prompb.Histogram{{Timestamp: t0, Count: &prompb.Histogram_CountInt{CountInt: 5}, PositiveDeltas: []int64{1}}}},
}

func strict(c *tsdb.Config) {
	c.Limits.MaxLabelsPerSeries = 4
	c.Limits.MaxLabelValueLength = 100
}

func TestBadSeriesAreRefusedAndTheOthersKept(t *testing.T) {
	for reason, bad := range badSeries {
		for version, send := range map[string]func(h *Handler, ts ...prompb.TimeSeries) *httptest.ResponseRecorder{
			"1.0": func(h *Handler, ts ...prompb.TimeSeries) *httptest.ResponseRecorder {
				return post(h, typeV1, pack(t, &prompb.WriteRequest{Timeseries: ts}))
			},
			"2.0": func(h *Handler, ts ...prompb.TimeSeries) *httptest.ResponseRecorder {
				return post(h, typeV2, pack(t, toV2(ts)))
			},
		} {
			h, s := newHandler(t, strict)
			require.Equal(t, 204, send(h, seriesV1(t0, 1, "__name__", "x")).Code)
			w := send(h, seriesV1(t0, 1, "__name__", "before"), bad, seriesV1(t0, 1, "__name__", "zafter"))
			require.Equal(t, 400, w.Code, "%s %s", version, reason)
			if reason != "invalid UTF-8" {
				require.Contains(t, w.Body.String(), reason)
			}
			require.Contains(t, w.Body.String(), "1 samples or series were rejected")
			require.Equal(t, []string{
				line(t0, 1, "__name__", "before"), line(t0, 1, "__name__", "x"), line(t0, 1, "__name__", "zafter"),
			}, tsdbtest.Dump(t, context.Background(), s), "%s %s", version, reason)
			if version == "2.0" {
				require.Equal(t, "2", w.Header().Get("X-Prometheus-Remote-Write-Samples-Written"))
				require.Equal(t, "0", w.Header().Get("X-Prometheus-Remote-Write-Histograms-Written"))
				require.Equal(t, "0", w.Header().Get("X-Prometheus-Remote-Write-Exemplars-Written"))
			}
		}
	}
}

// toV2 says the same in the other message.
func toV2(in []prompb.TimeSeries) *writev2.Request {
	table := writev2.NewSymbolTable()
	req := &writev2.Request{}
	for _, ts := range in {
		out := writev2.TimeSeries{}
		for _, l := range ts.Labels {
			out.LabelsRefs = append(out.LabelsRefs, table.Symbolize(l.Name), table.Symbolize(l.Value))
		}
		for _, s := range ts.Samples {
			out.Samples = append(out.Samples, writev2.Sample{Timestamp: s.Timestamp, Value: s.Value})
		}
		for _, h := range ts.Histograms {
			out.Histograms = append(out.Histograms, writev2.Histogram{Timestamp: h.Timestamp, Count: &writev2.Histogram_CountInt{CountInt: h.GetCountInt()}, PositiveDeltas: h.PositiveDeltas})
		}
		req.Timeseries = append(req.Timeseries, out)
	}
	req.Symbols = table.Symbols()
	return req
}

func TestV2(t *testing.T) {
	h, s := newHandler(t, nil)
	native := tsdbutil.GenerateTestHistogram(2)
	custom := tsdbutil.GenerateTestCustomBucketsHistogram(2)
	table := writev2.NewSymbolTable()
	refs := func(lbls ...string) (out []uint32) {
		for _, l := range lbls {
			out = append(out, table.Symbolize(l))
		}
		return out
	}
	req := &writev2.Request{Timeseries: []writev2.TimeSeries{
		{
			LabelsRefs: refs("__name__", "x_total", "job", "a"),
			Samples:    []writev2.Sample{{Timestamp: t0, Value: 1, StartTimestamp: t0 - 1000}, {Timestamp: t0 + 1000, Value: 2}},
			Exemplars:  []writev2.Exemplar{{LabelsRefs: refs("trace_id", "t"), Value: 1, Timestamp: t0}},
			Metadata:   writev2.Metadata{Type: writev2.Metadata_METRIC_TYPE_COUNTER, HelpRef: table.Symbolize("X."), UnitRef: table.Symbolize("s")},
		},
		{
			LabelsRefs: refs("__name__", "lat_bucket", "le", "1"),
			Samples:    []writev2.Sample{{Timestamp: t0, Value: 1}},
			Metadata:   writev2.Metadata{Type: writev2.Metadata_METRIC_TYPE_HISTOGRAM},
		},
		{LabelsRefs: refs("__name__", "h"), Histograms: []writev2.Histogram{writev2.FromIntHistogram(0, t0, native)}},
		{LabelsRefs: refs("__name__", "nhcb"), Histograms: []writev2.Histogram{writev2.FromIntHistogram(0, t0, custom)}},
		{LabelsRefs: refs("__name__", "h"), Exemplars: []writev2.Exemplar{{LabelsRefs: refs("trace_id", "u"), Value: 1, Timestamp: t0}}},
	}}
	req.Symbols = table.Symbols()
	w := post(h, typeV2, pack(t, req), "X-Prometheus-Remote-Write-Version", "2.0.0")
	require.Equal(t, 204, w.Code, w.Body.String())
	require.Equal(t, "3", w.Header().Get("X-Prometheus-Remote-Write-Samples-Written"))
	require.Equal(t, "2", w.Header().Get("X-Prometheus-Remote-Write-Histograms-Written"))
	require.Equal(t, "2", w.Header().Get("X-Prometheus-Remote-Write-Exemplars-Written"))
	seconds := float64(t0) / 1000
	ctx := context.Background()
	require.Equal(t, []string{
		fmt.Sprintf(`{__name__="h"} %s@%g`, native.ToFloat(nil), seconds),
		line(t0, 1, "__name__", "lat_bucket", "le", "1"),
		fmt.Sprintf(`{__name__="nhcb"} %s@%g`, custom.ToFloat(nil), seconds),
		line(t0, 1, "__name__", "x_total", "job", "a"),
		line(t0+1000, 2, "__name__", "x_total", "job", "a"),
	}, tsdbtest.Dump(t, ctx, s))
	require.Equal(t, 2, countExemplars(t, s, ctx))
	md, err := s.Metadata(ctx, "")
	require.NoError(t, err)
	require.Equal(t, map[string][]metadata.Metadata{
		"x_total": {{Type: model.MetricTypeCounter, Unit: "s", Help: "X."}},
		"lat":     {{Type: model.MetricTypeHistogram}},
	}, md)
}

func TestV2BadReferences(t *testing.T) {
	h, s := newHandler(t, nil)
	good := writev2.TimeSeries{LabelsRefs: []uint32{1, 2}, Samples: []writev2.Sample{{Timestamp: t0, Value: 1}}}
	for name, bad := range map[string]writev2.TimeSeries{
		"label":    {LabelsRefs: []uint32{1, 77}, Samples: []writev2.Sample{{Timestamp: t0}}},
		"odd":      {LabelsRefs: []uint32{1}, Samples: []writev2.Sample{{Timestamp: t0}}},
		"metadata": {LabelsRefs: []uint32{1, 2}, Metadata: writev2.Metadata{HelpRef: 77}, Samples: []writev2.Sample{{Timestamp: t0}}},
	} {
		w := post(h, typeV2, pack(t, &writev2.Request{Symbols: []string{"", "__name__", "x"}, Timeseries: []writev2.TimeSeries{good, bad}}))
		require.Equal(t, 400, w.Code, name)
		require.Equal(t, "1", w.Header().Get("X-Prometheus-Remote-Write-Samples-Written"), name)
	}
	w := post(h, typeV2, pack(t, &writev2.Request{Symbols: []string{"__name__", "x"}, Timeseries: []writev2.TimeSeries{{LabelsRefs: []uint32{0, 1}}}}))
	require.Equal(t, 400, w.Code)
	require.Equal(t, "0", w.Header().Get("X-Prometheus-Remote-Write-Samples-Written"))
	require.Len(t, tsdbtest.Dump(t, context.Background(), s), 1)
}

func TestHugeSeriesIsRefused(t *testing.T) {
	h, _ := newHandler(t, nil)
	// A series of empty histograms, two bytes each on the wire.
	body := append([]byte{0x0a, 0x80, 0x80, 0x80, 0x01}, bytes.Repeat([]byte{0x22, 0x00}, 1<<20)...)
	require.Equal(t, 413, post(h, typeV1, snappy.Encode(nil, body)).Code)
}

func TestOutOfOrderSamples(t *testing.T) {
	h, s := newHandler(t, func(c *tsdb.Config) { c.OutOfOrderWindow = 0 })
	send := func(ts int64) *httptest.ResponseRecorder {
		return post(h, typeV1, pack(t, &prompb.WriteRequest{Timeseries: []prompb.TimeSeries{seriesV1(ts, 1, "__name__", "x")}}))
	}
	require.Equal(t, 204, send(t0).Code)
	w := send(t0 - 1000)
	require.Equal(t, 400, w.Code)
	require.Contains(t, w.Body.String(), "out_of_order")
	require.Len(t, tsdbtest.Dump(t, context.Background(), s), 1)
}

func TestStoreFailuresAreRetryable(t *testing.T) {
	cfg := tsdb.DefaultConfig()
	s, err := store.Open(store.Options{Dir: t.TempDir(), Config: cfg, FreeBytes: func(string) (uint64, error) { return 0, nil }})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	h := New(Options{Store: s, Config: cfg.RemoteWrite})
	for typ, body := range map[string][]byte{
		typeV1: pack(t, &prompb.WriteRequest{Timeseries: []prompb.TimeSeries{seriesV1(t0, 1, "__name__", "x")}}),
		typeV2: pack(t, toV2([]prompb.TimeSeries{seriesV1(t0, 1, "__name__", "x")})),
	} {
		w := post(h, typ, body)
		require.Equal(t, 503, w.Code)
		require.NotEmpty(t, w.Header().Get("Retry-After"))
	}
	require.Equal(t, fault.Unavailable, fault.KindOf(s.AppenderV2(context.Background()).Commit()))
}

func TestConcurrencyIsBounded(t *testing.T) {
	h, _ := newHandler(t, func(c *tsdb.Config) {
		c.RemoteWrite = tsdb.RemoteWriteConfig{MaxRequestSize: config.ByteSize(1 << 20), MaxConcurrency: 1}
	})
	h.gate <- struct{}{} // somebody else's request
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(pack(t, &prompb.WriteRequest{}))).WithContext(ctx)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	require.Equal(t, 499, w.Code)
	<-h.gate
	require.Equal(t, 204, post(h, typeV1, pack(t, &prompb.WriteRequest{})).Code)
}
