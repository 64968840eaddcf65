package traceql

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"belfry/traces"
)

// sieve is how a search does without what its query reads of most spans: where the query
// looks at no other spans than those that a filter lets through, only these are read
// whole, and of all others what a summary of their traces needs. nil is no sieve.
type sieve struct {
	filter traces.Filter
	fields []traces.Field

	// Spans that were let through, by trace, as the search came upon them; nil
	// if they are too many, or not all that there are.
	spans map[traces.TraceID][]traces.Span
	held  int
	all   bool // there are no others
}

// sieveSpans is how many spans a sieve holds.
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
	return &sieve{filter: filter, fields: fields}
}

// collect makes the sieve hold spans that come one by one.
func (v *sieve) collect() {
	if v != nil {
		v.spans = map[traces.TraceID][]traces.Span{}
	}
}

// collects reports whether the sieve must be told of each span.
func (v *sieve) collects() bool { return v != nil && v.spans != nil }

// forget makes the sieve hold no spans.
func (v *sieve) forget() {
	if v != nil {
		v.spans = nil
	}
}

func (v *sieve) add(span *traces.Span) {
	if v.held++; v.held > sieveSpans {
		v.spans = nil
		return
	}
	v.spans[span.TraceID] = append(v.spans[span.TraceID], *span)
}

// fetchSifted returns the trees of candidates, and those to evaluate the query on.
func (s *search) fetchSifted(ctx context.Context, list []candidate) (whole, evaluated []*traces.Tree, err error) {
	q := traces.TracesQuery{From: s.req.From, To: s.req.To, Fields: s.fields}
	if s.sieve != nil {
		q.Fields = summaryFields()
	}
	whole, stats, err := s.fetch(ctx, s.tenant, list, q)
	s.result.Stats.Add(stats)
	if err != nil || s.sieve == nil {
		return whole, whole, err
	}
	if s.sieve.collects() && s.sieve.all {
		evaluated = make([]*traces.Tree, len(list))
		for i, c := range list {
			if spans := s.sieve.spans[c.id]; len(spans) > 0 {
				evaluated[i] = traces.NewTree(spans)
			}
		}
		return whole, evaluated, nil
	}
	q.Fields, q.Filter = orNone(s.sieve.fields), s.sieve.filter
	evaluated, stats, err = s.fetch(ctx, s.tenant, list, q)
	s.result.Stats.Add(stats)
	return whole, evaluated, err
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
