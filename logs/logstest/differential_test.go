package logstest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"belfry/logs"
	"belfry/logs/logql"
	"belfry/logs/store"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

func pick[T any](rng *rand.Rand, list ...T) T { return list[rng.IntN(len(list))] }

// randomRequest makes records whose names collide, whose types change and whose
// values are sometimes missing.
func randomRequest(rng *rand.Rand) []byte {
	l := plog.NewLogs()
	for range 1 + rng.IntN(3) {
		rl := l.ResourceLogs().AppendEmpty()
		ra := rl.Resource().Attributes()
		if rng.IntN(5) > 0 {
			ra.PutStr("service.name", pick(rng, "a", "b", "c"))
		}
		if rng.IntN(2) == 0 {
			ra.PutStr("k8s.pod.name", fmt.Sprintf("pod-%d", rng.IntN(4)))
		}
		if rng.IntN(2) == 0 {
			ra.PutStr("http.route", "of the resource")
		}
		sl := rl.ScopeLogs().AppendEmpty()
		sl.Scope().SetName(pick(rng, "", "lib"))
		for range rng.IntN(20) {
			r := sl.LogRecords().AppendEmpty()
			r.SetTimestamp(pcommon.NewTimestampFromTime(Epoch.Add(time.Duration(rng.IntN(3600)) * time.Second)))
			r.SetSeverityNumber(plog.SeverityNumber(rng.IntN(25)))
			fillRandom(rng, r)
		}
	}
	return Marshal(l)
}

func fillRandom(rng *rand.Rand, r plog.LogRecord) {
	switch rng.IntN(6) {
	case 0:
		m := r.Body().SetEmptyMap()
		m.PutStr("msg", pick(rng, "alpha", "beta"))
		m.PutInt("n", int64(rng.IntN(9)))
	case 1:
		r.Body().SetStr(fmt.Sprintf(`{"level":"%s","n":%d,"http_route":"x"}`, pick(rng, "info", "error"), rng.IntN(9)))
	case 2:
		r.Body().SetInt(int64(rng.IntN(1000)))
	case 3: // no body
	default:
		r.Body().SetStr(fmt.Sprintf("level=%s n=%d word=%s", pick(rng, "info", "ERROR"), rng.IntN(9), pick(rng, "alpha", "Beta", "GAMMA")))
	}
	for _, name := range []string{"http.route", "http_route", "status", "service_name", "trace_id", "user.id"} {
		switch rng.IntN(6) {
		case 0:
			r.Attributes().PutStr(name, pick(rng, "/a", "/b", "200", ""))
		case 1:
			r.Attributes().PutInt(name, int64(pick(rng, 200, 404, 500)))
		case 2:
			r.Attributes().PutDouble(name, pick(rng, 1.5, 200, 1e7))
		}
	}
	if rng.IntN(2) == 0 {
		r.SetTraceID(pcommon.TraceID{15: byte(1 + rng.IntN(5))})
	}
}

var differentialQueries = []string{
	`{}`, `{service_name="a"}`, `{service_name!="a"}`, `{service_name=~"a|b"}`, `{service_name!~"a.*"}`, `{k8s_pod_name=""}`,
	`{k8s_pod_name=~"pod-[12]"}`, `{service_name="unknown_service"}`,
	`{} |= "alpha"`, `{} != "alpha"`, `{} |~ "(?i)beta"`, `{} |~ "n=[1-3]"`, `{} !~ "level=(info|ERROR)"`, `{} |~ "^$"`, `{} |= "a" or "7"`,
	`{} | http_route="/a"`, `{} | http_route!="/a"`, `{} | http_route=""`, `{} | http_route=~"/.|200"`, `{} | http_route!~"/.*"`,
	`{} | status="200"`, `{} | status=~"[24].*"`, `{} | status>=404`, `{} | status=1.5`, `{} | status="1e+07"`,
	`{} | trace_id=~"0+[12]"`, `{} | trace_id="/a"`, `{} | trace_id!=""`, `{} | user_id="200" or user_id=""`,
	`{} | detected_level="error"`, `{} | scope_name="lib" | detected_level!="info"`, `{} | service_name_extracted="/a"`,
	`{} | json`, `{} | json | n > 4`, `{} | json | http_route_extracted="x" | __error__=""`, `{} | logfmt | word="alpha"`,
	`{} | logfmt | keep word, level`, `{} | drop http_route, trace_id`, `{} | line_format "{{.http_route}}-{{.status}}"`,
}

