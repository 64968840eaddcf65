package app

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"

	"belfry/collector"
	"belfry/logs"
	logapi "belfry/logs/api"
	logstore "belfry/logs/store"
)

// sourceEpoch is the time of the records; stores' clocks say an hour later.
var sourceEpoch = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// lane is a store behind a collector: with the default configuration requests go
// to it as bytes, with a processor they are decoded and encoded again.
type lane struct {
	store *logstore.Store
	otlp  http.Handler
}

func newLane(t *testing.T, processors bool) *lane {
	t.Helper()
	now := func() time.Time { return sourceEpoch.Add(time.Hour) }
	s, err := logstore.Open(logstore.Options{Dir: t.TempDir(), Config: logstore.DefaultConfig(), Now: now})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	section := map[string]any{"receivers": map[string]any{"otlp": map[string]any{"protocols": map[string]any{
		"grpc": map[string]any{"endpoint": "127.0.0.1:0"}, "http": map[string]any{"endpoint": "127.0.0.1:0"},
	}}}}
	if processors {
		section["processors"] = map[string]any{"transform": map[string]any{
			"log_statements": []any{map[string]any{"context": "log", "conditions": []any{`body == "never"`}, "statements": []any{`set(severity_text, "x")`}}},
		}}
		section["service"] = map[string]any{"pipelines": map[string]any{"logs": map[string]any{"processors": []any{"transform"}}}}
	}
	c, err := collector.New(t.Context(), collector.Settings{Config: section, Logs: s})
	require.NoError(t, err)
	require.NoError(t, c.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, c.Shutdown(context.WithoutCancel(t.Context()))) })
	return &lane{store: s, otlp: c.OTLPHandler()}
}

// entries writes all that a store has, one line an entry.
func entries(t *testing.T, s logs.Store) []string {
	t.Helper()
	out := []string{}
	_, err := s.Select(t.Context(), logs.SelectQuery{
		Query: logs.Query{Tenant: "default", From: 0, To: sourceEpoch.Add(24 * time.Hour).UnixNano()}, Want: logs.Everything(), Direction: logs.Forward,
	}, func(e *logs.Entry) bool {
		out = append(out, fmt.Sprintf("%s %v %v %v %q", time.Unix(0, e.Time).UTC().Format(time.RFC3339Nano), e.Stream.Labels, e.Stream.Metadata, e.Metadata, e.Line))
		return true
	})
	require.NoError(t, err)
	slices.Sort(out)
	return out
}

// variety is a request with every kind of value, and records to be refused.
func variety() plog.Logs {
	l := plog.NewLogs()
	rl := l.ResourceLogs().AppendEmpty()
	rl.SetSchemaUrl("https://opentelemetry.io/schemas/1.30.0")
	ra := rl.Resource().Attributes()
	ra.PutStr("service.name", "shop")
	ra.PutStr("k8s.pod.name", "p-1")
	ra.PutInt("process.pid", 42)
	rl.Resource().SetDroppedAttributesCount(2)
	sl := rl.ScopeLogs().AppendEmpty()
	sl.Scope().SetName("lib")
	sl.Scope().SetVersion("1.2")
	sl.Scope().Attributes().PutBool("lib.kind", true)
	add := func(fill func(r plog.LogRecord)) {
		r := sl.LogRecords().AppendEmpty()
		r.SetTimestamp(pcommon.NewTimestampFromTime(sourceEpoch.Add(time.Duration(sl.LogRecords().Len()) * time.Second)))
		fill(r)
	}
	add(func(r plog.LogRecord) {
		r.SetObservedTimestamp(77)
		r.SetSeverityNumber(plog.SeverityNumberWarn)
		r.SetSeverityText("W")
		r.SetFlags(1)
		r.SetEventName("paid")
		r.SetDroppedAttributesCount(3)
		r.SetTraceID(pcommon.TraceID{1, 15: 9})
		r.SetSpanID(pcommon.SpanID{4, 7: 5})
		r.Body().SetStr("plain")
		a := r.Attributes()
		a.PutStr("http.route", "/pay")
		a.PutInt("http.status_code", -500)
		a.PutDouble("took", 1.5)
		a.PutBool("retry", false)
		a.PutEmptyBytes("raw").FromRaw([]byte{0, 255})
		a.PutEmptySlice("list").AppendEmpty().SetStr("x")
		a.PutEmptyMap("map").PutEmptyMap("deep").PutInt("n", 1)
		a.PutStr("empty", "")
		a.PutEmpty("none")
		a.PutStr("ünï", "grüße\n")
	})
	add(func(r plog.LogRecord) { r.Body().SetEmptyMap().PutStr("level", "error") })
	add(func(r plog.LogRecord) { r.Body().SetEmptySlice().AppendEmpty().SetDouble(0.5) })
	add(func(r plog.LogRecord) { r.Body().SetInt(-7) })
	add(func(r plog.LogRecord) { r.Body().SetBool(true) })
	add(func(r plog.LogRecord) { r.Body().SetEmptyBytes().FromRaw([]byte("bytes")) })
	add(func(plog.LogRecord) {})
	add(func(r plog.LogRecord) {
		r.SetTimestamp(0)
		r.SetObservedTimestamp(pcommon.NewTimestampFromTime(sourceEpoch))
	})
	add(func(r plog.LogRecord) { r.SetTimestamp(0); r.Body().SetStr("when it came") })
	add(func(r plog.LogRecord) {
		r.SetTimestamp(pcommon.NewTimestampFromTime(sourceEpoch.Add(48 * time.Hour)))
		r.Body().SetStr("refused: of the future")
	})
	// A second scope, a resource without anything, and one without records.
	second := rl.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
	second.SetTimestamp(pcommon.NewTimestampFromTime(sourceEpoch))
	second.Body().SetStr("of no scope")
	bare := l.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
	bare.SetTimestamp(pcommon.NewTimestampFromTime(sourceEpoch))
	bare.Body().SetStr("of nobody")
	l.ResourceLogs().AppendEmpty().Resource().Attributes().PutStr("service.name", "silent")
	return l
}

