package api

import (
	"net/http"
	"testing"
	"time"

	"belfry/internal/vfs"
	"belfry/logs"
	"belfry/logs/memstore"
	"belfry/logs/patterns"

	"github.com/stretchr/testify/require"
)

func TestStoredPatterns(t *testing.T) {
	f := newFixture(t)
	now := func() time.Time { return testNow }
	miner, err := patterns.New(patterns.Options{Store: memstore.New(memstore.Options{Now: now}), FS: vfs.NewMem(), Dir: "p", Now: now})
	require.NoError(t, err)
	f.h = New(Options{Store: f.store, Patterns: miner, Now: now}).Handler()
	f.load()
	b := miner.NewBatch()
	require.NoError(t, b.Stream([]byte("shop"), func() ([]logs.Label, error) {
		return []logs.Label{{Name: "app", Value: "shop"}, {Name: "service_name", Value: "shop"}}, nil
	}))
	for i, line := range []string{"GET /1 took 5ms", "GET /2 took 7ms", "GET /3 took 9ms", "stopped"} {
		b.Add(testNow.Add(time.Duration(i-3)*time.Minute).UnixNano(), "info", []byte(line))
	}
	miner.Take("default", b)
	get := func(query string) string {
		return f.json(f.get("/loki/api/v1/patterns", "query", query, "start", ns(10*time.Minute), "end", ns(0), "step", "2m"))
	}
	want := `{"status":"success","data":[
		{"pattern":"GET <_> took <_>","level":"info","samples":[[1772366160,1],[1772366280,2]]},
		{"pattern":"stopped","level":"info","samples":[[1772366400,1]]}]}`
	require.JSONEq(t, want, get(`{app="shop"}`))
	require.NoError(t, miner.Write(t.Context(), nil))
	require.JSONEq(t, want, get(`{app="shop"}`))
	require.JSONEq(t, `{"status":"success","data":[]}`, get(`{app="nothing"}`))
	require.Contains(t, get(`{app="shop"} |= "msg"`), "msg=", "a query with stages is clustered when asked")
	require.Equal(t, http.StatusBadRequest, f.get("/loki/api/v1/patterns", "query", `rate({}[1m])`).Code)

	// What is deleted is no pattern any more.
	w := f.get("/loki/api/v1/patterns", "query", `{app="shop"}`)
	require.Equal(t, http.StatusOK, w.Code)
	form := "/loki/api/v1/delete?start=0&query=" + "%7B%7D%20%7C%3D%20%22stopped%22"
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, form, http.NoBody)
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, f.do(r).Code)
	require.NotContains(t, get(`{app="shop"}`), "stopped")
}
