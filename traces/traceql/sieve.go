package traceql

import (
	"context"
	"slices"

	"belfry/traces"
)

// sieve is how a search does without what its query reads of most spans. Where the query looks
// at no other spans than those that its filter lets through, and the search comes upon all of
// these before it looks at a trace, they are kept, and of their traces no more than the outlines
// are asked for. nil is no sieve.
type sieve struct {
	fields []traces.Field                   // that the query reads
	spans  map[traces.TraceID][]traces.Span // that were let through; nil: they are not kept
	held   int
	all    bool // there are no others
}

// sieveSpans is how many spans a sieve keeps.
const sieveSpans = 10_000

// newSieve returns a sieve for a search, nil if the query needs the other spans.
func newSieve(p Pipeline, fields []traces.Field, output []FieldRef) *sieve {
	filter, local := localFilter(p)
	if !local || filter == nil || slices.ContainsFunc(output, FieldRef.needsTree) {
		return nil
	}
	set := fieldSet{list: slices.Clone(fields)}
	set.add(traces.Intrinsic(traces.Name)) // shown of those that match
	return &sieve{fields: set.list, spans: map[traces.TraceID][]traces.Span{}}
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
	if s.sieve.keeps() && s.sieve.all {
		return s.lookAtOutlines(ctx, list)
	}
	trees, err := s.whole(ctx, list, s.fields)
	out := make([]looked, 0, len(trees))
	for _, tree := range trees {
		if tree != nil {
			out = append(out, looked{tree: tree})
		}
	}
	return out, err
}

// lookAtOutlines is look for candidates all of whose spans that matter are in the sieve.
func (s *search) lookAtOutlines(ctx context.Context, list []candidate) ([]looked, error) {
	outlines := make(map[traces.TraceID]*traces.Outline, len(list))
	if store, ok := s.store.(traces.Outliner); ok {
		ids := make([]traces.TraceID, len(list))
		for i := range list {
			ids[i] = list[i].id
		}
		stats, err := store.Outlines(ctx, s.tenant, ids, func(o traces.Outline) { outlines[o.ID] = &o })
		s.result.Stats.Add(stats)
		if err != nil {
			return nil, err
		}
	}
	rest := slices.DeleteFunc(slices.Clone(list), func(c candidate) bool { return outlines[c.id] != nil })
	trees, err := s.whole(ctx, rest, traces.OutlineFields())
	if err != nil {
		return nil, err
	}
	for i, tree := range trees {
		if tree != nil {
			o := tree.Outline()
			outlines[rest[i].id] = &o
		}
	}
	out := make([]looked, 0, len(list))
	for _, c := range list {
		if spans := s.sieve.spans[c.id]; len(spans) > 0 && outlines[c.id] != nil {
			out = append(out, looked{traces.NewTree(spans), outlines[c.id]})
		}
	}
	return out, nil
}

// whole fetches traces.
func (s *search) whole(ctx context.Context, list []candidate, fields []traces.Field) ([]*traces.Tree, error) {
	if len(list) == 0 {
		return nil, nil
	}
	trees, stats, err := s.fetch(ctx, s.tenant, list, fields, s.req.From, s.req.To)
	s.result.Stats.Add(stats)
	return trees, err
}
