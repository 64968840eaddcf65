package e2e

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

const (
	protobufType = "application/x-protobuf"
	jsonType     = "application/json"
)

// grpcMethods are OTLP's, by signal.
var grpcMethods = map[string]string{
	"logs":    "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
	"traces":  "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
	"metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
}

func gzipped(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	require.NoError(t, err)
	_, err = w.Write(b)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

func zstded(t *testing.T, b []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	return w.EncodeAll(b, nil)
}

// peakMemory returns the most memory that the process has had so far, in bytes.
func (s *server) peakMemory() int {
	s.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		s.t.Skip("no /proc to read the memory of a process from")
	}
	_, after, _ := strings.Cut(string(text), "VmHWM:")
	kib, err := strconv.Atoi(strings.Fields(after)[0])
	require.NoError(s.t, err)
	return kib << 10
}

// statusOf returns the google.rpc.Status of a refused OTLP/HTTP request.
func statusOf(t *testing.T, a answer) string {
	t.Helper()
	if a.header.Get("Content-Type") != protobufType {
		return a.body
	}
	var st status.Status
	require.NoError(t, proto.Unmarshal([]byte(a.body), &st))
	return st.GetMessage()
}

func TestBadRequestsAreRefusedAndGoodOnesGoOn(t *testing.T) {
	s := newServer(t, "")
	s.maxRequest = "1MiB"
	s.configure("")
	s.start()
	good := map[string][]byte{}
	good["logs"], _ = plogotlp.NewExportRequestFromLogs(logsOf("before", func(plog.LogRecord) {})).MarshalProto()
	good["traces"], _ = ptraceotlp.NewExportRequestFromTraces(spansOf("before", func(ptrace.Span) {})).MarshalProto()
	good["metrics"], _ = pmetricotlp.NewExportRequestFromMetrics(pointsOf("before", func(pmetric.Metric) {})).MarshalProto()
	zeros := make([]byte, 128<<20)
	gzipBomb, zstdBomb := gzipped(t, zeros), zstded(t, zeros)
	require.Less(t, max(len(gzipBomb), len(zstdBomb)), 1<<20, "small bodies")
	large := zeros[:1<<20+1]

	for signal, request := range good {
		for door, target := range map[string]string{"port": "http://" + s.http + "/v1/" + signal, "main port": "/v1/" + signal} {
			for _, tt := range []struct {
				name, contentType, encoding string
				body                        []byte
				code                        int
				reason                      string
			}{
				{"malformed protobuf", protobufType, "", []byte("\x0a\xff not protobuf"), 400, "malformed protobuf"},
				{"truncated protobuf", protobufType, "", request[:len(request)-2], 400, "malformed protobuf"},
				{"malformed JSON", jsonType, "", []byte(`{"resource`), 400, "malformed JSON"},
				{"wrong content type", "text/html", "", request, 415, "content type"},
				{"unknown encoding", protobufType, "rot13", request, 415, "rot13"},
				{"not gzip", protobufType, "gzip", request, 400, "gzip"},
				{"large body", protobufType, "", large, 413, "limit"},
				{"gzip bomb", protobufType, "gzip", gzipBomb, 413, "limit"},
				{"zstd bomb", protobufType, "zstd", zstdBomb, 413, "limit"},
				{"empty protobuf", protobufType, "", nil, 200, ""},
				{"empty JSON", jsonType, "", []byte(`{}`), 200, ""},
			} {
				headers := []string{"Content-Type", tt.contentType}
				if tt.encoding != "" {
					headers = append(headers, "Content-Encoding", tt.encoding)
				}
				a, err := s.trySend(target, tt.body, headers...)
				require.NoError(t, err, "%s of %s at the %s", tt.name, signal, door)
				require.Equal(t, tt.code, a.code, "%s of %s at the %s: %q", tt.name, signal, door, a.body)
				require.Contains(t, statusOf(t, a), tt.reason, "%s of %s at the %s", tt.name, signal, door)
			}
			// What is left unread of a bomb is not taken for the next request.
			for range 4 {
				require.Equal(t, 413, s.send(target, gzipBomb, "Content-Type", protobufType, "Content-Encoding", "gzip").code)
			}
			require.Equal(t, 200, s.send(target, request, "Content-Type", protobufType).code)
		}
		for _, tt := range []struct {
			name string
			body []byte
			code codes.Code
			opts []grpc.CallOption
		}{
			{"malformed", []byte("\x0a\xff not protobuf"), codes.InvalidArgument, nil},
			{"large", large, codes.ResourceExhausted, nil},
			{"gzip bomb", zeros[:64<<20], codes.ResourceExhausted, []grpc.CallOption{grpc.UseCompressor("gzip")}},
			{"empty", nil, codes.OK, nil},
			{"good", request, codes.OK, nil},
		} {
			_, err := s.callRaw(s.grpc, grpcMethods[signal], tt.body, tt.opts...)
			require.Equal(t, tt.code, grpcstatus.Code(err), "%s %s over gRPC: %v", tt.name, signal, err)
		}
	}
	require.NotEmpty(t, s.wantSample(`before`).value)
	lines, err := s.lokiLines(`{service_name="before"}`)
	require.NoError(t, err)
	require.NotEmpty(t, lines)
	s.wantTrace(`{ resource.service.name = "before" }`)

	t.Run("many bombs at once take little memory", func(t *testing.T) {
		before := s.peakMemory()
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				for encoding, bomb := range map[string][]byte{"gzip": gzipBomb, "zstd": zstdBomb} {
					// It may hang up while the rest is being sent, or be busy.
					if a, err := s.trySend("http://"+s.http+"/v1/logs", bomb, "Content-Type", protobufType, "Content-Encoding", encoding); err == nil && a.code != 413 && a.code != 429 {
						t.Errorf("%s bomb: %d", encoding, a.code)
					}
				}
			})
		}
		wg.Wait()
		require.Less(t, s.peakMemory()-before, 150<<20)
	})

	t.Run("loki push", func(t *testing.T) {
		now := time.Now()
		push := func(body []byte, contentType string, headers ...string) answer {
			return s.send("/loki/api/v1/push", body, append([]string{"Content-Type", contentType}, headers...)...)
		}
		protobuf := lokiPush(`{job="bad"}`, "line", now, "a", "b")
		for name, tt := range map[string]struct {
			answer answer
			code   int
		}{
			"malformed JSON":     {push([]byte(`{"streams":[`), jsonType), 400},
			"bad timestamp":      {push([]byte(`{"streams":[{"stream":{"job":"bad"},"values":[["soon","x"]]}]}`), jsonType), 400},
			"not snappy":         {push(protobuf, protobufType), 400},
			"malformed protobuf": {push(snappy.Encode(nil, []byte("\x0a\xff nothing")), protobufType), 400},
			"bad labels":         {push(snappy.Encode(nil, lokiPush(`{job=`, "line", now, "a", "b")), protobufType), 400},
			"wrong content type": {push(protobuf, "text/html"), 400}, // taken for protobuf, as in Loki
			"large body":         {push(large, jsonType), 413},
			"snappy bomb":        {push(snappy.Encode(nil, zeros[:64<<20]), protobufType), 413},
			"gzip bomb":          {push(gzipBomb, jsonType, "Content-Encoding", "gzip"), 413},
			"empty":              {push([]byte(`{"streams":[]}`), jsonType), 204},
		} {
			require.Equal(t, tt.code, tt.answer.code, "%s: %q", name, tt.answer.body)
			if tt.code != 204 {
				require.NotEmpty(t, strings.TrimSpace(tt.answer.body), name)
			}
		}
		lines, err := s.lokiLines(`{job="bad"}`)
		require.NoError(t, err)
		require.Empty(t, lines)

		future := now.Add(240 * time.Hour)
		a := push(fmt.Appendf(nil, `{"streams":[{"stream":{"job":"mixed"},"values":[["%d","kept"],["%d","too early"]]}]}`,
			now.UnixNano(), future.UnixNano()), jsonType)
		require.Equal(t, 400, a.code, "as Loki answers: %q", a.body)
		require.Contains(t, a.body, "future")
		require.Equal(t, "kept", s.wantLine(`{job="mixed"}`).text)
	})

	t.Run("remote write", func(t *testing.T) {
		now := time.Now().UnixMilli()
		for name, a := range map[string]answer{
			"malformed": s.remoteWrite("2.0.0", []byte("\x0a\xff nothing")),
			"no snappy": s.send("/api/v1/write", []byte("nothing"), "Content-Type", protobufType, "Content-Encoding", "snappy"),
		} {
			require.Equal(t, 400, a.code, "%s: %q", name, a.body)
			require.NotEmpty(t, a.body, name)
		}
		require.Equal(t, 415, s.send("/api/v1/write", nil, "Content-Type", jsonType).code)
		require.Equal(t, 413, s.remoteWrite("0.1.0", zeros).code)
		require.Equal(t, 2, s.remoteWrite("2.0.0", nil).code/100, "empty")

		long := strings.Repeat("x", 17<<10)
		message, err := (&writev2.Request{
			Symbols: []string{"", "__name__", "mixed_total", "n", "1", "2", "3", "4", long, "a\xffb"},
			Timeseries: []writev2.TimeSeries{
				{LabelsRefs: []uint32{1, 2, 3, 4}, Samples: []writev2.Sample{{Timestamp: now, Value: 1}}},
				{LabelsRefs: []uint32{1, 2, 3, 5}, Samples: []writev2.Sample{{Timestamp: now + 240*3600_000, Value: 1}}}, // future
				{LabelsRefs: []uint32{1, 2, 3, 6}, Samples: []writev2.Sample{{Timestamp: now, Value: math.NaN()}}},       // fine
				{LabelsRefs: []uint32{1, 2, 3, 8}, Samples: []writev2.Sample{{Timestamp: now, Value: 1}}},                // too long
				{LabelsRefs: []uint32{1, 2, 3, 9}, Samples: []writev2.Sample{{Timestamp: now, Value: 1}}},                // not UTF-8
				{LabelsRefs: []uint32{1, 2, 3, 7}, Samples: []writev2.Sample{{Timestamp: now - 90*24*3600_000, Value: 1}}},
			},
		}).Marshal()
		require.NoError(t, err)
		a := s.remoteWrite("2.0.0", message)
		require.Equal(t, 400, a.code, a.body)
		written, err := strconv.Atoi(a.header.Get("X-Prometheus-Remote-Write-Samples-Written"))
		require.NoError(t, err)
		samples, err := s.promSamples(`mixed_total`)
		require.NoError(t, err)
		require.Len(t, samples, 2, "the good one and NaN: %v", samples)
		require.Equal(t, 2, written)

		var labels []prompb.Label
		for i := range 200 {
			labels = append(labels, prompb.Label{Name: fmt.Sprintf("l%03d", i), Value: "x"})
		}
		name := prompb.Label{Name: "__name__", Value: "labeled_total"}
		message, err = (&prompb.WriteRequest{Timeseries: []prompb.TimeSeries{
			{Labels: append([]prompb.Label{name}, labels...), Samples: []prompb.Sample{{Timestamp: now, Value: 1}}},
			{Labels: []prompb.Label{name}, Samples: []prompb.Sample{{Timestamp: now, Value: 2}}},
		}}).Marshal()
		require.NoError(t, err)
		a = s.remoteWrite("0.1.0", message)
		require.Equal(t, 400, a.code, a.body)
		require.Contains(t, a.body, "label")
		require.Equal(t, "2", s.wantSample(`labeled_total`).value)
	})
	s.stop()
}

