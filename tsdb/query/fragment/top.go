package fragment

import (
	"container/heap"
	"context"
	"math"
	"sort"

	"github.com/prometheus/prometheus/promql/parser"
)

// top is topk and bottomk: the series of a group that are ahead at a step. Which
// of equal ones that is follows from the same heap as in Prometheus.
func (e *evaluation) top(ctx context.Context, groups []*members) ([]Series, error) {
	steps := e.f.grid.Steps()
	chosen := make([][]place, len(groups)*steps)
	e.eachBlock(ctx, func(first, last int) {
		for i, g := range groups {
			g.top(e.f.agg, first, last, chosen[i*steps:])
		}
	})
	var out []Series
	for i, g := range groups {
		at := make(map[int]int, e.f.agg.k()) // in out, by member
		for step, places := range chosen[i*steps : (i+1)*steps] {
			for _, p := range places {
				j, ok := at[p.member]
				if !ok {
					s := g.of[p.member]
					if steps == 1 {
						s.order = len(out) // an instant query is answered in the order of values
					}
					if err := e.hold(steps); err != nil {
						return nil, err
					}
					s.Values = make([]float64, steps)
					for k := range s.Values {
						s.Values[k] = absent()
					}
					j = len(out)
					at[p.member] = j
					out = append(out, s)
				}
				out[j].Values[step] = p.value
			}
		}
	}
	return out, context.Cause(ctx)
}

// top writes the places of some steps.
func (g *members) top(a *aggregation, first, last int, chosen [][]place) {
	var heaps [collectSteps]places
	for member, s := range g.of {
		for i, v := range s.Values[first:last] {
			if !isAbsent(v) {
				heaps[i].least = a.op == parser.BOTTOMK
				heaps[i].offer(place{member, v}, a.k())
			}
		}
	}
	for i := range heaps[:last-first] {
		h := &heaps[i]
		if len(h.all) > 1 {
			sort.Sort(sort.Reverse(h))
		}
		chosen[first+i] = h.all
	}
}

// k is how many series topk and bottomk take.
func (a *aggregation) k() int { return int(a.param) }

// place is a series that is among the first, and its value.
type place struct {
	member int
	value  float64
}

// places are a heap with the last of them in front.
type places struct {
	all   []place
	least bool // the least values are ahead, not the greatest
}

// offer takes a place if it is among the first k.
func (p *places) offer(c place, k int) {
	switch {
	case len(p.all) < k:
		heap.Push(p, c)
	case p.ahead(p.all[0].value, c.value):
		p.all[0] = c
		heap.Fix(p, 0)
	}
}

// ahead reports whether b is ahead of a.
func (p *places) ahead(a, b float64) bool {
	if math.IsNaN(a) {
		return !math.IsNaN(b)
	}
	if p.least {
		return a > b
	}
	return a < b
}

// Len implements heap.Interface.
func (p *places) Len() int { return len(p.all) }

// Less implements heap.Interface. Prometheus has NaN before NaN, too.
func (p *places) Less(i, j int) bool {
	return math.IsNaN(p.all[i].value) || p.ahead(p.all[i].value, p.all[j].value)
}

// Swap implements heap.Interface.
func (p *places) Swap(i, j int) { p.all[i], p.all[j] = p.all[j], p.all[i] }

// Push implements heap.Interface.
func (p *places) Push(x any) { p.all = append(p.all, x.(place)) }

// Pop implements heap.Interface.
func (p *places) Pop() any {
	last := p.all[len(p.all)-1]
	p.all = p.all[:len(p.all)-1]
	return last
}
