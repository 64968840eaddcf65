package deletion

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"belfry/internal/fault"
	"belfry/internal/tenant"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// kept is a keeper of one deletion, of the default tenant.
type kept struct{ d *Deletion }

func (k kept) Deletions(_ context.Context, id string) ([]Deletion, error) {
	if k.d == nil || id != tenant.Default {
		return nil, nil
	}
	return []Deletion{*k.d}, nil
}

func (k kept) Deletion(_ context.Context, id, which string) (Deletion, error) {
	if k.d == nil || id != tenant.Default || which != k.d.ID {
		return Deletion{}, fault.NotFoundf("there is no deletion %s", which)
	}
	return *k.d, nil
}

func (k kept) CancelDeletion(_ context.Context, _, _ string, force bool) (Deletion, error) {
	if k.d.State != Waiting && !force {
		return Deletion{}, fault.New(fault.Conflict, "it is %s", k.d.State)
	}
	k.d.State, k.d.Ended = Canceled, now
	return *k.d, nil
}

func TestAPI(t *testing.T) {
	k := kept{new(Deletion)}
	var audited []string
	h := tenant.Middleware(API{
		Path: "/x/deletions", Keeper: k, CancelWindow: time.Minute, Now: func() time.Time { return now }, Action: "x.cancel",
		Accept: func(_ *http.Request, r Request) (Deletion, error) {
			*k.d = Deletion{ID: "7", Label: r.Query, From: r.From.UnixNano(), To: r.To.UnixNano() + 1, State: Waiting, Created: now, Due: now.Add(r.CancelWindow)}
			return *k.d, nil
		},
		Audit: func(_ *http.Request, action, target string, _ map[string]string) error {
			audited = append(audited, action+" "+target)
			return nil
		},
	}.Handler())
	do := func(method, path, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	w := do("POST", "/x/deletions", `{"query": "{}", "from": "2026-01-01T00:00:00Z"}`)
	require.Equal(t, http.StatusAccepted, w.Code, w.Body.String())
	require.Equal(t, "/x/deletions/7", w.Header().Get("Location"))
	want := `{"id":"7","query":"{}","from":"2026-01-01T00:00:00Z","to":"2026-01-02T03:04:05Z","state":"waiting",
		"created_at":"2026-01-02T03:04:05Z","due_at":"2026-01-02T03:05:05Z","records":0,"progress":0}`
	require.JSONEq(t, want, w.Body.String())
	require.JSONEq(t, want, do("GET", "/x/deletions/7", "").Body.String())
	require.JSONEq(t, `{"deletions":[`+want+`]}`, do("GET", "/x/deletions", "").Body.String())
	require.Equal(t, http.StatusNotFound, do("GET", "/x/deletions/8", "").Code)
	require.Equal(t, http.StatusNotFound, do("DELETE", "/x/deletions/8", "").Code)

	k.d.State = Running
	require.Equal(t, http.StatusConflict, do("DELETE", "/x/deletions/7", "").Code)
	require.Equal(t, http.StatusOK, do("DELETE", "/x/deletions/7?force=true", "").Code)
	require.Contains(t, do("GET", "/x/deletions/7", "").Body.String(), `"ended_at":"2026-01-02T03:04:05Z"`)
	require.Equal(t, []string{"x.cancel {}", "x.cancel {}"}, audited)

	for body, problem := range map[string]string{
		`{`:                                "not JSON",
		`{"from": "2026-01-01T00:00:00Z"}`: "query: is missing",
		`{"query": "{}"}`:                  "from: is missing",
		`{"query": "{}", "from": "2027-01-01T00:00:00Z"}`:                          "to: lies before from",
		`{"query": "{}", "from": "2026-01-01T00:00:00Z", "cancel_window": "soon"}`: "cancel_window",
		`{"query": "{}", "from": "2026-01-01T00:00:00Z", "untl": "x"}`:             "untl",
	} {
		w := do("POST", "/x/deletions", body)
		require.Equal(t, http.StatusBadRequest, w.Code, body)
		require.Contains(t, w.Body.String(), problem)
	}
	do("POST", "/x/deletions", `{"query": "{}", "from": "2026-01-01T00:00:00Z", "cancel_window": "1d"}`)
	require.Equal(t, now.AddDate(0, 0, 1), k.d.Due)
}
