package e2e

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jaegertracing/jaeger-idl/model/v1"
	jaegerv2 "github.com/jaegertracing/jaeger-idl/proto-gen/api_v2"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// oddSpan is a span of a trace that is not as it should be. Times are
// milliseconds from the trace's begin.
type oddSpan struct {
	id, parent byte
	start, end int
}

// oddTraces are traces that systems send all the same, in the order in which
// their spans arrive; late ones come after a crash.
var oddTraces = map[string]struct {
	spans, late []oddSpan
	count       int // spans that are shown: duplicates once
}{
	"cycle":          {spans: []oddSpan{{1, 3, 0, 9}, {2, 1, 1, 8}, {3, 2, 2, 7}}, count: 3},
	"own parent":     {spans: []oddSpan{{1, 1, 0, 9}}, count: 1},
	"missing root":   {spans: []oddSpan{{2, 1, 0, 9}, {3, 2, 1, 8}}, count: 2},
	"several roots":  {spans: []oddSpan{{1, 0, 0, 9}, {2, 0, 5, 8}, {3, 2, 6, 7}}, count: 3},
	"twice":          {spans: []oddSpan{{1, 0, 0, 9}, {1, 0, 0, 9}, {2, 1, 1, 8}}, late: []oddSpan{{2, 1, 1, 8}}, count: 2},
	"out of order":   {spans: []oddSpan{{3, 2, 2, 7}, {2, 1, 1, 8}, {1, 0, 0, 9}}, count: 3},
	"late":           {spans: []oddSpan{{2, 1, 1, 8}}, late: []oddSpan{{1, 0, 0, 9}, {3, 2, 2, 7}}, count: 3},
	"late by hours":  {spans: []oddSpan{{1, 0, 0, 9}}, late: []oddSpan{{2, 1, -43_200_000, -43_199_000}}, count: 2},
	"skewed clock":   {spans: []oddSpan{{1, 0, 0, 9}, {2, 1, -3_600_000, -3_599_000}, {3, 2, 3_000_000, 3_000_001}}, count: 3},
	"ends before it": {spans: []oddSpan{{1, 0, 5, 0}, {2, 1, 1, 8}}, count: 2},
}

const longTrace = 100_000

// oddID is the trace ID of a case.
func oddID(name string) (id pcommon.TraceID) {
	copy(id[:], name)
	id[15] = byte(len(name))
	return id
}

// TestBrokenTracesAreShownByEveryAPI sends what is broken, late or very long, and
// reads it by every API before a crash, after it, and when the rest has come.
func TestBrokenTracesAreShownByEveryAPI(t *testing.T) {
	s := newServer(t, "")
	s.start()
	begin := time.Now().Add(-10 * time.Minute).Truncate(time.Second)
	for name, trace := range oddTraces {
		for _, span := range trace.spans {
			s.sendOdd(oddID(name), begin, "odd "+name, span)
		}
	}
	s.sendLong(oddID("long"), begin)
	s.sendZeroIDs(begin)
	seen := func(late bool) {
		for name, trace := range oddTraces {
			if want := trace.count; late || len(trace.late) == 0 || name == "twice" {
				s.wantSpans(oddID(name), "odd "+name, want, begin)
			}
		}
		if late { // it takes its time
			s.wantSpans(oddID("long"), "odd long", longTrace, begin)
		}
		s.wantSpans(oddID("zero"), "odd zero", 1, begin)
	}
	seen(false)
	s.kill()
	s.start()
	seen(false)
	for name, trace := range oddTraces {
		for _, span := range trace.late {
			s.sendOdd(oddID(name), begin, "odd "+name, span)
		}
	}
	seen(true)
	for query, want := range map[string]string{
		`{ name = "odd late" && span:id = "01" } >> { span:id = "03" }`:          "late",
		`{ name = "odd late by hours" } > { span:id = "02" }`:                    "late by hours",
		`{ name = "odd cycle" && span:id = "01" } >> { span:id = "03" }`:         "cycle",
		`{ name = "odd several roots" && nestedSetParent < 0 } | count() = 2`:    "several roots",
		`{ name = "odd missing root" && rootName = nil } | count() = 2`:          "missing root",
		`{ name = "odd skewed clock" && traceDuration > 1h } | count() > 1`:      "skewed clock",
		`{ name = "odd ends before it" && duration < 0s }`:                       "ends before it",
		`{ name = "odd twice" } | count() = 2`:                                   "twice",
		`{ name = "odd long" } | count() = 100000`:                               "long",
		`{ name = "odd long" && span:parentID = nil } >> { span.number = 99999}`: "long",
	} {
		found, err := s.tempoTraces(query)
		require.NoError(t, err, query)
		require.Equal(t, []string{oddID(want).String()}, found, query)
	}
	s.stop()
}

