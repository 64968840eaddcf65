package store

import (
	"context"
	"slices"
	"sync"

	"belfry/internal/columnar"
	"belfry/traces"
)

// Joined returns the tenant's spans at this moment; see traces.ColumnQuerier.
func (s *Store) Joined(tenant string) (traces.Joined, error) {
	view, err := s.db.Groups(tenant)
	if err != nil {
		return nil, err
	}
	return &joined{store: s, tenant: tenant, view: view, parts: view.Parts(), resources: s.newResources()}, nil
}

// joined is a traces.Joined on the engine's view.
type joined struct {
	store     *Store
	tenant    string
	view      *columnar.GroupView
	parts     []columnar.GroupPart
	resources *resources

	mu  sync.Mutex
	mem *traceTable // of the memtables
}

// Close implements traces.Joined.
func (j *joined) Close() { j.view.Close() }

// Parts implements traces.Joined.
func (j *joined) Parts() []traces.JoinedPart {
	out := make([]traces.JoinedPart, len(j.parts))
	for i, p := range j.parts {
		out[i] = traces.JoinedPart{Index: i, Min: p.Min, Max: p.Max, Traces: p.Groups}
	}
	return out
}

// Whole implements traces.Joined.
func (j *joined) Whole(ctx context.Context, p traces.JoinedPart, q traces.SpanQuery, newVisitor func() traces.ColumnVisitor) (traces.Stats, error) {
	var table *traceTable
	if filterOfTrace(q.Filter) || fieldsOfTrace(q.Fields) {
		var err error
		if table, err = j.table(ctx, p); err != nil {
			return traces.Stats{}, err
		}
	}
	query := engineQueryOf(j.tenant, q, &compiler{joined: true, table: table})
	query.Limits = j.store.limits(q.Limits)
	stats, err := j.view.Whole(ctx, j.parts[p.Index], query, j.workers(q, newVisitor, func() *traceTable { return table }))
	return statsOf(stats), err
}

func (j *joined) workers(q traces.SpanQuery, newVisitor func() traces.ColumnVisitor, table func() *traceTable) func() columnar.Worker {
	return func() columnar.Worker {
		return &columnWorker{columns: columns{resources: j.resources, table: table}, visit: newVisitor(), q: q}
	}
}

// Pick implements traces.Joined.
func (j *joined) Pick(ctx context.Context, places []traces.Place, fields []traces.Field, newVisitor func() traces.ColumnVisitor) (traces.Stats, error) {
	refs := make([]columnar.RowPlace, len(places))
	parts := map[int32]*traceTable{}
	for i, p := range places {
		refs[i] = columnar.RowPlace(p)
		parts[p.Part] = nil
	}
	if fieldsOfTrace(fields) {
		for i := range j.parts {
			at := j.parts[i].Index()
			if _, wanted := parts[at]; !wanted {
				continue
			}
			table, err := j.table(ctx, traces.JoinedPart{Index: i})
			if err != nil {
				return traces.Stats{}, err
			}
			parts[at] = table
		}
	}
	stats, err := j.view.Pick(ctx, refs, func() columnar.Worker {
		w := &columnWorker{columns: columns{resources: j.resources}, visit: newVisitor(), q: traces.SpanQuery{ByStart: true}}
		w.columns.table = func() *traceTable { return parts[w.columns.block.Place(0).Part] }
		return w
	})
	return statsOf(stats), err
}

// Apart implements traces.Joined.
func (j *joined) Apart(ctx context.Context, q traces.SpanQuery, newVisitor func() traces.Visitor) (traces.Stats, error) {
	query := engineQuery(j.tenant, q)
	query.Limits = j.store.limits(q.Limits)
	wanted := wantedOf(q.Fields)
	stats, err := j.view.Apart(ctx, query, func() columnar.Worker {
		return &visitor{reader{wanted: wanted, resources: j.resources}, newVisitor(), q.From, q.To, !q.ByStart}
	})
	return statsOf(stats), err
}

func fieldsOfTrace(fields []traces.Field) bool {
	for _, f := range fields {
		if f.OfTrace() {
			return true
		}
	}
	return false
}

// filterOfTrace reports whether a filter names a field of the trace.
func filterOfTrace(f traces.Filter) bool {
	switch f := f.(type) {
	case traces.And:
		if slices.ContainsFunc(f, filterOfTrace) {
			return true
		}
	case traces.Or:
		if slices.ContainsFunc(f, filterOfTrace) {
			return true
		}
	case traces.Compare:
		return f.Field.OfTrace()
	case traces.Regexp:
		return f.Field.OfTrace()
	case traces.Exists:
		return f.Field.OfTrace()
	}
	return false
}
