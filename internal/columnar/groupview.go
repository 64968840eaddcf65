package columnar

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"belfry/internal/columnar/part"
	"belfry/internal/fault"
)

// GroupView is a tenant's rows at one moment, told apart by whether all rows of
// their group lie in one part that knows what to derive from them. It is safe for
// concurrent use, and must be closed.
type GroupView struct {
	db     *DB
	tenant string
	held   []*partHandle
	mems   []*memView
	hide   []reasons // of parts, then memtables
	expiry *expiry
	mem    *joinedMem
	apart  hashSet

	memApart [][]uint32 // rows in memory of groups that are apart, by block

	mu    sync.Mutex
	known map[*partHandle]map[int][]uint32 // rows of groups that are apart, by block
	once  sync.Once
}

// Groups returns a view of a tenant's rows. Options.Grouping is required.
func (db *DB) Groups(tenant string) (*GroupView, error) {
	if db.o.Grouping == nil {
		return nil, fault.Invalidf("columnar: %s have no groups", db.o.Signal)
	}
	if err := db.enter(); err != nil {
		return nil, err
	}
	v := &GroupView{db: db, tenant: tenant, known: map[*partHandle]map[int][]uint32{}}
	v.expiry = db.expiryNow()
	v.held, v.mems, v.hide = db.snapshot(tenant, -1<<63, 1<<63-1, v.expiry)
	for _, h := range v.held {
		for _, hash := range h.r.Groups.Apart {
			v.apart.add(hash)
		}
	}
	v.mem = db.joinedMem(tenant, v.mems)
	split := v.mem.split(db, v.held, &v.apart)
	if slices.ContainsFunc(v.hide[len(v.held):], func(r reasons) bool { return !r.none() }) {
		split = v.mem.nothing()
	}
	v.memApart = split.rows
	for _, hash := range split.hashes {
		v.apart.add(hash)
	}
	return v, nil
}

// isJoined reports whether the derived columns of a part may be used: not if rows of it are
// hidden, from whose groups they were derived, too.
func (v *GroupView) isJoined(part int) bool {
	return v.held[part].r.Groups.Joined && v.hide[part].none()
}

// Close gives back what the view holds.
func (v *GroupView) Close() {
	v.once.Do(func() {
		releaseSnapshot(v.held, v.mems)
		v.db.leave()
	})
}

// GroupPart is a part of the view that has whole groups; all memtables together are one.
type GroupPart struct {
	Min, Max int64 // times of its first and last row
	Rows     uint64
	Groups   int    // ordinals are below
	ID       uint64 // of its file, which no other part ever has; 0: memtables
	index    int
}

// Index is the part's number in RowPlace.Part.
func (p *GroupPart) Index() int32 { return int32(p.index) }

// Parts returns the parts that have whole groups, those whose last row is the newest first.
func (v *GroupView) Parts() []GroupPart {
	var out []GroupPart
	key := v.db.o.columnKey(v.db.o.Grouping.Ordinal)
	for i, h := range v.held {
		if !v.isJoined(i) {
			continue
		}
		p := GroupPart{Min: h.min, Max: h.max, Rows: h.rows, ID: h.id, index: i}
		col := h.r.FindColumn(key.Name, key.Kind)
		for j := range h.r.Blocks {
			if c := h.r.Blocks[j].Column(col); c != nil && c.Bounded {
				p.Groups = max(p.Groups, int(c.Max)+1)
			}
		}
		out = append(out, p)
	}
	if p, ok := v.mem.part(); ok {
		p.index = len(v.held)
		out = append(out, p)
	}
	slices.SortStableFunc(out, func(a, b GroupPart) int { return cmp.Compare(b.Max, a.Max) })
	return out
}

