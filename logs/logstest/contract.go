package logstest

import (
	"context"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"belfry/internal/fault"
	"belfry/logs"
	"belfry/logs/logql"
	"belfry/logs/logql/syntax"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

// Contract checks that a store keeps what package logs promises. The store's
// clock must be Now.
func Contract(t *testing.T, newStore func(t *testing.T) logs.Store) {
	for _, c := range []struct {
		name string
		run  func(t *testing.T, s logs.Store)
	}{
		{"Times", testTimes},
		{"Malformed", testMalformed},
		{"Model", testModel},
		{"Collisions", testCollisions},
		{"Order", testOrder},
		{"Filters", testFilters},
		{"Want", testWant},
		{"Count", testCount},
		{"Lists", testLists},
		{"Tenants", testTenants},
		{"Cancel", testCancel},
		{"Deletion", testDeletion},
		{"CanceledDeletion", testCanceledDeletion},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, newStore(t)) })
	}
}

func appendLogs(t *testing.T, s logs.Store, fill func(plog.ResourceLogs)) logs.AppendResult {
	t.Helper()
	l := plog.NewLogs()
	fill(l.ResourceLogs().AppendEmpty())
	res, err := s.Append(t.Context(), Tenant, Marshal(l))
	require.NoError(t, err)
	return res
}

func everything() logs.Query {
	return logs.Query{Tenant: Tenant, From: math.MinInt64 / 2, To: math.MaxInt64 / 2}
}

// query returns everything that a LogQL selector with stages that stores
// evaluate describes.
func query(t *testing.T, matchers ...string) logs.Query {
	t.Helper()
	q := everything()
	for _, m := range matchers {
		ms, err := syntax.ParseMatchers("{" + m + "}")
		require.NoError(t, err)
		q.Streams = append(q.Streams, ms...)
	}
	return q
}

func field(t *testing.T, matcher string) logs.Filter {
	t.Helper()
	ms, err := syntax.ParseMatchers("{" + matcher + "}")
	require.NoError(t, err)
	return logs.FieldMatches{Matcher: ms[0]}
}

func collect(t *testing.T, s logs.Store, q logs.SelectQuery) []*logs.Entry {
	t.Helper()
	var out []*logs.Entry
	_, err := s.Select(t.Context(), q, func(e *logs.Entry) bool {
		out = append(out, e)
		return true
	})
	require.NoError(t, err)
	return out
}

func lines(entries []*logs.Entry) []string {
	out := []string{}
	for _, e := range entries {
		out = append(out, e.Line)
	}
	return out
}

func forward(q logs.Query) logs.SelectQuery {
	return logs.SelectQuery{Query: q, Want: logs.Everything(), Direction: logs.Forward}
}

func testTimes(t *testing.T, s logs.Store) {
	res := appendLogs(t, s, func(rl plog.ResourceLogs) {
		records := rl.ScopeLogs().AppendEmpty().LogRecords()
		add := func(line string, ts, observed time.Time) {
			r := records.AppendEmpty()
			r.Body().SetStr(line)
			if !ts.IsZero() {
				r.SetTimestamp(pcommon.NewTimestampFromTime(ts))
			}
			if !observed.IsZero() {
				r.SetObservedTimestamp(pcommon.NewTimestampFromTime(observed))
			}
		}
		add("own", Epoch.Add(time.Second), Epoch.Add(time.Hour))
		add("observed", time.Time{}, Epoch.Add(2*time.Second))
		add("received", time.Time{}, time.Time{})
		add("future", Now().Add(48*time.Hour), time.Time{})
	})
	require.Equal(t, 3, res.Accepted)
	require.Equal(t, 1, res.Rejected)
	require.Contains(t, res.Reason, "future")
	got := collect(t, s, forward(everything()))
	require.Equal(t, []string{"own", "observed", "received"}, lines(got))
	require.Equal(t, Epoch.Add(time.Second).UnixNano(), got[0].Time)
	require.Equal(t, Epoch.Add(2*time.Second).UnixNano(), got[1].Time)
	require.Equal(t, Now().UnixNano(), got[2].Time)
}

func testMalformed(t *testing.T, s logs.Store) {
	good := Request([]logs.Label{{Name: "a", Value: "b"}}, Line{Text: "x"})
	for _, bad := range [][]byte{{0xff}, good[:len(good)-1], append(slices.Clone(good), 0x0a, 200)} {
		_, err := s.Append(t.Context(), Tenant, bad)
		require.Equal(t, fault.Invalid, fault.KindOf(err), "%v", err)
	}
	require.Empty(t, collect(t, s, forward(everything())))
	res, err := s.Append(t.Context(), Tenant, nil)
	require.NoError(t, err)
	require.Equal(t, logs.AppendResult{}, res)
}

