package columnar

import (
	"context"
	"errors"
	"time"

	"belfry/internal/columnar/encoding"
	"belfry/internal/columnar/part"
	"belfry/internal/fault"
)

// DeleteResult says what a deletion did.
type DeleteResult struct {
	Rows  int64 // deleted
	Parts int   // rewritten or dropped
}

// Delete removes the rows of a tenant with from <= time < to that meet the
// filter, by rewriting the parts that hold some. When it returns nil, no query
// sees them, and their parts' files are gone, at the latest with the end of the queries that
// read them; the log keeps what it has of their payloads until its segment is freed. Rows appended
// meanwhile may or may not be deleted. If it fails half way, what is deleted stays deleted.
func (db *DB) Delete(ctx context.Context, tenant string, from, to int64, filter Filter) (DeleteResult, error) {
	var res DeleteResult
	root, err := compile(filter)
	if err != nil {
		return res, err
	}
	if tenant == "" {
		return res, fault.Invalidf("delete without a tenant")
	}
	if err := db.Flush(ctx); err != nil {
		return res, err
	}
	if err := db.enter(); err != nil {
		return res, err
	}
	defer db.leave()
	q := Query{Tenant: tenant, From: from, To: to}
	done := map[*partHandle]bool{}
	for {
		h, busy := db.nextToDelete(q, done)
		if h == nil && !busy {
			return res, nil
		}
		if h == nil { // a merge is under way: its result comes next
			select {
			case <-ctx.Done():
				return res, ctx.Err()
			case <-time.After(10 * time.Millisecond):
			}
			continue
		}
		n, err := db.deleteFrom(ctx, h, root, q)
		db.mu.Lock()
		h.merging = false
		db.mu.Unlock()
		h.release()
		if err != nil {
			return res, err
		}
		done[h] = true
		if n > 0 {
			res.Rows += n
			res.Parts++
		}
	}
}

// nextToDelete returns a part that is yet to be looked at, referenced and marked
// as merging; busy says that there are others, being merged now.
func (db *DB) nextToDelete(q Query, done map[*partHandle]bool) (h *partHandle, busy bool) {
	db.mu.Lock()
	defer db.mu.Unlock()
	for _, h := range db.parts[q.Tenant] {
		if h.max < q.From || h.min >= q.To || done[h] {
			continue
		}
		if h.merging {
			busy = true
			continue
		}
		h.merging = true
		h.acquire()
		return h, false
	}
	return nil, busy
}

// deleteFrom replaces a part by one without the rows that match.
func (db *DB) deleteFrom(ctx context.Context, h *partHandle, root *node, q Query) (int64, error) {
	p := &plan{root: root, q: q}
	if err := p.addPart(h, 0); err != nil {
		return 0, db.deleteFailed(h, err)
	}
	items := map[*part.Block]*item{}
	for i := range p.items {
		items[p.items[i].blk] = &p.items[i]
	}
	// Most parts have nothing to delete: look before writing.
	var stats Stats
	view := db.view(&stats)
	defer db.putView(view)
	total := 0
	for i := range p.items {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		_, n, err := p.selectRows(view, &p.items[i])
		if err != nil {
			return 0, db.deleteFailed(h, err)
		}
		total += n
	}
	if total == 0 {
		return 0, nil
	}
	var e edit
	e.remove = []uint64{h.id}
	var fresh []*partHandle
	if uint64(total) < h.rows {
		src := &deletingSource{partSource: newPartSource(h), plan: p, items: items}
		info := h.partInfo
		n, err := db.writePart(ctx, info, []mergeSource{src}, encoding.Fast, nil)
		if err != nil {
			return 0, db.deleteFailed(h, err)
		}
		fresh = append(fresh, n)
		e.add = append(e.add, n.partInfo)
	}
	drop := func(really bool) {
		for _, n := range fresh {
			n.drop.Store(really)
			n.release()
		}
	}
	db.partMu.Lock()
	defer db.partMu.Unlock()
	if !db.allLive([]*partHandle{h}) { // retention was faster
		drop(true)
		return 0, nil
	}
	if err := db.manifest.commit(e); err != nil {
		drop(!errors.Is(err, errEditUnknown))
		return 0, err
	}
	db.mu.Lock()
	db.swapParts(fresh, []*partHandle{h})
	db.mu.Unlock()
	h.drop.Store(true)
	h.release()
	return int64(total), nil
}

// deleteFailed quarantines a part that turned out to be damaged: its rows are gone from queries, too.
func (db *DB) deleteFailed(h *partHandle, err error) error {
	if isCorrupt(err) {
		db.quarantine(h, err)
		return nil
	}
	return err
}

// deletingSource yields a part's rows but those that a plan selects.
type deletingSource struct {
	*partSource
	plan  *plan
	items map[*part.Block]*item
	out   mergeBlock
	keep  []uint32
	vecs  []*Vector
}

func (s *deletingSource) next() (*mergeBlock, error) {
	for s.at < len(s.h.r.Blocks) {
		blk := &s.h.r.Blocks[s.at]
		it := s.items[blk]
		if it == nil {
			return s.partSource.next()
		}
		sel, n, err := s.plan.selectRows(s.view, it)
		if err != nil {
			return nil, err
		}
		switch n {
		case 0:
			return s.partSource.next()
		case blk.Rows:
			s.at++
			continue
		}
		gone := bitmap(make([]uint64, (blk.Rows+63)/64))
		for _, r := range sel {
			gone.set(int(r))
		}
		b, err := s.partSource.next()
		if err != nil {
			return nil, err
		}
		s.without(b, gone)
		return &s.out, nil
	}
	return nil, nil
}

// without makes s.out the block b but for some rows.
func (s *deletingSource) without(b *mergeBlock, gone bitmap) {
	s.keep = s.keep[:0]
	s.out.times, s.out.runs = nil, s.out.runs[:0]
	row := 0
	for _, r := range b.runs {
		kept := 0
		for end := row + r.Rows; row < end; row++ {
			if !gone.has(row) {
				s.keep = append(s.keep, uint32(row))
				s.out.times = append(s.out.times, b.times[row])
				kept++
			}
		}
		if kept > 0 {
			s.out.runs = append(s.out.runs, part.Run{Key: r.Key, Rows: kept})
		}
	}
	s.out.columns = b.columns
	s.vecs = make([]*Vector, len(b.columns))
	s.out.vector = func(i int) (*Vector, error) {
		if s.vecs[i] == nil {
			v, err := b.vector(i)
			if err != nil {
				return nil, err
			}
			s.vecs[i] = v.Gather(s.keep, s.view.io.Arena)
		}
		return s.vecs[i], nil
	}
}