// TestLanesStoreTheSame: whether a request goes through the Collector's pipeline or not,
// the same is stored and the same is answered.
func TestLanesStoreTheSame(t *testing.T) {
	req := plogotlp.NewExportRequestFromLogs(variety())
	proto, err := req.MarshalProto()
	require.NoError(t, err)
	json, err := req.MarshalJSON()
	require.NoError(t, err)
	var first []string
	for _, processors := range []bool{false, true} {
		for contentType, body := range map[string][]byte{"application/x-protobuf": proto, "application/json": json} {
			t.Run(fmt.Sprintf("processors %t, %s", processors, contentType), func(t *testing.T) {
				l := newLane(t, processors)
				r := httptest.NewRequest(http.MethodPost, "/v1/logs", bytes.NewReader(body))
				r.Header.Set("Content-Type", contentType)
				w := httptest.NewRecorder()
				l.otlp.ServeHTTP(w, r)
				require.Equal(t, http.StatusOK, w.Code, w.Body.String())
				resp := plogotlp.NewExportResponse()
				if contentType == "application/json" {
					require.NoError(t, resp.UnmarshalJSON(w.Body.Bytes()))
				} else {
					require.NoError(t, resp.UnmarshalProto(w.Body.Bytes()))
				}
				require.EqualValues(t, 1, resp.PartialSuccess().RejectedLogRecords())
				require.Contains(t, resp.PartialSuccess().ErrorMessage(), "future")
				got := entries(t, l.store)
				require.Len(t, got, 11)
				if first == nil {
					first = got
				}
				require.Equal(t, first, got)
			})
		}
	}
}

// TestSourcesStoreTheSame: a line with its labels is the same entry, whichever protocol brings it.
func TestSourcesStoreTheSame(t *testing.T) {
	at := sourceEpoch.Add(time.Second)
	want := []string{`2026-05-01T12:00:01Z [{service_name shop}] [] [{detected_level error} {severity_text ERROR} {user ann}] "card declined"`}
	for name, send := range map[string]func(*lane) *httptest.ResponseRecorder{
		"otlp": func(l *lane) *httptest.ResponseRecorder {
			p := plog.NewLogs()
			rl := p.ResourceLogs().AppendEmpty()
			rl.Resource().Attributes().PutStr("service.name", "shop")
			r := rl.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
			r.SetTimestamp(pcommon.NewTimestampFromTime(at))
			r.SetSeverityText("ERROR")
			r.Attributes().PutStr("user", "ann")
			r.Body().SetStr("card declined")
			body, _ := plogotlp.NewExportRequestFromLogs(p).MarshalProto()
			return post(l.otlp, "/v1/logs", "application/x-protobuf", string(body))
		},
		"loki": func(l *lane) *httptest.ResponseRecorder {
			return post(logapi.New(logapi.Options{Store: l.store, Now: func() time.Time { return sourceEpoch }}).Handler(),
				"/loki/api/v1/push", "application/json", fmt.Sprintf(
					`{"streams":[{"stream":{"service_name":"shop"},"values":[["%d","card declined",{"user":"ann","severity_text":"ERROR","detected_level":"error"}]]}]}`, at.UnixNano()))
		},
		"elasticsearch": func(l *lane) *httptest.ResponseRecorder {
			return post(logapi.NewElasticsearch(logapi.ElasticsearchOptions{Store: l.store}).Handler(), "/_bulk", "application/x-ndjson",
				`{"create":{}}`+"\n"+`{"@timestamp":"`+at.Format(time.RFC3339Nano)+`","message":"card declined","service":{"name":"shop"},"user":"ann","log":{"level":"ERROR"}}`+"\n")
		},
	} {
		for _, processors := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, processors %t", name, processors), func(t *testing.T) {
				l := newLane(t, processors)
				w := send(l)
				require.Less(t, w.Code, 300, w.Body.String())
				require.Equal(t, want, entries(t, l.store))
			})
		}
	}
}

func post(h http.Handler, path, contentType, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}
