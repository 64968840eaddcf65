package traceql_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"belfry/traces"
	"belfry/traces/traceql"
)

func TestExactFilter(t *testing.T) {
	f, err := traceql.ExactFilter(`{ trace:id = "ab" && (span.user = "ada" || 3 < .n) }`)
	require.NoError(t, err)
	require.Equal(t, traces.And{
		traces.Compare{Field: traces.Intrinsic(traces.TraceIDField), Value: traces.String(strings.Repeat("0", 30) + "ab")},
		traces.Or{
			traces.Compare{Field: traces.Field{Scope: traces.ScopeSpan, Name: "user"}, Value: traces.String("ada")},
			traces.Compare{Field: traces.Field{Scope: traces.ScopeAny, Name: "n"}, Op: traces.OpGreater, Value: traces.Int(3)},
		},
	}, f)
	f, err = traceql.ExactFilter(`{ status = error && .x != nil }`)
	require.NoError(t, err)
	require.Equal(t, traces.And{
		traces.Compare{Field: traces.Intrinsic(traces.StatusField), Value: traces.Int(int64(traces.StatusError))},
		traces.Exists{Field: traces.Field{Scope: traces.ScopeAny, Name: "x"}},
	}, f)
	f, err = traceql.ExactFilter(`{}`)
	require.NoError(t, err)
	require.Nil(t, f, "every span")
	for _, query := range []string{
		`{ rootName = "x" }`, `{ .a = .b }`, `{ .a + 1 = 2 }`, `{ !(.a = 1) }`, `{ .a = 1 || traceDuration > 1s }`,
		`{ true }`, `{} | count() > 1`, `{} && {}`, `{} | rate()`, `{`,
	} {
		_, err := traceql.ExactFilter(query)
		require.Error(t, err, query)
	}
}
