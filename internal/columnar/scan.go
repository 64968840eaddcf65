package columnar

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"belfry/internal/columnar/column"
	"belfry/internal/columnar/part"
	"belfry/internal/fault"
)

// item is one block that a query may have to look at.
type item struct {
	part    *partHandle
	blk     *part.Block
	mem     *memView
	block   *memBlock
	facts   *streamFacts
	hide    *hidden // nil: nothing
	min     int64
	max     int64
	age     int             // order of arrival
	rows    []uint32        // the only rows that may match, if an ID index told; nil: all
	without []uint32        // rows that are left out
	derived []derivedColumn // of a block in memory
}

// plan is what a query has to look at, with the references it holds.
type plan struct {
	root  *node
	q     Query
	items []*item
	hide  *hidden // of the part or memtable that is being added
	held  []*partHandle
	mems  []*memView
	stats Stats
}

func (p *plan) release() {
	releaseSnapshot(p.held, p.mems)
}

// snapshot returns a tenant's parts and memtables, referenced until releaseSnapshot, in the order of arrival.
// What is to be hidden of each comes with it: of the parts, then of the memtables.
func (db *DB) snapshot(tenantID string, from, to int64, x *expiry) (held []*partHandle, mems []*memView, hide []reasons) {
	db.mu.RLock()
	defer db.mu.RUnlock()
	for _, h := range db.parts[tenantID] {
		if h.max >= from && h.min < to {
			h.acquire()
			held, hide = append(held, h), append(hide, db.reasonsOf(h, x))
		}
	}
	for _, m := range db.frozen {
		if t := m.tenants[tenantID]; t != nil {
			mems, hide = append(mems, m.view(t, false)), append(hide, db.reasonsOfMem(m, tenantID, x))
		}
	}
	if t := db.active.tenants[tenantID]; t != nil {
		mems, hide = append(mems, db.active.view(t, true)), append(hide, db.reasonsOfMem(db.active, tenantID, x))
	}
	return held, mems, hide
}

// releaseSnapshot gives back what snapshot returned.
func releaseSnapshot(held []*partHandle, mems []*memView) {
	for _, h := range held {
		h.release()
	}
	for _, m := range mems {
		m.table.release()
	}
}

// plan finds the blocks that q may touch.
func (db *DB) plan(ctx context.Context, q Query) (*plan, error) {
	root, err := compile(q.Filter)
	if err != nil {
		return nil, err
	}
	if age := db.o.Retention.longest(); age > 0 {
		q.From = max(q.From, db.now().Add(-age).UnixNano())
	}
	p := &plan{root: root, q: q}
	x := db.expiryNow()
	held, mems, reasons := db.snapshot(q.Tenant, q.From, q.To, x)
	p.held, p.mems = held, mems
	c := concealer{expiry: x}
	for i, h := range held {
		if err := ctx.Err(); err != nil {
			p.release()
			return nil, err
		}
		if p.hide, err = c.hide(reasons[i], len(h.streams), func(i int) *streamDef { return h.streams[i] }); err != nil {
			p.release()
			return nil, err
		}
		p.stats.Parts++
		if err := p.addPart(h, i<<20); err != nil {
			if !isCorrupt(err) {
				p.release()
				return nil, err
			}
			p.stats.Damaged++
			db.quarantine(h, err)
		}
	}
	for i, m := range mems {
		streamAt := func(i int) *streamDef { return m.streams[i].def }
		if p.hide, err = c.hide(reasons[len(held)+i], len(m.streams), streamAt); err != nil {
			p.release()
			return nil, err
		}
		p.addMem(m, (len(held)+i)<<20)
	}
	return p, nil
}

// addMem adds the blocks of a memtable.
func (p *plan) addMem(m *memView, age int) {
	p.stats.Parts++
	facts := factsOf(p.root, len(m.streams), func(i int) *streamDef { return m.streams[i].def })
	for j, b := range m.blocks {
		if b.max < p.q.From || b.min >= p.q.To || len(b.times) == 0 {
			continue
		}
		p.stats.Blocks++
		if facts.none {
			p.stats.BlocksPruned++
			continue
		}
		p.items = append(p.items, &item{mem: m, block: b, facts: facts, hide: p.hide, min: b.min, max: b.max, age: age + j})
	}
}

