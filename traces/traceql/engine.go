package traceql

import (
	"context"
	"slices"

	"belfry/internal/fault"
	"belfry/traces"
)

// Limits bound what one query may cost. Zero values take the default named.
type Limits struct {
	Candidates  int // traces that one query looks at; 500,000
	FetchSpans  int // spans of whole traces in memory at once; 1,000,000
	Marks       int // spans that one query's conditions select in memory at once; 2,000,000
	Traces      int // traces that one search may return; 10,000
	Series      int // series that one query may return; 10,000
	Points      int // steps of one range; 11,000
	SpansPerSet int // matched spans shown of one spanset; 1,000
}

func (l Limits) withDefaults() Limits {
	set := func(n *int, value int) {
		if *n <= 0 {
			*n = value
		}
	}
	set(&l.Candidates, 500_000)
	set(&l.FetchSpans, 1_000_000)
	set(&l.Marks, 2_000_000)
	set(&l.Traces, 10_000)
	set(&l.Series, 10_000)
	set(&l.Points, 11_000)
	set(&l.SpansPerSet, 1_000)
	return l
}

// Engine answers TraceQL queries from a store. It is safe for concurrent use.
type Engine struct {
	store  traces.Querier
	limits Limits
}

// NewEngine returns an engine on a store.
func NewEngine(store traces.Querier, limits Limits) *Engine {
	return &Engine{store: store, limits: limits.withDefaults()}
}

// candidate is a trace that may match.
type candidate struct {
	id     traces.TraceID
	anchor int64 // start of its newest span that a leaf lets through
	seen   uint64
}

// sortCandidates puts the newest first, ties by ID.
func sortCandidates(list []candidate) {
	slices.SortFunc(list, func(a, b candidate) int { return compareAnchors(a.anchor, a.id, b.anchor, b.id) })
}

func compareAnchors(a int64, aID traces.TraceID, b int64, bID traces.TraceID) int {
	switch {
	case a > b:
		return -1
	case a < b:
		return 1
	}
	return slices.Compare(aID[:], bID[:])
}

// cutCandidates is Stats.Cut when there were more candidates than allowed.
const cutCandidates = "candidate traces"

// scanner is a store's way to hand spans over.
type scanner func(q traces.SpanQuery, newVisitor func() traces.Visitor) (traces.Stats, error)

// scanCandidates finds all traces of a range that can match, the newest first.
func (e *Engine) scanCandidates(pl *plan, from, to int64, scan scanner) ([]candidate, traces.Stats, error) {
	type found map[traces.TraceID]candidate
	var workers []*found
	overflow := false
	stats, err := scan(traces.SpanQuery{From: from, To: to, Filter: pl.filter, Fields: orNone(pl.fields)},
		func() traces.Visitor {
			mine := found{}
			workers = append(workers, &mine)
			return func(spans []traces.Span) error {
				for i := range spans {
					bits := pl.seen(&spans[i])
					if bits == 0 {
						continue
					}
					c, known := mine[spans[i].TraceID]
					if !known {
						if len(mine) >= e.limits.Candidates {
							return traces.ErrStop
						}
						c = candidate{id: spans[i].TraceID, anchor: spans[i].Start}
					}
					c.anchor = max(c.anchor, spans[i].Start)
					c.seen |= bits
					mine[c.id] = c
				}
				return nil
			}
		})
	if err != nil {
		return nil, stats, err
	}
	all := found{}
	for _, w := range workers {
		overflow = overflow || len(*w) >= e.limits.Candidates
		for id, c := range *w {
			if have, known := all[id]; known {
				c.anchor, c.seen = max(c.anchor, have.anchor), c.seen|have.seen
			}
			all[id] = c
		}
	}
	list := make([]candidate, 0, len(all))
	for _, c := range all {
		if pl.need(c.seen) {
			list = append(list, c)
		}
	}
	sortCandidates(list)
	if overflow || len(list) > e.limits.Candidates {
		stats.Cut = cutCandidates
		list = list[:min(len(list), e.limits.Candidates)]
	}
	return list, stats, nil
}

// orNone makes "no field" of an empty list, which would mean all.
func orNone(fields []traces.Field) []traces.Field {
	if fields == nil {
		return []traces.Field{}
	}
	return fields
}

// fetch returns the trees of candidates, in their order; nil for one that is gone.
func (e *Engine) fetch(ctx context.Context, tenant string, list []candidate, fields []traces.Field, from, to int64) ([]*traces.Tree, traces.Stats, error) {
	q := traces.TracesQuery{From: from, To: to, MaxSpans: e.limits.FetchSpans, Fields: fields}
	index := make(map[traces.TraceID]int, len(list))
	for i, c := range list {
		q.IDs = append(q.IDs, c.id)
		index[c.id] = i
	}
	spans := make([][]traces.Span, len(list))
	stats, err := e.store.Traces(ctx, tenant, q, func(batch []traces.Span) error {
		for _, s := range batch {
			if i, wanted := index[s.TraceID]; wanted {
				if spans[i] == nil {
					spans[i] = make([]traces.Span, 0, 8)
				}
				spans[i] = append(spans[i], s)
			}
		}
		return nil
	})
	if err != nil {
		return nil, stats, err
	}
	trees := make([]*traces.Tree, len(list))
	for i := range spans {
		if len(spans[i]) > 0 {
			trees[i] = traces.NewTree(spans[i])
		}
	}
	return trees, stats, nil
}

// Fetch sizes: small first, so that a search that is soon satisfied fetches
// little; then larger, so that one that is not becomes cheap per trace.
const maxFetch = 1024

func checkRange(from, to int64) error {
	if to <= from {
		return fault.Invalidf("the end of the time range must be after its start")
	}
	return nil
}
