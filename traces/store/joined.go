package store

import (
	"context"
	"math"
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
	return &joined{store: s, tenant: tenant, view: view, parts: view.Parts(), resources: newResources(), tables: map[int]*traceTable{}}, nil
}

// joined is a traces.Joined on the engine's view.
type joined struct {
	store     *Store
	tenant    string
	view      *columnar.GroupView
	parts     []columnar.GroupPart
	resources *resources

	mu     sync.Mutex
	tables map[int]*traceTable
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

// traceTable is what is one for all spans of a trace, by its number in a part.
type traceTable struct {
	durations []int64
	names     traceTexts
	services  traceTexts
}

// traceTexts are texts by trace.
type traceTexts struct {
	dict  []traces.Value // 0 is nil
	ids   []uint32       // by trace
	known map[string]uint32
}

func newTraceTexts(n int) traceTexts {
	return traceTexts{dict: make([]traces.Value, 1), ids: make([]uint32, n), known: map[string]uint32{}}
}

func (t *traceTexts) set(trace int64, text []byte) {
	id := t.known[string(text)]
	if id == 0 {
		id = uint32(len(t.dict))
		t.known[string(text)] = id
		t.dict = append(t.dict, traces.String(string(text)))
	}
	t.ids[trace] = id
}

func (t *traceTexts) at(trace int64) uint32 {
	if uint64(trace) >= uint64(len(t.ids)) {
		return 0
	}
	return t.ids[trace]
}

func (t *traceTable) duration(trace int64) int64 {
	if uint64(trace) >= uint64(len(t.durations)) {
		return 0
	}
	return t.durations[trace]
}

// table reads the heads of a part's traces, once for each view.
func (j *joined) table(ctx context.Context, p traces.JoinedPart) (*traceTable, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if t := j.tables[p.Index]; t != nil {
		return t, nil
	}
	part := j.parts[p.Index]
	t := &traceTable{durations: make([]int64, part.Groups), names: newTraceTexts(part.Groups), services: newTraceTexts(part.Groups)}
	var mu sync.Mutex
	heads := columnar.Query{
		Tenant: j.tenant, From: math.MinInt64, To: math.MaxInt64,
		Filter: columnar.Exists{Ref: columnar.Ref{Name: nameTraceDuration, Kind: columnar.KindInt}},
	}
	_, err := j.view.Whole(ctx, part, heads, func() columnar.Worker {
		return columnar.WorkerFunc(func(b *columnar.Block) error {
			mu.Lock()
			defer mu.Unlock()
			return t.add(b)
		})
	})
	if err != nil {
		return nil, err
	}
	j.tables[p.Index] = t
	return t, nil
}

// add notes the heads of traces in a block.
func (t *traceTable) add(b *columnar.Block) error {
	ordinals, err := b.Column(columnar.ColumnKey{Name: nameOrdinal, Kind: columnar.KindInt})
	if err != nil || ordinals == nil {
		return err
	}
	durations, err := b.Column(columnar.ColumnKey{Name: nameTraceDuration, Kind: columnar.KindInt})
	if err != nil {
		return err
	}
	for i := range b.Len() {
		if n := ordinals.Int(i); uint64(n) < uint64(len(t.durations)) && durations.Has(i) {
			t.durations[n] = durations.Int(i)
		}
	}
	for _, c := range []struct {
		name  string
		texts *traceTexts
	}{{nameRootName, &t.names}, {nameRootService, &t.services}} {
		v, err := b.Column(columnar.ColumnKey{Name: c.name, Kind: columnar.KindString})
		if err != nil {
			return err
		}
		if v == nil {
			continue
		}
		for i := range b.Len() {
			if n := ordinals.Int(i); v.Has(i) && uint64(n) < uint64(len(c.texts.ids)) {
				c.texts.set(n, v.Bytes(i))
			}
		}
	}
	return nil
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

// traceFilter decides a condition on a field of the trace for every trace at once.
func (t *traceTable) filter(f traces.Filter, field traces.Field) columnar.Filter {
	holds := make([]bool, len(t.durations))
	if field.Name == traces.TraceDuration {
		for i, d := range t.durations {
			holds[i] = traces.MatchValue(f, traces.Int(d))
		}
	} else {
		of := &t.names
		if field.Name == traces.RootServiceName {
			of = &t.services
		}
		verdicts := make([]bool, len(of.dict))
		for i, v := range of.dict {
			verdicts[i] = traces.MatchValue(f, v)
		}
		for i, id := range of.ids {
			holds[i] = verdicts[id]
		}
	}
	return columnar.Func{
		Ref:   columnar.Ref{Name: nameOrdinal, Kind: columnar.KindInt},
		Match: func(v columnar.Value) bool { n := uint64(v.Int()); return n < uint64(len(holds)) && holds[n] },
	}
}
