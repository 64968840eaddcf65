package store_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"belfry/traces"
	"belfry/traces/store"
	"belfry/traces/traceql"
	"belfry/traces/tracestest"
)

// brokenTraces returns the spans of traces of which some have cycles, missing or
// several roots, spans sent twice, or the same ID for two spans.
func brokenTraces(r *rand.Rand, n int) []traces.Span {
	var out []traces.Span
	for trace := range n {
		spans := randomTrace(r, uint64(trace+1), 1+r.IntN(12))
		for i := range spans {
			out = append(out, spans[i])
			if r.IntN(20) == 0 {
				out = append(out, spans[i])
			}
		}
	}
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

func randomTrace(r *rand.Rand, id uint64, n int) []traces.Span {
	services := []string{"a", "b", "c"}
	spans := make([]traces.Span, n)
	begin := tracestest.Epoch + r.Int64N(1000)*1e9
	for i := range spans {
		s := &spans[i]
		binary.BigEndian.PutUint64(s.TraceID[8:], id)
		binary.BigEndian.PutUint64(s.ID[:], uint64(i+1))
		if r.IntN(15) == 0 && i > 0 {
			binary.BigEndian.PutUint64(s.ID[:], uint64(i))
		}
		switch r.IntN(10) {
		case 0: // another root
		case 1:
			binary.BigEndian.PutUint64(s.ParentID[:], uint64(1+r.IntN(n+2)))
		default:
			binary.BigEndian.PutUint64(s.ParentID[:], uint64(r.IntN(i+1)))
		}
		s.Start, s.Duration = begin+r.Int64N(3)*1e6+int64(i)*1000, r.Int64N(4)*1e6
		s.Name = []string{"x", "y", "z"}[r.IntN(3)]
		s.Status, s.Kind = traces.Status(r.IntN(3)), traces.SpanKind(r.IntN(6))
		s.Resource = &traces.Resource{}
		if service := services[r.IntN(3)]; r.IntN(20) > 0 {
			s.Resource.Attributes = []traces.Attribute{{Key: "service.name", Value: traces.String(service)}}
		}
		switch r.IntN(4) {
		case 0:
			s.Attributes = []traces.Attribute{{Key: "n", Value: traces.Int(r.Int64N(3))}}
		case 1:
			s.Attributes = []traces.Attribute{{Key: "n", Value: traces.String("1")}, {Key: "ok", Value: traces.Bool(true)}}
		case 2:
			s.Attributes = []traces.Attribute{{Key: "n", Value: traces.Array(traces.Int(1), traces.Int(5))}}
		}
		for range r.IntN(3) {
			s.Events = append(s.Events, traces.Event{
				Time: s.Start + r.Int64N(3), Name: []string{"e1", "e2"}[r.IntN(2)],
				Attributes: []traces.Attribute{{Key: "code", Value: traces.Int(r.Int64N(3))}},
			})
		}
		if r.IntN(4) == 0 {
			s.Links = []traces.Link{{TraceID: s.TraceID, SpanID: traces.SpanID{7: byte(1 + r.IntN(3))}}}
		}
	}
	return spans
}

// randomLeaf returns a {…}.
func randomLeaf(r *rand.Rand) string {
	terms := []string{
		``, `name = "x"`, `status = error`, `kind != server`, `resource.service.name = "a"`, `resource.service.name =~ "a|b"`,
		`duration > 1ms`, `span.n = 1`, `.n != 1`, `span.n > 0 && name = "y"`, `span.n = nil`, `span.ok`, `span.n + 1 > 1`,
		`rootName = "x"`, `rootServiceName = "b"`, `rootName != "x"`, `traceDuration > 2ms`, `traceDuration < 2ms || name = "z"`,
		`span:childCount = 0`, `span:childCount > 1`, `nestedSetParent = -1`, `nestedSetParent < 0 && status = error`,
		`nestedSetLeft > 3`, `nestedSetRight - nestedSetLeft = 1`, `rootServiceName = resource.service.name`, `rootName = nil`,
		`rootName != nil && span:childCount >= 1`, `parent.name = "x"`, `duration * 2 > traceDuration`, `!(rootName = "y")`,
		`parent.name = name`, `parent.resource.service.name != resource.service.name && kind != client`, `parent.span.n = nil`,
		`event:name = "e1"`, `event.code > 1 || name = "x"`, `link:spanID != nil && status = error`, `event:name != "e1"`,
		`event.code = 1 && event:timeSinceStart >= 0s`, `!(parent.name = "x") && event:name = "e2"`, `link.why = nil && parent.span.ok`,
		`span:selfTime > 1ms`, `span:selfTime = 0s && name = "x"`, `span:selfTime != 2ms`, `span:selfTime < duration`, `!(span:selfTime >= 1ms)`,
	}
	return "{ " + terms[r.IntN(len(terms))] + " }"
}

func randomSpanset(r *rand.Rand, depth int) string {
	if depth == 0 || r.IntN(3) == 0 {
		return randomLeaf(r)
	}
	ops := []string{">", ">>", "<", "<<", "~", "!>", "!>>", "!<", "!<<", "!~", "&>", "&>>", "&<", "&<<", "&~", "&&", "||"}
	return "(" + randomSpanset(r, depth-1) + ") " + ops[r.IntN(len(ops))] + " (" + randomSpanset(r, depth-1) + ")"
}

func randomQuery(r *rand.Rand) string {
	q := randomSpanset(r, 2)
	switch r.IntN(10) {
	case 0:
		q += " | select(span.n)"
	case 1:
		q += " | count() > 1"
	case 2:
		q += " | by(name) | count() > 1"
	case 3:
		q += " | " + randomLeaf(r) + " | avg(duration) > 1ms"
	case 4:
		q += " | by(resource.service.name, span.n) | max(span.n) > 0 | coalesce() | count() < 5"
	case 5:
		q = "(" + q + " | count()) " + []string{">", "<", "="}[r.IntN(3)] + " (" + randomSpanset(r, 1) + " | count()) + 1"
	case 6:
		q = []string{"count() > 6", "by(status) | sum(duration) > 3ms", "max(traceDuration) > 4ms"}[r.IntN(3)] + " | " + q
	}
	return q
}

func randomMetrics(r *rand.Rand) string {
	functions := []string{
		"rate()", "count_over_time()", "rate() by(resource.service.name)", "avg_over_time(duration) by(name, status)",
		"max_over_time(span.n)", "count_over_time() by(rootName)", "sum_over_time(traceDuration) by(span:childCount)",
		"quantile_over_time(duration, .5, .9)", "histogram_over_time(duration) by(kind)", "min_over_time(duration) by(.n)",
		"count_over_time() by(parent.name)", "sum_over_time(span:selfTime) by(resource.service.name)", "rate() by(event:name)", `compare({ status = error })`,
	}
	return randomSpanset(r, 1) + " | " + functions[r.IntN(len(functions))]
}

// TestJoinedAgainstMemory asks a store whose traces are joined, split over parts
// and the memtable, and merged, what the memory store is asked, which fetches and evaluates
// every trace.
func TestJoinedAgainstMemory(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for round := range 6 {
		s, memory := open(t, t.TempDir()), tracestest.NewMemory()
		spans := brokenTraces(r, 60)
		for len(spans) > 0 {
			n := min(1+r.IntN([]int{1000, 200, 30}[round%3]), len(spans))
			request := traces.AppendTracesData(nil, spans[:n])
			spans = spans[n:]
			for _, to := range []traces.Appender{s, memory} {
				_, err := to.Append(t.Context(), "t", request)
				require.NoError(t, err)
			}
			if len(spans) > 0 || round%2 == 0 {
				require.NoError(t, s.Flush(t.Context()))
			}
		}
		compareStores(t, r, s, memory)
	}
}

// TestJoinedAfterDeletion deletes spans out of the middle of traces: the rest is
// joined as if they had never been there, while the deletion hides them and when they are gone.
func TestJoinedAfterDeletion(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	s, memory := open(t, t.TempDir()), tracestest.NewMemory()
	var kept []traces.Span
	for round := range 3 {
		spans := brokenTraces(r, 30)
		for i := range spans {
			spans[i].TraceID[0] = byte(round + 1)
			if spans[i].Name != "x" {
				kept = append(kept, spans[i])
			}
		}
		_, err := s.Append(t.Context(), "t", traces.AppendTracesData(nil, spans))
		require.NoError(t, err)
		if round < 2 {
			require.NoError(t, s.Flush(t.Context()))
		}
	}
	_, err := memory.Append(t.Context(), "t", traces.AppendTracesData(nil, kept))
	require.NoError(t, err)
	d, err := s.Delete(t.Context(), traces.DeleteRequest{
		Tenant: "t", From: tracestest.Epoch, To: tracestest.Epoch + int64(2000e9), Delay: time.Hour,
		Filter: traces.Compare{Field: traces.Intrinsic(traces.Name), Op: traces.OpEqual, Value: traces.String("x")},
	})
	require.NoError(t, err)
	compareStores(t, r, s, memory)
	_, err = s.CancelDeletion(t.Context(), "t", d.ID, false)
	require.NoError(t, err)
	d, err = s.Delete(t.Context(), traces.DeleteRequest{
		Tenant: "t", From: tracestest.Epoch, To: tracestest.Epoch + int64(2000e9),
		Filter: traces.Compare{Field: traces.Intrinsic(traces.Name), Op: traces.OpEqual, Value: traces.String("x")},
	})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		now, err := s.Deletion(t.Context(), "t", d.ID)
		return err == nil && !now.Ended.IsZero()
	}, time.Minute, 5*time.Millisecond)
	compareStores(t, r, s, memory)
}

