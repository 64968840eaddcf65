package api

import (
	"cmp"
	"slices"

	"belfry/traces"
)

// traceSummary is what a list of traces shows of one.
type traceSummary struct {
	id                    traces.TraceID
	rootService, rootName string
	start, end            int64
	spans, errors         int
	orphans               int // spans whose parent is not in the trace
	services              []serviceSummary
}

type serviceSummary struct {
	name          string
	spans, errors int
}

func summaryOf(t *traces.Tree) traceSummary {
	s := traceSummary{start: t.Start, end: t.End, spans: len(t.Spans)}
	if top := t.Top(); top >= 0 {
		s.id, s.rootName, s.rootService = t.Spans[top].TraceID, t.Spans[top].Name, t.Spans[top].Resource.Service()
	}
	for _, p := range t.Tops {
		if !t.Spans[p].ParentID.IsZero() {
			s.orphans++
		}
	}
	counts := map[string]*serviceSummary{}
	for i := range t.Spans {
		name := t.Spans[i].Resource.Service()
		count := counts[name]
		if count == nil {
			count = &serviceSummary{name: name}
			counts[name] = count
		}
		count.spans++
		if t.Spans[i].Status == traces.StatusError {
			count.errors++
			s.errors++
		}
	}
	for _, count := range counts {
		s.services = append(s.services, *count)
	}
	slices.SortFunc(s.services, func(a, b serviceSummary) int { return cmp.Compare(a.name, b.name) })
	return s
}
