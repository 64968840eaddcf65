package columnar

import (
	"errors"
	"fmt"
	"path"
	"sort"
	"sync/atomic"
	"time"

	"belfry/internal/columnar/part"
)

const dayNanos = int64(24 * time.Hour)

func dayOf(t int64) int64 {
	d := t / dayNanos
	if t%dayNanos < 0 {
		d--
	}
	return d
}

func dayName(day int64) string {
	return time.Unix(day*24*3600, 0).UTC().Format("20060102")
}

// partHandle is an open part. The DB holds one reference while the part is
// live, each query that reads it another.
type partHandle struct {
	partInfo
	r       *part.Reader
	streams []*streamDef
	refs    atomic.Int32
	drop    atomic.Bool     // remove the file with the last reference
	file    atomic.Int32    // what became of the file
	merging bool            // guarded by DB.mu, as is what follows up to expired
	rid     map[uint64]bool // pending deletions behind clean that were carried out
	expired uint64          // classes of retention that it has no rows of any more
	filters int64           // bytes of ID filters in memory
	buffer  int64           // bytes that reading it in a merge takes, about
	db      *DB
}

// What became of a part's file.
const (
	fileThere int32 = iota
	fileStuck       // it could not be removed
	fileGone
)

func (db *DB) openPart(info partInfo) (*partHandle, error) {
	f, err := db.fs.Open(path.Join(db.o.Dir, info.name()))
	if err != nil {
		return nil, err
	}
	r, err := part.Open(f, db.codec)
	if err != nil {
		return nil, err
	}
	h := &partHandle{partInfo: info, r: r, db: db}
	h.refs.Store(1)
	for i := range r.Streams {
		d, err := db.streams.parse(r.Streams[i].Key)
		if err != nil {
			_ = r.Close()
			return nil, fmt.Errorf("%w: stream directory", part.ErrCorrupt)
		}
		h.streams = append(h.streams, d)
	}
	h.buffer = mergeBuffer(r)
	if err := h.loadFilters(); err != nil {
		_ = r.Close()
		return nil, err
	}
	return h, nil
}

// loadFilters reads the part's ID filters into memory, as long as there is room for them.
func (h *partHandle) loadFilters() error {
	size := h.r.IDFilterSize()
	if h.db.filterBytes.Add(size) > h.db.o.FilterMemory {
		h.db.filterBytes.Add(-size)
		return nil
	}
	h.filters = size
	if err := h.r.LoadIDFilters(); err != nil {
		h.db.filterBytes.Add(-size)
		return err
	}
	return nil
}

func (h *partHandle) acquire() { h.refs.Add(1) }

func (h *partHandle) release() {
	if h.refs.Add(-1) > 0 {
		return
	}
	h.db.filterBytes.Add(-h.filters)
	h.db.cache.Forget(h.r)
	if err := h.r.Close(); err != nil {
		h.db.log.Warn("columnar: closing a part", "part", h.name(), "error", err)
	}
	if h.drop.Load() {
		outcome := fileGone
		if err := h.db.fs.Remove(path.Join(h.db.o.Dir, h.name())); err != nil {
			outcome = fileStuck
			h.db.log.Warn("columnar: removing a part", "part", h.name(), "error", err)
		}
		h.file.Store(outcome)
	}
}

// swapParts replaces parts in memory after the manifest has.
func (db *DB) swapParts(add []*partHandle, remove []*partHandle) {
	db.pruneLeaving()
	db.leaving = append(db.leaving, remove...)
	gone := map[*partHandle]bool{}
	for _, h := range remove {
		gone[h] = true
	}
	for _, h := range remove {
		live := db.parts[h.tenant][:0:0]
		for _, p := range db.parts[h.tenant] {
			if !gone[p] {
				live = append(live, p)
			}
		}
		db.parts[h.tenant] = live
	}
	for _, h := range add {
		live := append(db.parts[h.tenant][:len(db.parts[h.tenant]):len(db.parts[h.tenant])], h)
		sort.SliceStable(live, func(i, j int) bool { return live[i].seq < live[j].seq })
		db.parts[h.tenant] = live
	}
	for t, live := range db.parts {
		if len(live) == 0 {
			delete(db.parts, t)
		}
	}
}

// quarantine takes a damaged part out of service and keeps its file for whoever wants to look.
func (db *DB) quarantine(h *partHandle, cause error) {
	db.partMu.Lock()
	defer db.partMu.Unlock()
	db.mu.Lock()
	live := false
	for _, p := range db.parts[h.tenant] {
		live = live || p == h
	}
	if live {
		db.swapParts(nil, []*partHandle{h})
	}
	db.mu.Unlock()
	if !live {
		return
	}
	db.metrics.quarantined.Inc()
	db.log.Error("columnar: damaged part quarantined", "part", h.name(), "rows", h.rows, "error", cause)
	if err := db.manifest.commit(edit{remove: []uint64{h.id}}); err != nil {
		db.log.Error("columnar: recording a quarantined part", "part", h.name(), "error", err)
	}
	db.setAside(h.partInfo)
	h.file.Store(fileGone)
	h.release()
}

// setAside renames a damaged part's file.
func (db *DB) setAside(p partInfo) {
	name := path.Join(db.o.Dir, p.name())
	if err := db.fs.Rename(name, name+".corrupt"); err != nil {
		db.log.Error("columnar: renaming a damaged part", "part", p.name(), "error", err)
	}
}

func isCorrupt(err error) bool {
	return errors.Is(err, part.ErrCorrupt) || errors.Is(err, errCorruptData)
}
