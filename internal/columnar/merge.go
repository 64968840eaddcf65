package columnar

import (
	"context"
	"errors"
	"time"

	"belfry/internal/columnar/encoding"
	"belfry/internal/columnar/part"
)

const (
	// So many parts of one level, next to each other in the order of arrival,
	// become one of the next.
	mergeFactor = 8
	// A merge takes at most so many.
	mergeMax = 32
	// Parts beyond these bounds are not merged any more.
	maxPartRows = 8 << 20
	maxPartSize = 2 << 30
	// A day that is over by so much is merged into as few parts as the bounds allow.
	settleAfter = time.Hour
	// Merges of so many rows are worth the harder compression.
	smallRows = 1 << 20
)

// mergeWorker merges while there is something to merge.
func (db *DB) mergeWorker() {
	defer db.tasks.Done()
	t := time.NewTicker(time.Minute)
	defer t.Stop()
	for {
		select {
		case <-db.closing:
			return
		case <-db.mergeSignal:
		case <-t.C:
		}
		for db.ctx.Err() == nil {
			group := db.pickMerge()
			if group == nil {
				break
			}
			if err := db.merge(db.ctx, group); err != nil && db.ctx.Err() == nil {
				db.log.Error("columnar: merge failed", "tenant", group[0].tenant, "day", dayName(group[0].day), "error", err)
				break
			}
		}
	}
}

// pickMerge returns parts that should become one, marked as merging; nil if there are none.
func (db *DB) pickMerge() []*partHandle {
	db.mu.Lock()
	defer db.mu.Unlock()
	settled := dayOf(db.now().Add(-settleAfter).UnixNano())
	bounds := db.mergeBounds()
	var best []*partHandle
	for _, live := range db.parts {
		byDay := map[int64][]*partHandle{}
		for _, h := range live {
			byDay[h.day] = append(byDay[h.day], h)
		}
		for day, parts := range byDay {
			for _, g := range [...][]*partHandle{levelGroup(parts, bounds), settledGroup(parts, day < settled, bounds)} {
				if g != nil && (best == nil || g[0].level < best[0].level) {
					best = g
				}
			}
		}
	}
	for _, h := range best {
		h.merging = true
	}
	return best
}

// mergeBounds says how much one merge may take.
type mergeBounds struct {
	rows   uint64
	memory int64
	rank   func(*partHandle) int // parts of different ranks do not mix
}

// An entry of an ID index is held until the index is written, and so is its filter.
const idEntryBytes = 14

func (db *DB) mergeBounds() mergeBounds {
	b := mergeBounds{rows: maxPartRows, memory: db.o.MergeMemory, rank: db.cleanRank}
	indexed := int64(0)
	for i := range db.o.Columns {
		if db.o.Columns[i].Indexed {
			indexed++
		}
	}
	if indexed > 0 {
		// Half of the memory for the indexes, half for the blocks.
		b.rows = min(b.rows, uint64(max(db.o.MergeMemory/2/(indexed*idEntryBytes), 1)))
		b.memory /= 2
	}
	return b
}

// mergeBuffer returns how many bytes the largest block of a part takes in a merge, about.
func mergeBuffer(r *part.Reader) int64 {
	most := int64(0)
	for i := range r.Blocks {
		b := &r.Blocks[i]
		packed := int64(0)
		for j := range b.Columns {
			packed += int64(b.Columns[j].Len)
		}
		// Text unpacks to about four times its size; a block is closed at maxBlockBytes.
		// To that come a word for each row and column.
		most = max(most, min(5*packed, maxBlockBytes)+int64(b.Rows)*int64(8*len(b.Columns)+8))
	}
	return most
}

// take returns how many of the parts, from the first, one merge may take: at
// least two if their rows and sizes allow it.
func (b mergeBounds) take(parts []*partHandle, ok func(*partHandle) bool) int {
	rows, size, memory := uint64(0), int64(0), int64(2*maxBlockBytes) // of the block that is built
	for n, h := range parts {
		if n > 0 && b.rank(h) != b.rank(parts[0]) {
			return n
		}
		rows, size, memory = rows+h.rows, size+h.size, memory+h.buffer
		if n == mergeMax || h.merging || !ok(h) || rows > b.rows || size > maxPartSize || n >= 2 && memory > b.memory {
			return n
		}
	}
	return len(parts)
}

