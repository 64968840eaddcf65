package columnar

import (
	"bytes"
	"cmp"
	"container/heap"
	"context"
	"slices"
	"sync"

	"belfry/internal/columnar/column"
	"belfry/internal/fault"
)

// maxNth bounds how many equal rows a cursor may skip.
const maxNth = 1 << 20

// candidate is a row that may be among the first.
type candidate struct {
	time int64
	id   StreamID
	age  int // of its block
	row  uint32
	item *item
}

// topRows keeps the first k candidates of an order.
type topRows struct {
	order Order
	k     int

	mu   sync.Mutex
	heap []candidate // the last of the order on top
}

func (t *topRows) compare(a, b *candidate) int {
	byTime := cmp.Compare(a.time, b.time)
	if t.order == NewestFirst {
		byTime = -byTime
	}
	return cmp.Or(byTime, bytes.Compare(a.id[:], b.id[:]), cmp.Compare(a.age, b.age), cmp.Compare(a.row, b.row))
}

func (t *topRows) Len() int           { return len(t.heap) }
func (t *topRows) Less(i, j int) bool { return t.compare(&t.heap[i], &t.heap[j]) > 0 }
func (t *topRows) Swap(i, j int)      { t.heap[i], t.heap[j] = t.heap[j], t.heap[i] }
func (t *topRows) Push(x any)         { t.heap = append(t.heap, x.(candidate)) }
func (t *topRows) Pop() any {
	c := t.heap[len(t.heap)-1]
	t.heap = t.heap[:len(t.heap)-1]
	return c
}

// bound returns the time that a row must not be behind, if there is one yet.
func (t *topRows) bound() (int64, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.heap) < t.k {
		return 0, false
	}
	return t.heap[0].time, true
}

// behind reports whether time a is behind time b in the order.
func (t *topRows) behind(a, b int64) bool {
	if t.order == NewestFirst {
		return a < b
	}
	return a > b
}

func (t *topRows) add(cs []candidate) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range cs {
		if len(t.heap) < t.k {
			heap.Push(t, cs[i])
			continue
		}
		if t.compare(&cs[i], &t.heap[0]) < 0 {
			t.heap[0] = cs[i]
			heap.Fix(t, 0)
		}
	}
}

// Select returns the first rows of q in an order.
func (db *DB) Select(ctx context.Context, q SelectQuery) ([]Row, Stats, error) {
	if q.Limit <= 0 {
		return nil, Stats{}, fault.Invalidf("select without a limit")
	}
	t := &topRows{order: q.Order, k: q.Limit}
	if q.After != nil {
		if q.After.Nth < 0 || q.After.Nth > maxNth {
			return nil, Stats{}, fault.Invalidf("invalid cursor")
		}
		t.k += q.After.Nth
		if q.Order == NewestFirst {
			if q.After.Time < 1<<63-1 {
				q.To = min(q.To, q.After.Time+1)
			}
		} else {
			q.From = max(q.From, q.After.Time)
		}
	}
	var rows []Row
	limits := q.Limits
	q.Limits.Rows = 0 // counts the rows held, not those seen
	stats, err := db.query(ctx, "select", q.Query, func(p *plan, b *budget) error {
		slices.SortStableFunc(p.items, func(x, y *item) int {
			if q.Order == NewestFirst {
				return cmp.Compare(y.max, x.max)
			}
			return cmp.Compare(x.min, y.min)
		})
		if err := db.collect(ctx, p, b, t, q.After); err != nil {
			return err
		}
		first := t.heap
		slices.SortFunc(first, func(x, y candidate) int { return t.compare(&x, &y) })
		skipped := 0
		if q.After != nil {
			for skipped < len(first) && skipped < q.After.Nth && first[skipped].time == q.After.Time && first[skipped].id == q.After.Stream {
				skipped++
			}
		}
		first = first[skipped:]
		if len(first) > q.Limit {
			first = first[:q.Limit]
		}
		if limits.Rows > 0 && int64(len(first)) > limits.Rows {
			first = first[:limits.Rows]
			b.end(CutRows)
			p.stats.Cut = CutRows
		}
		var err error
		if rows, err = db.materialize(ctx, p, first, q.Columns); err != nil {
			return err
		}
		number(rows, q.After)
		return nil
	})
	return rows, stats, err
}

// number sets the cursors' Nth.
func number(rows []Row, after *Cursor) {
	prev := Cursor{}
	if after != nil {
		prev = *after
	}
	for i := range rows {
		c := &rows[i].Cursor
		c.Nth = 1
		if (i > 0 || after != nil) && prev.Time == c.Time && prev.Stream == c.Stream {
			c.Nth = prev.Nth + 1
		}
		prev = *c
	}
}

