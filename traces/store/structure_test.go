package store_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"belfry/traces"
	"belfry/traces/traceql"
	"belfry/traces/tracestest"
)

// layouts are the ways in which the spans of a trace can lie in a store.
var layouts = map[string]func(t *testing.T, spans []traces.Span) traces.Querier{
	"joined in one part": func(t *testing.T, spans []traces.Span) traces.Querier {
		s := open(t, t.TempDir())
		appendAll(t, s, spans)
		require.NoError(t, s.Flush(t.Context()))
		return s
	},
	"in memory, not joined": func(t *testing.T, spans []traces.Span) traces.Querier {
		s := open(t, t.TempDir())
		appendAll(t, s, spans)
		return s
	},
	"straddling three parts and memory": func(t *testing.T, spans []traces.Span) traces.Querier {
		s := open(t, t.TempDir())
		for part := range slices.Chunk(spans, len(spans)/4+1) {
			require.NoError(t, s.Flush(t.Context()))
			appendAll(t, s, part)
		}
		return s
	},
	"some joined, some late": func(t *testing.T, spans []traces.Span) traces.Querier {
		s := open(t, t.TempDir())
		byTrace := slices.Clone(spans)
		slices.SortFunc(byTrace, func(a, b traces.Span) int { return slices.Compare(a.TraceID[:], b.TraceID[:]) })
		appendAll(t, s, byTrace[:len(byTrace)*9/10])
		require.NoError(t, s.Flush(t.Context()))
		appendAll(t, s, byTrace[len(byTrace)*9/10:])
		return s
	},
}

func appendAll(t *testing.T, to traces.Appender, spans []traces.Span) {
	t.Helper()
	_, err := to.Append(t.Context(), "t", traces.AppendTracesData(nil, spans))
	require.NoError(t, err)
}

// relatives says which span is in which relation to which, by following the IDs
// of parents one by one.
type relatives struct {
	spans map[traces.SpanID]*traces.Span
}

func (r relatives) above(a, b *traces.Span) bool {
	for p := r.spans[b.ParentID]; p != nil; p = r.spans[p.ParentID] {
		if p == a {
			return true
		}
	}
	return false
}

func (r relatives) holds(op string, l, right *traces.Span) bool {
	switch op {
	case ">":
		return r.spans[right.ParentID] == l
	case "<":
		return r.spans[l.ParentID] == right
	case ">>":
		return r.above(l, right)
	case "<<":
		return r.above(right, l)
	}
	return l != right && r.spans[l.ParentID] != nil && l.ParentID == right.ParentID
}

// selected returns the IDs of the spans that {left} op {right} selects of a trace.
func (r relatives) selected(op string, left, right func(*traces.Span) bool) []traces.SpanID {
	plain := op
	if op[0] == '!' || op[0] == '&' && op != "&&" {
		plain = op[1:]
	}
	some := func(of func(*traces.Span) bool, related func(*traces.Span) bool) bool {
		for _, s := range r.spans {
			if of(s) && related(s) {
				return true
			}
		}
		return false
	}
	every := func(*traces.Span) bool { return true }
	var out []traces.SpanID
	for id, s := range r.spans {
		asRight := right(s) && some(left, func(l *traces.Span) bool { return r.holds(plain, l, s) })
		asLeft := left(s) && some(right, func(o *traces.Span) bool { return r.holds(plain, s, o) })
		in := false
		switch {
		case op == "||":
			in = left(s) || right(s)
		case op == "&&":
			in = (left(s) || right(s)) && some(left, every) && some(right, every)
		case op[0] == '!':
			in = right(s) && !asRight
		case op[0] == '&':
			in = asRight || asLeft
		default:
			in = asRight
		}
		if in {
			out = append(out, id)
		}
	}
	slices.SortFunc(out, func(a, b traces.SpanID) int { return slices.Compare(a[:], b[:]) })
	return out
}

// plainTraces returns random trees of which some lack their root.
func plainTraces(r *rand.Rand, n int) []traces.Span {
	resource := &traces.Resource{Attributes: []traces.Attribute{{Key: "service.name", Value: traces.String("s")}}}
	var out []traces.Span
	for trace := range n {
		size := 1 + r.IntN(15)
		for i := range size {
			s := traces.Span{
				Start: tracestest.Epoch + int64(trace)*1e9 + r.Int64N(1e8), Duration: 1e6, Resource: resource,
				Name: []string{"x", "y"}[r.IntN(2)], Status: traces.Status(r.IntN(3)),
			}
			binary.BigEndian.PutUint64(s.TraceID[8:], uint64(trace+1))
			binary.BigEndian.PutUint64(s.ID[:], uint64(i+1))
			binary.BigEndian.PutUint64(s.ParentID[:], uint64(r.IntN(i+1)))
			if i > 0 || r.IntN(5) > 0 { // else the root did not come
				out = append(out, s)
			}
		}
	}
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// TestEveryOperatorInEveryLayout compares what each operator selects with an
// evaluator that is slow and knows nothing but the IDs of parents, however the
// spans lie in the store.
func TestEveryOperatorInEveryLayout(t *testing.T) {
	spans := plainTraces(rand.New(rand.NewPCG(21, 22)), 120)
	byTrace := map[traces.TraceID]relatives{}
	for i := range spans {
		s := &spans[i]
		if byTrace[s.TraceID].spans == nil {
			byTrace[s.TraceID] = relatives{map[traces.SpanID]*traces.Span{}}
		}
		byTrace[s.TraceID].spans[s.ID] = s
	}
	isX := func(s *traces.Span) bool { return s.Name == "x" }
	failed := func(s *traces.Span) bool { return s.Status == traces.StatusError }
	for name, layout := range layouts {
		t.Run(name, func(t *testing.T) {
			engine := traceql.NewEngine(layout(t, spans), traceql.Limits{})
			for _, op := range []string{">", ">>", "<", "<<", "~", "!>", "!>>", "!<", "!<<", "!~", "&>", "&>>", "&<", "&<<", "&~", "&&", "||"} {
				q, err := traceql.Parse(fmt.Sprintf(`{ name = "x" } %s { status = error }`, op))
				require.NoError(t, err)
				result, err := engine.Search(t.Context(), "t", traceql.SearchRequest{
					Query: q, From: tracestest.Epoch, To: tracestest.Epoch + int64(3600e9), Limit: 1000, SpansPerSet: 1000,
				})
				require.NoError(t, err)
				got := map[traces.TraceID][]traces.SpanID{}
				for _, trace := range result.Traces {
					require.Len(t, trace.SpanSets, 1)
					for _, span := range trace.SpanSets[0].Spans {
						got[trace.ID] = append(got[trace.ID], span.ID)
					}
					slices.SortFunc(got[trace.ID], func(a, b traces.SpanID) int { return slices.Compare(a[:], b[:]) })
				}
				want := map[traces.TraceID][]traces.SpanID{}
				for id, r := range byTrace {
					if ids := r.selected(op, isX, failed); len(ids) > 0 {
						want[id] = ids
					}
				}
				require.NotEmpty(t, want)
				require.Equal(t, want, got, op)
			}
		})
	}
}
