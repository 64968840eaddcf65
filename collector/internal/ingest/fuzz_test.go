package ingest

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receiverhelper"
	"google.golang.org/protobuf/encoding/protowire"
)

func newTestSink(tb testing.TB) *Sink {
	tb.Helper()
	report, err := receiverhelper.NewObsReport(receiverhelper.ObsReportSettings{
		ReceiverCreateSettings: receiver.Settings{TelemetrySettings: componenttest.NewNopTelemetrySettings()},
	})
	require.NoError(tb, err)
	return NewSink(SinkOptions{
		Consumers: Consumers{Logs: consumertest.NewNop(), Traces: consumertest.NewNop(), Metrics: consumertest.NewNop()},
		Report:    report,
		Logger:    slog.New(slog.DiscardHandler),
	})
}

// samples returns requests that use every field through which an attribute
// value can be reached.
func samples(tb testing.TB) map[Signal][]byte {
	tb.Helper()
	ld := plog.NewLogs()
	rl := ld.ResourceLogs().AppendEmpty()
	rl.Resource().Attributes().PutStr("a", "b")
	sl := rl.ScopeLogs().AppendEmpty()
	sl.Scope().Attributes().PutEmptyMap("m").PutEmptySlice("s").AppendEmpty().SetEmptyBytes().Append(1)
	r := sl.LogRecords().AppendEmpty()
	r.Body().SetEmptyMap().PutEmptyMap("x").PutInt("y", 1)
	r.Attributes().PutDouble("d", 1.5)

	td := ptrace.NewTraces()
	span := td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans().AppendEmpty()
	span.Attributes().PutEmptySlice("s").AppendEmpty().SetBool(true)
	span.Events().AppendEmpty().Attributes().PutStr("e", "v")
	span.Links().AppendEmpty().Attributes().PutStr("l", "v")

	md := pmetric.NewMetrics()
	ms := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics()
	gauge := ms.AppendEmpty().SetEmptyGauge().DataPoints().AppendEmpty()
	gauge.Attributes().PutStr("g", "v")
	gauge.Exemplars().AppendEmpty().FilteredAttributes().PutStr("f", "v")
	ms.AppendEmpty().SetEmptyHistogram().DataPoints().AppendEmpty().Attributes().PutStr("h", "v")
	ms.AppendEmpty().SetEmptyExponentialHistogram().DataPoints().AppendEmpty().Attributes().PutStr("x", "v")
	ms.AppendEmpty().SetEmptySummary().DataPoints().AppendEmpty().Attributes().PutStr("s", "v")

	out := map[Signal][]byte{}
	for signal, from := range map[Signal]marshaler{
		Logs:    plogotlp.NewExportRequestFromLogs(ld),
		Traces:  ptraceotlp.NewExportRequestFromTraces(td),
		Metrics: pmetricotlp.NewExportRequestFromMetrics(md),
	} {
		body, err := from.MarshalProto()
		require.NoError(tb, err)
		out[signal] = body
	}
	return out
}

