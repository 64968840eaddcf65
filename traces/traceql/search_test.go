package traceql_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"belfry/traces"
	"belfry/traces/traceql"
	"belfry/traces/tracestest"
)

var searches = []string{
	`{ }`,
	`{ status = error }`,
	`{ status = error } | count() > 1`,
	`{ } | count() > 6`,
	`{ } | avg(duration) > 10m | count() < 4`,
	`{ status = error } && { kind = server }`,
	`{ status = error } && { } | by(name) | count() > 1`,
	`{ name = "x" } || { .n = 1 } | max(duration) > 1s`,
	`({ name = "x" } | count() > 1) && { status = ok }`,
	`{ kind = server } > { }`,
	`{ kind = server } >> { status = error }`,
	`{ status = error } !< { }`,
	`{ } ~ { kind = client }`,
	`{ rootName = "x" && status = error }`,
	`{ traceDuration > 100m }`,
	`{ span:childCount > 1 }`,
	`{ resource.service.name = "s1" } | { parent.resource.service.name = "s2" }`,
	`{ .a = "a" } | by(resource.service.name) | count() > 1 | coalesce()`,
	`{ event:name = "exception" } && { link:spanID != nil }`,
}

func find(t *testing.T, store traces.Querier, req traceql.SearchRequest) *traceql.SearchResult {
	t.Helper()
	r, err := traceql.NewEngine(store, traceql.Limits{}).Search(t.Context(), "t", req)
	require.NoError(t, err)
	require.Empty(t, r.Stats.Cut)
	return r
}

func add(t *testing.T, store tracestest.Store, spans []traces.Span) {
	t.Helper()
	_, err := store.Append(t.Context(), "t", traces.AppendTracesData(nil, spans))
	require.NoError(t, err)
}

// TestSearchFindsWhatEachTraceSays compares a search over many traces with one
// search for every trace alone, and reads the same result in pages.
func TestSearchFindsWhatEachTraceSays(t *testing.T) {
	spans := tracestest.NewRandom(11).Spans(2500)
	byTrace := map[traces.TraceID][]traces.Span{}
	for i := range spans {
		s := &spans[i]
		if earlier := byTrace[s.TraceID]; len(earlier)%4 > 0 {
			s.ParentID = earlier[len(earlier)/2].ID
		}
		byTrace[s.TraceID] = append(byTrace[s.TraceID], *s)
	}
	all := tracestest.NewMemory()
	add(t, all, spans)
	alone := map[traces.TraceID]*tracestest.Memory{}
	for id, list := range byTrace {
		alone[id] = tracestest.NewMemory()
		add(t, alone[id], list)
	}
	from, to := tracestest.Epoch+600e9, tracestest.Epoch+6000e9
	for _, text := range searches {
		t.Run(text, func(t *testing.T) {
			q, err := traceql.Parse(text)
			require.NoError(t, err)
			req := traceql.SearchRequest{Query: q, From: from, To: to, Limit: 5000, SpansPerSet: 100}
			whole := find(t, all, req)
			require.Nil(t, whole.Next)
			found := map[traces.TraceID]traceql.Summary{}
			for _, s := range whole.Traces {
				found[s.ID] = s
			}
			require.Len(t, found, len(whole.Traces), "a trace was found twice")
			require.NotEmpty(t, found)
			for id, store := range alone {
				want := find(t, store, req).Traces
				got, ok := found[id]
				require.Equal(t, len(want) == 1, ok, "trace %s", id)
				if ok {
					require.Equal(t, want[0].SpanSets, got.SpanSets)
				}
			}
			var paged []traces.TraceID
			req.Limit = 37
			for {
				page := find(t, all, req)
				for _, s := range page.Traces {
					paged = append(paged, s.ID)
				}
				if req.After = page.Next; req.After == nil {
					break
				}
			}
			var order []traces.TraceID
			for _, s := range whole.Traces {
				order = append(order, s.ID)
			}
			require.Equal(t, order, paged)
		})
	}
}

// TestSearchReadsWhatMatters compares searches that need only the spans that match with ones that
// mean the same and need whole traces.
func TestSearchReadsWhatMatters(t *testing.T) {
	store := tracestest.NewMemory()
	add(t, store, tracestest.NewRandom(12).Spans(2500))
	for _, condition := range []string{`.a = "a"`, `span.a != nil`, `.n > 0 && name != "x"`, `event:name = "exception" || .a = "b"`, `.a = "a" && status = error`} {
		t.Run(condition, func(t *testing.T) {
			search := func(query string, limit int) []traceql.Summary {
				q, err := traceql.Parse(query)
				require.NoError(t, err)
				req := traceql.SearchRequest{Query: q, From: tracestest.Epoch + 600e9, To: tracestest.Epoch + 6000e9, Limit: limit, SpansPerSet: 100}
				found := find(t, store, req).Traces
				for i := range found {
					for j := range found[i].SpanSets {
						for k := range found[i].SpanSets[j].Spans {
							span := &found[i].SpanSets[j].Spans[k]
							span.Attributes = slices.DeleteFunc(span.Attributes, func(a traces.Attribute) bool { return a.Key == "traceDuration" })
						}
					}
				}
				return found
			}
			for _, limit := range []int{5, 5000} {
				want := search(`{ (`+condition+`) && traceDuration >= 0ns }`, limit)
				require.NotEmpty(t, want)
				require.Equal(t, want, search(`{ `+condition+` }`, limit))
			}
		})
	}
}

// TestPagesOfTracesThatStartTogether turns pages of traces whose spans all start at one time, as those of
// clocks with a coarse resolution do.
func TestPagesOfTracesThatStartTogether(t *testing.T) {
	store := tracestest.NewMemory()
	var spans []traces.Span
	for i := range 200 {
		s := traces.Span{Start: tracestest.Epoch + int64(i/120), Duration: 1, Name: "x", Resource: &traces.Resource{}}
		s.TraceID[0], s.TraceID[15], s.ID[0] = byte(i*77%200), 1, 1 // not in the order of arrival
		spans = append(spans, s)
	}
	add(t, store, spans)
	for _, query := range []string{`{ name = "x" }`, `{ name = "x" } | count() = 1`, `{ name = "x" && traceDuration = 1ns }`} {
		q, err := traceql.Parse(query)
		require.NoError(t, err)
		req := traceql.SearchRequest{Query: q, From: tracestest.Epoch, To: tracestest.Epoch + 1e9, Limit: 17}
		var seen []traceql.Cursor
		for {
			r := find(t, store, req)
			for _, found := range r.Traces {
				seen = append(seen, found.Cursor)
			}
			if r.Next == nil {
				break
			}
			req.After = r.Next
		}
		require.Len(t, seen, len(spans), query)
		for i := range seen[1:] {
			a, b := seen[i], seen[i+1]
			require.True(t, a.Anchor > b.Anchor || a.Anchor == b.Anchor && string(a.ID[:]) < string(b.ID[:]), query)
		}
	}
}