var differentialMetrics = []string{
	`sum(count_over_time({}[10m]))`, `sum by (service_name) (count_over_time({}[10m]))`, `sum by (http_route) (count_over_time({}[7m]))`,
	`sum by (http_route, status) (count_over_time({} | http_route!="" [30m]))`, `sum by (detected_level, k8s_pod_name) (rate({}[5m]))`,
	`sum by (service_name_extracted) (count_over_time({}[10m]))`, `sum by (service_name) (bytes_over_time({}[10m]))`,
	`sum by (scope_name) (count_over_time({} |= "alpha" [10m]))`, `count_over_time({} | keep service_name, status [20m])`,
	`sum by (word) (count_over_time({} | logfmt | word!="" [10m]))`, `sum by (trace_id) (count_over_time({}[1h]))`,
	`max by (service_name) (max_over_time({} | logfmt | unwrap n | __error__="" [10m]))`,
	`quantile_over_time(0.9, {} | logfmt | unwrap n | __error__="" [10m]) by (service_name)`,
	`avg_over_time({} | unwrap status | __error__="" [10m]) by (http_route)`, `absent_over_time({service_name="none"}[10m])`,
	`topk(2, sum by (user_id) (count_over_time({}[1h])))`, `sum without (trace_id) (count_over_time({service_name="a"}[30m]))`,
}

// TestStoresAgree asks two stores, the simple one and the real one, the same
// questions about the same random records, which lie in several parts and in memory.
func TestStoresAgree(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 11))
	simple := newMemstore(t)
	real, _ := newStore(t).(*store.Store)
	for i := range 60 {
		request := randomRequest(rng)
		a, err := simple.Append(t.Context(), Tenant, request)
		require.NoError(t, err)
		b, err := real.Append(t.Context(), Tenant, request)
		require.NoError(t, err)
		require.Equal(t, a, b)
		if i%15 == 14 && i < 50 {
			require.NoError(t, real.Flush(t.Context()))
		}
	}
	limits := logql.Limits{MaxSeries: -1}
	engines := []*logql.Engine{
		logql.NewEngine(logql.Options{Querier: simple, Limits: limits}), logql.NewEngine(logql.Options{Querier: real, Limits: limits}),
	}
	run := func(query string, direction logs.Direction, limit int) [2][]string {
		var out [2][]string
		for i, e := range engines {
			r, err := e.Range(t.Context(), logql.Params{
				Tenant: Tenant, Query: query, Start: Epoch, End: Epoch.Add(time.Hour), Step: 4 * time.Minute, Limit: limit, Direction: direction,
			})
			require.NoError(t, err, query)
			for _, en := range r.Entries {
				out[i] = append(out[i], fmt.Sprint(en.Time, en.Stream, en.Metadata, en.Parsed, en.Line))
			}
			for _, s := range r.Matrix {
				out[i] = append(out[i], s.String())
			}
		}
		return out
	}
	for _, q := range differentialQueries {
		got := run(q, logs.Forward, 5000)
		slices.Sort(got[0]) // ties come in the order of IDs, which are the store's own
		slices.Sort(got[1])
		require.Equal(t, got[0], got[1], q)
		some := run(q, logs.Backward, 17)
		require.Len(t, some[1], len(some[0]), q)
	}
	for _, q := range differentialMetrics {
		got := run(q, logs.Forward, 1)
		require.NotEmpty(t, got[0], q)
		require.Equal(t, got[0], got[1], q)
	}
}
