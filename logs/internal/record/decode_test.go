package record

import (
	"testing"
	"time"

	"belfry/internal/otlpwire"
	"belfry/logs"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	collogspb "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	"google.golang.org/protobuf/proto"
)

var received = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

type seen struct {
	streams  []*Stream
	records  []Record
	rejected []string
}

func (s *seen) Group(g *otlpwire.Group) error {
	st, err := ParseStream(g)
	s.streams = append(s.streams, st)
	return err
}

func (s *seen) Record(r *Record) string {
	c := *r
	c.Attributes = append([]Attr(nil), r.Attributes...)
	s.records = append(s.records, c)
	return ""
}

func (s *seen) Reject(reason string) { s.rejected = append(s.rejected, reason) }

func wire(tb testing.TB, l plog.Logs) []byte {
	tb.Helper()
	b, err := (&plog.ProtoMarshaler{}).MarshalLogs(l)
	require.NoError(tb, err)
	return b
}

func sample() plog.Logs {
	l := plog.NewLogs()
	rl := l.ResourceLogs().AppendEmpty()
	rl.Resource().Attributes().PutStr("service.name", "shop")
	r := rl.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
	r.SetTimestamp(pcommon.NewTimestampFromTime(received))
	r.SetObservedTimestamp(5)
	r.SetSeverityNumber(9)
	r.SetSeverityText("Info")
	r.Body().SetStr("body")
	r.SetFlags(1)
	r.SetDroppedAttributesCount(2)
	r.SetEventName("event")
	r.SetTraceID(pcommon.TraceID{1})
	r.SetSpanID(pcommon.SpanID{2})
	r.Attributes().PutInt("n", 1)
	r.Attributes().PutEmptyMap("m").PutStr("k", "v")
	return l
}

func TestBoundsRejectOneByOne(t *testing.T) {
	l := plog.NewLogs()
	records := l.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords()
	add := func(at time.Time, attributes, size int) {
		r := records.AppendEmpty()
		r.SetTimestamp(pcommon.NewTimestampFromTime(at))
		for i := range attributes {
			r.Attributes().PutInt(string(rune('a'+i)), 1)
		}
		r.Body().SetStr(string(make([]byte, size)))
	}
	add(received, 1, 1)
	add(received.Add(2*time.Minute), 0, 0)
	add(received.Add(-2*time.Hour), 0, 0)
	add(received, 4, 0)
	add(received, 0, 2000)
	var s seen
	d := NewDecoder(Bounds{MaxAge: time.Hour, MaxFuture: time.Minute, MaxBytes: 1000, MaxAttributes: 3})
	require.NoError(t, d.Decode(wire(t, l), received, &s))
	require.Len(t, s.records, 1)
	require.Equal(t, []string{ReasonFuture, ReasonOld, ReasonAttributes, ReasonLarge}, s.rejected)
}

func TestStreamLabels(t *testing.T) {
	for _, c := range []struct {
		attributes map[string]any
		labels     map[string]string
		rest       int
	}{
		{nil, map[string]string{"service_name": "unknown_service"}, 0},
		{map[string]any{"service.name": "a", "host.name": "h", "os.type": "linux"}, map[string]string{"service_name": "a", "host_name": "h"}, 1},
		{map[string]any{"app": "a"}, map[string]string{"service_name": "unknown_service"}, 1},
		{map[string]any{StreamLabelsMarker: true, "app": "a", "x.y": "z"}, map[string]string{"app": "a", "x_y": "z", "service_name": "a"}, 0},
		{map[string]any{StreamLabelsMarker: true, "job": "j", "service_name": "s"}, map[string]string{"job": "j", "service_name": "s"}, 0},
		{map[string]any{StreamLabelsMarker: false, "service.name": "a"}, map[string]string{"service_name": "a"}, 1},
		{map[string]any{"service.name": int64(7)}, map[string]string{"service_name": "7"}, 0},
		{map[string]any{"service.name": ""}, map[string]string{"service_name": "unknown_service"}, 0},
	} {
		l := plog.NewLogs()
		rl := l.ResourceLogs().AppendEmpty()
		require.NoError(t, rl.Resource().Attributes().FromRaw(c.attributes))
		rl.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
		var s seen
		require.NoError(t, NewDecoder(Bounds{}).Decode(wire(t, l), received, &s))
		got := map[string]string{}
		for _, label := range s.streams[0].Labels {
			require.True(t, logs.IsLabelName(label.Name))
			got[label.Name] = label.Value
		}
		require.Equal(t, c.labels, got)
		require.Len(t, s.streams[0].Resource, c.rest)
	}
}

