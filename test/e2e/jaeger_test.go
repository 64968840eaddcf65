package e2e

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
)

// jaegerConfig makes a Jaeger of which Belfry is the storage: %[1]s is Belfry,
// the others are the addresses of Jaeger's query API by HTTP and gRPC, and of OTLP.
const jaegerConfig = `
service:
  extensions: [jaeger_storage, jaeger_query]
  pipelines:
    traces: {receivers: [otlp], exporters: [jaeger_storage_exporter]}
  telemetry: {metrics: {level: none}}
extensions:
  jaeger_query:
    storage: {traces: belfry}
    http: {endpoint: "%[2]s"}
    grpc: {endpoint: "%[3]s"}
  jaeger_storage:
    backends:
      belfry: {grpc: {endpoint: "%[1]s", tls: {insecure: true}}}
receivers:
  otlp: {protocols: {http: {endpoint: "%[4]s"}}}
exporters:
  jaeger_storage_exporter: {trace_storage: belfry}
`

// TestAJaegerKeepsItsTracesInBelfry runs the Jaeger (version 2) that BELFRY_JAEGER
// names on top of a Belfry: spans go in through Jaeger, and are asked of Jaeger.
func TestAJaegerKeepsItsTracesInBelfry(t *testing.T) {
	program := os.Getenv("BELFRY_JAEGER")
	if program == "" {
		t.Skip("BELFRY_JAEGER names no program")
	}
	s := newServer(t, "")
	s.start()
	query, rpc, otlp := s.freeAddr("tcp"), s.freeAddr("tcp"), s.freeAddr("tcp")
	config := filepath.Join(s.dir, "jaeger.yaml")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, jaegerConfig, strings.TrimPrefix(s.base, "http://"), query, rpc, otlp), 0o600))
	log := &logBuffer{}
	cmd := exec.Command(program, "--config", config)
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("log of Jaeger:\n%s", log)
		}
	})
	jaeger := "http://" + query
	s.eventually("Jaeger", func() error { return s.get(jaeger+"/api/services", nil) })

	begin := time.Now().Add(-time.Minute).Truncate(time.Millisecond)
	ids := s.sendShop("http://"+otlp+"/v1/traces", begin)
	names := func(path string) []string {
		var found struct{ Data []string }
		require.NoError(t, s.get(jaeger+path, &found))
		slices.Sort(found.Data)
		return found.Data
	}
	require.Equal(t, []string{"jg-cart", "jg-front"}, names("/api/services"))
	require.Equal(t, []string{"GET /0", "GET /1", "GET /2"}, names("/api/services/jg-front/operations"))
	search := func(params ...string) (found []string) {
		q := url.Values{"start": {strconv.FormatInt(begin.Add(-time.Hour).UnixMicro(), 10)}, "end": {strconv.FormatInt(time.Now().UnixMicro(), 10)}, "limit": {"50"}}
		for i := 0; i < len(params); i += 2 {
			q.Set(params[i], params[i+1])
		}
		var answer struct {
			Data []struct {
				TraceID string
				Spans   []struct{ SpanID string }
			}
		}
		require.NoError(t, s.get(jaeger+"/api/traces?"+q.Encode(), &answer))
		for _, trace := range answer.Data {
			require.Len(t, trace.Spans, 2, "the whole trace")
			found = append(found, trace.TraceID)
		}
		slices.Sort(found)
		return found
	}
	require.Equal(t, ids, search("service", "jg-front"))
	require.Equal(t, ids[1:2], search("service", "jg-front", "operation", "GET /1"))
	require.Equal(t, ids[2:], search("service", "jg-front", "tags", `{"number":"2"}`))
	require.Equal(t, ids[2:], search("service", "jg-front", "minDuration", "25ms"))
	require.Equal(t, ids[:1], search("service", "jg-front", "maxDuration", "15ms"))
	require.Equal(t, ids[:1], search("service", "jg-cart", "tags", `{"error":"true"}`))
	require.Empty(t, search("service", "jg-none"))

	var one struct {
		Data []struct {
			Spans []struct {
				OperationName string
				References    []struct{ SpanID string }
				Tags          []struct {
					Key, Type string
					Value     any
				}
			}
		}
	}
	require.NoError(t, s.get(jaeger+"/api/traces/"+ids[1], &one))
	require.Len(t, one.Data[0].Spans, 2)
	for _, span := range one.Data[0].Spans {
		if span.OperationName == "GET /1" {
			at := slices.IndexFunc(span.Tags, func(tag struct {
				Key, Type string
				Value     any
			}) bool {
				return tag.Key == "number"
			})
			require.GreaterOrEqual(t, at, 0)
			require.Equal(t, "int64", span.Tags[at].Type)
			require.EqualValues(t, 1, span.Tags[at].Value)
		} else {
			require.Len(t, span.References, 1)
		}
	}
	require.ErrorContains(t, s.get(jaeger+"/api/traces/abcdef0123456789", nil), "404")
	var graph struct {
		Data []struct {
			Parent, Child string
			CallCount     int
		}
	}
	require.NoError(t, s.get(jaeger+"/api/dependencies", &graph, "endTs", strconv.FormatInt(time.Now().UnixMilli(), 10), "lookback", "3600000"))
	require.Len(t, graph.Data, 1)
	require.Equal(t, "jg-front", graph.Data[0].Parent)
	require.Equal(t, 3, graph.Data[0].CallCount)
	var v3 struct {
		Result struct{ ResourceSpans otlpJSON }
	}
	require.NoError(t, s.get(jaeger+"/api/v3/traces/"+ids[0], &v3))
	require.Equal(t, 2, v3.Result.ResourceSpans.count())
}

