package otlpwire

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	collogspb "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	"google.golang.org/protobuf/proto"
)

func sample() plog.Logs {
	logs := plog.NewLogs()
	rl := logs.ResourceLogs().AppendEmpty()
	rl.Resource().Attributes().PutStr("service.name", "shop")
	sl := rl.ScopeLogs().AppendEmpty()
	sl.Scope().SetName("lib")
	sl.Scope().Attributes().PutInt("n", 3)
	lr := sl.LogRecords().AppendEmpty()
	a := lr.Attributes()
	a.PutInt("int", -7)
	a.PutDouble("double", 1.5)
	a.PutDouble("nan", math.NaN())
	a.PutBool("bool", true)
	a.PutStr("bad", "a\xff\xfeb\"\n")
	a.PutEmptyBytes("bytes").FromRaw([]byte{1, 2})
	m := a.PutEmptyMap("map")
	m.PutStr("k", "v")
	m.PutEmptySlice("s").AppendEmpty().SetInt(1)
	a.PutEmpty("empty")
	return logs
}

func encode(tb testing.TB, l plog.Logs) []byte {
	tb.Helper()
	b, err := (&plog.ProtoMarshaler{}).MarshalLogs(l)
	require.NoError(tb, err)
	return b
}

func TestWalkReadsWhatPdataWrote(t *testing.T) {
	var w Walker
	got := map[string]string{}
	groups := 0
	err := w.Walk(encode(t, sample()), func(g *Group) error {
		groups++
		s, err := ParseScope(g.Scope)
		require.NoError(t, err)
		require.Equal(t, "lib", string(s.Name))
		return Attributes(g.Resource, ResourceAttributes, func(k []byte, v AnyValue) error {
			require.Equal(t, "service.name=shop", string(k)+"="+string(v.Raw))
			return nil
		})
	}, func(rec []byte) error {
		return Attributes(rec, LogRecordAttributes, func(k []byte, v AnyValue) error {
			b, err := v.AppendJSON(nil)
			got[string(k)] = string(b)
			return err
		})
	})
	require.NoError(t, err)
	require.Equal(t, 1, groups)
	require.Equal(t, map[string]string{
		"int": "-7", "double": "1.5", "nan": `"NaN"`, "bool": "true", "bad": `"a` + "\uFFFD" + `b\"\n"`,
		"bytes": `"AQI="`, "map": `{"k":"v","s":[1]}`, "empty": "null",
	}, got)
}

func TestDepthIsBounded(t *testing.T) {
	v := pcommon.NewValueEmpty()
	inner := v
	for range MaxDepth + 5 {
		inner = inner.SetEmptySlice().AppendEmpty()
	}
	l := plog.NewLogs()
	v.CopyTo(l.ResourceLogs().AppendEmpty().Resource().Attributes().PutEmpty("deep"))
	l.ResourceLogs().At(0).ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
	var w Walker
	err := w.Walk(encode(t, l), func(g *Group) error {
		return Attributes(g.Resource, ResourceAttributes, func(_ []byte, v AnyValue) error {
			_, err := v.AppendJSON(nil)
			return err
		})
	}, func([]byte) error { return nil })
	require.ErrorIs(t, err, ErrTooDeep)
}

func TestResourceInPiecesIsMerged(t *testing.T) {
	kv := func(k string) []byte { return append([]byte{0x0a, byte(len(k) + 2), 0x0a, byte(len(k))}, k...) }
	resource := func(k string) []byte { a := kv(k); return append([]byte{0x0a, byte(len(a))}, a...) }
	body := append(resource("a"), 0x12, 2, 0x12, 0) // scope_logs with one empty record between the pieces
	body = append(append(body, resource("b")...), resource("c")...)
	request := append([]byte{0x0a, byte(len(body))}, body...)
	var keys []string
	var w Walker
	require.NoError(t, w.Walk(request, func(g *Group) error {
		return Attributes(g.Resource, ResourceAttributes, func(k []byte, _ AnyValue) error {
			keys = append(keys, string(k))
			return nil
		})
	}, func([]byte) error { return nil }))
	require.Equal(t, []string{"a", "b", "c"}, keys)
}

