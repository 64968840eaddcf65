package api_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"google.golang.org/protobuf/encoding/protowire"

	"belfry/internal/tenant"
	"belfry/traces"
	"belfry/traces/api"
	"belfry/traces/tracestest"
)

var _ = flag.Bool("rewrite", false, "write the answers into the script files")

// TestRequests runs the scripts of testdata: "load" as in tracestest, and
// "GET path" with one parameter a line, name=value; +Name: value is a header.
func TestRequests(t *testing.T) {
	for name, handler := range map[string]func(api.Options) http.Handler{
		"tempo": api.NewTempo, "jaeger": api.NewJaeger, "zipkin": api.NewZipkin,
	} {
		tracestest.RunBlocks(t, "testdata/"+name+"*.txt", func(t *testing.T) func(tracestest.Block) (string, error) {
			store := tracestest.NewMemory()
			h := handler(api.Options{
				Store: store, Version: "1.2.3",
				Now: func() time.Time { return time.Unix(0, tracestest.Epoch).Add(time.Hour) },
			})
			return func(b tracestest.Block) (string, error) {
				if b.Command[0] == "load" {
					spans, err := tracestest.ParseSpans(b.Body)
					if err != nil {
						return "", err
					}
					_, err = store.Append(t.Context(), tenant.Default, traces.AppendTracesData(nil, spans))
					return fmt.Sprintf("%d spans", len(spans)), err
				}
				return get(t, h, b)
			}
		})
	}
}

func get(t *testing.T, h http.Handler, b tracestest.Block) (string, error) {
	params := url.Values{}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, b.Command[1], nil)
	for _, line := range b.Body {
		if header, ok := strings.CutPrefix(line, "+"); ok {
			name, value, _ := strings.Cut(header, ": ")
			r.Header.Set(name, value)
			continue
		}
		name, value, _ := strings.Cut(line, "=")
		params.Add(name, value)
	}
	if len(params) > 0 {
		r.URL.RawQuery = params.Encode()
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	answer := fmt.Sprintf("%d %s\n", rec.Code, rec.Header().Get("Content-Type"))
	if next := rec.Header().Get(api.NextHeader); next != "" {
		answer += "next " + next + "\n"
	}
	if !json.Valid(rec.Body.Bytes()) {
		return answer + strings.TrimSpace(rec.Body.String()), nil
	}
	var out bytes.Buffer
	require.NoError(t, json.Indent(&out, rec.Body.Bytes(), "", " "))
	return answer + out.String(), nil
}

// TestTraceAsProtobuf reads both versions' answers as their clients do.
func TestTraceAsProtobuf(t *testing.T) {
	store := tracestest.NewMemory()
	spans := tracestest.NewRandom(1).Spans(20)
	for i := range spans {
		spans[i].TraceID = spans[0].TraceID
	}
	_, err := store.Append(t.Context(), tenant.Default, traces.AppendTracesData(nil, spans))
	require.NoError(t, err)
	h := api.NewTempo(api.Options{Store: store, MaxTraceSpans: 15})
	read := func(path string) (*httptest.ResponseRecorder, []byte) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path+spans[0].TraceID.String(), nil)
		r.Header.Set("Accept", "application/protobuf")
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		require.Equal(t, http.StatusOK, rec.Code)
		require.Equal(t, "spans", rec.Header().Get(api.CutHeader))
		return rec, rec.Body.Bytes()
	}
	_, body := read("/api/traces/")
	got, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(body)
	require.NoError(t, err)
	require.Equal(t, 15, got.SpanCount())

	_, body = read("/api/v2/traces/")
	number, kind, n := protowire.ConsumeTag(body)
	require.EqualValues(t, 1, number)
	require.Equal(t, protowire.BytesType, kind)
	trace, m := protowire.ConsumeBytes(body[n:])
	require.Positive(t, m)
	got, err = (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(trace)
	require.NoError(t, err)
	require.Equal(t, 15, got.SpanCount())
}

// TestLongTracesSayThatTheyAreCut covers the APIs that have no place of their own
// for it.
func TestLongTracesSayThatTheyAreCut(t *testing.T) {
	store := tracestest.NewMemory()
	spans := tracestest.NewRandom(1).Spans(20)
	for i := range spans {
		spans[i].TraceID = spans[0].TraceID
	}
	_, err := store.Append(t.Context(), tenant.Default, traces.AppendTracesData(nil, spans))
	require.NoError(t, err)
	id := spans[0].TraceID.String()
	for _, limit := range []int{15, 20} {
		o := api.Options{Store: store, MaxTraceSpans: limit}
		for path, h := range map[string]http.Handler{
			"/api/traces/": api.NewJaeger(o), "/api/v3/traces/": api.NewJaeger(o), "/api/v2/trace/": api.NewZipkin(o),
		} {
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path+id, nil))
			require.Equal(t, http.StatusOK, rec.Code)
			require.Equal(t, limit < 20, rec.Header().Get(api.CutHeader) != "", path)
			if path == "/api/traces/" {
				require.Equal(t, limit < 20, strings.Contains(rec.Body.String(), "more spans than can be returned"))
			}
		}
	}
}