// rowsApart returns the rows of a part that belong to groups which are apart, by block.
func (v *GroupView) rowsApart(h *partHandle) (map[int][]uint32, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if rows, ok := v.known[h]; ok {
		return rows, nil
	}
	rows := map[int][]uint32{}
	col := h.groupColumn()
	if col >= 0 {
		io := part.IO{}
		var hashes []uint64
		var err error
		v.apart.each(func(hash uint64) {
			if err != nil {
				return
			}
			var may bool
			if may, err = h.r.MayHaveHash(&io, col, hash); err == nil && may {
				hashes = append(hashes, hash)
			}
		})
		if err != nil {
			return nil, err
		}
		slices.Sort(hashes)
		err = h.r.FindHashes(&io, col, hashes, func(_ int, p part.Place) {
			rows[p.Block] = append(rows[p.Block], uint32(p.Row))
		})
		if err != nil {
			return nil, err
		}
		for b, list := range rows {
			slices.Sort(list)
			rows[b] = slices.Compact(list)
		}
	}
	v.known[h] = rows
	return rows, nil
}

// RowPlace is the place of a row in a view.
type RowPlace struct {
	Part  int32 // of the view
	Block int32
	Row   uint32
}

// Whole hands the rows of one part to workers, as DB.Scan does, but for those of
// groups that are apart. Block.Place says where a row is. Query.Tenant is the view's.
func (v *GroupView) Whole(ctx context.Context, p GroupPart, q Query, newWorker func() Worker) (Stats, error) {
	if p.index == len(v.held) {
		return v.query(ctx, "whole", q, newWorker, func(pl *plan) error {
			return v.addMem(pl, func(it *item, apart []uint32) bool { it.without = apart; return true })
		})
	}
	h := v.held[p.index]
	return v.query(ctx, "whole", q, newWorker, func(pl *plan) error {
		apart, err := v.rowsApart(h)
		if err != nil {
			return v.damaged(pl, h, err)
		}
		if err := pl.addPart(h, p.index<<20); err != nil {
			return v.damaged(pl, h, err)
		}
		for i := range pl.items {
			pl.items[i].without = apart[pl.items[i].age&(1<<20-1)]
		}
		return nil
	})
}

// Every is Whole with the rows of groups that are apart: what it hands out of a part with an ID
// depends on nothing else, as long as there is a view that has the part among its Parts.
func (v *GroupView) Every(ctx context.Context, p GroupPart, q Query, newWorker func() Worker) (Stats, error) {
	if p.index == len(v.held) {
		return v.query(ctx, "every", q, newWorker, func(pl *plan) error {
			return v.addMem(pl, func(*item, []uint32) bool { return true })
		})
	}
	h := v.held[p.index]
	return v.query(ctx, "every", q, newWorker, func(pl *plan) error {
		if err := pl.addPart(h, p.index<<20); err != nil {
			return v.damaged(pl, h, err)
		}
		return nil
	})
}

// Apart hands the rows of all groups that are not whole to workers.
func (v *GroupView) Apart(ctx context.Context, q Query, newWorker func() Worker) (Stats, error) {
	return v.query(ctx, "apart", q, newWorker, func(pl *plan) error {
		for i, h := range v.held {
			if h.max < pl.q.From || h.min >= pl.q.To {
				continue
			}
			if !v.isJoined(i) {
				if err := v.conceal(pl, i); err != nil {
					return err
				}
				if err := pl.addPart(h, i<<20); err != nil {
					if err = v.damaged(pl, h, err); err != nil {
						return err
					}
				}
				continue
			}
			pl.hide = nil
			apart, err := v.rowsApart(h)
			if err != nil {
				if err = v.damaged(pl, h, err); err != nil {
					return err
				}
				continue
			}
			from := len(pl.items)
			if len(apart) > 0 {
				if err := pl.addPart(h, i<<20); err != nil {
					if err = v.damaged(pl, h, err); err != nil {
						return err
					}
				}
			}
			kept := pl.items[:from]
			for _, it := range pl.items[from:] {
				if it.only(apart[it.age&(1<<20-1)]) {
					kept = append(kept, it)
				}
			}
			pl.items = kept
		}
		return v.addMem(pl, func(it *item, apart []uint32) bool { return it.only(apart) })
	})
}

