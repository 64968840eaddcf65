package collector

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"belfry/internal/fault"
)

const zipkinSpans = `[
	{"traceId":"5af7183fb1d4cf5f0af7183fb1d4cf5f","id":"352bff9a74ca9ad2","name":"get","timestamp":1700000000000000,"duration":1000,"localEndpoint":{"serviceName":"front"}},
	{"traceId":"5af7183fb1d4cf5f0af7183fb1d4cf5f","id":"452bff9a74ca9ad2","parentId":"352bff9a74ca9ad2","name":"query","timestamp":1700000000000100,"duration":500,"localEndpoint":{"serviceName":"back"}}
]`

func TestZipkin(t *testing.T) {
	w := start(t, nil, func(s *Settings) { s.MaxRequestSize = smallLimit })
	send := w.overMux()
	json := map[string]string{"Content-Type": "application/json"}
	for _, path := range []string{"/zipkin/api/v2/spans", "/api/v2/spans"} {
		require.Equal(t, http.StatusAccepted, send(t, path, json, []byte(zipkinSpans)).code)
		require.Equal(t, http.StatusAccepted, send(t, path, map[string]string{"Content-Type": "application/json", "Content-Encoding": "gzip"}, gzipped(t, []byte(zipkinSpans))).code)
	}
	require.Equal(t, http.StatusAccepted, send(t, "/api/v2/spans", json, []byte(`[]`)).code)
	require.Len(t, w.traces.names("default"), 8)
	require.ElementsMatch(t, []string{"get", "query"}, w.traces.names("default")[:2])

	require.Equal(t, http.StatusAccepted, send(t, "/api/v2/spans", map[string]string{"Content-Type": "application/json", "X-Scope-OrgID": "acme"}, []byte(zipkinSpans)).code)
	require.Len(t, w.traces.names("acme"), 2)

	tagged := strings.ReplaceAll(zipkinSpans, `"name":`, `"tags":{"bad":"yes"},"name":`)
	a := send(t, "/api/v2/spans", json, []byte(tagged))
	require.Equal(t, http.StatusBadRequest, a.code)
	require.Contains(t, string(a.body), "all 2 spans were rejected: marked as bad")
	some := strings.Replace(zipkinSpans, `"name":"get"`, `"tags":{"bad":"yes"},"name":"get"`, 1)
	require.Equal(t, http.StatusAccepted, send(t, "/api/v2/spans", json, []byte(some)).code)

	for name, bad := range map[string]struct {
		header map[string]string
		body   string
		code   int
	}{
		"not JSON":     {json, `[{"traceId":`, 400},
		"bad id":       {json, `[{"traceId":"xyz","id":"1","name":"a"}]`, 400},
		"not protobuf": {map[string]string{"Content-Type": "application/x-protobuf"}, zipkinSpans, 400},
		"thrift":       {map[string]string{"Content-Type": "application/x-thrift"}, zipkinSpans, 415},
		"large":        {json, strings.Repeat(" ", smallLimit+1), 413},
		"window":       {map[string]string{"Content-Type": "application/json", "Content-Encoding": "zstd"}, string(hugeWindow()), 400},
		"deep":         {json, strings.Repeat("[", 100_000), 400},
	} {
		require.Equal(t, bad.code, send(t, "/api/v2/spans", bad.header, []byte(bad.body)).code, name)
	}

	w.traces.fail(fault.Unavailablef(3*time.Second, "no space left"))
	a = send(t, "/api/v2/spans", json, []byte(zipkinSpans))
	require.Equal(t, http.StatusServiceUnavailable, a.code)
	require.Equal(t, "3", a.header.Get("Retry-After"))
}
