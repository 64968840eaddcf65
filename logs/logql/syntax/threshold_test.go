package syntax_test

import (
	"testing"

	"belfry/logs/logql/syntax"

	"github.com/stretchr/testify/require"
)

func TestThreshold(t *testing.T) {
	for query, want := range map[string]string{
		`sum(rate({a="b"}[5m])) > 10`:      `sum(rate({a="b"}[5m]))`,
		`10 <= (sum(rate({a="b"}[5m])))`:   `sum(rate({a="b"}[5m]))`,
		`sum(rate({a="b"}[5m])) > bool 10`: "",
		`sum(rate({a="b"}[5m]))`:           "",
		`rate({a="b"}[5m]) > rate({}[5m])`: "",
		`sum(rate({a="b"}[5m])) * 2 > 10`:  `(sum(rate({a="b"}[5m])) * 2)`,
		`1 > 2`:                            "",
		`{a="b"}`:                          "",
		`{`:                                "",
	} {
		got, ok := syntax.Threshold(query)
		require.Equal(t, want, got, query)
		require.Equal(t, want != "", ok, query)
	}
}
