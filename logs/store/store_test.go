package store

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"belfry/internal/fault"
	"belfry/logs"
	"belfry/logs/logql"
	"belfry/logs/patterns"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	_ = os.Setenv("BELFRY_SLAB_GUARD", "1") // to read memory that was given back is a crash
	goleak.VerifyTestMain(m)
}

func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(Options{Dir: dir, Config: DefaultConfig(), Now: func() time.Time { return benchStart.Add(time.Hour) }})
	require.NoError(t, err)
	return s
}

func count(t *testing.T, s *Store) float64 {
	t.Helper()
	v, err := logql.NewEngine(logql.Options{Querier: s}).Vector(t.Context(), benchTenant, `sum(count_over_time({}[2h]))`, benchStart.Add(time.Hour))
	require.NoError(t, err)
	if len(v) == 0 {
		return 0
	}
	return v[0].F
}

func TestRecordsSurviveReopening(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	rng := rand.New(rand.NewPCG(1, 2))
	for n := range 3 {
		_, err := s.Append(t.Context(), benchTenant, benchLogs(t, rng, n))
		require.NoError(t, err)
	}
	require.EqualValues(t, 3000, count(t, s))
	require.NoError(t, s.Close())
	_, err := s.Append(t.Context(), benchTenant, benchLogs(t, rng, 0))
	require.Equal(t, fault.Unavailable, fault.KindOf(err))
	s = open(t, dir)
	require.EqualValues(t, 3000, count(t, s))
	require.NoError(t, s.Close())
}

// TestRecordsSurviveTheProcess copies the directory of a store that is still
// open, as kill -9 would leave it.
func TestRecordsSurviveTheProcess(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	rng := rand.New(rand.NewPCG(1, 2))
	for n := range 4 {
		_, err := s.Append(t.Context(), benchTenant, benchLogs(t, rng, n))
		require.NoError(t, err)
		if n == 1 {
			require.NoError(t, s.Flush(t.Context()))
		}
	}
	left := filepath.Join(t.TempDir(), "left")
	require.NoError(t, os.CopyFS(left, os.DirFS(dir)))
	require.NoError(t, s.Close())
	again := open(t, left)
	require.EqualValues(t, 4000, count(t, again))
	require.NoError(t, again.Close())
}

func TestConcurrentUse(t *testing.T) {
	now := func() time.Time { return benchStart.Add(time.Hour) }
	counts := open(t, t.TempDir())
	miner, err := patterns.New(patterns.Options{Store: counts, Dir: t.TempDir(), Now: now})
	require.NoError(t, err)
	s, err := Open(Options{Dir: t.TempDir(), Config: DefaultConfig(), Patterns: miner, Now: now})
	require.NoError(t, err)
	rng := rand.New(rand.NewPCG(1, 2))
	requests := make([][]byte, 6)
	for n := range requests {
		requests[n] = benchLogs(t, rng, n)
	}
	e := logql.NewEngine(logql.Options{Querier: s})
	var writers, others sync.WaitGroup
	done := make(chan struct{})
	for _, r := range requests {
		writers.Go(func() {
			_, err := s.Append(context.Background(), benchTenant, r)
			require.NoError(t, err)
		})
	}
	for _, query := range []string{`sum by (http_route) (count_over_time({}[1h]))`, `sum by (x) (count_over_time({} | pattern "<x> <_>" [1h]))`} {
		others.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				_, err := e.Vector(context.Background(), benchTenant, query, benchStart.Add(time.Hour))
				require.NoError(t, err)
				require.NoError(t, s.Flush(context.Background()))
			}
		})
	}
	others.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			require.NoError(t, miner.Write(context.Background(), counts))
			_, err := miner.Find(context.Background(), patterns.Query{Tenant: benchTenant, To: benchStart.Add(time.Hour).UnixNano(), Step: 1e9, Limit: 10})
			require.NoError(t, err)
		}
	})
	writers.Wait()
	close(done)
	others.Wait()
	require.EqualValues(t, len(requests)*benchRequest, count(t, s))
	require.NoError(t, miner.Write(t.Context(), nil))
	found, err := miner.Find(t.Context(), patterns.Query{Tenant: benchTenant, To: benchStart.Add(time.Hour).UnixNano(), Step: 1e9, Limit: 100})
	require.NoError(t, err)
	total := int64(0)
	for _, f := range found {
		require.Contains(t, f.Pattern, "for user <_> in <_> ms, cache <_> of <_> bytes")
		total += f.Total
	}
	require.InDelta(t, len(requests)*benchRequest, total, 600)
	require.NoError(t, s.Close())
	require.NoError(t, counts.Close())
}