func testModel(t *testing.T, s logs.Store) {
	appendLogs(t, s, func(rl plog.ResourceLogs) {
		ra := rl.Resource().Attributes()
		ra.PutStr("service.name", "shop")
		ra.PutStr("k8s.pod.name", "p-1")
		ra.PutStr("host.arch", "arm64")
		ra.PutInt("process.pid", 42)
		sl := rl.ScopeLogs().AppendEmpty()
		sl.Scope().SetName("lib")
		sl.Scope().SetVersion("1.2")
		sl.Scope().Attributes().PutStr("lib.kind", "k")
		r := sl.LogRecords().AppendEmpty()
		r.SetTimestamp(pcommon.NewTimestampFromTime(Epoch))
		r.SetObservedTimestamp(77)
		r.SetSeverityNumber(plog.SeverityNumberWarn)
		r.SetSeverityText("W")
		r.SetFlags(1)
		r.SetEventName("paid")
		r.SetDroppedAttributesCount(3)
		r.SetTraceID(pcommon.TraceID{1, 2, 3, 15: 9})
		r.SetSpanID(pcommon.SpanID{4, 7: 5})
		b := r.Body().SetEmptyMap()
		b.PutStr("msg", "a \"b\"")
		b.PutEmptySlice("n").AppendEmpty().SetInt(1)
		a := r.Attributes()
		a.PutStr("http.route", "/pay")
		a.PutInt("http.status_code", 500)
		a.PutDouble("took", 1.5)
		a.PutBool("retry", true)
		a.PutEmptyBytes("raw").FromRaw([]byte{1, 2, 3})
		a.PutEmptySlice("list").AppendEmpty().SetStr("x")
		a.PutStr("@at", "sign")
		a.PutStr("empty", "")
		a.PutEmpty("none")
		a.PutStr("bad", "a\xffb")
		a.PutStr("1st", "digit")
	})
	got := collect(t, s, forward(everything()))
	require.Len(t, got, 1)
	e := got[0]
	require.JSONEq(t, `{"msg":"a \"b\"","n":[1]}`, e.Line)
	require.Equal(t, []logs.Label{{Name: "k8s_pod_name", Value: "p-1"}, {Name: "service_name", Value: "shop"}}, e.Stream.Labels)
	require.Equal(t, []logs.Label{
		{Name: "host_arch", Value: "arm64"}, {Name: "lib_kind", Value: "k"}, {Name: "process_pid", Value: "42"},
		{Name: "scope_name", Value: "lib"}, {Name: "scope_version", Value: "1.2"},
	}, e.Stream.Metadata)
	require.Equal(t, []logs.Label{
		{Name: "_at", Value: "sign"}, {Name: "bad", Value: "a\uFFFDb"}, {Name: "detected_level", Value: "warn"},
		{Name: "dropped_attributes_count", Value: "3"}, {Name: "event_name", Value: "paid"}, {Name: "flags", Value: "1"},
		{Name: "http_route", Value: "/pay"}, {Name: "http_status_code", Value: "500"}, {Name: "key_1st", Value: "digit"},
		{Name: "list", Value: `["x"]`}, {Name: "observed_timestamp", Value: "77"}, {Name: "raw", Value: "AQID"},
		{Name: "retry", Value: "true"}, {Name: "severity_number", Value: "13"}, {Name: "severity_text", Value: "W"},
		{Name: "span_id", Value: "0400000000000005"}, {Name: "took", Value: "1.5"},
		{Name: "trace_id", Value: "01020300000000000000000000000009"},
	}, e.Metadata)

	// Every field finds the record, by its text.
	for _, l := range slices.Concat(e.Metadata, e.Stream.Metadata, e.Stream.Labels) {
		q := everything()
		q.Filter = field(t, l.Name+"="+strconv.Quote(l.Value))
		require.Len(t, collect(t, s, forward(q)), 1, "%v", l)
		q.Filter = field(t, l.Name+"!="+strconv.Quote(l.Value))
		require.Empty(t, collect(t, s, forward(q)), "%v", l)
	}

	appendLogs(t, s, func(rl plog.ResourceLogs) {
		rl.Resource().Attributes().PutStr("service.name", "structured")
		rl.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty().Body().SetEmptyMap().PutStr("level", "ERROR")
	})
	got = collect(t, s, forward(query(t, `service_name="structured"`)))
	require.Len(t, got, 1)
	require.Equal(t, "error", logs.Lookup(got[0].Metadata, "detected_level"))

	// A sender without a name has one all the same.
	appendLogs(t, s, func(rl plog.ResourceLogs) {
		rl.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty().Body().SetInt(5)
	})
	got = collect(t, s, forward(query(t, `service_name="unknown_service"`)))
	require.Equal(t, []string{"5"}, lines(got))
}

