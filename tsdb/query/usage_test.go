package query

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"belfry/internal/tenant"
)

func TestUsageKnowsWhatIsAskedFor(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	u := NewUsage(func() time.Time { return now })
	ctx := tenant.WithID(context.Background(), "a")
	u.Record(ctx, `sum(rate(requests_total[5m])) / sum(up)`)
	u.Record(ctx, `count({__name__=~"node_.*"})`)
	u.Record(ctx, `not a ( query`)
	now = now.Add(time.Hour)
	u.Record(ctx, `up == 0`)

	names := []string{"requests_total", "up", "node_load1", "forgotten"}
	used, complete := u.LastUsed(ctx, names)
	require.True(t, complete)
	require.Len(t, used, 3)
	require.Equal(t, now, used["up"])
	require.Equal(t, now.Add(-time.Hour), used["node_load1"])
	require.NotContains(t, used, "forgotten")

	used, _ = u.LastUsed(tenant.WithID(context.Background(), "b"), names)
	require.Empty(t, used, "tenants do not see each other's queries")

	u.Record(ctx, `{job="x"}`)
	used, _ = u.LastUsed(ctx, names)
	require.Contains(t, used, "forgotten", "a selector without a name asks for all")
}

func TestUsageIsBounded(t *testing.T) {
	u := NewUsage(time.Now)
	for i := range maxUsedMatchers + 10 {
		u.Record(context.Background(), fmt.Sprintf(`{__name__=~"a%d.*"}`, i))
	}
	_, complete := u.LastUsed(context.Background(), nil)
	require.False(t, complete)
	require.LessOrEqual(t, len(u.tenants[tenant.Default].matchers), maxUsedMatchers)
	require.False(t, slices.ContainsFunc(u.tenants[tenant.Default].matchers, func(m usedMatcher) bool { return m.m == nil }))
}

func TestEngineRecordsUsage(t *testing.T) {
	s := newScriptStore(t)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	u := NewUsage(time.Now)
	e := NewEngine(Options{Config: scriptConfig(), Usage: u})
	require.NoError(t, execRange(context.Background(), e, s, "sum(x)").Err)
	used, _ := u.LastUsed(context.Background(), []string{"x", "y"})
	require.Contains(t, used, "x")
	require.NotContains(t, used, "y")
}
