package logql_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"belfry/internal/fault"
	"belfry/logs"
	"belfry/logs/logql"
	"belfry/logs/logstest"
	"belfry/logs/memstore"

	"github.com/stretchr/testify/require"
)

func fill(t *testing.T, n int) *memstore.Store {
	t.Helper()
	s := memstore.New(memstore.Options{Now: logstest.Now})
	for i := range n {
		_, err := s.Append(t.Context(), logstest.Tenant, logstest.Request(
			[]logs.Label{{Name: "service_name", Value: "s" + strconv.Itoa(i)}},
			logstest.Line{At: time.Duration(i) * time.Second, Text: "n=" + strconv.Itoa(i)},
		))
		require.NoError(t, err)
	}
	return s
}

func TestLimits(t *testing.T) {
	s := fill(t, 20)
	for _, c := range []struct {
		limits logql.Limits
		query  string
		want   string // "" for no error
	}{
		{logql.Limits{MaxSeries: 19}, `count_over_time({}[1h])`, "maximum of series (19) reached for a single query"},
		{logql.Limits{MaxSeries: 20}, `count_over_time({}[1h])`, ""},
		{logql.Limits{MaxSeries: 5}, `sum(count_over_time({}[1h]))`, ""},
		{logql.Limits{MaxInnerSeries: 10}, `sum without (service_name) (count_over_time({}[1h]))`, "maximum of series (10) reached"},
		{logql.Limits{MaxInnerSeries: 10}, `sum by (service_name) (count_over_time({}[1h]))`, "maximum of series (10) reached"},
		{logql.Limits{MaxPoints: 10}, `quantile_over_time(0.5, {} | logfmt | unwrap n [1h]) by ()`, "holds more than 10 samples"},
	} {
		_, err := logql.NewEngine(logql.Options{Querier: s, Limits: c.limits}).Instant(t.Context(), logstest.Tenant, c.query, logstest.Epoch.Add(30*time.Minute))
		if c.want == "" {
			require.NoError(t, err, c.query)
			continue
		}
		require.ErrorContains(t, err, c.want, c.query)
		require.Equal(t, fault.Invalid, fault.KindOf(err))
	}
}

func TestCancellationEndsAQuery(t *testing.T) {
	e := logql.NewEngine(logql.Options{Querier: fill(t, 5)})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, query := range []string{`{}`, `sum(count_over_time({}[1h]))`, `count_over_time({} | logfmt [1h])`} {
		_, err := e.Range(ctx, logql.Params{
			Tenant: logstest.Tenant, Query: query, Start: logstest.Epoch, End: logstest.Epoch.Add(time.Hour), Step: time.Minute, Limit: 10,
		})
		require.Equal(t, fault.Canceled, fault.KindOf(err), "%s: %v", query, err)
	}
}

// TestVectorForRules: what alerting asks.
func TestVectorForRules(t *testing.T) {
	e := logql.NewEngine(logql.Options{Querier: fill(t, 3)})
	v, err := e.Vector(t.Context(), logstest.Tenant, `sum by (service_name) (count_over_time({}[1m])) > 0`, logstest.Epoch.Add(time.Second))
	require.NoError(t, err)
	require.Len(t, v, 2)
	require.Equal(t, `{service_name="s0"}`, v[0].Metric.String())
	require.Equal(t, logstest.Epoch.Add(time.Second).UnixMilli(), v[0].T)
	v, err = e.Vector(t.Context(), logstest.Tenant, `1 + 1`, logstest.Epoch)
	require.NoError(t, err)
	require.Len(t, v, 1)
	require.InDelta(t, 2, v[0].F, 0)
	_, err = e.Vector(t.Context(), logstest.Tenant, `{`, logstest.Epoch)
	require.Equal(t, fault.Invalid, fault.KindOf(err))
	_, err = e.Vector(t.Context(), logstest.Tenant, `{}`, logstest.Epoch)
	require.Equal(t, fault.Invalid, fault.KindOf(err))
}
