package store

import (
	"container/list"
	"context"
	"math"
	"sync"

	"belfry/internal/columnar"
	"belfry/traces"
)

// tableBytes bounds the tables that a store keeps: those of some 20 million spans.
const tableBytes = 32 << 20

// tables keeps what is known of the traces of files, which do not change: the
// tables used last, as far as the bound allows.
type tables struct {
	mu    sync.Mutex
	bytes int64
	order *list.List // of *keptTable, the one used last in front
	byID  map[uint64]*list.Element
}

type keptTable struct {
	id    uint64
	table *traceTable
	bytes int64
}

func newTables() *tables { return &tables{order: list.New(), byID: map[uint64]*list.Element{}} }

func (t *tables) get(id uint64) *traceTable {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.byID[id]
	if e == nil {
		return nil
	}
	t.order.MoveToFront(e)
	return e.Value.(*keptTable).table
}

func (t *tables) put(id uint64, table *traceTable) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byID[id] != nil {
		return
	}
	size := table.size()
	t.byID[id] = t.order.PushFront(&keptTable{id, table, size})
	for t.bytes += size; t.bytes > tableBytes; {
		last := t.order.Remove(t.order.Back()).(*keptTable)
		delete(t.byID, last.id)
		t.bytes -= last.bytes
	}
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

// size returns about how many bytes the table takes.
func (t *traceTable) size() int64 {
	return int64(8*len(t.durations)) + t.names.size() + t.services.size()
}

func (t *traceTexts) size() int64 {
	size := int64(4 * len(t.ids))
	for i := range t.dict {
		size += int64(64 + 2*len(t.dict[i].Str()))
	}
	return size
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

// table returns what is known of a part's traces: those of files are kept by the store.
func (j *joined) table(ctx context.Context, p traces.JoinedPart) (*traceTable, error) {
	part := j.parts[p.Index]
	if part.ID == 0 {
		j.mu.Lock()
		defer j.mu.Unlock()
		if j.mem != nil {
			return j.mem, nil
		}
		var err error
		j.mem, err = j.readTable(ctx, part)
		return j.mem, err
	}
	if t := j.store.tables.get(part.ID); t != nil {
		return t, nil
	}
	t, err := j.readTable(ctx, part)
	if err == nil {
		t.names.known, t.services.known = nil, nil
		j.store.tables.put(part.ID, t)
	}
	return t, err
}

// readTable reads the heads of a part's traces.
func (j *joined) readTable(ctx context.Context, part columnar.GroupPart) (*traceTable, error) {
	t := &traceTable{durations: make([]int64, part.Groups), names: newTraceTexts(part.Groups), services: newTraceTexts(part.Groups)}
	var mu sync.Mutex
	heads := columnar.Query{
		Tenant: j.tenant, From: math.MinInt64, To: math.MaxInt64,
		Filter: columnar.Exists{Ref: columnar.Ref{Name: nameTraceDuration, Kind: columnar.KindInt}},
	}
	_, err := j.view.Every(ctx, part, heads, func() columnar.Worker {
		return columnar.WorkerFunc(func(b *columnar.Block) error {
			mu.Lock()
			defer mu.Unlock()
			return t.add(b)
		})
	})
	return t, err
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
