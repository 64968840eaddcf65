package store_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"belfry/traces"
	"belfry/traces/store"
	"belfry/traces/tracestest"
)

// TestOutlinesAreThoseOfTheSpans compares the outlines that a store knows with those of all spans, of whole
// and of broken traces, however they lie in it, and after merging.
func TestOutlinesAreThoseOfTheSpans(t *testing.T) {
	for name, layout := range layouts {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(31, 32))
			spans := brokenTraces(r, 150)
			s := layout(t, spans).(*store.Store)
			known := checkOutlines(t, s, spans)
			switch name {
			case "joined in one part":
				require.Greater(t, known, 20)
			case "in memory, not joined":
				require.Zero(t, known)
				require.NoError(t, s.Flush(t.Context()))
				require.Greater(t, checkOutlines(t, s, spans), 20)
			}
			late := spans[0]
			late.Start, late.Name, late.ID = late.Start-1, "late", traces.SpanID{9}
			appendAll(t, s, []traces.Span{late})
			checkOutlines(t, s, spans)
			require.NoError(t, s.Flush(t.Context()))
			checkOutlines(t, s, spans)
		})
	}
}

// checkOutlines returns of how many traces the outlines are known.
func checkOutlines(t *testing.T, s *store.Store, spans []traces.Span) int {
	t.Helper()
	seen := map[traces.TraceID]bool{}
	ids := []traces.TraceID{{1, 2, 3}} // and one that there is not
	for i := range spans {
		if id := spans[i].TraceID; !seen[id] {
			seen[id], ids = true, append(ids, id)
		}
	}
	known := 0
	_, err := s.Outlines(t.Context(), "t", ids, func(o traces.Outline) {
		known++
		trace, err := s.Trace(t.Context(), "t", traces.TraceQuery{ID: o.ID})
		require.NoError(t, err)
		require.NotEmpty(t, trace.Spans)
		require.Equal(t, traces.NewTree(trace.Spans).Outline(), o)
	})
	require.NoError(t, err)
	return known
}

// TestSearchOfOverlappingTraces finds many spans of traces that go on beside one another for longer than
// the pages that a search reads.
func TestSearchOfOverlappingTraces(t *testing.T) {
	r := rand.New(rand.NewPCG(41, 42))
	var spans []traces.Span
	for trace := range 300 {
		list := randomTrace(r, uint64(trace+1), 12)
		begin := list[0].Start
		for i := range list {
			list[i].Start = tracestest.Epoch + int64(trace)*1e9 + (list[i].Start-begin)*int64(1+trace%3*30_000) // some within 3 ms, some over minutes
		}
		spans = append(spans, list...)
	}
	memory := tracestest.NewMemory()
	appendAll(t, memory, spans)
	for name, layout := range layouts {
		t.Run(name, func(t *testing.T) {
			s := layout(t, spans)
			for _, query := range []string{
				`{ status = error }`, `{ span.n = 1 }`, `{ resource.service.name = "a" && duration > 1ms }`, `{ name = "x" } | count() > 1`,
				`{ span.ok = true } | select(span.n, status)`, `{ span.n > 1 } | by(name)`, `{ name = "x" && status = ok } | avg(duration) > 1ms`,
			} {
				from, to := tracestest.Epoch, tracestest.Epoch+int64(1e12)
				sameLines(t, searchPages(t, memory, query, from, to, fewMarks, 2), searchPages(t, s, query, from, to, fewMarks, 2), query)
			}
		})
	}
}