// levelGroup returns neighbors of one level, of which there must be mergeFactor or more.
func levelGroup(parts []*partHandle, b mergeBounds) []*partHandle {
	for from := 0; from < len(parts); {
		level := parts[from].level
		same := func(h *partHandle) bool { return h.level == level }
		roomy := b
		roomy.memory = 1 << 62
		n := roomy.take(parts[from:], same)
		if n >= mergeFactor {
			return parts[from : from+b.take(parts[from:], same)]
		}
		from += max(n, 1)
	}
	return nil
}

// settledGroup returns neighbors of whatever levels in a day that is over.
func settledGroup(parts []*partHandle, over bool, b mergeBounds) []*partHandle {
	if !over {
		return nil
	}
	for from := range parts {
		if n := b.take(parts[from:], func(*partHandle) bool { return true }); n >= 2 {
			return parts[from : from+n]
		}
	}
	return nil
}

// merge replaces parts by one.
func (db *DB) merge(ctx context.Context, group []*partHandle) (err error) {
	begin := time.Now()
	info := partInfo{tenant: group[0].tenant, day: group[0].day, seq: group[0].seq, clean: group[0].clean}
	rows := uint64(0)
	var sources []mergeSource
	var read []*partSource
	for _, h := range group {
		h.acquire()
		defer h.release()
		info.level = max(info.level, h.level+1)
		info.seq = min(info.seq, h.seq)
		info.clean = min(info.clean, h.clean)
		rows += h.rows
		s := newPartSource(h)
		defer s.close()
		sources, read = append(sources, s), append(read, s)
	}
	defer func() {
		db.mu.Lock()
		for _, h := range group {
			h.merging = false
		}
		db.mu.Unlock()
		outcome := "ok"
		if err != nil {
			outcome = "error"
		}
		db.metrics.merges.WithLabelValues(outcome).Inc()
		db.metrics.mergeSeconds.Add(time.Since(begin).Seconds())
	}()
	level := encoding.Fast
	if rows >= smallRows {
		level = encoding.Small
	}
	db.shiftOrdinals(read)
	groups, err := db.rejoin(ctx, group, read)
	var h *partHandle
	if err == nil {
		h, err = db.writePart(ctx, info, sources, partOptions{level, db.o.BlockRows, db.pacerFor(info), groups, int(rows)})
	}
	if err != nil {
		if isCorrupt(err) {
			for _, s := range read {
				if s.failed != nil {
					db.quarantine(s.h, s.failed)
				}
			}
		}
		return err
	}
	e := edit{add: []partInfo{h.partInfo}}
	for _, old := range group {
		e.remove = append(e.remove, old.id)
	}
	// Retention and quarantine may have dropped a part meanwhile; its rows must not come back.
	db.partMu.Lock()
	defer db.partMu.Unlock()
	if !db.allLive(group) {
		h.drop.Store(true)
		h.release()
		return nil
	}
	if err := db.manifest.commit(e); err != nil {
		h.drop.Store(!errors.Is(err, errEditUnknown))
		h.release()
		return err
	}
	db.mu.Lock()
	h.inherit(group)
	db.swapParts([]*partHandle{h}, group)
	db.mu.Unlock()
	for _, old := range group {
		old.drop.Store(true)
		old.release()
	}
	db.metrics.mergedRows.Add(float64(rows))
	return nil
}

// pacerFor returns what slows a merge down, nil if merges of the tenant's day have fallen behind.
func (db *DB) pacerFor(info partInfo) *pacer {
	db.mu.RLock()
	defer db.mu.RUnlock()
	n := 0
	for _, h := range db.parts[info.tenant] {
		if h.day == info.day {
			n++
		}
	}
	if n >= behindParts {
		return nil
	}
	return db.newPacer()
}

func (db *DB) allLive(group []*partHandle) bool {
	db.mu.RLock()
	defer db.mu.RUnlock()
	live := map[*partHandle]bool{}
	for _, h := range db.parts[group[0].tenant] {
		live[h] = true
	}
	for _, h := range group {
		if !live[h] {
			return false
		}
	}
	return true
}