func (s *server) sendOdd(id pcommon.TraceID, begin time.Time, name string, spans ...oddSpan) {
	s.t.Helper()
	td, list := oddRequest(name)
	for _, o := range spans {
		span := list.AppendEmpty()
		span.SetName(name)
		span.SetTraceID(id)
		span.SetSpanID(pcommon.SpanID{7: o.id})
		span.SetParentSpanID(pcommon.SpanID{7: o.parent})
		span.SetStartTimestamp(pcommon.NewTimestampFromTime(begin.Add(time.Duration(o.start) * time.Millisecond)))
		span.SetEndTimestamp(pcommon.NewTimestampFromTime(begin.Add(time.Duration(o.end) * time.Millisecond)))
	}
	s.export(td)
}

// oddRequest is a request of one service, named as its spans.
func oddRequest(service string) (ptrace.Traces, ptrace.SpanSlice) {
	td := ptrace.NewTraces()
	resource := td.ResourceSpans().AppendEmpty()
	resource.Resource().Attributes().PutStr("service.name", service)
	return td, resource.ScopeSpans().AppendEmpty().Spans()
}

// export sends spans by OTLP, and returns how many were refused one by one.
func (s *server) export(td ptrace.Traces) int64 {
	s.t.Helper()
	body, err := ptraceotlp.NewExportRequestFromTraces(td).MarshalProto()
	require.NoError(s.t, err)
	a := s.send("http://"+s.http+"/v1/traces", body, "Content-Type", protobufType)
	require.Equal(s.t, http.StatusOK, a.code, a.body)
	answer := ptraceotlp.NewExportResponse()
	require.NoError(s.t, answer.UnmarshalProto([]byte(a.body)))
	return answer.PartialSuccess().RejectedSpans()
}

// sendLong sends a trace of very many spans, the last ones first.
func (s *server) sendLong(id pcommon.TraceID, begin time.Time) {
	s.t.Helper()
	const batch = 10_000
	for to := longTrace; to > 0; to -= batch {
		td, list := oddRequest("odd long")
		for n := to - batch; n < to; n++ {
			span := list.AppendEmpty()
			span.SetName("odd long")
			span.SetTraceID(id)
			var spanID, parent pcommon.SpanID
			binary.BigEndian.PutUint64(spanID[:], uint64(n+1))
			binary.BigEndian.PutUint64(parent[:], uint64((n+9)/10)) // ten children each
			span.SetSpanID(spanID)
			span.SetParentSpanID(parent)
			span.SetStartTimestamp(pcommon.NewTimestampFromTime(begin.Add(time.Duration(n) * time.Microsecond)))
			span.SetEndTimestamp(pcommon.NewTimestampFromTime(begin.Add(time.Second)))
			span.Attributes().PutInt("number", int64(n))
		}
		require.Zero(s.t, s.export(td))
	}
}

// sendZeroIDs sends spans that cannot be stored beside one that can.
func (s *server) sendZeroIDs(begin time.Time) {
	s.t.Helper()
	td, list := oddRequest("odd zero")
	for i, id := range []pcommon.TraceID{oddID("zero"), {}, oddID("zero")} {
		span := list.AppendEmpty()
		span.SetName("odd zero")
		span.SetTraceID(id)
		if i < 2 {
			span.SetSpanID(pcommon.SpanID{7: byte(i + 1)})
		}
		span.SetStartTimestamp(pcommon.NewTimestampFromTime(begin))
		span.SetEndTimestamp(pcommon.NewTimestampFromTime(begin.Add(time.Millisecond)))
	}
	require.EqualValues(s.t, 2, s.export(td))
}

// wantSpans wants a trace to be found, and shown with all its spans, by every API.
func (s *server) wantSpans(id pcommon.TraceID, name string, want int, begin time.Time) {
	s.t.Helper()
	found, err := s.tempoTraces(fmt.Sprintf(`{ name = %q }`, name))
	require.NoError(s.t, err)
	require.Equal(s.t, []string{id.String()}, found, "Tempo search for %s", name)
	for api, read := range map[string]func(pcommon.TraceID, string, time.Time) (int, error){
		"Tempo JSON":          s.tempoJSON("/tempo/api/traces/"),
		"Tempo v2 JSON":       s.tempoJSON("/tempo/api/v2/traces/"),
		"Tempo protobuf":      s.tempoProtobuf,
		"Jaeger JSON":         s.jaegerJSON("/jaeger/api/traces/ID"),
		"Jaeger search":       s.jaegerJSON("/jaeger/api/traces?service=SERVICE&start=FROM&end=TO"),
		"Jaeger v3 JSON":      s.jaegerV3JSON,
		"Jaeger gRPC v2":      s.jaegerV2,
		"Jaeger gRPC v3":      s.otlpStream("/jaeger.api_v3.QueryService/GetTrace", func(id pcommon.TraceID) []byte { return field(1, []byte(id.String())) }),
		"Jaeger storage gRPC": s.otlpStream("/jaeger.storage.v2.TraceReader/GetTraces", func(id pcommon.TraceID) []byte { return field(1, field(1, id[:])) }),
		"Zipkin JSON":         s.zipkinJSON,
	} {
		got, err := read(id, name, begin)
		require.NoError(s.t, err, "%s by %s", name, api)
		require.Equal(s.t, want, got, "spans of %s by %s", name, api)
	}
}

