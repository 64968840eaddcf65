package api_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"belfry/internal/tenant"
	"belfry/traces"
	"belfry/traces/api"
	"belfry/traces/tracestest"
)

// fuzzStore has a few spans of every kind.
func fuzzStore(f *testing.F) *tracestest.Memory {
	f.Helper()
	store := tracestest.NewMemory()
	_, err := store.Append(f.Context(), tenant.Default, traces.AppendTracesData(nil, tracestest.NewRandom(3).Spans(20)))
	require.NoError(f, err)
	return store
}

func fuzzNow() time.Time { return time.Unix(0, tracestest.Epoch).Add(time.Hour) }

// FuzzHTTP asks every HTTP API anything: whatever a client sends is answered, or
// refused as the client's fault.
func FuzzHTTP(f *testing.F) {
	o := api.Options{Store: fuzzStore(f), Now: fuzzNow}
	handlers := []http.Handler{api.NewTempo(o), api.NewJaeger(o), api.NewZipkin(o)}
	for _, seed := range []struct {
		api               uint8
		path, query, body string
	}{
		{0, "/api/search", "q={ status = error } | count() > 1&limit=5&spss=2&start=1767225600&end=1767229200", ""},
		{0, "/api/search", `tags=service.name=s1 a="b c"&minDuration=1ms&maxDuration=1h`, ""},
		{0, "/api/v2/search/tags", "scope=span&q={ .a = 1 && .b = }", ""},
		{0, "/api/v2/search/tag/resource.service.name/values", "q={ .a = 1 }&limit=3", ""},
		{0, "/api/metrics/query_range", "q={ } | quantile_over_time(duration, .9) by (name)&since=1h&step=60s&exemplars=2", ""},
		{0, "/api/metrics/query", "q=({ } | rate()) * (2 - 3)", ""},
		{0, "/api/v2/traces/1", "q={ }&keep_hierarchy=true&ancestor_depth=1&match_depth=-1", ""},
		{1, "/api/traces", `service=s1&tags={"a":"b","n":1}&minDuration=1ms&start=1767225600000000&end=1767229200000000`, ""},
		{1, "/api/traces/1", "", ""},
		{1, "/api/dependencies", "endTs=1767229200000&lookback=3600000", ""},
		{1, "/api/v3/traces", `query.service_name=s1&query.attributes={"a":"b"}&query.start_time_min=2026-01-01T00:00:00Z`, ""},
		{1, "/api/v3/traces", "", `{"query":{"serviceName":"s1","searchDepth":3,"durationMin":"1s"}}`},
		{1, "/api/v3/trace-summaries", "query.pagination.page_size=3&query.pagination.page_token=AAAA", ""},
		{2, "/api/v2/traces", "serviceName=s1&annotationQuery=error and a=b&minDuration=5&endTs=1767229200000&lookback=3600000", ""},
		{2, "/api/v2/traceMany", "traceIds=1,2", ""},
	} {
		f.Add(seed.api, seed.path, strings.ReplaceAll(seed.query, " ", "+"), seed.body)
	}
	f.Fuzz(func(t *testing.T, which uint8, path, query, body string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		if body != "" {
			r = httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body))
		}
		r.URL.Path, r.URL.RawQuery = "/"+strings.TrimPrefix(path, "/"), query
		rec := httptest.NewRecorder()
		handlers[int(which)%len(handlers)].ServeHTTP(rec, r)
		require.Less(t, rec.Code, http.StatusInternalServerError, "%s", rec.Body)
	})
}

// bytesCodec sends and receives messages as they are.
type bytesCodec struct{}

func (bytesCodec) Name() string                       { return "proto" }
func (bytesCodec) Marshal(v any) ([]byte, error)      { return *v.(*[]byte), nil }
func (bytesCodec) Unmarshal(data []byte, v any) error { *v.(*[]byte) = bytes.Clone(data); return nil }

// FuzzGRPC sends any bytes to the methods that take parameters.
func FuzzGRPC(f *testing.F) {
	conn := dial(f, fuzzStore(f), grpc.WithDefaultCallOptions(grpc.ForceCodec(bytesCodec{})))
	methods := []string{
		"/tempopb.StreamingQuerier/Search", "/tempopb.StreamingQuerier/MetricsQueryRange", "/tempopb.StreamingQuerier/SearchTagValuesV2",
		"/jaeger.api_v2.QueryService/FindTraces", "/jaeger.api_v3.QueryService/FindTraces", "/jaeger.api_v3.QueryService/FindTraceSummaries",
		"/jaeger.storage.v2.TraceReader/FindTraceIDs", "/jaeger.storage.v2.TraceReader/GetTraces", "/jaeger.storage.v2.DependencyReader/GetDependencies",
	}
	f.Add(uint8(0), []byte("\x42\x03{ }"))
	f.Add(uint8(4), []byte("\x0a\x0e\x0a\x02s1\x22\x03\x08\x80\x10\x2a\x03\x08\x80\x20"))
	f.Add(uint8(6), []byte("\x0a\x0d\x0a\x02s1\x1a\x07\x0a\x01a\x12\x02\x18\x01"))
	f.Add(uint8(7), []byte("\x0a\x12\x0a\x10aaaaaaaaaaaaaaaa"))
	f.Fuzz(func(t *testing.T, which uint8, message []byte) {
		stream, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true}, methods[int(which)%len(methods)])
		require.NoError(t, err)
		require.NoError(t, stream.SendMsg(&message))
		require.NoError(t, stream.CloseSend())
		for err == nil {
			var answer []byte
			err = stream.RecvMsg(&answer)
		}
		if s := status.Convert(err); s.Code() == codes.Internal {
			require.Contains(t, s.Message(), "unmarshal", "only what is no message may be told so")
		}
		require.NotEqual(t, codes.Unavailable, status.Code(err))
	})
}
