package columnar

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strings"

	"belfry/internal/columnar/column"
	"belfry/internal/fault"
)

// Streams returns the streams with rows in parts and memtables that touch [from,
// to), themselves within it, and whose fields meet the filter, ordered by ID.
// Only stream conditions may occur in the filter (fault.Invalid otherwise).
func (db *DB) Streams(ctx context.Context, tenant string, from, to int64, filter Filter) ([]StreamInfo, error) {
	root, err := compile(filter)
	if err != nil {
		return nil, err
	}
	if !root.onlyStreams() {
		return nil, fault.Invalidf("filter of streams with a condition on rows")
	}
	if err := db.enter(); err != nil {
		return nil, err
	}
	defer db.leave()
	found := map[StreamID]*StreamInfo{}
	add := func(d *streamDef, first, last, rows int64) {
		if last < from || first >= to || rows == 0 {
			return
		}
		if s := found[d.ID]; s != nil {
			s.FirstTime, s.LastTime = min(s.FirstTime, first), max(s.LastTime, last)
			s.Rows += rows
			return
		}
		found[d.ID] = &StreamInfo{Stream: &d.Stream, FirstTime: first, LastTime: last, Rows: rows}
	}
	held, mems, hide := db.snapshot(tenant, from, to, nil)
	defer releaseSnapshot(held, mems)
	for j, h := range held {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		streamAt := func(i int) *streamDef { return h.streams[i] }
		facts := factsOf(root, len(h.streams), streamAt)
		gone := hide[j].streamsHidden(h.min, h.max, len(h.streams), streamAt)
		for i, s := range h.r.Streams {
			if (gone == nil || !gone[i]) && (facts.allowed == nil || facts.allowed[i]) {
				add(h.streams[i], s.Min, s.Max, int64(s.Rows))
			}
		}
	}
	for j, m := range mems {
		streamAt := func(i int) *streamDef { return m.streams[i].def }
		facts := factsOf(root, len(m.streams), streamAt)
		first, last := m.bounds()
		gone := hide[len(held)+j].streamsHidden(first, last, len(m.streams), streamAt)
		db.mu.RLock()
		for i, s := range m.streams {
			if (gone == nil || !gone[i]) && (facts.allowed == nil || facts.allowed[i]) {
				add(s.def, s.min, s.max, s.rows)
			}
		}
		db.mu.RUnlock()
	}
	out := make([]StreamInfo, 0, len(found))
	for _, s := range found {
		out = append(out, *s)
	}
	slices.SortFunc(out, func(a, b StreamInfo) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return out, nil
}

func (n *node) onlyStreams() bool {
	if n.op == opRow || n.op == opTime {
		return false
	}
	for _, c := range n.of {
		if !c.onlyStreams() {
			return false
		}
	}
	return true
}

// Columns returns the columns of the rows in blocks that touch [from, to),
// ordered by name, then kind. Of columns that overflowed only those of memtables and parts
// where they have a place of their own are told.
func (db *DB) Columns(ctx context.Context, tenant string, from, to int64) ([]ColumnInfo, error) {
	if err := db.enter(); err != nil {
		return nil, err
	}
	defer db.leave()
	counts := map[ColumnKey]int64{}
	held, mems, _ := db.snapshot(tenant, from, to, nil)
	defer releaseSnapshot(held, mems)
	for _, h := range held {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		for i := range h.r.Blocks {
			b := &h.r.Blocks[i]
			if b.MaxTime < from || b.MinTime >= to {
				continue
			}
			for _, c := range b.Columns {
				def := &h.r.Columns[c.Column]
				counts[ColumnKey{def.Name, def.Kind}] += int64(c.Count)
			}
		}
	}
	for _, m := range mems {
		for _, b := range m.blocks {
			if b.max < from || b.min >= to {
				continue
			}
			for i, c := range b.cols {
				if c != nil && c.Count() > 0 {
					counts[m.columns[i]] += int64(c.Count())
				}
			}
		}
	}
	delete(counts, overflowKey)
	out := make([]ColumnInfo, 0, len(counts))
	for k, n := range counts {
		out = append(out, ColumnInfo{k, n})
	}
	slices.SortFunc(out, func(a, b ColumnInfo) int { return compareKeys(a.ColumnKey, b.ColumnKey) })
	return out, nil
}

// maxDistinct bounds the distinct values that one goroutine of Values counts.
const maxDistinct = 1 << 17

// Values returns distinct values of a column (or, with ref.Stream, of a stream
// field) in q's rows, the most frequent first, ties by value; at most limit. If
// there are too many to count, the rest is left out and Stats.Cut is CutRows.
func (db *DB) Values(ctx context.Context, q Query, ref Ref, limit int) ([]ValueCount, Stats, error) {
	if limit <= 0 || ref.Every {
		return nil, Stats{}, fault.Invalidf("values without a limit or of every column")
	}
	var workers []*valueCounter
	stats, err := db.Scan(ctx, q, func() Worker {
		w := &valueCounter{ref: ref, counts: map[Value]int64{}}
		workers = append(workers, w)
		return w
	})
	if err != nil {
		return nil, stats, err
	}
	total := map[Value]int64{}
	for _, w := range workers {
		for v, n := range w.counts {
			total[v] += n
		}
		if w.full && stats.Cut == CutNone {
			stats.Cut = CutRows
		}
	}
	out := make([]ValueCount, 0, len(total))
	for v, n := range total {
		out = append(out, ValueCount{v, n})
	}
	slices.SortFunc(out, func(a, b ValueCount) int {
		return cmp.Or(cmp.Compare(b.Rows, a.Rows), cmp.Compare(a.Value.Kind(), b.Value.Kind()), strings.Compare(a.Value.Text(), b.Value.Text()))
	})
	if len(out) > limit {
		out = out[:limit:limit]
	}
	return out, stats, nil
}

type valueCounter struct {
	ref    Ref
	counts map[Value]int64
	byID   []int64
	full   bool
}

func (w *valueCounter) add(v Value, n int64) {
	if _, ok := w.counts[v]; !ok && len(w.counts) >= maxDistinct {
		w.full = true
		return
	}
	w.counts[v] += n
}

// Block counts the values of a block.
func (w *valueCounter) Block(b *Block) error {
	if w.ref.Stream {
		for s, r := range b.StreamRuns() {
			for _, f := range s.Fields {
				if f.Name == w.ref.Name && (w.ref.Kind == KindAny || w.ref.Kind == f.Value.Kind()) {
					w.add(f.Value, int64(r[1]-r[0]))
				}
			}
		}
		return nil
	}
	for k := column.String; k <= column.JSON; k++ {
		if w.ref.Kind != KindAny && w.ref.Kind != k {
			continue
		}
		v, err := b.Column(ColumnKey{w.ref.Name, k})
		if err != nil {
			return err
		}
		if v != nil {
			w.count(v)
		}
	}
	return nil
}

func (w *valueCounter) count(v *Vector) {
	n := v.DictLen()
	if n == 0 {
		for i := range v.Len() {
			if v.Has(i) {
				w.add(v.Value(i), 1)
			}
		}
		return
	}
	if cap(w.byID) < n {
		w.byID = make([]int64, n)
	}
	w.byID = w.byID[:n]
	clear(w.byID)
	for i := range v.Len() {
		if v.Has(i) {
			w.byID[v.DictID(i)]++
		}
	}
	for id, rows := range w.byID {
		if rows > 0 {
			w.add(column.VarValue(v.Kind(), string(v.DictBytes(id))), rows)
		}
	}
}