type otlpJSON []struct {
	ScopeSpans []struct {
		Spans []struct{ SpanID string }
	}
}

func (o otlpJSON) count() (n int) {
	for _, resource := range o {
		for _, scope := range resource.ScopeSpans {
			n += len(scope.Spans)
		}
	}
	return n
}

func (s *server) tempoJSON(path string) func(pcommon.TraceID, string, time.Time) (int, error) {
	return func(id pcommon.TraceID, _ string, _ time.Time) (int, error) {
		var found struct {
			Batches otlpJSON
			Trace   struct{ ResourceSpans otlpJSON }
			Status  string
		}
		err := s.get(path+id.String(), &found)
		if found.Status == "PARTIAL" {
			err = errors.New("partial")
		}
		return found.Batches.count() + found.Trace.ResourceSpans.count(), err
	}
}

func (s *server) tempoProtobuf(id pcommon.TraceID, _ string, _ time.Time) (int, error) {
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.base+"/tempo/api/traces/"+id.String(), http.NoBody)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Accept", "application/protobuf")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	td, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(body)
	return td.SpanCount(), err
}

func (s *server) jaegerJSON(path string) func(pcommon.TraceID, string, time.Time) (int, error) {
	return func(id pcommon.TraceID, name string, begin time.Time) (int, error) {
		var found struct {
			Data []struct{ Spans []struct{ SpanID string } }
		}
		target := strings.NewReplacer("ID", id.String(), "SERVICE", url.QueryEscape(name),
			"FROM", strconv.FormatInt(begin.Add(-48*time.Hour).UnixMicro(), 10), "TO", strconv.FormatInt(begin.Add(2*time.Hour).UnixMicro(), 10)).Replace(path)
		if err := s.get(target, &found); err != nil {
			return 0, err
		}
		if len(found.Data) != 1 {
			return 0, fmt.Errorf("%d traces", len(found.Data))
		}
		return len(found.Data[0].Spans), nil
	}
}

func (s *server) jaegerV3JSON(id pcommon.TraceID, _ string, _ time.Time) (int, error) {
	var found struct {
		Result struct{ ResourceSpans otlpJSON }
	}
	err := s.get("/jaeger/api/v3/traces/"+id.String(), &found)
	return found.Result.ResourceSpans.count(), err
}

func (s *server) zipkinJSON(id pcommon.TraceID, _ string, _ time.Time) (int, error) {
	var found []struct{ ID string }
	err := s.get("/zipkin/api/v2/trace/"+id.String(), &found)
	return len(found), err
}

// dial connects to the gRPC services on the port of the HTTP APIs.
func (s *server) dial(opts ...grpc.DialOption) *grpc.ClientConn {
	s.t.Helper()
	conn, err := grpc.NewClient(strings.TrimPrefix(s.base, "http://"), append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func (s *server) jaegerV2(id pcommon.TraceID, _ string, _ time.Time) (int, error) {
	conn := s.dial(grpc.WithDefaultCallOptions(grpc.ForceCodec(gogoCodec{}), grpc.MaxCallRecvMsgSize(64<<20)))
	stream, err := jaegerv2.NewQueryServiceClient(conn).GetTrace(s.t.Context(), &jaegerv2.GetTraceRequest{
		TraceID: model.NewTraceID(binary.BigEndian.Uint64(id[:8]), binary.BigEndian.Uint64(id[8:])),
	})
	if err != nil {
		return 0, err
	}
	n := 0
	for {
		chunk, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		n += len(chunk.Spans)
	}
}

// stream calls a method that answers with a stream of messages.
func (s *server) stream(method string, message []byte) (answers [][]byte, err error) {
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	stream, err := s.dial().NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, method, grpc.ForceCodec(rawCodec{}))
	if err != nil {
		return nil, err
	}
	if err := errors.Join(stream.SendMsg(&message), stream.CloseSend()); err != nil {
		return nil, err
	}
	for {
		var answer []byte
		if err := stream.RecvMsg(&answer); errors.Is(err, io.EOF) {
			return answers, nil
		} else if err != nil {
			return answers, err
		}
		answers = append(answers, answer)
	}
}

// otlpStream calls a method that answers with a stream of OTLP's TracesData, which
// is what Jaeger's newer services do.
func (s *server) otlpStream(method string, request func(pcommon.TraceID) []byte) func(pcommon.TraceID, string, time.Time) (int, error) {
	return func(id pcommon.TraceID, _ string, _ time.Time) (n int, err error) {
		answers, err := s.stream(method, request(id))
		for _, answer := range answers {
			td, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(answer)
			if err != nil {
				return n, fmt.Errorf("%w in %s", err, hex.EncodeToString(answer[:min(len(answer), 20)]))
			}
			n += td.SpanCount()
		}
		return n, err
	}
}
