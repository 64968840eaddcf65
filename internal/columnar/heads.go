package columnar

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"belfry/internal/columnar/encoding"
	"belfry/internal/columnar/part"
	"belfry/internal/fault"
)

// HeadQuery asks for the heads of groups: of each the row that has a value in the derived column
// with ColumnDef.Head, where what is one for all its rows may be put.
type HeadQuery struct {
	Tenant string
	IDs    [][]byte // of the groups
}

// Heads hands the heads of groups to workers, as Scan does, but only of those of which one part has
// all rows and knows what is derived from them. Of others, and of rows in memory, nothing is told.
// Options.Grouping and a column of heads are required.
func (db *DB) Heads(ctx context.Context, q HeadQuery, newWorker func() Worker) (Stats, error) {
	begin := time.Now()
	head := slices.IndexFunc(db.o.Columns, func(c ColumnDef) bool { return c.Head })
	if db.o.Grouping == nil || head < 0 {
		return Stats{}, fault.Invalidf("columnar: groups of %s have no heads", db.o.Signal)
	}
	if err := db.enter(); err != nil {
		return Stats{}, err
	}
	defer db.leave()
	s, err := db.newHeadSearch(q, ColRef(head))
	if err != nil {
		return Stats{}, err
	}
	defer s.release()
	if err = s.findInMemory(ctx); err == nil {
		s.findInParts()
		err = db.scan(ctx, &s.plan, &budget{}, newWorker)
	}
	return db.finished("heads", begin, s.stats, err)
}

// headSearch is one call of Heads.
type headSearch struct {
	plan
	db     *DB
	ids    Filter
	hashes []uint64 // of the groups that are looked for
	hide   []reasons
	apart  hashSet
}

func (db *DB) newHeadSearch(q HeadQuery, head ColRef) (*headSearch, error) {
	s := &headSearch{db: db}
	values := make([]Value, len(q.IDs))
	for i, id := range q.IDs {
		values[i] = ID(id)
		s.hashes = append(s.hashes, encoding.HashValue(id))
	}
	of := func(c ColRef) Ref { return Ref{Name: db.o.Columns[c].Name, Kind: db.o.Columns[c].Kind} }
	s.ids = In{Ref: of(db.o.Grouping.ID), Values: values}
	var err error
	if s.root, err = compile(And{s.ids, Exists{Ref: of(head)}}); err != nil {
		return nil, err
	}
	s.q = Query{Tenant: q.Tenant, From: math.MinInt64, To: math.MaxInt64}
	if age := db.o.Retention.longest(); age > 0 {
		s.q.From = db.now().Add(-age).UnixNano()
	}
	s.held, s.mems, s.hide = db.snapshot(q.Tenant, math.MinInt64, math.MaxInt64, db.expiryNow())
	return s, nil
}

// findInMemory notes the groups that memtables have rows of: what parts know of them is not all.
func (s *headSearch) findInMemory(ctx context.Context) error {
	root, err := compile(s.ids)
	if err != nil || len(s.mems) == 0 {
		return err
	}
	p := &plan{root: root, q: Query{Tenant: s.q.Tenant, From: math.MinInt64, To: math.MaxInt64}}
	for i, m := range s.mems {
		p.addMem(m, i<<20)
	}
	var mu sync.Mutex
	err = s.db.scan(ctx, p, &budget{}, func() Worker {
		return WorkerFunc(func(b *Block) error {
			ids, err := b.Column(s.db.o.columnKey(s.db.o.Grouping.ID))
			mu.Lock()
			defer mu.Unlock()
			for _, hash := range groupHashes(ids, nil, nil) {
				s.apart.add(hash)
			}
			return err
		})
	})
	s.stats.add(&p.stats)
	return err
}

// findInParts adds the blocks with the heads of groups.
func (s *headSearch) findInParts() {
	for _, h := range s.held {
		for _, hash := range s.hashes {
			if _, found := slices.BinarySearch(h.r.Groups.Apart, hash); found {
				s.apart.add(hash)
			}
		}
	}
	type key struct{ part, block int }
	byBlock := map[key]*item{}
	for _, hash := range s.hashes {
		if s.apart.has(hash) {
			continue
		}
		of, head, found := -1, part.Place{}, 0
		for i, h := range s.held {
			places, err := s.places(h, hash)
			if err != nil {
				found = 2 // it is not known what is lost
			}
			if len(places) > 0 {
				of, head, found = i, places[0], found+1
			}
		}
		if found == 1 && s.held[of].r.Groups.Joined && s.hide[of].none() {
			at := key{of, head.Block}
			if byBlock[at] == nil {
				blk := &s.held[of].r.Blocks[head.Block]
				byBlock[at] = &item{part: s.held[of], blk: blk, facts: &streamFacts{}, min: blk.MinTime, max: blk.MaxTime, age: of<<20 + head.Block}
				s.items = append(s.items, byBlock[at])
			}
			byBlock[at].rows = append(byBlock[at].rows, uint32(head.Row))
		}
	}
	for _, it := range s.items {
		slices.Sort(it.rows)
		it.rows = slices.Compact(it.rows) // hashes collide
	}
}

// places returns where a part has rows of a group, the head first. A part that turns out to be
// damaged is taken out of service.
func (s *headSearch) places(h *partHandle, hash uint64) ([]part.Place, error) {
	io := part.IO{Cache: s.db.cache}
	places, err := h.groupPlaces(&io, hash)
	s.stats.BytesRead += io.BytesRead
	if err != nil && isCorrupt(err) {
		s.stats.Damaged++
		s.db.quarantine(h, err)
	}
	return places, err
}
