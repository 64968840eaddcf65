package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"

	"belfry/internal/tenant"
)

func TestDeletions(t *testing.T) {
	s := newServer(t, nil)
	for _, job := range []string{"api", "edge"} {
		s.put("a", now, 1, storage.AOptions{}, "__name__", "x", "job", job)
	}
	var audited []string
	o := DeletionOptions{
		Deleter: s.store, Enabled: true, Now: func() time.Time { return now },
		Audit: func(_ *http.Request, action, target string, _ map[string]string) error {
			audited = append(audited, action+" "+target)
			return nil
		},
	}
	ask := func(o DeletionOptions, method, path, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, DeletionsPath+path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Scope-OrgID", "a")
		w := httptest.NewRecorder()
		tenant.Middleware(NewDeletions(o)).ServeHTTP(w, r)
		return w
	}
	body := func(query, more string) string {
		return fmt.Sprintf(`{"query": %q, "from": "2000-01-01T00:00:00Z"%s}`, query, more)
	}
	for _, bad := range []string{body("sum(x)", ""), body(`x{job="`, ""), body("x", `, "cancel_window": "1h"`), `{}`} {
		require.Equal(t, http.StatusBadRequest, ask(o, http.MethodPost, "", bad).Code, bad)
	}
	closed := o
	closed.Enabled = false
	require.Equal(t, http.StatusForbidden, ask(closed, http.MethodPost, "", body("x", "")).Code)
	require.Empty(t, audited)

	w := ask(o, http.MethodPost, "", body(`x{job="api"}`, ""))
	require.Equal(t, http.StatusAccepted, w.Code, w.Body)
	require.Equal(t, []string{`metrics.delete x{job="api"}`}, audited)
	seen := s.get("a", fmt.Sprintf("/api/v1/query?query=x&time=%d", now.Unix()))
	require.Contains(t, seen, `"edge"`)
	require.NotContains(t, seen, `"api"`)
	var d struct {
		ID, State, Query string
		Records          int
		Progress         float64
	}
	w = ask(o, http.MethodGet, strings.TrimPrefix(w.Header().Get("Location"), DeletionsPath), "")
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &d))
	require.Equal(t, "running", d.State, "the log has the sample")
	require.Equal(t, `x{job="api"}`, d.Query)
	require.Equal(t, 1, d.Records)
	require.Less(t, d.Progress, 1.0)
	require.Contains(t, ask(o, http.MethodGet, "", "").Body.String(), d.ID)
	require.Equal(t, http.StatusConflict, ask(o, http.MethodDelete, "/"+d.ID, "").Code)
	require.Equal(t, http.StatusNotFound, ask(o, http.MethodGet, "/none", "").Code)
}