func TestText(t *testing.T) {
	require.Equal(t, "plain ü", string(Text([]byte("plain ü"), nil)))
	for _, s := range []string{"\xff", "a\xff\xfe", "\xe2\x82", "x\xffy\xfez"} {
		require.Equal(t, strings.ToValidUTF8(s, "\uFFFD"), string(Text([]byte(s), nil)))
	}
}

// FuzzAgainstPdata: what pdata and the standard decoder accept, the walk accepts,
// and reads the same.
func FuzzAgainstPdata(f *testing.F) {
	f.Add(encode(f, sample()))
	f.Add([]byte{0x0a, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		var got bytes.Buffer
		var w Walker
		n := 0
		errWalk := w.Walk(in, func(g *Group) error {
			return Attributes(g.Resource, ResourceAttributes, func(k []byte, v AnyValue) error {
				return appendPair(&got, k, &v)
			})
		}, func(rec []byte) error {
			n++
			return Attributes(rec, LogRecordAttributes, func(k []byte, v AnyValue) error {
				return appendPair(&got, k, &v)
			})
		})
		l, err := (&plog.ProtoUnmarshaler{}).UnmarshalLogs(in)
		if err != nil || errors.Is(errWalk, ErrTooDeep) {
			return
		}
		if errWalk != nil { // pdata is lenient about groups and varints; the standard decoder must agree with us
			require.Error(t, proto.Unmarshal(in, &collogspb.ExportLogsServiceRequest{}), "refused: %v", errWalk)
			return
		}
		require.Equal(t, l.LogRecordCount(), n)
		var want bytes.Buffer
		for _, rl := range l.ResourceLogs().All() {
			for _, sl := range rl.ScopeLogs().All() {
				if sl.LogRecords().Len() > 0 {
					appendMap(&want, rl.Resource().Attributes())
				}
				for _, lr := range sl.LogRecords().All() {
					appendMap(&want, lr.Attributes())
				}
			}
		}
		require.Equal(t, want.String(), got.String())
	})
}

func appendPair(dst *bytes.Buffer, k []byte, v *AnyValue) error {
	b, err := v.AppendJSON(nil)
	if !json.Valid(b) && err == nil {
		return errors.New("not JSON: " + string(b))
	}
	dst.Write(Text(k, nil))
	dst.WriteByte('=')
	dst.Write(b)
	dst.WriteByte(' ')
	return err
}

func appendMap(dst *bytes.Buffer, m pcommon.Map) {
	for k, v := range m.All() {
		dst.WriteString(strings.ToValidUTF8(k, "\uFFFD"))
		dst.WriteByte('=')
		dst.Write(oracleJSON(nil, v))
		dst.WriteByte(' ')
	}
}

func oracleJSON(dst []byte, v pcommon.Value) []byte {
	switch v.Type() {
	case pcommon.ValueTypeMap:
		dst = append(dst, '{')
		first := true
		for k, e := range v.Map().All() {
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = oracleJSON(append(AppendJSONString(dst, []byte(k)), ':'), e)
		}
		return append(dst, '}')
	case pcommon.ValueTypeSlice:
		dst = append(dst, '[')
		for i, e := range v.Slice().All() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = oracleJSON(dst, e)
		}
		return append(dst, ']')
	case pcommon.ValueTypeEmpty:
		return append(dst, "null"...)
	case pcommon.ValueTypeDouble:
		if f := v.Double(); !math.IsNaN(f) && !math.IsInf(f, 0) {
			var back float64
			if got := appendJSONNumber(nil, f); json.Unmarshal(got, &back) == nil && back == f {
				return append(dst, got...)
			}
			return append(dst, "not the same number"...)
		}
		return appendJSONNumber(dst, v.Double())
	case pcommon.ValueTypeStr:
		return AppendJSONString(dst, []byte(v.Str()))
	case pcommon.ValueTypeBytes:
		b, _ := json.Marshal(v.Bytes().AsRaw())
		if v.Bytes().Len() == 0 {
			b = []byte(`""`)
		}
		return append(dst, b...)
	}
	return append(dst, v.AsString()...)
}
