package patterns

import (
	"context"
	"fmt"
	"path"
	"strings"
	"testing"
	"time"

	"belfry/internal/vfs"
	"belfry/logs"
	"belfry/logs/logql"
	"belfry/logs/logql/extract"
	"belfry/logs/logql/syntax"
	"belfry/logs/memstore"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var start = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

type fixture struct {
	t      *testing.T
	now    time.Time
	fs     *vfs.Mem
	counts *memstore.Store
	events *memstore.Store
	m      *Miner
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{t: t, now: start, fs: vfs.NewMem()}
	clock := func() time.Time { return f.now }
	f.counts, f.events = memstore.New(memstore.Options{Now: clock}), memstore.New(memstore.Options{Now: clock})
	f.open()
	return f
}

func (f *fixture) open() {
	f.t.Helper()
	var err error
	f.m, err = New(Options{Store: f.counts, FS: f.fs, Dir: "patterns", Learn: time.Hour, Now: func() time.Time { return f.now }})
	require.NoError(f.t, err)
}

func (f *fixture) add(service, level string, lines ...string) {
	f.t.Helper()
	b := f.m.NewBatch()
	require.NoError(f.t, b.Stream([]byte(service), func() ([]logs.Label, error) {
		return []logs.Label{{Name: "env", Value: "prod"}, {Name: "service_name", Value: service}}, nil
	}))
	for _, l := range lines {
		b.Add(f.now.UnixNano(), level, []byte(l))
	}
	f.m.Take("t", b)
}

func (f *fixture) write() {
	f.t.Helper()
	require.NoError(f.t, f.m.Write(f.t.Context(), f.events))
}

// found returns "count level pattern" of each pattern.
func (f *fixture) found(selector string) []string {
	f.t.Helper()
	ms, err := syntax.ParseMatchers(selector)
	require.NoError(f.t, err)
	list, err := f.m.Find(f.t.Context(), Query{
		Tenant: "t", Streams: ms, From: start.Add(-time.Hour).UnixNano(), To: f.now.Add(time.Hour).UnixNano(), Step: int64(time.Minute), Limit: 100,
	})
	require.NoError(f.t, err)
	out := []string{}
	for _, p := range list {
		out = append(out, fmt.Sprintf("%d %s %s", p.Total, p.Level, p.Pattern))
	}
	return out
}

func TestClustering(t *testing.T) {
	f := newFixture(t)
	f.add("shop", "info",
		`GET /cart took 12ms`, `GET /cart took 9ms`, `GET /pay took 9ms`,
		`level=info msg="user ann logged in" id=a1`, `level=info msg="user bob logged in" id=b2`,
		`{"msg":"paid","amount":12,"currency":"EUR"}`, `{"msg":"paid","amount":7,"currency":"USD"}`,
		`connection refused`, `connection accepted`,
	)
	f.add("shop", "error", `GET /cart took 31ms`)
	f.add("other", "info", `GET /cart took 1ms`)
	want := []string{
		`3 info GET <_> took <_>`,
		`2 info level=info msg="user <_> logged in" id=<_>`,
		`2 info {"msg":"paid","amount":<_>,"currency":"<_>"}`,
		`1 error GET <_> took <_>`,
		`1 info connection accepted`,
		`1 info connection refused`,
	}
	require.Equal(t, want, f.found(`{service_name="shop"}`), "before they are written")
	f.write()
	require.Equal(t, want, f.found(`{service_name="shop"}`), "and after")
	require.Equal(t, []string{`1 info GET /cart took <_>`}, f.found(`{service_name="other", env=~"p.*"}`))
	f.now = f.now.Add(10 * time.Minute)
	f.add("other", "info", `GET /cart took 2ms`, `GET /cart took 3ms`)
	list, err := f.m.Find(t.Context(), Query{Tenant: "t", From: 0, To: f.now.UnixNano() + 1, Step: int64(time.Minute), Limit: 1})
	require.NoError(t, err)
	require.Len(t, list, 1)
	all := f.found(`{service_name="other"}`)
	require.Equal(t, []string{`3 info GET /cart took <_>`}, all)
}

// TestPatternsAreLogQL: a pattern matches its lines as LogQL's pattern filter.
func TestPatternsAreLogQL(t *testing.T) {
	c := newClasses()
	for _, text := range []string{
		`GET /cart took 12ms`, `a=1 b=2`, `{"a":[1,2,{"b":"c"}]}`, `   leading`, `trailing 7   `, `7`, `!!!`, `über 12 Grüße`, "tab\tand \x00 zero 5",
		strings.Repeat("word ", 100), strings.Repeat("x", 2000), strings.Repeat("n1,", 300),
	} {
		l := c.split([]byte(text))
		pattern := l.text()
		again := c.signature([]byte(text))
		require.Equal(t, c.signature([]byte(text)), again)
		if !strings.Contains(pattern, wildcard) {
			require.True(t, strings.HasPrefix(text, pattern), pattern)
			continue
		}
		p, err := extract.ParseLinePattern(pattern)
		require.NoError(t, err, pattern)
		require.True(t, p.Match(text), "%q does not match %q", pattern, text)
	}
}

func TestNewPatternsAreTold(t *testing.T) {
	f := newFixture(t)
	told := func() []string {
		e := logql.NewEngine(logql.Options{Querier: f.events})
		v, err := e.Vector(context.Background(), "t",
			`sum by (pattern_service, pattern) (count_over_time({service_name="`+ServiceName+`"} | detected_level="error" [5m])) > 0`, f.now)
		require.NoError(t, err)
		out := []string{}
		for _, s := range v {
			out = append(out, s.Metric.Get("pattern_service")+": "+s.Metric.Get("pattern"))
		}
		return out
	}
	f.add("shop", "error", "disk 1 is full")
	f.write()
	require.Empty(t, told(), "the first hour teaches")
	f.now = f.now.Add(2 * time.Hour)
	f.add("shop", "error", "disk 2 is full", "no route to host 7")
	f.add("shop", "info", "all is well")
	f.write()
	require.Equal(t, []string{"shop: no route to host <_>"}, told())
	f.open()
	f.add("shop", "error", "no route to host 8")
	f.now = f.now.Add(10 * time.Minute)
	f.write()
	require.Empty(t, told(), "it is known, also after a restart")
	f.add(ServiceName, "error", "one of our own")
	require.Empty(t, f.found(`{service_name="`+ServiceName+`"}`))
}

func TestForget(t *testing.T) {
	f := newFixture(t)
	f.add("shop", "info", "user bob paid", "user-agent seen", "hello")
	f.write()
	f.add("shop", "info", "hello bob", "hello")
	require.NoError(t, f.m.Forget(t.Context(), logs.DeleteRequest{Query: logs.Query{
		Tenant: "t", From: start.UnixNano(), To: start.Add(time.Hour).UnixNano(),
		Filter: logs.And{logs.LineContains{Text: "BOB", Fold: true}, logs.Not{Of: logs.LineContains{Text: "x"}}},
	}}))
	want := []string{"2 info hello", "1 info user-agent seen"}
	require.Equal(t, want, f.found(`{}`))
	f.write()
	f.open()
	require.Equal(t, 2, f.m.size())
	require.Equal(t, want, f.found(`{}`))
}

func TestBoundsAndSampling(t *testing.T) {
	f := newFixture(t)
	lines := make([]string, 10_000)
	for i := range lines {
		lines[i] = fmt.Sprintf("request %d", i)
	}
	f.add("shop", "info", lines...)
	list := f.found(`{}`)
	require.Len(t, list, 1)
	var n int
	_, err := fmt.Sscanf(list[0], "%d", &n)
	require.NoError(t, err)
	require.InDelta(t, 10_000, n, 300, "those left out are counted by those taken")

	word := func(n int) string {
		return string(rune('a'+n%26)) + string(rune('a'+n/26%26)) + string(rune('a'+n/676))
	}
	for i := range maxClusters + 50 {
		f.add("wild", "info", strings.Repeat("!", i%100)+strings.Repeat("?", 1+i/100)+word(i))
	}
	f.add("wild", "info", strings.Repeat("? ", 30)+"one more")
	require.Equal(t, maxClusters+1, f.m.size())
	require.Positive(t, testutil.ToFloat64(f.m.metrics.skipped))
	f.now = f.now.Add(2 * forgetAfter)
	f.add("wild", "info", strings.Repeat("? ", 31)+"one more")
	require.Equal(t, maxClusters+1, f.m.size(), "what was not seen for long makes room")
}

func TestDamagedClustersAreSetAside(t *testing.T) {
	f := newFixture(t)
	f.add("shop", "info", "hello")
	f.write()
	name := path.Join("patterns", fileName)
	require.NoError(t, f.fs.Corrupt(name, func(b []byte) []byte { b[len(b)/2] ^= 1; return b }))
	f.open()
	require.Zero(t, f.m.size())
	require.Contains(t, f.fs.Files(), name+".corrupt")
	f.write()
}

func TestRunWritesAtTheEnd(t *testing.T) {
	f := newFixture(t)
	f.add("shop", "info", "hello")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, f.m.Run(ctx, f.events))
	f.open() // nothing in memory
	require.Equal(t, []string{"1 info hello"}, f.found(`{}`))
}

func FuzzSplit(f *testing.F) {
	f.Add([]byte(`GET /cart took 12ms {"a":1}`))
	f.Add([]byte(strings.Repeat("word ", 100)))
	c := newClasses()
	f.Fuzz(func(t *testing.T, text []byte) {
		l := c.split(text)
		require.Len(t, l.gaps, len(l.words)+1)
		same := c.split(append([]byte(nil), text...))
		require.Equal(t, l.shape(), same.shape())
		require.Equal(t, len(l.words), l.common(&same))
		require.False(t, l.generalize(&same))
		c.signature(text)
	})
}
