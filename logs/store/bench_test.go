package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"belfry/logs"
	"belfry/logs/logql"
	"belfry/logs/patterns"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

const (
	benchTenant  = "bench"
	benchRequest = 1000
)

var benchStart = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// benchLogs returns one request of records like a web shop's, a millisecond
// apart: about 260 bytes a record, 20 services, most with a trace.
func benchLogs(tb testing.TB, rng *rand.Rand, n int) []byte {
	tb.Helper()
	l := plog.NewLogs()
	rl := l.ResourceLogs().AppendEmpty()
	service := fmt.Sprintf("svc-%d", n%20)
	rl.Resource().Attributes().PutStr("service.name", service)
	rl.Resource().Attributes().PutStr("host.name", fmt.Sprintf("host-%d", n%10))
	rl.Resource().Attributes().PutStr("telemetry.sdk.language", "go")
	records := rl.ScopeLogs().AppendEmpty().LogRecords()
	routes := []string{"/cart", "/pay", "/login", "/search", "/item/:id", "/health"}
	for i := range benchRequest {
		r := records.AppendEmpty()
		at := benchStart.Add(time.Duration(n*benchRequest+i) * time.Millisecond)
		r.SetTimestamp(pcommon.NewTimestampFromTime(at))
		r.SetObservedTimestamp(pcommon.NewTimestampFromTime(at))
		status, severity := 200, plog.SeverityNumberInfo
		if rng.IntN(50) == 0 {
			status, severity = 500, plog.SeverityNumberError
		}
		r.SetSeverityNumber(severity)
		route := routes[rng.IntN(len(routes))]
		r.Body().SetStr(fmt.Sprintf("handled request %s for user %d in %d ms, cache %d of %d bytes", route, rng.IntN(100000), rng.IntN(900), rng.IntN(2), rng.IntN(1<<20)))
		r.Attributes().PutStr("http.route", route)
		r.Attributes().PutInt("http.response.status_code", int64(status))
		r.Attributes().PutDouble("duration", rng.Float64())
		if rng.IntN(10) < 7 {
			var id pcommon.TraceID
			var span pcommon.SpanID
			for j := range id {
				id[j] = byte(rng.Uint32())
			}
			copy(span[:], id[4:])
			r.SetTraceID(id)
			r.SetSpanID(span)
		}
	}
	b, err := (&plog.ProtoMarshaler{}).MarshalLogs(l)
	require.NoError(tb, err)
	return b
}

func benchStore(b *testing.B) *Store {
	b.Helper()
	c := DefaultConfig()
	s, err := Open(Options{Dir: b.TempDir(), Config: c, Now: func() time.Time { return benchStart.Add(time.Hour) }})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, s.Close()) })
	return s
}

// BenchmarkAppend reports the time of one record, from request to memtable and
// log, with the flushes that come between.
func BenchmarkAppend(b *testing.B) { benchAppend(b, benchStore(b)) }

// BenchmarkAppendWithPatterns reports the same while patterns are found in the lines.
func BenchmarkAppendWithPatterns(b *testing.B) {
	now := func() time.Time { return benchStart.Add(time.Hour) }
	counts, err := Open(Options{Dir: b.TempDir(), Config: DefaultConfig(), Signal: "patterns", Now: now})
	require.NoError(b, err)
	m, err := patterns.New(patterns.Options{Store: counts, Dir: b.TempDir(), Now: now})
	require.NoError(b, err)
	s, err := Open(Options{Dir: b.TempDir(), Config: DefaultConfig(), Patterns: m, Now: now})
	require.NoError(b, err)
	benchAppend(b, s)
	require.NoError(b, s.Close())
	require.NoError(b, counts.Close())
}

func benchAppend(b *testing.B, s *Store) {
	rng := rand.New(rand.NewPCG(1, 2))
	var requests [][]byte
	for n := range 50 {
		requests = append(requests, benchLogs(b, rng, n))
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(requests[0])) / benchRequest)

	for n := 0; b.Loop(); n += benchRequest {
		_, err := s.Append(context.Background(), benchTenant, requests[n/benchRequest%len(requests)])
		require.NoError(b, err)
	}
}

// BenchmarkQuery reports the time of whole queries over half a million records in parts.
func BenchmarkQuery(b *testing.B) {
	s := benchStore(b)
	rng := rand.New(rand.NewPCG(1, 2))
	const requests = 500
	for n := range requests {
		_, err := s.Append(b.Context(), benchTenant, benchLogs(b, rng, n))
		require.NoError(b, err)
	}
	require.NoError(b, s.Flush(b.Context()))
	e := logql.NewEngine(logql.Options{Querier: s})
	end := benchStart.Add(requests * benchRequest * time.Millisecond)
	for _, q := range []struct{ name, query string }{
		{"needle", `{} |= "user 4711 in 17 ms"`},
		{"absent", `{} |= "nothingofthekind"`},
		{"last100", `{service_name="svc-7"}`},
		{"regexp", `{} |~ "user 47.1 in"`},
		{"metadata", `{} | http_response_status_code="500" | http_route="/pay"`},
		{"countByService", `sum by (service_name) (count_over_time({}[1m]))`},
		{"countByRoute", `sum by (http_route) (count_over_time({}[1m]))`},
		{"countLevel", `sum by (detected_level) (count_over_time({service_name="svc-7"}[1m]))`},
		{"topRoutes", `topk(10, sum by (http_route) (count_over_time({} | http_response_status_code="500" [1m])))`},
		{"pattern", "sum by (route) (count_over_time({} | pattern `handled request <route> <_>` [1m]))"},
		{"unwrap", `quantile_over_time(0.99, {} | unwrap duration [1m]) by (http_route)`},
	} {
		b.Run(q.name, func(b *testing.B) {
			for b.Loop() {
				_, err := e.Range(b.Context(), logql.Params{
					Tenant: benchTenant, Query: q.query, Start: benchStart, End: end, Step: time.Minute, Limit: 100, Direction: logs.Backward,
				})
				require.NoError(b, err)
			}
		})
	}
}
