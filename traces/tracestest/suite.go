package tracestest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"belfry/internal/fault"
	"belfry/traces"
)

// Opener opens a new, empty store for a test. Its clock stands within a day
// after Epoch. reopen closes it and opens what it kept, nil if it cannot.
type Opener func(t *testing.T) (store Store, reopen func() Store)

// RunSuite checks what package traces promises of a store.
func RunSuite(t *testing.T, open Opener) {
	for name, test := range map[string]func(*testing.T, Opener){
		"rejects bad spans one by one":         testRejects,
		"refuses what is not OTLP":             testRefuses,
		"keeps tenants apart":                  testTenants,
		"gives back what it was given":         testRoundTrip,
		"keeps what is spread over time":       testSpread,
		"decides filters":                      testFilters,
		"hands over the newest first":          testNewest,
		"stops when told":                      testStop,
		"ends with its context":                testContext,
		"holds long and deep traces":           testLongTrace,
		"survives being closed":                testReopen,
		"serves appends and queries at once":   testConcurrent,
		"deletes what is asked for":            testDeletion,
		"refuses deletions that are not exact": testRefusedDeletion,
		"takes deletions back":                 testCanceledDeletion,
	} {
		t.Run(name, func(t *testing.T) { test(t, open) })
	}
}

const (
	day     = int64(24 * 3600e9)
	forever = int64(1) << 62
)

func appendSpans(t *testing.T, s Store, spans []traces.Span) traces.AppendResult {
	t.Helper()
	r, err := s.Append(t.Context(), tenantID, traces.AppendTracesData(nil, spans))
	require.NoError(t, err)
	return r
}

// scan returns the spans of a query that also Match, in a fixed order.
func scan(t *testing.T, s Store, q traces.SpanQuery) []traces.Span {
	t.Helper()
	var mu sync.Mutex
	var out []traces.Span
	_, err := s.Scan(t.Context(), tenantID, q, func() traces.Visitor {
		return func(spans []traces.Span) error {
			mu.Lock()
			defer mu.Unlock()
			for _, span := range spans {
				if traces.Match(q.Filter, &span) {
					out = append(out, span)
				}
			}
			return nil
		}
	})
	require.NoError(t, err)
	sortSpans(out)
	return out
}

func sortSpans(spans []traces.Span) {
	slices.SortFunc(spans, func(a, b traces.Span) int {
		return cmp.Or(bytes.Compare(a.TraceID[:], b.TraceID[:]), bytes.Compare(a.ID[:], b.ID[:]))
	})
}

// describe makes spans comparable whatever resources they share.
func describe(spans []traces.Span) []string {
	out := make([]string, 0, len(spans))
	for i := range spans {
		s := spans[i]
		out = append(out, hex.EncodeToString(traces.AppendTracesData(nil, []traces.Span{s})))
	}
	return out
}

func ids(spans []traces.Span) []string {
	out := make([]string, 0, len(spans))
	for _, s := range spans {
		out = append(out, s.ID.String())
	}
	return out
}

func testRejects(t *testing.T, open Opener) {
	s, _ := open(t)
	spans := NewRandom(1).Spans(4)
	spans[1].TraceID = traces.TraceID{}
	spans[2].ID = traces.SpanID{}
	r := appendSpans(t, s, spans)
	require.Equal(t, 2, r.Accepted)
	require.Equal(t, 2, r.Rejected)
	require.NotEmpty(t, r.Reason)
	require.Len(t, scan(t, s, traces.SpanQuery{To: forever}), 2)
}

func testRefuses(t *testing.T, open Opener) {
	s, _ := open(t)
	good := traces.AppendTracesData(nil, NewRandom(1).Spans(4))
	for _, request := range [][]byte{[]byte("not protobuf"), good[:len(good)-3]} {
		_, err := s.Append(t.Context(), tenantID, request)
		require.Equal(t, fault.Invalid, fault.KindOf(err), "%v", err)
	}
	require.Empty(t, scan(t, s, traces.SpanQuery{To: forever}))
	r, err := s.Append(t.Context(), tenantID, nil)
	require.NoError(t, err)
	require.Zero(t, r)
}