// collect fills t with the first rows of the plan.
func (db *DB) collect(ctx context.Context, p *plan, b *budget, t *topRows, after *Cursor) error {
	return db.each(ctx, p, b, func() func(*blockView, *item) error {
		var cs []candidate
		return func(v *blockView, it *item) error {
			bound, bounded := t.bound()
			best := it.max
			if t.order == OldestFirst {
				best = it.min
			}
			if bounded && t.behind(best, bound) {
				// So are all the items that follow, but another goroutine may still
				// hold one from before: skip, do not stop.
				return nil
			}
			sel, n, err := p.selectRows(v, it)
			if err != nil || n == 0 {
				return err
			}
			v.stats.RowsMatched += int64(n)
			cs = cs[:0]
			run := 0
			for i := range n {
				row := i
				if sel != nil {
					row = int(sel[i])
				}
				ts := int64(v.times[row])
				if bounded && t.behind(ts, bound) {
					continue
				}
				for row >= v.runs[run].end {
					run++
				}
				id := v.stream(v.runs[run].stream).ID
				if after != nil && ts == after.Time && bytes.Compare(id[:], after.Stream[:]) < 0 {
					continue
				}
				cs = append(cs, candidate{ts, id, it.age, uint32(row), it})
				if len(cs) >= 4096 {
					t.add(cs)
					cs = cs[:0]
					bound, bounded = t.bound()
				}
			}
			t.add(cs)
			return nil
		}
	})
}

// materialize reads the rows of candidates.
func (db *DB) materialize(ctx context.Context, p *plan, cs []candidate, columns []Ref) ([]Row, error) {
	rows := make([]Row, len(cs))
	order := make([]int, len(cs))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(x, y int) int {
		return cmp.Or(cmp.Compare(cs[x].age, cs[y].age), cmp.Compare(cs[x].row, cs[y].row))
	})
	var stats Stats
	v := db.view(&stats)
	defer db.putView(v)
	lost := map[int]bool{}
	for i := 0; i < len(order); {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		it := cs[order[i]].item
		j := i
		var sel []uint32
		for j < len(order) && cs[order[j]].item == it {
			sel = append(sel, cs[order[j]].row)
			j++
		}
		err := v.materialize(it, sel, columns, func(k int) *Row { return &rows[order[i+k]] })
		if err != nil {
			if !isCorrupt(err) || it.part == nil {
				return nil, err
			}
			stats.Damaged++
			db.quarantine(it.part, err)
			for _, o := range order[i:j] {
				lost[o] = true
			}
		}
		i = j
	}
	p.stats.add(&stats)
	if len(lost) > 0 {
		kept := rows[:0]
		for i := range rows {
			if !lost[i] {
				kept = append(kept, rows[i])
			}
		}
		rows = kept
	}
	return rows, nil
}

// materialize reads rows sel of one block into what row returns for each.
func (v *blockView) materialize(it *item, sel []uint32, columns []Ref, row func(i int) *Row) error {
	if it.part != nil {
		v.openPart(it.part, it.blk)
	} else {
		v.openMem(it.mem, it.block, it.derived)
	}
	if err := v.headOf(sel); err != nil {
		return err
	}
	var b Block
	b.fill(v, sel)
	for i := range sel {
		r := row(i)
		r.Time = b.times[i]
		r.Stream = b.Stream(i)
		r.Cursor = Cursor{Time: r.Time, Stream: r.Stream.ID}
	}
	keys, err := b.Columns()
	if err != nil {
		return err
	}
	for _, key := range keys {
		if !wanted(columns, key) {
			continue
		}
		vec, err := b.Column(key)
		if err != nil {
			return err
		}
		if vec == nil {
			continue
		}
		for i := range sel {
			if vec.Has(i) {
				r := row(i)
				r.Fields = append(r.Fields, Field{key.Name, vec.Value(i)})
			}
		}
	}
	return nil
}

func wanted(columns []Ref, key ColumnKey) bool {
	if columns == nil {
		return true
	}
	for _, c := range columns {
		if !c.Stream && (c.Every || c.Name == key.Name) && (c.Kind == KindAny || c.Kind == key.Kind) {
			return true
		}
	}
	return false
}

// Lookup returns the rows with an ID, ordered by time.
func (db *DB) Lookup(ctx context.Context, q LookupQuery) ([]Row, Stats, error) {
	var rows []Row
	scan := Query{
		Tenant: q.Tenant, From: q.From, To: q.To, Limits: q.Limits,
		Filter: Equal{Ref: Ref{Name: q.Column, Kind: column.ID}, Value: ID(q.ID)},
	}
	var cs []candidate
	stats, err := db.query(ctx, "lookup", scan, func(p *plan, b *budget) error {
		var mu sync.Mutex
		err := db.each(ctx, p, b, func() func(*blockView, *item) error {
			return func(v *blockView, it *item) error {
				sel, n, err := p.selectRows(v, it)
				if err != nil || n == 0 {
					return err
				}
				if sel == nil {
					sel = allRows(n)
				}
				sel = sel[:b.take(n)]
				v.stats.RowsMatched += int64(len(sel))
				mu.Lock()
				defer mu.Unlock()
				run := 0
				for _, row := range sel {
					for int(row) >= v.runs[run].end {
						run++
					}
					cs = append(cs, candidate{int64(v.times[row]), v.stream(v.runs[run].stream).ID, it.age, row, it})
				}
				return nil
			}
		})
		if err != nil {
			return err
		}
		t := topRows{order: OldestFirst}
		slices.SortFunc(cs, func(x, y candidate) int { return t.compare(&x, &y) })
		if rows, err = db.materialize(ctx, p, cs, q.Columns); err != nil {
			return err
		}
		number(rows, nil)
		return nil
	})
	return rows, stats, err
}
