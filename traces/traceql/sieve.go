package traceql

import (
	"context"
	"math"
	"slices"

	"belfry/traces"
)

// sieve is how a search does without most spans of the traces that it finds. Where the query looks
// at no other spans than those that its filter lets through, these are kept as the search comes upon them, the newest first.
// Of a trace that began after all that is still to come, no more than the outline is asked for. nil is no sieve.
type sieve struct {
	store  traces.Outliner
	fields []traces.Field                   // that the query reads
	spans  map[traces.TraceID][]traces.Span // that were let through, of traces not yet looked at; nil: they are not kept
	held   int
	after  int64 // all that started after it are there
	slow   bool  // most traces began before
}

// sieveSpans is how many spans a sieve keeps.
const sieveSpans = 10_000

// newSieve returns a sieve for a search, nil if the store knows no outlines or the query needs the other spans.
func newSieve(store traces.Querier, p Pipeline, fields []traces.Field, output []FieldRef) *sieve {
	outliner, ok := store.(traces.Outliner)
	filter, local := localFilter(p)
	if !ok || !local || filter == nil || slices.ContainsFunc(output, FieldRef.needsTree) {
		return nil
	}
	set := fieldSet{list: slices.Clone(fields)}
	set.add(traces.Intrinsic(traces.Name)) // shown of those that match
	return &sieve{store: outliner, fields: set.list, spans: map[traces.TraceID][]traces.Span{}, after: math.MaxInt64}
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

// forget drops what it has of a trace.
func (v *sieve) forget(id traces.TraceID) {
	if v.keeps() {
		v.held -= len(v.spans[id])
		delete(v.spans, id)
	}
}

// all says that the sieve has all spans that started after a time.
func (v *sieve) all(after int64) {
	if v != nil {
		v.after = after
	}
}

// has reports whether the sieve has all spans of a trace that the query looks at.
func (v *sieve) has(o *traces.Outline) bool { return v.after == math.MinInt64 || o.Start > v.after }

// knows reports whether it is worth while to ask for outlines.
func (v *sieve) knows() bool { return v.keeps() && (v.after == math.MinInt64 || !v.slow) }

// looked is a candidate that has been looked at.
type looked struct {
	tree    *traces.Tree    // of all spans that the query asks for
	outline *traces.Outline // nil: that of tree
}

func (l *looked) show() traces.Outline {
	if l.outline != nil {
		return *l.outline
	}
	return l.tree.Outline()
}

// look returns what is needed of candidates, in no order; those that are gone are left out.
func (s *search) look(ctx context.Context, list []candidate) ([]looked, error) {
	out := make([]looked, 0, len(list))
	rest := list
	if s.sieve.knows() {
		outlines, err := s.outlines(ctx, list)
		if err != nil {
			return nil, err
		}
		rest = slices.DeleteFunc(slices.Clone(list), func(c candidate) bool {
			o := outlines[c.id]
			if o == nil || !s.sieve.has(o) {
				return false
			}
			out = append(out, looked{traces.NewTree(s.sieve.spans[c.id]), o})
			return true
		})
		s.sieve.slow = len(rest) > len(list)/2
	}
	if len(rest) == 0 {
		return out, nil
	}
	trees, stats, err := s.fetch(ctx, s.tenant, rest, s.fields, s.req.From, s.req.To)
	s.result.Stats.Add(stats)
	for _, tree := range trees {
		if tree != nil {
			out = append(out, looked{tree: tree})
		}
	}
	return out, err
}

// outlines returns the outlines of candidates, as far as the store knows them.
func (s *search) outlines(ctx context.Context, list []candidate) (map[traces.TraceID]*traces.Outline, error) {
	ids := make([]traces.TraceID, len(list))
	for i := range list {
		ids[i] = list[i].id
	}
	out := make(map[traces.TraceID]*traces.Outline, len(list))
	stats, err := s.sieve.store.Outlines(ctx, s.tenant, ids, func(o traces.Outline) { out[o.ID] = &o })
	s.result.Stats.Add(stats)
	return out, err
}