func TestTraceIsFoundByID(t *testing.T) {
	s := open(t, t.TempDir())
	rng := rand.New(rand.NewPCG(1, 2))
	_, err := s.Append(t.Context(), benchTenant, benchLogs(t, rng, 0))
	require.NoError(t, err)
	require.NoError(t, s.Flush(t.Context()))
	e := logql.NewEngine(logql.Options{Querier: s})
	p := logql.Params{Tenant: benchTenant, Query: `{} | trace_id!=""`, Start: benchStart, End: benchStart.Add(time.Hour), Limit: 1}
	r, err := e.Range(t.Context(), p)
	require.NoError(t, err)
	id := logs.Lookup(r.Entries[0].Metadata, logs.FieldTraceID)
	require.Len(t, id, 32)
	p.Query, p.Limit = `{} | trace_id="`+id+`"`, 10
	again, err := e.Range(t.Context(), p)
	require.NoError(t, err)
	require.Equal(t, r.Entries, again.Entries)
	require.LessOrEqual(t, again.Stats.Blocks, 1)
	require.NoError(t, s.Close())
}

func TestConfigFaultsAreAllTold(t *testing.T) {
	c := DefaultConfig()
	require.NoError(t, c.Validate())
	c.Retention.Time = model.Duration(-1)
	c.Durability = "maybe"
	c.Flush.Size = 0
	err := c.Validate()
	for _, field := range []string{"retention.time: ", "durability: ", "flush.size: "} {
		require.ErrorContains(t, err, field)
	}
	_, err = Open(Options{Dir: t.TempDir(), Config: c})
	require.Error(t, err)
}

func TestRetentionRules(t *testing.T) {
	c := DefaultConfig()
	c.Retention.Rules = []RuleConfig{
		{Selector: `{service_name="audit"}`},
		{Selector: `{} | http_route="/health"`, Time: model.Duration(time.Minute)},
		{Selector: `{} | detected_level="debug" |= "noise"`, Time: model.Duration(time.Minute)},
	}
	now := benchStart.Add(time.Hour)
	s, err := Open(Options{Dir: t.TempDir(), Config: c, Now: func() time.Time { return now }})
	require.NoError(t, err)
	add := func(service, route, level, line string, age time.Duration) {
		l := plog.NewLogs()
		rl := l.ResourceLogs().AppendEmpty()
		rl.Resource().Attributes().PutStr("service.name", service)
		r := rl.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
		r.SetTimestamp(pcommon.NewTimestampFromTime(now.Add(-age)))
		r.SetSeverityText(level)
		r.Attributes().PutStr("http.route", route)
		r.Body().SetStr(line)
		b, err := (&plog.ProtoMarshaler{}).MarshalLogs(l)
		require.NoError(t, err)
		_, err = s.Append(t.Context(), benchTenant, b)
		require.NoError(t, err)
	}
	add("audit", "/health", "debug", "kept for ever", 1000*time.Hour)
	add("web", "/health", "info", "gone", 2*time.Minute)
	add("web", "/health", "info", "still there", 30*time.Second)
	add("web", "/", "debug", "noise", 2*time.Minute)
	add("web", "/", "debug", "of note", 2*time.Minute)
	add("web", "/", "info", "noise at info", 2*time.Minute)
	add("web", "/", "info", "too old", 1000*time.Hour)
	got := []string{}
	collect := func() []string {
		got = got[:0]
		_, err := s.Select(t.Context(), logs.SelectQuery{
			Query: logs.Query{Tenant: benchTenant, From: 0, To: now.UnixNano() + 1}, Want: logs.Want{Line: true}, Direction: logs.Forward,
		}, func(e *logs.Entry) bool {
			got = append(got, e.Line)
			return true
		})
		require.NoError(t, err)
		return got
	}
	require.ElementsMatch(t, []string{"kept for ever", "still there", "of note", "noise at info"}, collect())
	require.NoError(t, s.Flush(t.Context()))
	require.ElementsMatch(t, []string{"kept for ever", "still there", "of note", "noise at info"}, collect())
	require.NoError(t, s.Close())

	c.Retention.Rules = []RuleConfig{{Selector: `{}`}, {Selector: `{a="b"} | json`}, {Selector: `{a="b"}`, Time: -1}, {Selector: `{`}}
	err = c.Validate()
	for _, field := range []string{"retention.rules[0].selector: ", "retention.rules[1].selector: ", "retention.rules[2].time: ", "retention.rules[3].selector: "} {
		require.ErrorContains(t, err, field)
	}
}

func TestNamesThatALabelMayStandFor(t *testing.T) {
	require.Equal(t, []string{"level"}, originals("level"))
	require.ElementsMatch(t, []string{"a_b_c", "a.b_c", "a_b.c", "a.b.c"}, originals("a_b_c"))
	require.Equal(t, []string{"a_b_c_d_e_f", "a.b.c.d.e.f"}, originals("a_b_c_d_e_f"))
}
