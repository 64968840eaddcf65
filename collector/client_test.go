package collector

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

var signals = []string{"logs", "traces", "metrics"}

// request returns an OTLP request in protobuf with one good record per name,
// and as many bad ones.
func request(t *testing.T, signal string, good []string, bad int) []byte {
	t.Helper()
	var body []byte
	var err error
	names := append([]string(nil), good...)
	for range bad {
		names = append(names, "")
	}
	switch signal {
	case "logs":
		ld := plog.NewLogs()
		records := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords()
		for _, name := range names {
			r := records.AppendEmpty()
			r.Body().SetStr(name)
			if name == "" {
				r.Attributes().PutBool("bad", true)
			}
		}
		body, err = plogotlp.NewExportRequestFromLogs(ld).MarshalProto()
	case "traces":
		td := ptrace.NewTraces()
		spans := td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans()
		for _, name := range names {
			s := spans.AppendEmpty()
			s.SetName(name)
			if name == "" {
				s.Attributes().PutBool("bad", true)
			}
		}
		body, err = ptraceotlp.NewExportRequestFromTraces(td).MarshalProto()
	case "metrics":
		md := pmetric.NewMetrics()
		metrics := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics()
		for _, name := range names {
			m := metrics.AppendEmpty()
			m.SetName(name)
			p := m.SetEmptyGauge().DataPoints().AppendEmpty()
			p.SetIntValue(1)
			if name == "" {
				p.Attributes().PutBool("bad", true)
			}
		}
		body, err = pmetricotlp.NewExportRequestFromMetrics(md).MarshalProto()
	}
	require.NoError(t, err)
	return body
}

// asJSON returns the same request in OTLP's JSON.
func asJSON(t *testing.T, signal string, body []byte) []byte {
	t.Helper()
	var req interface {
		UnmarshalProto([]byte) error
		MarshalJSON() ([]byte, error)
	}
	switch signal {
	case "logs":
		req = plogotlp.NewExportRequest()
	case "traces":
		req = ptraceotlp.NewExportRequest()
	default:
		req = pmetricotlp.NewExportRequest()
	}
	require.NoError(t, req.UnmarshalProto(body))
	out, err := req.MarshalJSON()
	require.NoError(t, err)
	return out
}

func gzipped(t *testing.T, body []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, err := z.Write(body)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return out.Bytes()
}

func zstded(t *testing.T, body []byte) []byte {
	z, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	return z.EncodeAll(body, nil)
}

// answer is what came back over HTTP.
type answer struct {
	code   int
	header http.Header
	body   []byte
}

// status returns the google.rpc.Status in an error's body.
func (a answer) status(t *testing.T) *spb.Status {
	t.Helper()
	st := new(spb.Status)
	if a.header.Get("Content-Type") == "application/json" {
		require.NoError(t, protojson.Unmarshal(a.body, st), string(a.body))
	} else {
		require.Equal(t, "application/x-protobuf", a.header.Get("Content-Type"), string(a.body))
		require.NoError(t, proto.Unmarshal(a.body, st))
	}
	return st
}

// sender posts to one signal's path.
type sender func(t *testing.T, path string, header map[string]string, body []byte) answer

// overHTTP posts to the collector's own port.
func (w *world) overHTTP() sender {
	return func(t *testing.T, path string, header map[string]string, body []byte) answer {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+w.http+path, bytes.NewReader(body))
		require.NoError(t, err)
		for key, value := range header {
			r.Header.Set(key, value)
		}
		transport := &http.Transport{DisableKeepAlives: true}
		resp, err := transport.RoundTrip(r)
		require.NoError(t, err)
		defer func() { require.NoError(t, resp.Body.Close()) }()
		got, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return answer{resp.StatusCode, resp.Header, got}
	}
}

// overMux posts to the handlers for the main listener.
func (w *world) overMux() sender {
	mux := http.NewServeMux()
	for pattern, handler := range w.Handlers() {
		mux.Handle(pattern, handler)
	}
	return func(t *testing.T, path string, header map[string]string, body []byte) answer {
		t.Helper()
		r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
		for key, value := range header {
			r.Header.Set(key, value)
		}
		rec := httptest.NewRecorder()
		mux.ServeHTTP(rec, r)
		return answer{rec.Code, rec.Header(), rec.Body.Bytes()}
	}
}

func (w *world) dial(t *testing.T) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(w.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return conn
}

// bytesCodec sends what it is given, good protobuf or not.
type bytesCodec struct{}

var _ encoding.CodecV2 = bytesCodec{}

func (bytesCodec) Name() string { return "proto" }
func (bytesCodec) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

func (bytesCodec) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}

// export calls a signal's service with bytes and returns the answer's bytes.
func export(ctx context.Context, conn *grpc.ClientConn, signal string, body []byte, opts ...grpc.CallOption) ([]byte, error) {
	method := map[string]string{
		"logs":    "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
		"traces":  "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
		"metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
	}[signal]
	var out []byte
	err := conn.Invoke(ctx, method, body, &out, append(opts, grpc.ForceCodecV2(bytesCodec{}))...)
	return out, err
}

// retryDelayOf returns the delay that a gRPC error asks for, or zero.
func retryDelayOf(err error) time.Duration {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			return info.GetRetryDelay().AsDuration()
		}
	}
	return 0
}

// partial returns what a response says was rejected.
func partial(t *testing.T, signal string, body []byte, json bool) (rejected int64, reason string) {
	t.Helper()
	decode := func(r interface {
		UnmarshalProto([]byte) error
		UnmarshalJSON([]byte) error
	},
	) {
		if json {
			require.NoError(t, r.UnmarshalJSON(body))
		} else {
			require.NoError(t, r.UnmarshalProto(body))
		}
	}
	switch signal {
	case "logs":
		r := plogotlp.NewExportResponse()
		decode(r)
		return r.PartialSuccess().RejectedLogRecords(), r.PartialSuccess().ErrorMessage()
	case "traces":
		r := ptraceotlp.NewExportResponse()
		decode(r)
		return r.PartialSuccess().RejectedSpans(), r.PartialSuccess().ErrorMessage()
	}
	r := pmetricotlp.NewExportResponse()
	decode(r)
	return r.PartialSuccess().RejectedDataPoints(), r.PartialSuccess().ErrorMessage()
}

func (w *world) store(signal string) *store {
	return map[string]*store{"logs": w.logs, "traces": w.traces, "metrics": w.metrics}[signal]
}
