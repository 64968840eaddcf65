package store_test

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"belfry/traces"
	"belfry/traces/traceql"
	"belfry/traces/tracestest"
)

const dayNanos = int64(24 * 3600e9)

// aroundMidnight moves spans to the midnight that tracestest.Epoch is, so that nearly every trace has some on both days.
func aroundMidnight(spans []traces.Span) []traces.Span {
	for i := range spans {
		spans[i].Start = tracestest.Epoch - 15e5 + (spans[i].Start-tracestest.Epoch)%1e9
	}
	return spans
}

// TestTracesOfTwoDays asks for traces that straddle midnight, whose spans no merge brings together:
// by ID, by whole traces and by structure they are what they are in one piece.
func TestTracesOfTwoDays(t *testing.T) {
	r, midnight := rand.New(rand.NewPCG(31, 32)), tracestest.Epoch
	for round := range 3 {
		s, memory := open(t, t.TempDir()), tracestest.NewMemory()
		spans := aroundMidnight(brokenTraces(r, 60))
		days := map[traces.TraceID]map[int64]bool{}
		for i := range spans {
			of := days[spans[i].TraceID]
			if of == nil {
				of = map[int64]bool{}
				days[spans[i].TraceID] = of
			}
			of[spans[i].Start/dayNanos] = true
		}
		both := 0
		for _, of := range days {
			both += len(of) - 1
		}
		require.Greater(t, both, 20, "traces of two days")
		for part := range slices.Chunk(spans, len(spans)/(round+1)+1) {
			appendAll(t, s, part)
			appendAll(t, memory, part)
			require.NoError(t, s.Flush(t.Context()))
		}
		for id := range days {
			for _, window := range [][2]int64{{}, {midnight, midnight + 1e9}, {midnight - 1e9, midnight}} {
				q := traces.TraceQuery{ID: id, From: window[0], To: window[1]}
				want, err := memory.Trace(t.Context(), "t", q)
				require.NoError(t, err)
				got, err := s.Trace(t.Context(), "t", q)
				require.NoError(t, err)
				require.Equal(t, inOrder(want.Spans), inOrder(got.Spans))
			}
		}
		compareStoresFrom(t, r, s, memory, midnight-1000e9)
	}
}

// inOrder sorts spans by what tells them apart.
func inOrder(spans []traces.Span) []traces.Span {
	slices.SortFunc(spans, func(a, b traces.Span) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), slices.Compare(a.ID[:], b.ID[:]), slices.Compare(a.ParentID[:], b.ParentID[:]),
			cmp.Compare(a.Duration, b.Duration), cmp.Compare(a.Name, b.Name))
	})
	return spans
}

// TestASearchOfOneDayShowsWholeTraces looks for a span of one day whose trace began the day before.
func TestASearchOfOneDayShowsWholeTraces(t *testing.T) {
	midnight := tracestest.Epoch
	spans, err := tracestest.ParseSpans([]string{
		"trace 1",
		"  span 1 service=front name=buy kind=server start=0s dur=4s",
		"    span 2 service=cart name=early start=1s dur=1s status=error",
		"    span 3 service=cart name=late start=3s dur=1s span.x=1",
		"      span 4 service=db name=SELECT start=3200ms dur=500ms",
	})
	require.NoError(t, err)
	for i := range spans {
		spans[i].Start -= 2e9
	}
	s := open(t, t.TempDir())
	appendAll(t, s, spans)
	require.NoError(t, s.Flush(t.Context()))
	for _, query := range []string{
		`{ span.x = 1 }`, `{ name = "buy" } >> { name = "SELECT" }`, `{ name = "late" } > { }`, `{ rootName = "buy" && name = "late" }`,
		`{ traceDuration = 4s && name = "SELECT" }`, `{ name = "late" && span:selfTime = 500ms }`, `{ name = "early" } ~ { name = "late" }`,
		`{ name = "buy" && span:selfTime = 2s && span:childCount = 2 }`, `{ parent.resource.service.name = "front" && name = "late" }`,
	} {
		from := midnight
		if query == `{ name = "early" } ~ { name = "late" }` {
			from = midnight - 2e9 // a search sees the spans of its time only
		}
		q, err := traceql.Parse(query)
		require.NoError(t, err)
		result, err := traceql.NewEngine(s, traceql.Limits{}).Search(t.Context(), "t", traceql.SearchRequest{Query: q, From: from, To: midnight + 10e9})
		require.NoError(t, err)
		require.Len(t, result.Traces, 1, query)
		found := result.Traces[0]
		require.Equal(t, "buy", found.RootName, query)
		require.EqualValues(t, 4e9, found.Duration, query)
		require.Equal(t, midnight-2e9, found.Start, query)
		require.Equal(t, []traces.ServiceSpans{{Name: "cart", Spans: 2, Errors: 1}, {Name: "db", Spans: 1}, {Name: "front", Spans: 1}}, found.Services, query)
	}
}