func resourceOf(r pcommon.Resource, service string) { r.Attributes().PutStr("service.name", service) }

// logsOf returns one record for each function, changed by it.
func logsOf(service string, changes ...func(plog.LogRecord)) plog.Logs {
	ld := plog.NewLogs()
	rl := ld.ResourceLogs().AppendEmpty()
	resourceOf(rl.Resource(), service)
	records := rl.ScopeLogs().AppendEmpty().LogRecords()
	for i, change := range changes {
		r := records.AppendEmpty()
		r.SetTimestamp(pcommon.NewTimestampFromTime(time.Now()))
		r.Body().SetStr(fmt.Sprintf("record %d", i))
		change(r)
	}
	return ld
}

func spansOf(service string, changes ...func(ptrace.Span)) ptrace.Traces {
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	resourceOf(rs.Resource(), service)
	spans := rs.ScopeSpans().AppendEmpty().Spans()
	for i, change := range changes {
		span := spans.AppendEmpty()
		span.SetName(fmt.Sprintf("span %d", i))
		span.SetTraceID(pcommon.TraceID{0xbb, 1})
		span.SetSpanID(pcommon.SpanID{1, byte(i)})
		span.SetStartTimestamp(pcommon.NewTimestampFromTime(time.Now().Add(-time.Second)))
		span.SetEndTimestamp(pcommon.NewTimestampFromTime(time.Now()))
		change(span)
	}
	return td
}

