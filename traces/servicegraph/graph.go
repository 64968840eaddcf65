package servicegraph

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"belfry/traces"
)

// Edge is the calls from one service to another.
type Edge struct {
	Parent, Child string
	Calls         int64
	Errors        int64 // of these, calls whose child span failed
}

// Graph is the edges of a time range, sorted by parent and child.
type Graph struct {
	Edges []Edge
	Stats traces.Stats // Cut says if spans were left out
}

type spanKey struct {
	trace traces.TraceID
	span  traces.SpanID
}

type call struct {
	parent  spanKey
	service int32
	failed  bool
}

// collector gathers what is needed of every span: whose it is, and who called it.
type collector struct {
	mu       sync.Mutex
	services []string
	numbers  map[string]int32
	owner    map[spanKey]int32
	calls    []call
}

// Query computes the graph of the spans that started in [from, to), looking at
// maxSpans of them at most.
func Query(ctx context.Context, store traces.Querier, tenant string, from, to int64, maxSpans int) (*Graph, error) {
	c := &collector{numbers: map[string]int32{}, owner: map[spanKey]int32{}}
	stats, err := store.Scan(ctx, tenant, traces.SpanQuery{
		From: from, To: to, ByStart: true,
		Fields: []traces.Field{traces.ServiceName(), traces.Intrinsic(traces.StatusField)},
		Limits: traces.Limits{Spans: int64(maxSpans)},
	}, func() traces.Visitor { return c.visit })
	if err != nil {
		return nil, err
	}
	return &Graph{Edges: c.edges(), Stats: stats}, nil
}

func (c *collector) visit(spans []traces.Span) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range spans {
		s := &spans[i]
		name := s.Resource.Service()
		number, known := c.numbers[name]
		if !known {
			number = int32(len(c.services))
			c.services = append(c.services, name)
			c.numbers[name] = number
		}
		c.owner[spanKey{s.TraceID, s.ID}] = number
		if !s.ParentID.IsZero() {
			c.calls = append(c.calls, call{spanKey{s.TraceID, s.ParentID}, number, s.Status == traces.StatusError})
		}
	}
	return nil
}

func (c *collector) edges() []Edge {
	type pair struct{ parent, child int32 }
	found := map[pair]*Edge{}
	for _, call := range c.calls {
		parent, known := c.owner[call.parent]
		if !known || parent == call.service {
			continue
		}
		e := found[pair{parent, call.service}]
		if e == nil {
			e = &Edge{Parent: c.services[parent], Child: c.services[call.service]}
			found[pair{parent, call.service}] = e
		}
		e.Calls++
		if call.failed {
			e.Errors++
		}
	}
	edges := make([]Edge, 0, len(found))
	for _, e := range found {
		edges = append(edges, *e)
	}
	slices.SortFunc(edges, func(a, b Edge) int { return cmp.Or(cmp.Compare(a.Parent, b.Parent), cmp.Compare(a.Child, b.Child)) })
	return edges
}