func testCollisions(t *testing.T, s logs.Store) {
	appendLogs(t, s, func(rl plog.ResourceLogs) {
		rl.Resource().Attributes().PutStr("service.name", "shop")
		rl.Resource().Attributes().PutStr("shared", "of the resource")
		rl.Resource().Attributes().PutStr("zone", "resource")
		records := rl.ScopeLogs().AppendEmpty().LogRecords()
		r := records.AppendEmpty()
		r.SetTimestamp(pcommon.NewTimestampFromTime(Epoch))
		r.Body().SetStr("one")
		r.Attributes().PutStr("service_name", "attribute")
		r.Attributes().PutStr("a_b", "underscore")
		r.Attributes().PutStr("a.b", "dot")
		r.Attributes().PutStr("shared", "of the record")
		r.Attributes().PutStr("trace_id", "attribute")
		r = records.AppendEmpty()
		r.SetTimestamp(pcommon.NewTimestampFromTime(Epoch.Add(1)))
		r.Body().SetStr("two")
		r.Attributes().PutStr("a_b", "underscore")
		r.SetTraceID(pcommon.TraceID{15: 1})
		r.Attributes().PutStr("trace_id", "hidden")
	})
	for matcher, want := range map[string][]string{
		`service_name="shop"`:       {"one", "two"},
		`service_name="attribute"`:  {},
		`a_b="dot"`:                 {"one"},
		`a_b="underscore"`:          {"two"},
		`a_b=~".+"`:                 {"one", "two"},
		`a_b!="dot"`:                {"two"},
		`shared="of the resource"`:  {"two"},
		`shared="of the record"`:    {"one"},
		`shared!="of the resource"`: {"one"},
		`trace_id="attribute"`:      {"one"},
		`trace_id="hidden"`:         {},
		`trace_id=~"0+1"`:           {"two"},
		`zone="resource"`:           {"one", "two"},
		`zone=""`:                   {},
		`nothing=""`:                {"one", "two"},
		`nothing=~".*"`:             {"one", "two"},
		`nothing=~".+"`:             {},
		`nothing!="x"`:              {"one", "two"},
		`nothing!~"x|"`:             {},
	} {
		q := everything()
		q.Filter = field(t, matcher)
		require.Equal(t, want, lines(collect(t, s, forward(q))), matcher)
	}
	e := collect(t, s, forward(everything()))[0]
	require.Equal(t, "attribute", logs.Lookup(e.Metadata, "service_name_extracted"))
	require.Equal(t, "dot", logs.Lookup(e.Metadata, "a_b"))
}

// sequence appends n entries to two streams, several at the same time.
func sequence(t *testing.T, s logs.Store, n int) {
	t.Helper()
	for i := range n {
		res, err := s.Append(t.Context(), Tenant, Request(
			[]logs.Label{{Name: "service_name", Value: string(rune('a' + i%2))}},
			Line{At: time.Duration(i/5) * time.Second, Text: "line " + strconv.Itoa(i), Metadata: []logs.Label{{Name: "n", Value: strconv.Itoa(i % 7)}}},
		))
		require.NoError(t, err)
		require.Equal(t, 1, res.Accepted)
	}
}

func testOrder(t *testing.T, s logs.Store) {
	const n = 57
	sequence(t, s, n)
	for _, dir := range []logs.Direction{logs.Forward, logs.Backward} {
		q := logs.SelectQuery{Query: everything(), Want: logs.Everything(), Direction: dir}
		all := collect(t, s, q)
		require.Len(t, all, n)
		require.True(t, sort.SliceIsSorted(all, func(i, j int) bool {
			if dir == logs.Forward {
				return all[i].Time < all[j].Time
			}
			return all[i].Time > all[j].Time
		}))
		// Pages of every size are the whole, nothing twice.
		for _, size := range []int{1, 2, 7, 56, 57, 100} {
			var paged []string
			q.After, q.Limit = nil, size
			for {
				page := collect(t, s, q)
				paged = append(paged, lines(page)...)
				if len(page) < size {
					break
				}
				c := page[len(page)-1].Cursor
				q.After = &c
			}
			require.Equal(t, lines(all), paged, "direction %d, pages of %d", dir, size)
		}
		// Yield ends it.
		count := 0
		_, err := s.Select(t.Context(), logs.SelectQuery{Query: everything(), Direction: dir}, func(*logs.Entry) bool {
			count++
			return count < 3
		})
		require.NoError(t, err)
		require.Equal(t, 3, count)
	}
	q := everything()
	q.From, q.To = Epoch.Add(2*time.Second).UnixNano(), Epoch.Add(4*time.Second).UnixNano()
	require.Len(t, collect(t, s, forward(q)), 10, "from is inclusive, to exclusive")
}

