package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"belfry/internal/fault"
	"belfry/logs/memstore"

	"github.com/stretchr/testify/require"
)

type deleteFixture struct {
	*fixture
	own   http.Handler
	audit []string
	deny  error
}

func newDeleteFixture(t *testing.T, window time.Duration) *deleteFixture {
	t.Helper()
	f := &deleteFixture{fixture: newFixture(t)}
	now := func() time.Time { return testNow }
	f.store = memstore.New(memstore.Options{Now: now})
	a := New(Options{Store: f.store, Now: now, CancelWindow: window, Audit: func(_ *http.Request, action, target string, detail map[string]string) error {
		f.audit = append(f.audit, fmt.Sprint(action, " ", target, " ", detail["id"], detail["from"]))
		return f.deny
	}})
	f.h, f.own = a.Handler(), a.Deletions()
	f.load()
	return f
}

func (f *deleteFixture) send(method string, params ...string) *httptest.ResponseRecorder {
	form := url.Values{}
	for i := 0; i < len(params); i += 2 {
		form.Add(params[i], params[i+1])
	}
	if method == http.MethodDelete || method == http.MethodGet {
		return f.do(httptest.NewRequest(method, "/loki/api/v1/delete?"+form.Encode(), nil))
	}
	r := httptest.NewRequest(method, "/loki/api/v1/delete", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return f.do(r)
}

func (f *deleteFixture) lines(query string) int {
	f.t.Helper()
	var out struct {
		Data struct{ Result []struct{ Values [][]any } }
	}
	w := f.get("/loki/api/v1/query_range", "query", query, "since", "2h")
	require.Equal(f.t, 200, w.Code, w.Body.String())
	require.NoError(f.t, json.Unmarshal(w.Body.Bytes(), &out))
	n := 0
	for _, s := range out.Data.Result {
		n += len(s.Values)
	}
	return n
}

func TestLokiDeletion(t *testing.T) {
	f := newDeleteFixture(t, time.Hour)
	before := f.lines(`{app="shop"}`)
	start := testNow.Add(-time.Hour).Format(time.RFC3339)
	w := f.send(http.MethodPost, "query", `{app="shop"} |= "two"`, "start", start)
	require.Equal(t, http.StatusNoContent, w.Code, w.Body.String())
	require.Equal(t, before-1, f.lines(`{app="shop"}`))
	w = f.send(http.MethodPut, "query", `{app="other"}`, "start", "0", "end", "1772360000", "max_interval", "24h")
	require.Equal(t, http.StatusNoContent, w.Code, w.Body.String())
	w = f.send(http.MethodGet)
	require.JSONEq(t, `[
		{"request_id":"2","start_time":0,"end_time":1772360000,"query":"{app=\"other\"}","status":"received","created_at":1772366400},
		{"request_id":"1","start_time":1772362800,"end_time":1772366400,"query":"{app=\"shop\"} |= \"two\"","status":"received","created_at":1772366400}
	]`, w.Body.String())
	w = f.send(http.MethodDelete, "request_id", "1", "force", "false")
	require.Equal(t, http.StatusNoContent, w.Code, w.Body.String())
	require.Equal(t, before, f.lines(`{app="shop"}`))
	require.Len(t, f.audit, 3)
	require.Equal(t, []string{
		`logs.delete {app="shop"} |= "two" 2026-03-01T11:00:00Z`, `logs.delete {app="other"} 1970-01-01T00:00:00Z`,
		`logs.delete.cancel {app="shop"} |= "two" 1`,
	}, f.audit)

	for want, params := range map[string][]string{
		"start time not set":                {"query", "{}"},
		"query not set":                     {"start", "0"},
		"can't be greater than end":         {"query", "{}", "start", "20", "end", "10"},
		"deletes in the future":             {"query", "{}", "start", "20", "end", "2026-03-01T13:00:00Z"},
		"parse error":                       {"query", "{", "start", "0"},
		"only line filters":                 {"query", "{} | json", "start", "0"},
		"not a metric query":                {"query", "rate({}[1m])", "start", "0"},
		"to a valid duration":               {"query", "{}", "start", "0", "max_interval", "x"},
		"could not parse \"now\" as a time": {"query", "{}", "start", "now"},
	} {
		w := f.send(http.MethodPost, params...)
		require.Equal(t, http.StatusBadRequest, w.Code, want)
		require.Contains(t, w.Body.String(), want)
	}
	require.Equal(t, http.StatusBadRequest, f.send(http.MethodDelete).Code)
	require.Equal(t, http.StatusNotFound, f.send(http.MethodDelete, "request_id", "77").Code)
	require.Equal(t, http.StatusBadRequest, f.send(http.MethodDelete, "request_id", "2", "force", "maybe").Code)
	require.Equal(t, http.StatusConflict, f.send(http.MethodDelete, "request_id", "1").Code)
}

func TestDeletionIsNotDoneUnrecorded(t *testing.T) {
	f := newDeleteFixture(t, 0)
	f.deny = fault.Unavailablef(time.Second, "%w", errors.New("the audit log is down"))
	before := f.lines(`{}`)
	w := f.send(http.MethodPost, "query", `{}`, "start", "0")
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Equal(t, before, f.lines(`{}`))
}

func TestOwnDeletionAPI(t *testing.T) {
	f := newDeleteFixture(t, time.Hour)
	call := func(method, path, body string) (*httptest.ResponseRecorder, map[string]any) {
		r := httptest.NewRequest(method, DeletionsPath+path, strings.NewReader(body))
		if method == http.MethodPost {
			r.Header.Set("Content-Type", "application/json")
		}
		w := httptest.NewRecorder()
		f.own.ServeHTTP(w, r)
		var out map[string]any
		_ = json.Unmarshal(w.Body.Bytes(), &out) // errors need not be JSON
		return w, out
	}
	w, d := call(http.MethodPost, "", `{"query":"{app=\"shop\"}","from":"2026-03-01T00:00:00Z","cancel_window":"0s"}`)
	require.Equal(t, http.StatusAccepted, w.Code, w.Body.String())
	require.Equal(t, DeletionsPath+"/1", w.Header().Get("Location"))
	require.Equal(t, "done", d["state"])
	require.InDelta(t, 1, d["progress"], 0)
	require.Equal(t, "2026-03-01T12:00:00Z", d["to"])
	require.Zero(t, f.lines(`{app="shop"}`))
	w, d = call(http.MethodPost, "", `{"query":"{}","from":"2026-03-01T00:00:00Z"}`)
	require.Equal(t, http.StatusAccepted, w.Code)
	require.Equal(t, "2026-03-01T13:00:00Z", d["due_at"])
	w, d = call(http.MethodDelete, "/2", "")
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, "canceled", d["state"])
	_, d = call(http.MethodGet, "", "")
	require.Len(t, d["deletions"], 2)
	w, d = call(http.MethodGet, "/1", "")
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, `{app="shop"}`, d["query"])
	for _, bad := range []string{
		`{}`, `{"query":"{}"}`, `{"from":"2026-03-01T00:00:00Z"}`, `{"query":"{}","from":"2026-03-01T00:00:00Z","to":"2025-03-01T00:00:00Z"}`,
		`{"query":"{}","from":"2026-03-01T00:00:00Z","cancel_window":"soon"}`, `{"query":"{}","from":"2026-03-01T00:00:00Z","more":1}`, `[`,
	} {
		w, _ := call(http.MethodPost, "", bad)
		require.Equal(t, http.StatusBadRequest, w.Code, bad)
	}
	w, _ = call(http.MethodGet, "/9", "")
	require.Equal(t, http.StatusNotFound, w.Code)
}
