package pushdown

import (
	"testing"

	"belfry/internal/fault"
	"belfry/logs"

	"github.com/stretchr/testify/require"
)

func TestSelection(t *testing.T) {
	ms, f, err := Selection(`{app="shop"} |= "card" != "x" or "y" |~ "(?i)visa" | level=~"info|debug", user!=""`)
	require.NoError(t, err)
	require.Len(t, ms, 1)
	all, ok := f.(logs.And)
	require.True(t, ok)
	require.Len(t, all, 5)
	ms, f, err = Selection(`{}`)
	require.NoError(t, err)
	require.Empty(t, ms)
	require.Nil(t, f)
	for _, query := range []string{
		`{app="shop"} | json`, `{app="shop"} | status >= 500`, `{app="shop"} |> "<_> x"`, `{app="shop"} |= ip("10.0.0.0/8")`,
		`{app="shop"} | line_format "x"`, `{app="shop"} | drop a`, `count_over_time({app="shop"}[1m])`, `{app="shop"} | a=ip("::1")`,
	} {
		_, _, err := Selection(query)
		require.Equal(t, fault.Invalid, fault.KindOf(err), "%s: %v", query, err)
	}
	_, _, err = Selection(`{app=`)
	require.Error(t, err)
}