func testFilters(t *testing.T, s logs.Store) {
	stream := []logs.Label{{Name: "service_name", Value: "s"}}
	texts := []string{"GET /a", "get /b", "", "Grüße ÄÖ", "two\nlines", "x"}
	for i, text := range texts {
		l := Line{At: time.Duration(i), Text: text}
		if i%2 == 0 {
			l.Metadata = []logs.Label{{Name: "even", Value: "yes"}}
		}
		_, err := s.Append(t.Context(), Tenant, Request(stream, l))
		require.NoError(t, err)
	}
	engine := logql.NewEngine(logql.Options{Querier: s})
	for q, want := range map[string][]int{
		`{} |= "GET"`:                         {0},
		`{} |~ "(?i)get"`:                     {0, 1},
		`{} |~ "(?i)ä"`:                       {3},
		`{} != "GET"`:                         {1, 2, 3, 4, 5},
		`{} |~ "^$"`:                          {2},
		`{} !~ "^$"`:                          {0, 1, 3, 4, 5},
		`{} |~ "."`:                           {0, 1, 3, 4, 5},
		`{} |~ "two.lines"`:                   {},
		`{} |~ "(?s)two.lines"`:               {4},
		`{} |= "ü"`:                           {3},
		`{} |= "" `:                           {0, 1, 2, 3, 4, 5},
		`{} != ""`:                            {},
		`{} |= "GET" or "x"`:                  {0, 5},
		`{} | even="yes" |= "GET"`:            {0},
		`{} | even="" != "x"`:                 {1, 3},
		`{} | even!="yes" or even="yes"`:      {0, 1, 2, 3, 4, 5},
		`{} | even=~"y.*" | service_name="s"`: {0, 2, 4},
	} {
		r, err := engine.Range(t.Context(), logql.Params{
			Tenant: Tenant, Query: q, Start: Epoch, End: Epoch.Add(time.Hour), Limit: 100, Direction: logs.Forward,
		})
		require.NoError(t, err, q)
		got, expected := []string{}, []string{}
		for _, e := range r.Entries {
			got = append(got, e.Line)
		}
		for _, i := range want {
			expected = append(expected, texts[i])
		}
		require.Equal(t, expected, got, q)
	}
}

// collector is a worker that keeps what it is given.
type collector struct {
	mu  *sync.Mutex
	out *[]string
}

func (c collector) Batch(b *logs.Batch) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, at := range b.Times {
		var row strings.Builder
		row.WriteString(strconv.FormatInt(at, 10) + " " + b.Streams[i].Label("service_name"))
		if b.Lines != nil {
			row.WriteString(" " + b.Lines[i])
		}
		for _, f := range b.Fields {
			if f.Values[i] != "" {
				row.WriteString(" " + f.Name + "=" + f.Values[i])
			}
		}
		*c.out = append(*c.out, row.String())
	}
	return nil
}

func scan(t *testing.T, s logs.Store, q logs.ScanQuery) []string {
	t.Helper()
	out := []string{}
	mu := &sync.Mutex{}
	_, err := s.Scan(t.Context(), q, func() logs.Worker { return collector{mu, &out} })
	require.NoError(t, err)
	sort.Strings(out)
	return out
}

func testWant(t *testing.T, s logs.Store) {
	sequence(t, s, 20)
	for _, w := range []logs.Want{
		{}, {Line: true}, {Fields: []string{"n"}}, {Line: true, Fields: []string{"detected_level", "n", "nothing"}}, logs.Everything(),
	} {
		var want []string
		for _, e := range collect(t, s, logs.SelectQuery{Query: everything(), Want: w}) {
			row := strconv.FormatInt(e.Time, 10) + " " + e.Stream.Label("service_name")
			if w.Line {
				row += " " + e.Line
				require.NotEmpty(t, e.Line)
			} else {
				require.Empty(t, e.Line)
			}
			var rowSb425 strings.Builder
			for _, m := range e.Metadata {
				rowSb425.WriteString(" " + m.Name + "=" + m.Value)
			}
			row += rowSb425.String()
			require.Equal(t, w.AllFields || slices.Contains(w.Fields, "n"), logs.Lookup(e.Metadata, "n") != "")
			want = append(want, row)
		}
		sort.Strings(want)
		require.Equal(t, want, scan(t, s, logs.ScanQuery{Query: everything(), Want: w}), "%+v", w)
	}
	_, err := s.Scan(t.Context(), logs.ScanQuery{Query: everything()}, func() logs.Worker { return stopper{} })
	require.NoError(t, err)
}

