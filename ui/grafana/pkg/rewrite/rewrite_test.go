package rewrite

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFilters(t *testing.T) {
	f := func(key, op, value string, values ...string) []Filter {
		return []Filter{{Key: key, Operator: op, Value: value, Values: values}}
	}
	for _, c := range []struct {
		change  func(string, []Filter, []string) (string, error)
		expr    string
		filters []Filter
		groupBy []string
		want    string
	}{
		{PromQL, `sum(rate(a{x="}"}[5m])) / b`, f("resource.service.name", "=", `q"`), nil, `sum(rate(a{service_name="q\"",x="}"}[5m])) / b{service_name="q\""}`},
		{PromQL, `sum(a)`, f("k", "=|", "", "a.b", "c"), []string{"z"}, `sum by (z) (a{k=~"a\\.b|c"})`},
		{PromQL, `sum without (x) (a)`, nil, []string{"z"}, `sum without (x) (a)`},
		{LogQL, "{a=\"}\"} |= `| unwrap {` # {x}", f("k", "!=", "v"), nil, "{a=\"}\"} |= `| unwrap {` | k != \"v\" # {x}"},
		{LogQL, `sum by (a) (rate({} | json | (x > 1 or y < 2) [5m])) / sum(rate({b="c"}[1m]))`, f("k", "=", "v"), []string{"z"},
			`sum by (a, z) (rate({} | json | (x > 1 or y < 2) | k = "v" [5m])) / sum by (z)(rate({b="c"} | k = "v"[1m]))`},
		{LogQL, `avg_over_time({} | logfmt | unwrap ms [5m])`, f("k", ">", "5"), nil, `avg_over_time({} | logfmt | k > 5 | unwrap ms [5m])`},
		{LogQL, `sum(rate({}[1m])) by (a)`, nil, []string{"z"}, `sum(rate({}[1m])) by (a, z)`},
		{TraceQL, `{ a = "}" || b = 1 } >> {}`, f("service_name", "=", "x"), nil,
			`{ ( a = "}" || b = 1 ) && resource.service.name = "x" } >> { resource.service.name = "x" }`},
		{TraceQL, `{} | rate()`, f("status", "=|", "", "error", "ok"), []string{"service_name"},
			`{ (status = error || status = ok) } | rate() by (resource.service.name)`},
		{TraceQL, `{}`, f("span.http.status", "=", "500"), nil, `{ (span.http.status = "500" || span.http.status = 500) }`},
		{PromQL, `a`, f("", "=", "v"), nil, `a`}, // still being filled in
	} {
		got, err := c.change(c.expr, c.filters, c.groupBy)
		require.NoError(t, err, c.expr)
		require.Equal(t, c.want, got)
	}
	_, err := PromQL(`sum(`, f("k", "=", "v"), nil)
	require.Error(t, err)
	_, err = PromQL(`a`, f("k", ">", "v"), nil)
	require.ErrorContains(t, err, "cannot be filtered by >")
	_, err = LogQL(`{a="b} `, f("k", "=", "v"), nil)
	require.ErrorContains(t, err, "character 4")
}

func TestShapes(t *testing.T) {
	require.True(t, IsLogSelection("# sum(\n{a=\"b\"}"))
	require.False(t, IsLogSelection(`sum(rate({a="b"}[1m]))`))
	require.True(t, IsTraceMetrics(`{ } | rate()`))
	require.False(t, IsTraceMetrics(`{ name = "| rate()" }`))
	require.Equal(t, []string{`a\.b`, "c|d"}, SearchWords(`{x="y"} |= "a.b" != "no" |~ "c|d" | json | e="f"`))
	require.Equal(t, `{a="b"} |= "c"`, Selection(`sum(rate({a="b"} |= "c" [5m]))`))
	id, ok := TraceID(` "0123456789ABCDEF0123456789abcdef" `)
	require.True(t, ok)
	require.Equal(t, "0123456789abcdef0123456789abcdef", id)
	_, ok = TraceID("{}")
	require.False(t, ok)
}

func TestMacros(t *testing.T) {
	m := Macros{Interval: 90 * time.Second, Rate: 4 * time.Minute, Range: 1500 * time.Millisecond}
	require.Equal(t, "90s 90000 4m 240000 1500ms 1 90s $__from $job $__window",
		m.Expand("$__interval ${__interval_ms} $__rate_interval $__rate_interval_ms ${__range} $__range_s $__auto $__from $job $__window"))
	m.Window = 72 * time.Hour
	require.Equal(t, "ratio_rate3d", m.Expand("ratio_rate$__window"))
}

func FuzzRewrites(f *testing.F) {
	f.Add(`{a="b"} | json [5m`)
	f.Add("sum by (`")
	f.Fuzz(func(t *testing.T, expr string) {
		filters := []Filter{{Key: "k", Operator: "=", Value: "v"}}
		_, _ = LogQL(expr, filters, []string{"z"})
		_, _ = TraceQL(expr, filters, []string{"z"})
		_ = SearchWords(expr)
		_ = Selection(expr)
		_ = IsTraceMetrics(expr)
	})
}
