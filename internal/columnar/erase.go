package columnar

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"belfry/internal/columnar/encoding"
	"belfry/internal/columnar/part"
)

// The eraser is one goroutine that takes rows out of parts: those of deletions
// that are due, and those past their retention rule. It works on one part at a
// time, next to nothing else happening to that part, and rests as merges do.

const (
	// How often retention rules are enforced, and failed deletions are tried again.
	eraseEvery = time.Minute
	// How long the eraser waits for merges, or for queries that read a part that is to go.
	eraseWait = 20 * time.Millisecond
)

func (db *DB) wakeEraser() {
	select {
	case db.deletions.signal <- struct{}{}:
	default:
	}
}

func (db *DB) eraser() {
	defer db.tasks.Done()
	for {
		if err := db.erase(db.ctx); err != nil && db.ctx.Err() == nil {
			db.metrics.eraseErrors.Inc()
			db.log.Error("columnar: erasing", "error", err)
		}
		t := time.NewTimer(db.untilDue())
		select {
		case <-db.closing:
			t.Stop()
			return
		case <-db.deletions.signal:
			t.Stop()
		case <-t.C:
		}
	}
}

// untilDue returns how long the eraser may sleep.
func (db *DB) untilDue() time.Duration {
	db.mu.RLock()
	defer db.mu.RUnlock()
	wait := eraseEvery
	for _, d := range db.deletions.pending {
		if until := d.Due.Sub(db.now()); until > 0 {
			wait = min(wait, until)
		}
	}
	return max(wait, eraseWait)
}

// erase carries out what is due.
func (db *DB) erase(ctx context.Context) error {
	for _, d := range db.dueDeletions() {
		err := db.carryOut(ctx, d)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			db.mu.Lock()
			d.Error = err.Error()
			db.mu.Unlock()
			return fmt.Errorf("deletion %d: %w", d.ID, err)
		}
	}
	return db.expire(ctx)
}

// dueDeletions returns the deletions that are to be carried out now, marked as running.
func (db *DB) dueDeletions() []*deletion {
	db.mu.Lock()
	defer db.mu.Unlock()
	var due []*deletion
	for _, d := range db.deletions.pending {
		if !d.Due.After(db.now()) {
			d.State = DeletionRunning
			due = append(due, d)
		}
	}
	return due
}