// addPart adds the blocks of a part.
func (p *plan) addPart(h *partHandle, age int) error {
	rows, indexed, err := p.fromIndex(h)
	if err != nil {
		return err
	}
	if indexed && len(rows) == 0 && h.r.Meta.MinTime >= p.q.From && h.r.Meta.MaxTime < p.q.To {
		p.stats.Blocks += len(h.r.Blocks)
		p.stats.BlocksPruned += len(h.r.Blocks)
		return nil
	}
	facts := factsOf(p.root, len(h.streams), func(i int) *streamDef { return h.streams[i] })
	some := itemRoom
	if indexed {
		some = min(len(rows), itemRoom)
	}
	room := make([]item, 0, some)
	for i := range h.r.Blocks {
		b := &h.r.Blocks[i]
		if b.MaxTime < p.q.From || b.MinTime >= p.q.To {
			continue
		}
		p.stats.Blocks++
		if facts.none || facts.allowed != nil && !slices.Contains(facts.allowed[b.FirstStream:b.LastStream+1], true) || indexed && rows[i] == nil {
			p.stats.BlocksPruned++
			continue
		}
		if len(room) == cap(room) {
			room = make([]item, 0, itemRoom)
		}
		room = append(room, item{part: h, blk: b, facts: facts, hide: p.hide, min: b.MinTime, max: b.MaxTime, age: age + i, rows: rows[i]})
		p.items = append(p.items, &room[len(room)-1])
	}
	return nil
}

// itemRoom is for how many items memory is taken at once.
const itemRoom = 32

// fromIndex asks the part's ID index, if the filter's outermost And has an Equal
// or In on an indexed column.
func (p *plan) fromIndex(h *partHandle) (map[int][]uint32, bool, error) {
	conds := []*node{p.root}
	if p.root.op == opAnd {
		conds = p.root.of
	}
	for _, n := range conds {
		if n.op != opRow || len(n.leaf.ids) == 0 {
			continue
		}
		col := h.r.FindColumn(n.leaf.ref.Name, column.ID)
		if col < 0 || !h.r.HasIDs(col) || n.leaf.ref.Every || h.r.FindColumn(overflowKey.Name, overflowKey.Kind) >= 0 {
			continue
		}
		alone := true
		for k := column.String; k <= column.JSON; k++ {
			if k != column.ID && n.leaf.takes[k] && h.r.FindColumn(n.leaf.ref.Name, k) >= 0 {
				alone = false
			}
		}
		if !alone {
			continue
		}
		v := h.db.view(&p.stats)
		defer h.db.putView(v)
		io, before := &v.io, v.io.BytesRead
		var places []part.Place
		for _, id := range n.leaf.ids {
			may, err := h.r.MayHaveID(io, col, id)
			if err != nil {
				return nil, false, err
			}
			if !may {
				continue
			}
			if places, err = h.r.FindID(io, col, id, places); err != nil {
				return nil, false, err
			}
		}
		p.stats.BytesRead += io.BytesRead - before
		slices.SortFunc(places, func(a, b part.Place) int {
			return cmp.Or(cmp.Compare(a.Block, b.Block), cmp.Compare(a.Row, b.Row))
		})
		rows := map[int][]uint32{}
		for _, pl := range slices.Compact(places) {
			rows[pl.Block] = append(rows[pl.Block], uint32(pl.Row))
		}
		return rows, true, nil
	}
	return nil, false, nil
}