func testTenants(t *testing.T, open Opener) {
	s, _ := open(t)
	spans := NewRandom(1).Spans(4)
	appendSpans(t, s, spans)
	trace, err := s.Trace(t.Context(), "other", traces.TraceQuery{ID: spans[0].TraceID})
	require.NoError(t, err)
	require.Empty(t, trace.Spans)
	list, _, err := s.Values(t.Context(), "other", traces.ValuesQuery{To: forever, Field: traces.ServiceName(), Limit: 10})
	require.NoError(t, err)
	require.Empty(t, list)
}

func testRoundTrip(t *testing.T, open Opener) {
	s, _ := open(t)
	spans := NewRandom(2).Spans(200)
	appendSpans(t, s, spans)
	sortSpans(spans)
	require.Equal(t, describe(spans), describe(scan(t, s, traces.SpanQuery{To: forever})))
	id := spans[0].TraceID
	trace, err := s.Trace(t.Context(), tenantID, traces.TraceQuery{ID: id})
	require.NoError(t, err)
	require.True(t, slices.IsSortedFunc(trace.Spans, func(a, b traces.Span) int { return cmp.Compare(a.Start, b.Start) }))
	sortSpans(trace.Spans)
	var want []traces.Span
	for _, span := range spans {
		if span.TraceID == id {
			want = append(want, span)
		}
	}
	require.Equal(t, describe(want), describe(trace.Spans))
}

