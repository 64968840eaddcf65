package audit

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"belfry/internal/fault"
	"belfry/internal/state/statetest"
	"belfry/internal/tenant"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAudit(t *testing.T) {
	statetest.Each(t, func(t *testing.T, db statetest.Database) {
		now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
		l := New(db.Open(), func() time.Time { return now })
		ctx := t.Context()
		for _, e := range []Entry{
			{Tenant: "a", Actor: "ada", Action: "logs.delete", Target: `{app="shop"}`, Detail: map[string]string{"from": "x"}},
			{Tenant: "a", Actor: "bob", Action: "logs.delete.cancel"},
			{Tenant: "a", Actor: "ada", Action: "logsearch"},
			{Tenant: "b", Actor: "ada", Action: "logs.delete"},
		} {
			require.NoError(t, l.Record(ctx, e))
			now = now.Add(time.Minute)
		}
		actions := func(q Query) []string {
			q.Tenant = "a"
			if q.Limit == 0 {
				q.Limit = 10
			}
			entries, err := l.List(ctx, q)
			require.NoError(t, err)
			out := []string{}
			for _, e := range entries {
				out = append(out, e.Action)
			}
			return out
		}
		require.Equal(t, []string{"logsearch", "logs.delete.cancel", "logs.delete"}, actions(Query{}))
		require.Equal(t, []string{"logs.delete.cancel", "logs.delete"}, actions(Query{Action: "logs"}))
		require.Equal(t, []string{"logsearch", "logs.delete"}, actions(Query{Actor: "ada"}))
		require.Equal(t, []string{"logs.delete.cancel"}, actions(Query{From: now.Add(-3 * time.Minute), To: now.Add(-2 * time.Minute)}))
		_, err := l.List(ctx, Query{Tenant: "a"})
		require.Equal(t, fault.Invalid, fault.KindOf(err))

		get := func(url string) (int, page) {
			r := httptest.NewRequest(http.MethodGet, url, nil)
			rec := httptest.NewRecorder()
			l.Handler().ServeHTTP(rec, r.WithContext(tenant.WithID(ctx, "a")))
			var p page
			if rec.Code == http.StatusOK {
				require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &p))
			}
			return rec.Code, p
		}
		_, p := get("/?limit=2&action=logs")
		require.Len(t, p.Entries, 2)
		require.NotEmpty(t, p.Next)
		require.Equal(t, Entry{
			ID: p.Entries[1].ID, At: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC), Tenant: "a", Actor: "ada",
			Action: "logs.delete", Target: `{app="shop"}`, Detail: map[string]string{"from": "x"},
		}, p.Entries[1])
		_, p = get("/?limit=2&action=logs&cursor=" + p.Next)
		require.Empty(t, p.Entries)
		require.NotNil(t, p.Entries)
		for _, bad := range []string{"limit=x", "limit=0", "from=yesterday"} {
			code, _ := get("/?" + bad)
			require.Equal(t, http.StatusBadRequest, code, bad)
		}
	})
}