// addMem adds the blocks in memory that narrow lets through.
func (v *GroupView) addMem(pl *plan, narrow func(it *item, apart []uint32) bool) error {
	from := len(pl.items)
	at := len(v.held) << 20
	for i, m := range v.mems {
		if err := v.conceal(pl, len(v.held)+i); err != nil {
			return err
		}
		pl.addMem(m, at)
		at += len(m.blocks)
	}
	kept := pl.items[:from]
	for _, it := range pl.items[from:] {
		block := it.age & (1<<20 - 1)
		it.derived = v.mem.rows.Blocks[block].derived
		if narrow(it, v.memApart[block]) {
			kept = append(kept, it)
		}
	}
	pl.items = kept
	return nil
}

// conceal makes the plan hide what is to be hidden of a source.
func (v *GroupView) conceal(pl *plan, source int) (err error) {
	c := concealer{expiry: v.expiry}
	if source < len(v.held) {
		h := v.held[source]
		pl.hide, err = c.hide(v.hide[source], len(h.streams), func(i int) *streamDef { return h.streams[i] })
		return err
	}
	m := v.mems[source-len(v.held)]
	pl.hide, err = c.hide(v.hide[source], len(m.streams), func(i int) *streamDef { return m.streams[i].def })
	return err
}

// Pick hands the given rows of parts to workers. places are sorted by it.
func (v *GroupView) Pick(ctx context.Context, places []RowPlace, newWorker func() Worker) (Stats, error) {
	slices.SortFunc(places, func(a, b RowPlace) int {
		return cmp.Or(cmp.Compare(a.Part, b.Part), cmp.Compare(a.Block, b.Block), cmp.Compare(a.Row, b.Row))
	})
	q := Query{From: -1 << 63, To: 1<<63 - 1}
	return v.query(ctx, "pick", q, newWorker, func(pl *plan) error {
		none := &streamFacts{}
		for i := 0; i < len(places); {
			r := places[i]
			it := &item{facts: none, age: int(r.Part)<<20 + int(r.Block)}
			switch {
			case int(r.Part) == len(v.held) && int(r.Block) < len(v.mem.rows.Blocks):
				m, b := v.memBlock(int(r.Block))
				it.mem, it.block, it.min, it.max = m, b, b.min, b.max
				it.derived = v.mem.rows.Blocks[r.Block].derived
			case int(r.Part) < len(v.held) && int(r.Block) < len(v.held[r.Part].r.Blocks):
				b := &v.held[r.Part].r.Blocks[r.Block]
				it.part, it.blk, it.min, it.max = v.held[r.Part], b, b.MinTime, b.MaxTime
			default:
				return fault.Invalidf("columnar: no such row")
			}
			for ; i < len(places) && places[i].Part == r.Part && places[i].Block == r.Block; i++ {
				it.rows = append(it.rows, places[i].Row)
			}
			pl.items = append(pl.items, it)
		}
		return nil
	})
}

// memBlock returns a block in memory by its number.
func (v *GroupView) memBlock(n int) (*memView, *memBlock) {
	for _, m := range v.mems {
		if n < len(m.blocks) {
			return m, m.blocks[n]
		}
		n -= len(m.blocks)
	}
	return nil, nil
}

// damaged takes a part out of service if that is what the error means.
func (v *GroupView) damaged(pl *plan, h *partHandle, err error) error {
	if !isCorrupt(err) {
		return err
	}
	pl.stats.Damaged++
	v.db.quarantine(h, err)
	return nil
}

func (v *GroupView) query(ctx context.Context, kind string, q Query, newWorker func() Worker, fill func(*plan) error) (Stats, error) {
	root, err := compile(q.Filter)
	if err != nil {
		return Stats{}, err
	}
	if age := v.db.o.Retention.longest(); age > 0 {
		q.From = max(q.From, v.db.now().Add(-age).UnixNano())
	}
	pl := &plan{root: root, q: q}
	return v.db.run(kind, q, pl, fill, func(b *budget) error { return v.db.scan(ctx, pl, b, newWorker) })
}

// only narrows an item to the given rows, and reports whether there are any.
func (it *item) only(rows []uint32) bool {
	if it.rows == nil {
		it.rows = rows
		return len(rows) > 0
	}
	both := make([]uint32, 0, len(rows))
	for _, r := range it.rows {
		if _, found := slices.BinarySearch(rows, r); found {
			both = append(both, r)
		}
	}
	it.rows = both
	return len(both) > 0
}