func testSpread(t *testing.T, open Opener) {
	s, _ := open(t)
	spans := NewRandom(3).Spans(3)
	for i := range spans {
		spans[i].TraceID = spans[0].TraceID
		spans[i].Start = Epoch - int64(i)*3*day
		appendSpans(t, s, spans[i:i+1])
	}
	appendSpans(t, s, spans[:1]) // twice
	trace, err := s.Trace(t.Context(), tenantID, traces.TraceQuery{ID: spans[0].TraceID})
	require.NoError(t, err)
	require.Len(t, trace.Spans, 4)
	require.Len(t, traces.NewTree(trace.Spans).Spans, 3)
	n := 0
	_, err = s.Traces(t.Context(), tenantID, traces.TracesQuery{IDs: []traces.TraceID{spans[0].TraceID, {9}}}, func(batch []traces.Span) error {
		n += len(batch)
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, 4, n)
}

func testFilters(t *testing.T, open Opener) {
	s, _ := open(t)
	r := NewRandom(4)
	spans := r.Spans(300)
	for part := range slices.Chunk(spans, 70) {
		appendSpans(t, s, part)
	}
	sortSpans(spans)
	met := 0
	for range 400 {
		q := traces.SpanQuery{From: Epoch + r.Int64N(7200e9), ByStart: r.IntN(2) == 0, Filter: r.Filter(2)}
		q.To = q.From + r.Int64N(7200e9) + 1
		var want []traces.Span
		for i := range spans {
			if inRange(&spans[i], q) && traces.Match(q.Filter, &spans[i]) {
				want = append(want, spans[i])
			}
		}
		require.Equal(t, ids(want), ids(scan(t, s, q)), "%+v", q)
		met += len(want)
	}
	require.Greater(t, met, 1000, "the filters meet too little to show anything")
}

func testNewest(t *testing.T, open Opener) {
	s, _ := open(t)
	spans := NewRandom(5).Spans(1000)
	appendSpans(t, s, spans)
	filter := traces.Compare{Field: traces.Intrinsic(traces.StatusField), Value: traces.Int(2)}
	var got []traces.Span
	_, err := s.Newest(t.Context(), tenantID, traces.SpanQuery{From: Epoch, To: Epoch + day, Filter: filter}, func(batch []traces.Span) error {
		got = append(got, batch...)
		return nil
	})
	require.NoError(t, err)
	require.True(t, slices.IsSortedFunc(got, func(a, b traces.Span) int { return cmp.Compare(b.Start, a.Start) }))
	sortSpans(got)
	require.Equal(t, ids(scan(t, s, traces.SpanQuery{From: Epoch, To: Epoch + day, Filter: filter})), ids(got))
}

func testStop(t *testing.T, open Opener) {
	s, _ := open(t)
	appendSpans(t, s, NewRandom(6).Spans(1000))
	q := traces.SpanQuery{To: forever}
	calls := 0
	stop := func([]traces.Span) error { calls++; return traces.ErrStop }
	_, err := s.Newest(t.Context(), tenantID, q, stop)
	require.NoError(t, err)
	require.Equal(t, 1, calls)
	_, err = s.Scan(t.Context(), tenantID, q, func() traces.Visitor { return func([]traces.Span) error { return traces.ErrStop } })
	require.NoError(t, err)
	_, err = s.Scan(t.Context(), tenantID, q, func() traces.Visitor {
		return func([]traces.Span) error { return fault.Invalidf("mine") }
	})
	require.ErrorContains(t, err, "mine")
}

func testContext(t *testing.T, open Opener) {
	s, _ := open(t)
	appendSpans(t, s, NewRandom(7).Spans(100))
	ctx, cancel := context.WithCancel(t.Context())
	_, err := s.Scan(ctx, tenantID, traces.SpanQuery{To: forever}, func() traces.Visitor {
		return func([]traces.Span) error { cancel(); return ctx.Err() }
	})
	require.ErrorIs(t, err, context.Canceled)
}

func testLongTrace(t *testing.T, open Opener) {
	s, _ := open(t)
	const n = 10_000
	resource := &traces.Resource{}
	spans := make([]traces.Span, n)
	for i := range spans {
		span := &spans[i]
		span.TraceID[0], span.Resource = 1, resource
		binary.BigEndian.PutUint64(span.ID[:], uint64(i+1))
		binary.BigEndian.PutUint64(span.ParentID[:], uint64(i)) // each the child of the one before
		span.Start, span.Duration = Epoch+int64(i), 1e6
	}
	for part := range slices.Chunk(spans, 3000) {
		slices.Reverse(part)
		appendSpans(t, s, part)
	}
	trace, err := s.Trace(t.Context(), tenantID, traces.TraceQuery{ID: spans[0].TraceID})
	require.NoError(t, err)
	tree := traces.NewTree(trace.Spans)
	require.Len(t, tree.Spans, n)
	require.Equal(t, []int32{0}, tree.Tops)
	require.EqualValues(t, 2*n, tree.Right[0])
	trace, err = s.Trace(t.Context(), tenantID, traces.TraceQuery{ID: spans[0].TraceID, MaxSpans: 100})
	require.NoError(t, err)
	require.Len(t, trace.Spans, 100)
	require.NotEmpty(t, trace.Stats.Cut)
}

func testReopen(t *testing.T, open Opener) {
	s, reopen := open(t)
	if reopen == nil {
		t.Skip("the store keeps nothing")
	}
	spans := NewRandom(8).Spans(100)
	appendSpans(t, s, spans)
	before := describe(scan(t, s, traces.SpanQuery{To: forever}))
	s = reopen()
	require.Equal(t, before, describe(scan(t, s, traces.SpanQuery{To: forever})))
}

func testConcurrent(t *testing.T, open Opener) {
	s, _ := open(t)
	const writers, rounds = 4, 10
	var wg sync.WaitGroup
	errs := make([]error, 2*writers)
	for w := range writers {
		spans := NewRandom(uint64(100 + w)).Spans(50)
		for i := range spans {
			spans[i].ID[0] = byte(w + 1)
		}
		wg.Go(func() {
			for part := range slices.Chunk(spans, len(spans)/rounds) {
				if _, err := s.Append(t.Context(), tenantID, traces.AppendTracesData(nil, part)); err != nil {
					errs[w] = err
				}
			}
		})
		wg.Go(func() {
			for range rounds {
				_, err := s.Scan(t.Context(), tenantID, traces.SpanQuery{To: forever}, func() traces.Visitor {
					return func([]traces.Span) error { return nil }
				})
				if err != nil {
					errs[writers+w] = err
				}
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	require.Len(t, scan(t, s, traces.SpanQuery{To: forever}), writers*50)
}