type stopper struct{}

func (stopper) Batch(*logs.Batch) error { return logs.ErrStop }

func testCount(t *testing.T, s logs.Store) {
	sequence(t, s, 40) // five a second, from 0 s to 7 s
	q := logs.CountQuery{
		Query: everything(), By: []string{"service_name", "n"}, Start: Epoch.UnixNano(), Width: int64(2 * time.Second), Buckets: 3,
	}
	groups, _, err := s.Count(t.Context(), q)
	require.NoError(t, err)
	require.Len(t, groups, 14)
	sum := make([]float64, 3)
	for _, g := range groups {
		require.Len(t, g.Values, 2)
		for b, n := range g.Counts {
			sum[b] += n
		}
	}
	// The first second is at Start, outside; each bucket has two seconds.
	require.Equal(t, []float64{10, 10, 10}, sum)

	q.By, q.Bytes = nil, true
	groups, _, err = s.Count(t.Context(), q)
	require.NoError(t, err)
	require.Equal(t, []logs.CountGroup{{Values: []string{}, Counts: []float64{65, 70, 70}}}, groups)

	q.By, q.MaxGroups = []string{"n"}, 3
	_, _, err = s.Count(t.Context(), q)
	require.Equal(t, fault.Unprocessable, fault.KindOf(err))

	q.By, q.MaxGroups, q.Bytes = []string{"nothing"}, 0, false
	groups, _, err = s.Count(t.Context(), q)
	require.NoError(t, err)
	require.Equal(t, []logs.CountGroup{{Values: []string{""}, Counts: []float64{10, 10, 10}}}, groups)
}

func testLists(t *testing.T, s logs.Store) {
	sequence(t, s, 21)
	all := logs.StreamsQuery{Tenant: Tenant, From: Epoch.UnixNano(), To: Now().UnixNano()}
	infos, err := s.Streams(t.Context(), all)
	require.NoError(t, err)
	require.Len(t, infos, 2)
	all.Matchers = [][]*logs.Matcher{query(t, `service_name="a"`).Streams, query(t, `service_name="zzz"`).Streams}
	infos, err = s.Streams(t.Context(), all)
	require.NoError(t, err)
	require.Len(t, infos, 1)
	require.Equal(t, "a", infos[0].Label("service_name"))
	require.EqualValues(t, 11, infos[0].Entries)

	q := everything()
	q.From, q.To = Epoch.UnixNano(), Now().UnixNano()
	fields, err := s.Fields(t.Context(), q)
	require.NoError(t, err)
	require.Equal(t, []logs.FieldInfo{
		{Name: "detected_level", Type: logs.TypeString, Entries: 21}, {Name: "n", Type: logs.TypeString, Entries: 21},
	}, fields)
	values, _, err := s.FieldValues(t.Context(), q, "n", 3)
	require.NoError(t, err)
	require.Equal(t, []logs.ValueCount{{Value: "0", Entries: 3}, {Value: "1", Entries: 3}, {Value: "2", Entries: 3}}, values)
	q.Streams = query(t, `service_name="a"`).Streams
	values, _, err = s.FieldValues(t.Context(), q, "n", 1)
	require.NoError(t, err)
	require.Equal(t, []logs.ValueCount{{Value: "0", Entries: 2}}, values)
}

func testTenants(t *testing.T, s logs.Store) {
	_, err := s.Append(t.Context(), "one", Request([]logs.Label{{Name: "a", Value: "b"}}, Line{Text: "of one"}))
	require.NoError(t, err)
	q := everything()
	require.Empty(t, collect(t, s, forward(q)))
	q.Tenant = "one"
	require.Equal(t, []string{"of one"}, lines(collect(t, s, forward(q))))
}

func testCancel(t *testing.T, s logs.Store) {
	sequence(t, s, 5)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Select(ctx, forward(everything()), func(*logs.Entry) bool { return true })
	require.Equal(t, fault.Canceled, fault.KindOf(err), "%v", err)
	_, err = s.Scan(ctx, logs.ScanQuery{Query: everything()}, func() logs.Worker { return stopper{} })
	require.Equal(t, fault.Canceled, fault.KindOf(err), "%v", err)
}