// carryOut brings one deletion to its end.
func (db *DB) carryOut(ctx context.Context, d *deletion) error {
	if !d.logGone {
		if err := db.dropFromLog(ctx, d); err != nil {
			return err
		}
		d.logGone = true
	}
	for {
		select {
		case <-d.ended: // canceled
			return nil
		default:
		}
		h, busy := db.claim(func(h *partHandle) bool { return h.owes(d) })
		if h == nil && !busy {
			break
		}
		if h == nil { // being merged: what comes of it is next
			rest(ctx, eraseWait)
			if err := ctx.Err(); err != nil {
				return err
			}
			continue
		}
		if err := db.eraseFrom(ctx, h); err != nil {
			return err
		}
	}
	if err := db.waitGone(ctx, d.Tenant); err != nil {
		return err
	}
	unread, err := db.unreadFiles(d)
	if err != nil {
		return err
	}
	unlock, err := db.lockDeletions(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	select {
	case <-d.ended:
		return nil
	default:
	}
	db.mu.Lock()
	d.Unread = unread
	db.mu.Unlock()
	return db.endDeletion(d, DeletionDone)
}

// dropFromLog gets rid of the log's segments that hold rows of a deletion: all
// rows go to parts first.
func (db *DB) dropFromLog(ctx context.Context, d *deletion) error {
	for {
		if err := db.wal.Rotate(); err != nil {
			return err
		}
		db.mu.Lock()
		db.rotate()
		db.mu.Unlock()
		if err := db.flushFrozen(ctx); err != nil {
			return err
		}
		db.manifest.mu.Lock()
		end := db.manifest.end
		db.manifest.mu.Unlock()
		if err := db.wal.Free(end); err != nil {
			return err
		}
		if !db.wal.Holds(d.boundary) {
			return nil
		}
		// A record of the segment is written, but not yet in a memtable.
		rest(ctx, eraseWait)
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// claim returns a part that is wanted, referenced and marked as being merged;
// busy says that there are others, being merged now.
func (db *DB) claim(wanted func(*partHandle) bool) (h *partHandle, busy bool) {
	db.mu.Lock()
	defer db.mu.Unlock()
	for _, live := range db.parts {
		for _, h := range live {
			switch {
			case !wanted(h):
			case h.merging:
				busy = true
			default:
				h.merging = true
				h.acquire()
				return h, false
			}
		}
	}
	return nil, busy
}

// eraseFrom takes out of a claimed part all that is due, and gives it back.
func (db *DB) eraseFrom(ctx context.Context, h *partHandle) error {
	x := db.expiryNow()
	db.mu.RLock()
	r := reasons{expired: x.before(h.max) &^ h.expired}
	clean, ahead := h.clean, true
	for _, d := range db.owed(h) {
		if d.State == DeletionRunning {
			r.deletions = append(r.deletions, d)
			if ahead {
				clean = d.ID
			}
		} else {
			ahead = false // what comes behind it cannot be told by the number alone
		}
	}
	db.mu.RUnlock()
	counts, err := db.rewrite(ctx, h, r, clean, x)
	db.mu.Lock()
	h.merging = false
	if err == nil {
		h.mark(r)
		for i, d := range r.deletions {
			d.Rows += counts[i]
			if counts[i] > 0 {
				d.Parts++
			}
			d.Error = ""
		}
	}
	db.mu.Unlock()
	h.release()
	select {
	case db.mergeSignal <- struct{}{}:
	default:
	}
	return err
}

// mark notes that a part holds no such rows any more. DB.mu is held.
func (h *partHandle) mark(r reasons) {
	h.expired |= r.expired
	for _, d := range r.deletions {
		if h.rid == nil {
			h.rid = map[uint64]bool{}
		}
		h.rid[d.ID] = true
	}
}

// rewrite replaces a part by one without the rows that are to go, and returns
// how many of them each deletion hit.
func (db *DB) rewrite(ctx context.Context, h *partHandle, r reasons, clean uint64, x *expiry) ([]int64, error) {
	counts := make([]int64, len(r.deletions))
	c := concealer{expiry: x}
	root, err := c.root(r)
	if err != nil {
		return nil, err
	}
	s, err := db.lookFor(ctx, h, root)
	if err != nil {
		return counts, db.eraseFailed(h, err)
	}
	if s.total == 0 {
		return counts, nil
	}
	if err := db.countHits(ctx, h, r, counts, s.total); err != nil {
		return counts, db.eraseFailed(h, err)
	}
	e := edit{remove: []uint64{h.id}}
	var fresh []*partHandle
	if s.total < h.rows {
		level := encoding.Fast
		if h.rows >= smallRows {
			level = encoding.Small
		}
		info := h.partInfo
		info.clean = clean
		src := &erasingSource{partSource: newPartSource(h), search: s}
		defer src.close()
		n, err := db.writePart(ctx, info, []mergeSource{src}, partOptions{
			level, db.o.BlockRows, db.pacerFor(info), db.erasedGroups(h, s), int(h.rows - s.total),
		})
		if err != nil {
			return counts, db.eraseFailed(h, err)
		}
		n.mark(r)
		n.expired |= h.expired
		fresh = append(fresh, n)
		e.add = append(e.add, n.partInfo)
	}
	if err := db.replacePart(h, fresh, e); err != nil {
		return make([]int64, len(r.deletions)), err
	}
	db.metrics.erasedRows.WithLabelValues(r.kind()).Add(float64(s.total))
	db.metrics.erasedParts.WithLabelValues(r.kind()).Inc()
	return counts, nil
}

func (r reasons) kind() string {
	if len(r.deletions) > 0 {
		return "deletion"
	}
	return "retention"
}

// replacePart puts fresh in the place of a part, unless the part is gone meanwhile.
func (db *DB) replacePart(h *partHandle, fresh []*partHandle, e edit) error {
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
		return nil
	}
	if err := db.manifest.commit(e); err != nil {
		drop(!errors.Is(err, errEditUnknown))
		return err
	}
	db.mu.Lock()
	db.swapParts(fresh, []*partHandle{h})
	db.mu.Unlock()
	h.drop.Store(true)
	h.release()
	return nil
}

// eraseFailed quarantines a part that turned out to be damaged: its rows are gone from queries, too.
func (db *DB) eraseFailed(h *partHandle, err error) error {
	if isCorrupt(err) {
		db.quarantine(h, err)
		return nil
	}
	return err
}

// waitGone waits until the files of a tenant's replaced parts are removed, which
// queries may still read, and makes that durable.
func (db *DB) waitGone(ctx context.Context, tenant string) error {
	for {
		left, stuck := db.leavingOf(tenant)
		if !left {
			return db.syncTenant(tenant)
		}
		for _, h := range stuck {
			if err := ignoreMissing(db.fs.Remove(path.Join(db.o.Dir, h.name()))); err != nil {
				return err
			}
			h.file.Store(fileGone)
		}
		rest(ctx, eraseWait)
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// leavingOf reports whether files of replaced parts of a tenant are still there,
// and which of them could not be removed.
func (db *DB) leavingOf(tenant string) (left bool, stuck []*partHandle) {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.pruneLeaving()
	for _, h := range db.leaving {
		if h.tenant == tenant {
			left = true
			if h.file.Load() == fileStuck {
				stuck = append(stuck, h)
			}
		}
	}
	return left, stuck
}

// pruneLeaving forgets replaced parts whose files are gone. DB.mu is held.
func (db *DB) pruneLeaving() {
	db.leaving = slices.DeleteFunc(db.leaving, func(h *partHandle) bool { return h.file.Load() == fileGone })
}

// syncTenant makes removals of files durable.
func (db *DB) syncTenant(tenant string) error {
	dir := path.Join(db.o.Dir, "parts", tenant)
	days, err := db.fs.List(dir)
	if err := ignoreMissing(err); err != nil {
		return err
	}
	for _, day := range days {
		if err := db.fs.SyncDir(path.Join(dir, day)); err != nil {
			return err
		}
	}
	return db.fs.SyncDir(path.Join(db.o.Dir, "wal"))
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// unreadFiles counts files that are set aside as damaged and may hold rows of a deletion.
func (db *DB) unreadFiles(d *deletion) (int, error) {
	n := 0
	count := func(dir string) error {
		names, err := db.fs.List(path.Join(db.o.Dir, dir))
		for _, name := range names {
			if strings.HasSuffix(name, ".corrupt") {
				n++
			}
		}
		return ignoreMissing(err)
	}
	days, err := db.fs.List(path.Join(db.o.Dir, "parts", d.Tenant))
	if err := ignoreMissing(err); err != nil {
		return 0, err
	}
	for _, day := range days {
		if err := count(path.Join("parts", d.Tenant, day)); err != nil {
			return 0, err
		}
	}
	return n, count("wal")
}

// expire enforces the retention rules on parts that are wholly older than one of them.
func (db *DB) expire(ctx context.Context) error {
	x := db.expiryNow()
	if x == nil {
		return nil
	}
	for {
		h, _ := db.claim(func(h *partHandle) bool { return x.before(h.max)&^h.expired != 0 })
		if h == nil {
			return ctx.Err()
		}
		if err := db.eraseFrom(ctx, h); err != nil {
			return err
		}
	}
}

// search is the rows of a part that meet a condition.
type search struct {
	plan  *plan
	items map[*part.Block]*item
	total uint64
	apart []uint64 // groups that lose rows
}

// lookFor finds the rows of a part that meet a condition.
func (db *DB) lookFor(ctx context.Context, h *partHandle, root *node) (*search, error) {
	s := &search{plan: &plan{root: root, q: allTimes(h.tenant)}, items: map[*part.Block]*item{}}
	if err := s.plan.addPart(h, 0); err != nil {
		return nil, err
	}
	var stats Stats
	view := db.view(&stats)
	defer db.putView(view)
	pace := db.pacerFor(h.partInfo)
	for i := range s.plan.items {
		it := s.plan.items[i]
		if err := pace.pace(ctx); err != nil {
			return nil, err
		}
		sel, n, err := s.plan.selectRows(view, it)
		if err == nil && n > 0 && db.o.Grouping != nil {
			s.apart, err = db.groupsOf(view, sel, s.apart)
		}
		if err != nil {
			return nil, err
		}
		s.items[it.blk] = it
		s.total += uint64(n)
	}
	return s, nil
}

// countHits says how many rows each of several deletions hit.
func (db *DB) countHits(ctx context.Context, h *partHandle, r reasons, counts []int64, total uint64) error {
	if len(r.deletions) == 1 && r.expired == 0 {
		counts[0] = int64(total)
		return nil
	}
	for i, d := range r.deletions {
		root, err := compile(d.cond)
		if err != nil {
			return err
		}
		s, err := db.lookFor(ctx, h, root)
		if err != nil {
			return err
		}
		counts[i] = int64(s.total)
	}
	return nil
}

func allTimes(tenant string) Query { return Query{Tenant: tenant, From: -1 << 63, To: 1<<63 - 1} }

// erasingSource yields a part's rows but those that a search found.
type erasingSource struct {
	*partSource
	search *search
	out    mergeBlock
	keep   []uint32
	vecs   []*Vector
}

func (s *erasingSource) next() (*mergeBlock, error) {
	for s.at < len(s.h.r.Blocks) {
		blk := &s.h.r.Blocks[s.at]
		it := s.search.items[blk]
		if it == nil {
			return s.partSource.next()
		}
		sel, n, err := s.search.plan.selectRows(s.view, it)
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
func (s *erasingSource) without(b *mergeBlock, gone bitmap) {
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

// inherit notes of a merged part what holds for all of the parts that went into it. DB.mu is held.
func (h *partHandle) inherit(group []*partHandle) {
	h.expired = ^uint64(0)
	for _, old := range group {
		h.expired &= old.expired
	}
	for id := range group[0].rid {
		if !slices.ContainsFunc(group, func(old *partHandle) bool { return !old.rid[id] }) {
			h.mark(reasons{deletions: []*deletion{{Deletion: Deletion{ID: id}}}})
		}
	}
}