// TestJoinedTraceOfManySpans is about a trace that is as long as others are many.
func TestJoinedTraceOfManySpans(t *testing.T) {
	const n = 100_000
	spans := make([]traces.Span, n)
	resource := &traces.Resource{Attributes: []traces.Attribute{{Key: "service.name", Value: traces.String("loop")}}}
	for i := range spans {
		s := &spans[i]
		s.TraceID[15], s.Resource, s.Name, s.Start, s.Duration = 1, resource, "step", tracestest.Epoch+int64(i), 10
		binary.BigEndian.PutUint64(s.ID[:], uint64(i+1))
		binary.BigEndian.PutUint64(s.ParentID[:], uint64(i/3)) // span i+1 below span i/3: a tree of three branches each
		if i == n-1 {
			s.Name = "last"
		}
	}
	s := open(t, t.TempDir())
	for len(spans) > 0 {
		_, err := s.Append(t.Context(), "t", traces.AppendTracesData(nil, spans[:20_000]))
		require.NoError(t, err)
		spans = spans[20_000:]
	}
	for _, place := range []string{"memory", "part"} {
		for query, want := range map[string]string{
			`{ name = "step" } >> { name = "last" }`:                           "1 []",
			`{ name = "last" } << { }`:                                         "10 []",
			`{ span:childCount = 1 && rootName = "step" } > { name = "last" }`: "1 []",
			`{ } !< { }`: "66667 []",
		} {
			got := searchAll(t, s, query, tracestest.Epoch-1e9, tracestest.Epoch+1e9, traceql.Limits{})
			require.Contains(t, got, ": "+want, "%s in %s", query, place)
		}
		require.NoError(t, s.Flush(t.Context()))
	}
}

