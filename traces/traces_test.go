package traces_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"belfry/internal/fault"
	"belfry/traces"
)

func TestParseTraceID(t *testing.T) {
	id, err := traces.ParseTraceID("aBc")
	require.NoError(t, err)
	require.Equal(t, "00000000000000000000000000000abc", id.String())
	for _, bad := range []string{"", "xyz", "0123456789abcdef0123456789abcdef0"} {
		_, err := traces.ParseTraceID(bad)
		require.Equal(t, fault.Invalid, fault.KindOf(err), bad)
	}
}

func TestCompareValues(t *testing.T) {
	for _, c := range []struct {
		a, b  traces.Value
		order int
		ok    bool
	}{
		{traces.Int(1), traces.Float(1), 0, true},
		{traces.Int(math.MaxInt64), traces.Int(math.MaxInt64 - 1), 1, true},
		{traces.Float(math.NaN()), traces.Int(1), -1, false},
		{traces.String("a"), traces.String("b"), -1, true},
		{traces.Bool(false), traces.Bool(true), -1, true},
		{traces.String("1"), traces.Int(1), 0, false},
		{traces.Value{}, traces.Value{}, 0, false},
	} {
		order, ok := c.a.Compare(c.b)
		require.Equal(t, c.ok, ok, "%v %v", c.a, c.b)
		if ok {
			require.Equal(t, c.order, order, "%v %v", c.a, c.b)
		}
	}
}

func TestValuesAsJSON(t *testing.T) {
	for text, v := range map[string]traces.Value{
		`null`:                        {},
		`"a\"\n\u0001"`:               traces.String("a\"\n\x01"),
		`-9223372036854775808`:        traces.Int(math.MinInt64),
		`0.25`:                        traces.Float(0.25),
		`[1,"x",[],{"z":true,"a":1}]`: traces.Array(traces.Int(1), traces.String("x"), traces.Array(), traces.Map(traces.Attribute{Key: "z", Value: traces.Bool(true)}, traces.Attribute{Key: "a", Value: traces.Int(1)})),
	} {
		require.Equal(t, text, string(v.AppendJSON(nil)))
		back, err := traces.ParseJSON(text)
		require.NoError(t, err)
		require.True(t, v.Equal(back), "%s", text)
	}
	for _, bad := range []string{"", "[", `{"a"`, "nul"} {
		_, err := traces.ParseJSON(bad)
		require.Error(t, err, bad)
	}
}

func TestMatchValueIsMatchOfAnAttribute(t *testing.T) {
	values := []traces.Value{
		{}, traces.Int(1), traces.Int(2), traces.Float(1), traces.Float(1.5), traces.Float(math.NaN()), traces.String("a"), traces.String("1"),
		traces.Bool(true), traces.Bytes("a"), traces.Array(traces.Int(1), traces.Int(2)), traces.Array(),
	}
	field := traces.Field{Scope: traces.ScopeSpan, Name: "x"}
	for _, v := range values {
		span := &traces.Span{Attributes: []traces.Attribute{{Key: "x", Value: v}}, Resource: &traces.Resource{}}
		for _, bound := range values {
			for op := traces.OpEqual; op <= traces.OpGreaterEqual; op++ {
				f := traces.Compare{Field: field, Op: op, Value: bound}
				require.Equal(t, traces.Match(f, span), traces.MatchValue(f, v), "%v %v %v", v, op, bound)
			}
		}
	}
}