// selectRows points the view at an item and returns the rows that match: n of
// them, sel, which is nil if all rows of the block do. Of these the head is read.
func (p *plan) selectRows(v *blockView, it *item) (sel []uint32, n int, err error) {
	if it.part != nil {
		v.openPart(it.part, it.blk)
	} else {
		v.openMem(it.mem, it.block, it.derived)
	}
	e := evaluator{view: v, facts: it.facts}
	verdict := maybe
	if it.rows == nil {
		if verdict = e.prune(p.root, false); verdict == maybe && (it.part != nil || v.settled()) {
			verdict = e.prune(p.root, true)
		}
		if e.err != nil {
			return nil, 0, e.err
		}
		if verdict == never {
			v.stats.BlocksPruned++
			return nil, 0, nil
		}
	}
	v.stats.BlocksRead++
	v.stats.RowsScanned += int64(v.rows)
	mask := bitmap(v.io.Arena.ZeroWords((v.rows + 63) / 64))
	if it.rows == nil {
		mask.setRange(0, v.rows)
	} else {
		for _, r := range it.rows {
			mask.set(int(r))
		}
	}
	for _, r := range it.without {
		mask[r>>6] &^= 1 << (r & 63)
	}
	if it.min < p.q.From || it.max >= p.q.To {
		if mask, err = e.between(p.q.From, p.q.To, mask); err != nil {
			return nil, 0, err
		}
	}
	if it.facts.allowed != nil {
		if mask, err = e.ofStreams(it.facts.allowed, mask); err != nil {
			return nil, 0, err
		}
	}
	if verdict != always && !mask.empty() {
		if mask, err = e.eval(p.root, mask); err != nil {
			return nil, 0, err
		}
	}
	if it.hide != nil && !mask.empty() {
		if err := it.hide.conceal(v, mask); err != nil {
			return nil, 0, err
		}
	}
	if n = mask.count(); n < v.rows {
		sel = mask.rows(v.io.Arena.Uint32s(n)[:0])
	}
	if n > 0 {
		err = v.headOf(sel)
	}
	return sel, n, err
}

// budget counts what a query has used, over all its goroutines.
type budget struct {
	limits Limits
	bytes  atomic.Int64
	rows   atomic.Int64
	cut    atomic.Uint32
	stop   atomic.Bool
}

func (b *budget) end(c Cut) {
	b.cut.CompareAndSwap(uint32(CutNone), uint32(c))
	b.stop.Store(true)
}

// spend counts decoded bytes.
func (b *budget) spend(n int64) {
	if total := b.bytes.Add(n); b.limits.BytesScanned > 0 && total >= b.limits.BytesScanned {
		b.end(CutBytes)
	}
}

// take asks for n rows and returns how many are granted.
func (b *budget) take(n int) int {
	total := b.rows.Add(int64(n))
	if b.limits.Rows <= 0 || total <= b.limits.Rows {
		return n
	}
	b.end(CutRows)
	return max(0, n-int(total-b.limits.Rows))
}

// smallWork is the time in which one goroutine is done alone with what is not worth to wake others for.
const smallWork = 50 * time.Microsecond

// isNarrow reports whether there may be next to nothing to do: an index tells the rows of very few blocks, or
// filters of values exclude most.
func (p *plan) isNarrow() bool {
	for _, it := range p.items {
		if it.rows == nil {
			return p.root.probes()
		}
	}
	return len(p.items) <= 2
}

// each runs f over the plan's items in order, on several goroutines. Each has a
// view of its own; newWorker is called once for each and returns its f. Where there
// may be little to do, the others join when the first has shown that there is more.
func (db *DB) each(ctx context.Context, p *plan, b *budget, newWorker func() func(v *blockView, it *item) error) error {
	workers := min(db.o.QueryConcurrency, len(p.items))
	if workers == 0 {
		return ctx.Err()
	}
	var next atomic.Int64
	var mu sync.Mutex
	var first error
	fail := func(err error) {
		mu.Lock()
		if first == nil {
			first = err
		}
		mu.Unlock()
		b.stop.Store(true)
	}
	begin, eager := time.Now(), !p.isNarrow()
	run := func(f func(*blockView, *item) error, join func()) {
		var stats Stats
		v := db.view(&stats)
		defer db.putView(v)
		for !b.stop.Load() {
			i := int(next.Add(1)) - 1
			if i >= len(p.items) {
				break
			}
			if join != nil && (eager || time.Since(begin) > smallWork) {
				join()
				join = nil
			}
			select {
			case db.work <- struct{}{}: // mostly, and for a fraction of what it costs to wait for two
			default:
				select {
				case db.work <- struct{}{}:
				case <-ctx.Done():
					fail(ctx.Err())
					continue
				}
			}
			if err := ctx.Err(); err != nil || b.stop.Load() {
				<-db.work
				if err != nil {
					fail(err)
				}
				continue
			}
			before := stats.BytesScanned
			err := f(v, p.items[i])
			<-db.work
			b.spend(stats.BytesScanned - before)
			switch {
			case err == nil:
			case errors.Is(err, ErrStop):
				b.stop.Store(true)
			case isCorrupt(err) && p.items[i].part != nil:
				stats.Damaged++
				db.quarantine(p.items[i].part, err)
			default:
				fail(err)
			}
		}
		mu.Lock()
		p.stats.add(&stats)
		mu.Unlock()
	}
	fs := make([]func(*blockView, *item) error, workers)
	for i := range fs {
		fs[i] = newWorker()
	}
	var wg sync.WaitGroup
	run(fs[0], func() {
		for _, f := range fs[1:] {
			wg.Go(func() { run(f, nil) })
		}
	})
	wg.Wait()
	p.stats.Cut = Cut(b.cut.Load())
	return first
}

