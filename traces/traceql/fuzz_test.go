package traceql_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"belfry/traces/traceql"
)

// FuzzParse checks that nothing makes the parser fail badly, that errors say
// where, and that the canonical form of a query is read as the same query.
func FuzzParse(f *testing.F) {
	script, err := os.ReadFile("../tracestest/testdata/parse.txt")
	require.NoError(f, err)
	for block := range strings.SplitSeq(string(script), "\n\n") {
		query, _, _ := strings.Cut(strings.TrimPrefix(block, "parse\n"), "\n----")
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, src string) {
		q, err := traceql.Parse(src)
		if err != nil {
			var at *traceql.ParseError
			require.ErrorAs(t, err, &at, "%v", err)
			require.Positive(t, at.Line)
			require.Positive(t, at.Column)
			return
		}
		canonical := q.String()
		again, err := traceql.Parse(canonical)
		require.NoError(t, err, "%q of %q", canonical, src)
		require.Equal(t, canonical, again.String(), src)
	})
}
