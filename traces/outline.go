package traces

import (
	"cmp"
	"context"
	"slices"
)

// Outline is what is shown of a trace in a list of traces.
type Outline struct {
	ID              TraceID
	RootService     string // of the root span, or of the first top where the root is missing
	RootName        string
	RootMissing     bool
	Start, Duration int64
	Services        []ServiceSpans // by name
}

// ServiceSpans counts the spans of a service in a trace.
type ServiceSpans struct {
	Name          string
	Spans, Errors int
}

// Outliner is implemented by stores that know the outlines of some traces without a look at all their spans.
type Outliner interface {
	// Outlines hands over the outlines of those of the traces whose outlines it knows, in no order.
	Outlines(ctx context.Context, tenant string, ids []TraceID, visit func(Outline)) (Stats, error)
}

// OutlineFields are what the outline of a trace needs of all its spans.
func OutlineFields() []Field {
	return []Field{Intrinsic(Name), Intrinsic(StatusField), ServiceName()}
}

// Outline returns the outline of a trace that has a span.
func (t *Tree) Outline() Outline {
	top := &t.Spans[t.Top()]
	out := Outline{
		ID: top.TraceID, RootService: top.Resource.Service(), RootName: top.Name, RootMissing: t.Root < 0,
		Start: t.Start, Duration: t.Duration(),
	}
	for i := range t.Spans {
		out.Services = AddSpan(out.Services, t.Spans[i].Resource.Service(), t.Spans[i].Status == StatusError)
	}
	return out
}

// AddSpan counts a span of a service. counts is ordered by name, and so is what it returns.
func AddSpan(counts []ServiceSpans, service string, isError bool) []ServiceSpans {
	at, found := slices.BinarySearchFunc(counts, service, func(c ServiceSpans, name string) int { return cmp.Compare(c.Name, name) })
	if !found {
		counts = slices.Insert(counts, at, ServiceSpans{Name: service})
	}
	counts[at].Spans++
	if isError {
		counts[at].Errors++
	}
	return counts
}