// view returns a view for one goroutine's use.
func (db *DB) view(stats *Stats) *blockView {
	if v, ok := db.views.Get().(*blockView); ok {
		v.stats = stats
		return v
	}
	v := newBlockView(stats, &column.Arena{})
	v.io.Cache = db.cache
	return v
}

func (db *DB) putView(v *blockView) {
	v.reset()
	v.stats, v.askedOf = nil, nil
	db.views.Put(v)
}

func (s *Stats) add(o *Stats) {
	s.BlocksPruned += o.BlocksPruned
	s.BlocksRead += o.BlocksRead
	s.RowsScanned += o.RowsScanned
	s.RowsMatched += o.RowsMatched
	s.BytesRead += o.BytesRead
	s.BytesScanned += o.BytesScanned
	s.Damaged += o.Damaged
}

// query wraps what all queries have in common.
func (db *DB) query(ctx context.Context, kind string, q Query, f func(p *plan, b *budget) error) (Stats, error) {
	begin := time.Now()
	if q.Tenant == "" {
		return Stats{}, fault.Invalidf("query without a tenant")
	}
	if err := db.enter(); err != nil {
		return Stats{}, err
	}
	defer db.leave()
	p, err := db.plan(ctx, q)
	var stats Stats
	if err == nil {
		b := &budget{limits: q.Limits}
		err = f(p, b)
		p.release()
		stats = p.stats
	}
	return db.finished(kind, begin, stats, err)
}

// run fills a plan and executes it, as part of a query that has been admitted before.
func (db *DB) run(kind string, q Query, p *plan, fill func(*plan) error, f func(b *budget) error) (Stats, error) {
	begin := time.Now()
	err := fill(p)
	if err == nil {
		err = f(&budget{limits: q.Limits})
	}
	return db.finished(kind, begin, p.stats, err)
}

// finished counts a query.
func (db *DB) finished(kind string, begin time.Time, stats Stats, err error) (Stats, error) {
	outcome := "ok"
	stats.Elapsed = time.Since(begin)
	switch {
	case err != nil:
		outcome = "error"
	case stats.Cut != CutNone:
		outcome = "cut"
	}
	db.metrics.queries.WithLabelValues(kind, outcome).Inc()
	db.metrics.scannedBytes.Add(float64(stats.BytesScanned))
	return stats, err
}

// Scan hands the rows of q to workers, block by block, in parallel and in no
// order. newWorker is called once per goroutine, before any block, from the
// calling goroutine.
func (db *DB) Scan(ctx context.Context, q Query, newWorker func() Worker) (Stats, error) {
	return db.query(ctx, "scan", q, func(p *plan, b *budget) error { return db.scan(ctx, p, b, newWorker) })
}

func (db *DB) scan(ctx context.Context, p *plan, b *budget, newWorker func() Worker) error {
	slices.SortStableFunc(p.items, func(x, y *item) int { return cmp.Compare(y.max, x.max) })
	return db.each(ctx, p, b, func() func(*blockView, *item) error {
		w := newWorker()
		var block Block
		return func(v *blockView, it *item) error {
			sel, n, err := p.selectRows(v, it)
			if err != nil || n == 0 {
				return err
			}
			if granted := b.take(n); granted < n {
				if granted == 0 {
					return nil
				}
				if sel == nil {
					sel = allRows(n)
				}
				sel, n = sel[:granted], granted
			}
			v.stats.RowsMatched += int64(n)
			block.fill(v, sel)
			block.part, block.block = it.age>>20, it.age&(1<<20-1)
			return w.Block(&block)
		}
	})
}