func pointsOf(name string, changes ...func(pmetric.Metric)) pmetric.Metrics {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	resourceOf(rm.Resource(), name)
	metrics := rm.ScopeMetrics().AppendEmpty().Metrics()
	for i, change := range changes {
		m := metrics.AppendEmpty()
		m.SetName(name)
		p := m.SetEmptyGauge().DataPoints().AppendEmpty()
		p.SetTimestamp(pcommon.NewTimestampFromTime(time.Now()))
		p.SetDoubleValue(float64(i))
		if len(changes) > 1 {
			p.Attributes().PutInt("n", int64(i))
		}
		change(m)
	}
	return md
}

var (
	farFuture = pcommon.NewTimestampFromTime(time.Now().AddDate(3, 0, 0))
	farPast   = pcommon.NewTimestampFromTime(time.Now().AddDate(-30, 0, 0))
)

// TestBadRecordsDoNotTakeGoodOnesWithThem sends records that are bad on their
// own in the middle of good ones.
func TestBadRecordsDoNotTakeGoodOnesWithThem(t *testing.T) {
	s := newServer(t, "")
	s.start()
	point := func(m pmetric.Metric) pmetric.NumberDataPoint { return m.Gauge().DataPoints().At(0) }
	t.Run("logs", func(t *testing.T) {
		request, err := plogotlp.NewExportRequestFromLogs(logsOf("mixed",
			func(plog.LogRecord) {},
			func(r plog.LogRecord) { r.SetTimestamp(farFuture) },
			func(r plog.LogRecord) { r.SetTimestamp(farPast) },
			func(r plog.LogRecord) { r.Body().SetStr(strings.Repeat("x", 2<<20)) },
			func(r plog.LogRecord) {
				for i := range 600 {
					r.Attributes().PutInt(fmt.Sprintf("a%d", i), 1)
				}
			},
			func(r plog.LogRecord) { r.Attributes().PutDouble("nan", math.NaN()) },
			func(r plog.LogRecord) { r.Body().SetStr("record 6 \xff\xfe"); r.Attributes().PutStr("k\xff", "v\xff") },
			func(r plog.LogRecord) { r.Attributes().PutStr(strings.Repeat("k", 20000), "long key") },
			func(plog.LogRecord) {},
		)).MarshalProto()
		require.NoError(t, err)
		out, err := s.callRaw(s.grpc, grpcMethods["logs"], request)
		require.NoError(t, err)
		answered := plogotlp.NewExportResponse()
		require.NoError(t, answered.UnmarshalProto(out))
		lines, err := s.lokiLines(`{service_name="mixed"}`)
		require.NoError(t, err)
		for _, want := range []string{"record 0", "record 5", "record 6", "record 8"} {
			require.True(t, hasLine(lines, want), "%s: %v", want, lines)
		}
		require.EqualValues(t, 9-len(lines), answered.PartialSuccess().RejectedLogRecords())
		require.GreaterOrEqual(t, answered.PartialSuccess().RejectedLogRecords(), int64(4))
		require.NotEmpty(t, answered.PartialSuccess().ErrorMessage())
	})
	t.Run("traces", func(t *testing.T) {
		request, err := ptraceotlp.NewExportRequestFromTraces(spansOf("mixed",
			func(ptrace.Span) {},
			func(x ptrace.Span) { x.SetTraceID(pcommon.TraceID{}) },
			func(x ptrace.Span) { x.SetSpanID(pcommon.SpanID{}) },
			func(x ptrace.Span) { x.SetStartTimestamp(farFuture); x.SetEndTimestamp(farFuture) },
			func(x ptrace.Span) { x.SetStartTimestamp(farPast); x.SetEndTimestamp(farPast) },
			func(x ptrace.Span) {
				for i := range 1100 {
					x.Attributes().PutInt(fmt.Sprintf("a%d", i), 1)
				}
			},
			func(x ptrace.Span) { x.SetName("span 6 \xff"); x.Attributes().PutStr("k\xff", "v\xff") },
			func(x ptrace.Span) { x.Attributes().PutDouble("nan", math.NaN()) },
			func(x ptrace.Span) { x.SetEndTimestamp(x.StartTimestamp() - 1e9) },
		)).MarshalProto()
		require.NoError(t, err)
		a := s.send("http://"+s.http+"/v1/traces", request, "Content-Type", protobufType)
		require.Equal(t, 200, a.code, a.body)
		answered := ptraceotlp.NewExportResponse()
		require.NoError(t, answered.UnmarshalProto([]byte(a.body)))
		var found struct {
			Batches []struct {
				ScopeSpans []struct{ Spans []struct{ Name string } }
			}
		}
		require.NoError(t, s.get("/tempo/api/traces/bb010000000000000000000000000000", &found))
		var names []string
		for _, b := range found.Batches {
			for _, scope := range b.ScopeSpans {
				for _, span := range scope.Spans {
					names = append(names, span.Name[:6])
				}
			}
		}
		require.Subset(t, names, []string{"span 0", "span 6", "span 7"})
		require.EqualValues(t, 9-len(names), answered.PartialSuccess().RejectedSpans())
		require.GreaterOrEqual(t, answered.PartialSuccess().RejectedSpans(), int64(5))
		require.NotEmpty(t, answered.PartialSuccess().ErrorMessage())
		ids, err := s.tempoTraces(`{ resource.service.name = "mixed" && name =~ "span 6.*" }`)
		require.NoError(t, err)
		require.Len(t, ids, 1)
	})
	t.Run("metrics", func(t *testing.T) {
		request, err := pmetricotlp.NewExportRequestFromMetrics(pointsOf("mixed",
			func(pmetric.Metric) {},
			func(m pmetric.Metric) { point(m).SetTimestamp(farFuture) },
			func(m pmetric.Metric) { point(m).SetTimestamp(farPast) },
			func(m pmetric.Metric) { m.SetName("") },
			func(m pmetric.Metric) {
				for i := range 200 {
					point(m).Attributes().PutInt(fmt.Sprintf("a%d", i), 1)
				}
			},
			func(m pmetric.Metric) { point(m).Attributes().PutStr("long", strings.Repeat("v", 17<<10)) },
			func(m pmetric.Metric) { point(m).SetDoubleValue(math.NaN()) },
			func(m pmetric.Metric) { point(m).Attributes().PutStr("text", "v\xff") },
			func(pmetric.Metric) {},
		)).MarshalProto()
		require.NoError(t, err)
		out, err := s.callRaw(s.grpc, grpcMethods["metrics"], request)
		require.NoError(t, err)
		answered := pmetricotlp.NewExportResponse()
		require.NoError(t, answered.UnmarshalProto(out))
		samples, err := s.promSamples(`mixed`)
		require.NoError(t, err)
		found := map[string]string{}
		for _, x := range samples {
			found[x.labels["n"]] = x.value
		}
		require.Equal(t, "0", found["0"])
		require.Equal(t, "8", found["8"])
		require.Equal(t, "NaN", found["6"])
		require.EqualValues(t, 9-len(found), answered.PartialSuccess().RejectedDataPoints())
		require.GreaterOrEqual(t, answered.PartialSuccess().RejectedDataPoints(), int64(5))
		require.NotEmpty(t, answered.PartialSuccess().ErrorMessage())
	})
	s.stop()
}

func hasLine(lines []line, start string) bool {
	for _, l := range lines {
		if strings.HasPrefix(l.text, start) {
			return true
		}
	}
	return false
}
