package traceql

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"belfry/traces"
)

// sieve is how a search does without what its query reads of most spans. Where the query looks
// at no other spans than those that its filter lets through, and the search comes upon all of
// these before it looks at a trace, they are kept, and of the other spans of their traces only what
// a summary needs is fetched. nil is no sieve.
type sieve struct {
	fields []traces.Field                   // that the query reads
	spans  map[traces.TraceID][]traces.Span // that were let through; nil: they are not kept
	held   int
	all    bool // there are no others
}

// sieveSpans is how many spans a sieve keeps.
const sieveSpans = 10_000

// newSieve returns a sieve for a search, nil if it would gain nothing or if the query needs
// the other spans.
func newSieve(p Pipeline, fields []traces.Field, output []FieldRef) *sieve {
	filter, local := localFilter(p)
	more := slices.ContainsFunc(fields, func(f traces.Field) bool {
		return f.Scope != traces.ScopeResource && f.Scope != traces.ScopeIntrinsic
	})
	if !local || !more || filter == nil || slices.ContainsFunc(output, FieldRef.needsTree) {
		return nil
	}
	return &sieve{fields: orNone(fields), spans: map[traces.TraceID][]traces.Span{}}
}

// keeps reports whether the sieve must be told of each span.
func (v *sieve) keeps() bool { return v != nil && v.spans != nil }

func (v *sieve) add(span *traces.Span) {
	if v.held++; v.held > sieveSpans {
		v.spans = nil
		return
	}
	v.spans[span.TraceID] = append(v.spans[span.TraceID], *span)
}

// fetchSifted returns the trees of candidates, and those to evaluate the query on.
func (s *search) fetchSifted(ctx context.Context, list []candidate) (whole, evaluated []*traces.Tree, err error) {
	fields := s.fields
	sifted := s.sieve.keeps() && s.sieve.all
	if sifted {
		fields = summaryFields()
	}
	whole, stats, err := s.fetch(ctx, s.tenant, list, fields, s.req.From, s.req.To)
	s.result.Stats.Add(stats)
	if err != nil || !sifted {
		return whole, whole, err
	}
	evaluated = make([]*traces.Tree, len(list))
	for i, c := range list {
		if spans := s.sieve.spans[c.id]; len(spans) > 0 {
			evaluated[i] = traces.NewTree(spans)
		}
	}
	return whole, evaluated, nil
}

// summaryFields are what the summary of a trace needs of all its spans.
func summaryFields() []traces.Field {
	return []traces.Field{traces.Intrinsic(traces.Name), traces.Intrinsic(traces.StatusField), traces.ServiceName()}
}

// nameIn returns the name of a span by what is known of its trace.
func nameIn(whole *traces.Tree, span *traces.Span) string {
	at, found := slices.BinarySearchFunc(whole.Spans, span, func(a traces.Span, b *traces.Span) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), bytes.Compare(a.ID[:], b.ID[:]))
	})
	if !found {
		return span.Name
	}
	return whole.Spans[at].Name
}
