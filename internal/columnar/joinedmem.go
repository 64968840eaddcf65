package columnar

import (
	"slices"
	"sync"

	"belfry/internal/columnar/part"
)

// joinedMem is what memtables hold of a tenant, joined. It does not change.
type joinedMem struct {
	blocks []*memBlock // that it was made of, as they were
	counts []int       // rows of each
	rows   *JoinRows
	views  []*memBlock // the rows of each block of rows
	hashes []uint64    // of the groups

	mu   sync.Mutex
	last *memSplit
}

// memSplit says which groups in memory are not there as a whole.
type memSplit struct {
	parts  []*partHandle // that were asked
	hashes []uint64
	rows   [][]uint32 // by block
}

// joinedMem joins the rows in memory, unless they are those of the last time.
func (db *DB) joinedMem(tenant string, mems []*memView) *joinedMem {
	m := &joinedMem{rows: &JoinRows{}}
	for _, view := range mems {
		for _, b := range view.blocks {
			m.blocks, m.counts = append(m.blocks, b.original()), append(m.counts, len(b.times))
			m.views = append(m.views, b)
			m.rows.Blocks = append(m.rows.Blocks, JoinBlock{o: &db.o, from: &memJoin{block: b, columns: view.columns, streams: view.streams}})
		}
	}
	db.joinMu.Lock()
	defer db.joinMu.Unlock()
	if last := db.joinedMems[tenant]; last != nil && slices.Equal(last.blocks, m.blocks) && slices.Equal(last.counts, m.counts) {
		return last
	}
	if len(m.blocks) == 0 {
		delete(db.joinedMems, tenant)
		return m
	}
	m.hashes = m.rows.join(db.o.Grouping)
	db.joinedMems[tenant] = m
	return m
}

// forgetJoined drops what was joined of memtables that are gone.
func (db *DB) forgetJoined() {
	db.joinMu.Lock()
	defer db.joinMu.Unlock()
	clear(db.joinedMems)
}

// part describes the rows in memory as one part; ok is false if there are none.
func (m *joinedMem) part() (p GroupPart, ok bool) {
	if len(m.blocks) == 0 {
		return p, false
	}
	p = GroupPart{Min: 1<<63 - 1, Max: -1 << 63, Groups: m.rows.Groups}
	for _, b := range m.views {
		p.Min, p.Max = min(p.Min, b.min), max(p.Max, b.max)
		p.Rows += uint64(len(b.times))
	}
	return p, true
}

// split finds the groups of which the parts have rows, too, and those in apart.
func (m *joinedMem) split(db *DB, parts []*partHandle, apart *hashSet) *memSplit {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.last != nil && slices.Equal(m.last.parts, parts) {
		return m.last
	}
	out := &memSplit{parts: parts, rows: make([][]uint32, len(m.rows.Blocks))}
	is := slices.Clone(m.rows.apart)
	io := part.IO{}
	for n, hash := range m.hashes {
		is[n] = is[n] || apart.has(hash) || db.anyHas(&io, parts, hash)
		if is[n] {
			out.hashes = append(out.hashes, hash)
		}
	}
	for i := range m.rows.Blocks {
		for row, n := range m.rows.Blocks[i].Group {
			if n != NoGroup && is[n] {
				out.rows[i] = append(out.rows[i], uint32(row))
			}
		}
	}
	m.last = out
	return out
}

// nothing says that no group in memory is there as a whole.
func (m *joinedMem) nothing() *memSplit {
	out := &memSplit{hashes: m.hashes, rows: make([][]uint32, len(m.rows.Blocks))}
	for i := range m.rows.Blocks {
		out.rows[i] = allRows(len(m.rows.Blocks[i].Group))
	}
	return out
}
