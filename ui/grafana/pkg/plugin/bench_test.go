package plugin

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/stretchr/testify/require"
)

// The benchmarks measure the plugin's own work: a server that answers at once
// with a prepared body stands in for Belfry, and "only the answer" is what reading
// that body from it costs without the plugin.

func benchmarkAnswer(b *testing.B, body, query string) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(body))
	}))
	defer server.Close()
	instance, err := New(b.Context(), backend.DataSourceInstanceSettings{UID: "u", URL: server.URL, JSONData: []byte(`{"exemplars": false, "maxLines": 5000}`)})
	require.NoError(b, err)
	d := instance.(*Datasource)
	defer d.Dispose()
	req := &backend.QueryDataRequest{Headers: map[string]string{}, Queries: []backend.DataQuery{{
		RefID: "A", JSON: json.RawMessage(query), Interval: 15 * time.Second,
		TimeRange: backend.TimeRange{From: base, To: base.Add(1000 * 15 * time.Second)},
	}}}
	b.Run("only the answer", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			resp, err := http.Get(server.URL)
			require.NoError(b, err)
			_, err = io.ReadAll(resp.Body)
			require.NoError(b, err)
			_ = resp.Body.Close()
		}
	})
	b.Run("frames", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			resp, err := d.QueryData(b.Context(), req)
			require.NoError(b, err)
			require.NoError(b, resp.Responses["A"].Error)
		}
	})
	b.Run("frames over the wire", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			resp, err := d.QueryData(b.Context(), req)
			require.NoError(b, err)
			_, err = backend.ToProto().QueryDataResponse(backend.DataFrameFormat_ARROW, resp)
			require.NoError(b, err)
		}
	})
}

// BenchmarkSeries is 1,000 series of 1,000 points.
func BenchmarkSeries(b *testing.B) {
	var s strings.Builder
	s.WriteString(`{"status":"success","data":{"resultType":"matrix","result":[`)
	for i := range 1000 {
		if i > 0 {
			s.WriteByte(',')
		}
		fmt.Fprintf(&s, `{"metric":{"__name__":"m","instance":"i-%d","job":"j","service_name":"s-%d"},"values":[`, i, i%20)
		for j := range 1000 {
			if j > 0 {
				s.WriteByte(',')
			}
			fmt.Fprintf(&s, `[%d,"%g"]`, base.Unix()+int64(j)*15, float64(i*j)*0.37)
		}
		s.WriteString(`]}`)
	}
	s.WriteString(`]}}`)
	benchmarkAnswer(b, s.String(), `{"queryType": "metrics", "expr": "m"}`)
}

// BenchmarkLines is 5,000 lines with metadata.
func BenchmarkLines(b *testing.B) {
	var s strings.Builder
	s.WriteString(`{"status":"success","data":{"resultType":"streams","encodingFlags":["categorize-labels"],"result":[`)
	for i := range 20 {
		if i > 0 {
			s.WriteByte(',')
		}
		fmt.Fprintf(&s, `{"stream":{"service_name":"s-%d","k8s_pod_name":"p-%d","k8s_namespace_name":"shop"},"values":[`, i, i)
		for j := range 250 {
			if j > 0 {
				s.WriteByte(',')
			}
			fmt.Fprintf(&s, `["%d","request %d to /api/cart took %dms with status 200",{"structuredMetadata":{"detected_level":"info","trace_id":"%032x","http_route":"/api/cart"}}]`,
				base.Add(time.Duration(i*250+j)*time.Millisecond).UnixNano(), i*250+j, j, i*250+j)
		}
		s.WriteString(`]}`)
	}
	s.WriteString(`],"stats":{}}}`)
	benchmarkAnswer(b, s.String(), `{"queryType": "logs", "expr": "{}"}`)
}