// sendShop sends three traces of a call from jg-front to jg-cart, and returns
// their IDs. They take 10, 20 and 30 ms; the first one fails.
func (s *server) sendShop(target string, begin time.Time) (ids []string) {
	s.t.Helper()
	td := ptrace.NewTraces()
	lists := map[string]ptrace.SpanSlice{}
	for _, service := range []string{"jg-front", "jg-cart"} {
		resource := td.ResourceSpans().AppendEmpty()
		resource.Resource().Attributes().PutStr("service.name", service)
		lists[service] = resource.ScopeSpans().AppendEmpty().Spans()
	}
	for n := range 3 {
		id := pcommon.TraceID{0: 9, 15: byte(n + 1)}
		ids = append(ids, id.String())
		span := func(service, name string, number, parent byte, kind ptrace.SpanKind, d time.Duration) ptrace.Span {
			span := lists[service].AppendEmpty()
			span.SetName(name)
			span.SetKind(kind)
			span.SetTraceID(id)
			span.SetSpanID(pcommon.SpanID{7: number})
			span.SetParentSpanID(pcommon.SpanID{7: parent})
			span.SetStartTimestamp(pcommon.NewTimestampFromTime(begin.Add(time.Duration(n) * time.Second)))
			span.SetEndTimestamp(pcommon.NewTimestampFromTime(begin.Add(time.Duration(n)*time.Second + d)))
			return span
		}
		d := time.Duration(n+1) * 10 * time.Millisecond
		span("jg-front", fmt.Sprintf("GET /%d", n), 1, 0, ptrace.SpanKindClient, d).Attributes().PutInt("number", int64(n))
		inner := span("jg-cart", "items", 2, 1, ptrace.SpanKindServer, time.Millisecond)
		if n == 0 {
			inner.Status().SetCode(ptrace.StatusCodeError)
		}
	}
	body, err := ptraceotlp.NewExportRequestFromTraces(td).MarshalProto()
	require.NoError(s.t, err)
	a := s.send(target, body, "Content-Type", protobufType)
	require.Equal(s.t, 200, a.code, a.body)
	return ids
}
