package api

import (
	"encoding/json"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"

	"belfry/internal/tenant"
	"belfry/tsdb"
	"belfry/tsdb/query"
)

func TestCardinalityNamesWhoIsToBlame(t *testing.T) {
	s := newServer(t, nil)
	usage := query.NewUsage(time.Now)
	h := tenant.Middleware(NewCardinality(CardinalityOptions{
		Store: s.store, Census: func(id string) Census { return s.store.Admin(id) }, Usage: usage,
		Limits: func() tsdb.LimitsConfig { return tsdb.LimitsConfig{MaxSeries: 100} },
	}))
	for i := range 5 {
		s.put("a", now, 1, storage.AOptions{}, "__name__", "flood", "user", strconv.Itoa(i), "service_name", "cart")
	}
	s.put("a", now, 1, storage.AOptions{}, "__name__", "flood", "job", "x")
	s.put("a", now, 1, storage.AOptions{}, "__name__", "up", "job", "x")
	s.handler = h
	usage.Record(tenant.WithID(t.Context(), "a"), "sum(up)")

	get := func(id, target string) (c Cardinality) {
		w := s.do(id, http.MethodGet, target, "")
		require.Equal(t, 200, w.Code, w.Body.String())
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &c))
		return c
	}
	c := get("a", "/")
	require.Equal(t, 7, c.Series)
	require.Equal(t, 100, c.Limits.Series)
	require.Len(t, c.Metrics, 2)
	require.Equal(t, "flood", c.Metrics[0].Name)
	require.Equal(t, 6, c.Metrics[0].Series)
	require.Equal(t, 6, c.Metrics[0].CreatedLastHour)
	require.Equal(t, []Sender{{"service_name", "cart", 5}, {"job", "x", 1}}, c.Metrics[0].Senders)
	require.NotNil(t, c.Metrics[1].LastQueried)
	require.Equal(t, "flood", c.Churn[0].Name)
	require.Len(t, c.Unused, 1)
	require.Equal(t, 1, c.UnusedMetrics)
	require.Equal(t, 6, c.UnusedSeries)
	require.True(t, c.UsageComplete)
	require.Equal(t, LabelCount{"user", 5}, c.Labels[0])
	require.Contains(t, c.Pairs, PairCount{"service_name=cart", 5})

	require.Len(t, get("a", "/?limit=1").Metrics, 1)
	require.Equal(t, "up", get("a", "/?metric=up").Metrics[0].Name)
	require.Zero(t, get("nobody", "/").Series)
	require.Equal(t, 400, s.do("a", http.MethodGet, "/?limit=0", "").Code)
	require.Equal(t, 400, s.do("a", http.MethodGet, "/?limit=x", "").Code)
}