// FuzzBody feeds a whole request body, compressed or not, to the HTTP door. Any
// answer will do but a server error.
func FuzzBody(f *testing.F) {
	sink := newTestSink(f)
	decoders := new(Decompressors)
	for signal, body := range samples(f) {
		f.Add(body, uint8(signal), false, "")
		f.Add(gz(f, body), uint8(signal), false, "gzip")
		f.Add(zs(f, body), uint8(signal), false, "zstd")
	}
	f.Add([]byte(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"x"}}]}]}]}`), uint8(Logs), true, "")
	f.Add([]byte(`{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"0102","attributes":[{"key":"k","value":{"arrayValue":{"values":[{"intValue":"1"}]}}}]}]}]}]}`), uint8(Traces), true, "")
	f.Fuzz(func(t *testing.T, body []byte, signal uint8, json bool, encoding string) {
		const limit = 1 << 20
		r := httptest.NewRequest(http.MethodPost, "/", http.MaxBytesReader(nil, io.NopCloser(bytes.NewReader(body)), limit))
		r.Header.Set("Content-Type", Protobuf.ContentType())
		if json {
			r.Header.Set("Content-Type", JSON.ContentType())
		}
		var reader io.ReadCloser
		var err error
		switch encoding {
		case "gzip":
			reader, err = decoders.Gzip(r.Body)
		case "zstd":
			reader, err = decoders.Zstd(r.Body)
		default:
			reader = r.Body
		}
		if err != nil {
			return
		}
		r.Body = http.MaxBytesReader(nil, reader, limit)
		rec := httptest.NewRecorder()
		Handler(sink, Signal(signal%uint8(numSignals)), NewBudget(8<<20)).ServeHTTP(rec, r)
		require.NoError(t, reader.Close())
		if rec.Code >= 500 {
			t.Fatalf("%d for %q: %q", rec.Code, body, rec.Body)
		}
	})
}

// FuzzNesting holds the check to the decoder: what the one takes for protobuf
// the other must be able to read without deep recursion.
func FuzzNesting(f *testing.F) {
	for _, body := range samples(f) {
		f.Add(body)
	}
	f.Add([]byte(strings.Repeat("[", 1000)))
	types := requestTypes()
	f.Fuzz(func(_ *testing.T, body []byte) {
		_ = types[Logs].checkNesting(body, 0)
		_ = types[Metrics].checkNesting(body, 0)
		_ = CheckJSONNesting(body)
	})
}

func gz(tb testing.TB, body []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, err := z.Write(body)
	require.NoError(tb, err)
	require.NoError(tb, z.Close())
	return out.Bytes()
}

func zs(tb testing.TB, body []byte) []byte {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	require.NoError(tb, err)
	defer func() { require.NoError(tb, z.Close()) }()
	return z.EncodeAll(body, nil)
}

// TestSamplesPass: the check lets through everything that OTLP allows.
func TestSamplesPass(t *testing.T) {
	sink := newTestSink(t)
	for signal, body := range samples(t) {
		_, err := sink.Export(context.Background(), signal, Protobuf, body)
		require.NoError(t, err, signal)
	}
}

// TestNestingLimit builds a value of every depth around the limit through each
// way that leads to one.
func TestNestingLimit(t *testing.T) {
	types := requestTypes()
	field := func(number protowire.Number, content []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), content)
	}
	arrays := func(depth int) []byte { // an AnyValue that is depth levels deep
		var value []byte
		for range depth - 1 {
			value = field(5, field(1, value))
		}
		return value
	}
	maps := func(depth int) []byte {
		var value []byte
		for range depth - 1 {
			value = field(6, field(1, field(2, value)))
		}
		return value
	}
	in := func(value []byte, path ...protowire.Number) []byte {
		for i := len(path) - 1; i >= 0; i-- {
			value = field(path[i], value)
		}
		return value
	}
	ways := []struct {
		name   string
		signal Signal
		path   []protowire.Number
	}{
		{"resource", Logs, []protowire.Number{1, 1, 1, 2}},
		{"scope", Traces, []protowire.Number{1, 2, 1, 3, 2}},
		{"log body", Logs, []protowire.Number{1, 2, 2, 5}},
		{"log attribute", Logs, []protowire.Number{1, 2, 2, 6, 2}},
		{"span attribute", Traces, []protowire.Number{1, 2, 2, 9, 2}},
		{"span event", Traces, []protowire.Number{1, 2, 2, 11, 3, 2}},
		{"span link", Traces, []protowire.Number{1, 2, 2, 13, 4, 2}},
		{"gauge point", Metrics, []protowire.Number{1, 2, 2, 5, 1, 7, 2}},
		{"sum exemplar", Metrics, []protowire.Number{1, 2, 2, 7, 1, 5, 7, 2}},
		{"histogram point", Metrics, []protowire.Number{1, 2, 2, 9, 1, 9, 2}},
		{"histogram exemplar", Metrics, []protowire.Number{1, 2, 2, 9, 1, 8, 7, 2}},
		{"exponential histogram point", Metrics, []protowire.Number{1, 2, 2, 10, 1, 1, 2}},
		{"exponential histogram exemplar", Metrics, []protowire.Number{1, 2, 2, 10, 1, 11, 7, 2}},
		{"summary point", Metrics, []protowire.Number{1, 2, 2, 11, 1, 7, 2}},
		{"metric metadata", Metrics, []protowire.Number{1, 2, 2, 12, 2}},
	}
	for _, way := range ways {
		for shape, value := range map[string]func(int) []byte{"arrays": arrays, "maps": maps} {
			require.NoError(t, types[way.signal].checkNesting(in(value(MaxNesting), way.path...), 0), "%s of %s", way.name, shape)
			require.ErrorIs(t, types[way.signal].checkNesting(in(value(MaxNesting+1), way.path...), 0), errNesting, "%s of %s", way.name, shape)
		}
	}
	deep := func(depth int) string {
		return `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":` +
			strings.Repeat(`{"kvlistValue":{"values":[{"key":"[{\"","value":`, depth-1) + `{"stringValue":"[[["}` +
			strings.Repeat(`}]}}`, depth-1) + `}]}]}]}`
	}
	require.NoError(t, CheckJSONNesting([]byte(deep(MaxNesting))))
	sink := newTestSink(t)
	_, err := sink.Export(t.Context(), Logs, JSON, []byte(deep(MaxNesting)))
	require.NoError(t, err)
	require.ErrorIs(t, CheckJSONNesting([]byte(deep(MaxNesting+4))), errNesting)
}
