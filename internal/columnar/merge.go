package columnar

import (
	"context"
	"errors"
	"time"

	"belfry/internal/columnar/encoding"
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
	var best []*partHandle
	for _, live := range db.parts {
		byDay := map[int64][]*partHandle{}
		for _, h := range live {
			byDay[h.day] = append(byDay[h.day], h)
		}
		for day, parts := range byDay {
			for _, g := range [...][]*partHandle{levelGroup(parts), settledGroup(parts, day < settled)} {
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

// levelGroup returns mergeFactor or more neighbors of one level.
func levelGroup(parts []*partHandle) []*partHandle {
	for from := 0; from < len(parts); {
		to := from
		rows, size := uint64(0), int64(0)
		for to < len(parts) && to-from < mergeMax && parts[to].level == parts[from].level && !parts[to].merging &&
			rows+parts[to].rows <= maxPartRows && size+parts[to].size <= maxPartSize {
			rows += parts[to].rows
			size += parts[to].size
			to++
		}
		if to-from >= mergeFactor {
			return parts[from:to]
		}
		from = max(to, from+1)
	}
	return nil
}

// settledGroup returns neighbors of whatever levels in a day that is over.
func settledGroup(parts []*partHandle, over bool) []*partHandle {
	if !over {
		return nil
	}
	for from := range parts {
		to := from
		rows, size := uint64(0), int64(0)
		for to < len(parts) && to-from < mergeMax && !parts[to].merging &&
			rows+parts[to].rows <= maxPartRows && size+parts[to].size <= maxPartSize {
			rows += parts[to].rows
			size += parts[to].size
			to++
		}
		if to-from >= 2 {
			return parts[from:to]
		}
	}
	return nil
}

// merge replaces parts by one.
func (db *DB) merge(ctx context.Context, group []*partHandle) (err error) {
	begin := time.Now()
	info := partInfo{tenant: group[0].tenant, day: group[0].day, seq: group[0].seq}
	rows := uint64(0)
	var sources []mergeSource
	var read []*partSource
	for _, h := range group {
		h.acquire()
		defer h.release()
		info.level = max(info.level, h.level+1)
		info.seq = min(info.seq, h.seq)
		rows += h.rows
		s := newPartSource(h)
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
	h, err := db.writePart(ctx, info, sources, level)
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
	db.swapParts([]*partHandle{h}, group)
	db.mu.Unlock()
	for _, old := range group {
		old.drop.Store(true)
		old.release()
	}
	db.metrics.mergedRows.Add(float64(rows))
	return nil
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