// fewMarks makes queries look at a part's traces in several goes.
var fewMarks = traceql.Limits{Marks: 150}

func compareStores(t *testing.T, r *rand.Rand, s *store.Store, memory tracestest.Store) {
	t.Helper()
	compareStoresFrom(t, r, s, memory, tracestest.Epoch)
}

// compareStoresFrom asks for the 2,000 seconds from a time on, or some of them.
func compareStoresFrom(t *testing.T, r *rand.Rand, s *store.Store, memory tracestest.Store, from int64) {
	t.Helper()
	to := from + int64(2000e9)
	for range 30 {
		a, b := from, to
		if r.IntN(4) == 0 {
			a, b = from+r.Int64N(500)*1e9, to-r.Int64N(1300)*1e9
		}
		query := randomQuery(r)
		sameLines(t, searchAll(t, memory, query, a, b, fewMarks), searchAll(t, s, query, a, b, fewMarks), query)
		query = randomMetrics(r)
		sameLines(t, rangeText(t, memory, query, a, b), rangeText(t, s, query, a, b), query)
	}
}

// sameLines shows the first line that differs.
func sameLines(t *testing.T, want, got, query string) {
	t.Helper()
	wants, gots := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(wants), len(gots)) {
		require.Equal(t, wants[i], gots[i], "line %d of %s", i, query)
	}
	require.Len(t, gots, len(wants), query)
}

// searchAll turns the pages of a search.
func searchAll(t *testing.T, store traces.Querier, query string, from, to int64, limits traceql.Limits) string {
	t.Helper()
	return searchPages(t, store, query, from, to, limits, math.MaxInt)
}

func searchPages(t *testing.T, store traces.Querier, query string, from, to int64, limits traceql.Limits, pages int) string {
	t.Helper()
	q, err := traceql.Parse(query)
	require.NoError(t, err, query)
	engine := traceql.NewEngine(store, limits)
	var out strings.Builder
	req := traceql.SearchRequest{Query: q, From: from, To: to, Limit: 17}
	for {
		result, err := engine.Search(t.Context(), "t", req)
		require.NoError(t, err)
		require.Empty(t, result.Stats.Cut)
		for _, trace := range result.Traces {
			fmt.Fprintf(&out, "%s at %d, %s %s:", trace.ID, trace.Cursor.Anchor-from, trace.RootService, trace.RootName)
			for _, set := range trace.SpanSets {
				fmt.Fprintf(&out, " %d %v", set.Matched, set.Attributes)
				for _, span := range set.Spans {
					fmt.Fprintf(&out, " %s %s %d %d %v", span.ID, span.Name, span.Start-from, span.Duration, span.Attributes)
				}
			}
			fmt.Fprintf(&out, " %d %d %v", trace.Start-from, trace.Duration, trace.Services)
			out.WriteByte('\n')
		}
		if pages--; result.Next == nil || pages == 0 {
			return out.String()
		}
		req.After = result.Next
	}
}

func rangeText(t *testing.T, store traces.Querier, query string, from, to int64) string {
	t.Helper()
	q, err := traceql.Parse(query)
	require.NoError(t, err, query)
	result, err := traceql.NewEngine(store, fewMarks).Range(t.Context(), "t", traceql.RangeRequest{Query: q, From: from, To: to, Step: 300e9})
	require.NoError(t, err)
	var lines []string // series of "1" and of 1 look the same
	for _, s := range result.Series {
		line := s.Labels.String()
		var lineSb277 strings.Builder
		for _, p := range s.Points {
			lineSb277.WriteString(fmt.Sprintf(" %d:%.9g", p.Time-from, p.Value))
		}
		line += lineSb277.String()
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