func TestLevel(t *testing.T) {
	text := func(s string) otlpwire.AnyValue {
		return otlpwire.AnyValue{Kind: otlpwire.KindString, Raw: []byte(s)}
	}
	for want, records := range map[string][]Record{
		LevelTrace:    {{SeverityNumber: 1}, {SeverityText: []byte("TRACE")}},
		LevelDebug:    {{SeverityNumber: 8}, {Body: text("some debug text")}},
		LevelInfo:     {{SeverityNumber: 12, SeverityText: []byte("error")}, {Body: text(`{"level":"info","msg":"error"}`)}, {Body: text("lvl=INFO x")}},
		LevelWarn:     {{Attributes: []Attr{{Key: []byte("level"), Value: text("Warning")}}}, {Body: text("WARN: x")}},
		LevelError:    {{SeverityNumber: 17}, {Body: text("info then error")}, {Body: text(`{"severity": "ERROR"}`)}},
		LevelCritical: {{SeverityNumber: 24}, {SeverityText: []byte("fatal")}, {Body: text("kernel panic")}},
		LevelUnknown:  {{}, {Body: text("terror in the inform desk")}, {SeverityNumber: 99}},
	} {
		for _, r := range records {
			require.Equal(t, want, Level(&r), "%+v", r)
		}
	}
}

func TestDecodeDoesNotAllocate(t *testing.T) {
	l := plog.NewLogs()
	one := sample().ResourceLogs().At(0)
	one.CopyTo(l.ResourceLogs().AppendEmpty())
	rec := one.ScopeLogs().At(0).LogRecords().At(0)
	for range 99 {
		rec.CopyTo(l.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().AppendEmpty())
	}
	request := wire(t, l)
	d := NewDecoder(Bounds{})
	v := discard{}
	allocs := testing.AllocsPerRun(20, func() { _ = d.Decode(request, received, v) })
	require.Less(t, allocs, 10.0, "for 100 records")
}

type discard struct{}

func (discard) Group(*otlpwire.Group) error { return nil }
func (discard) Record(*Record) string       { return "" }
func (discard) Reject(string)               {}

// FuzzDecode: what pdata reads, we read alike.
func FuzzDecode(f *testing.F) {
	f.Add(wire(f, sample()))
	f.Fuzz(func(t *testing.T, in []byte) {
		var s seen
		errDecode := NewDecoder(Bounds{MaxFuture: 1 << 62, MaxBytes: 1 << 30, MaxAttributes: 1 << 30}).Decode(in, time.Unix(1, 0), &s)
		l, err := (&plog.ProtoUnmarshaler{}).UnmarshalLogs(in)
		if err != nil {
			return
		}
		if errDecode != nil {
			require.Error(t, proto.Unmarshal(in, &collogspb.ExportLogsServiceRequest{}), "%v", errDecode)
			return
		}
		require.Equal(t, l.LogRecordCount(), len(s.records)+len(s.rejected))
		if len(s.rejected) > 0 {
			return
		}
		i := 0
		for _, rl := range l.ResourceLogs().All() {
			for _, sl := range rl.ScopeLogs().All() {
				for _, want := range sl.LogRecords().All() {
					same(t, want, &s.records[i])
					i++
				}
			}
		}
	})
}

func same(t *testing.T, want plog.LogRecord, got *Record) {
	t.Helper()
	at := int64(want.Timestamp())
	if at == 0 {
		at = int64(want.ObservedTimestamp())
	}
	if at == 0 {
		at = time.Unix(1, 0).UnixNano()
	}
	require.Equal(t, at, got.Time)
	require.EqualValues(t, want.ObservedTimestamp(), got.Observed)
	require.EqualValues(t, want.SeverityNumber(), got.SeverityNumber)
	require.Equal(t, want.SeverityText(), string(got.SeverityText))
	require.EqualValues(t, want.Flags(), got.Flags)
	require.Equal(t, want.DroppedAttributesCount(), got.Dropped)
	require.Equal(t, want.EventName(), string(got.EventName))
	if id := want.TraceID(); !id.IsEmpty() {
		require.Equal(t, id[:], got.TraceID)
	} else {
		require.Nil(t, got.TraceID)
	}
	if id := want.SpanID(); !id.IsEmpty() {
		require.Equal(t, id[:], got.SpanID)
	}
	if want.Body().Type() == pcommon.ValueTypeStr {
		require.Equal(t, want.Body().Str(), string(got.Body.Raw))
	}
	require.Len(t, got.Attributes, want.Attributes().Len())
}
