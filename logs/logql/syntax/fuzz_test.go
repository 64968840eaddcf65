package syntax_test

import (
	"testing"

	"belfry/logs/logql/syntax"
	"belfry/logs/logstest"

	"github.com/stretchr/testify/require"
)

// FuzzParse: no input panics, and what a tree is written as parses to what is
// written the same.
func FuzzParse(f *testing.F) {
	for _, q := range logstest.Queries() {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, query string) {
		e, err := syntax.Parse(query)
		if err != nil {
			return
		}
		text := e.String()
		again, err := syntax.Parse(text)
		require.NoError(t, err, text)
		require.Equal(t, text, again.String())
	})
}
