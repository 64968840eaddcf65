package columnar

import (
	"time"

	"belfry/internal/columnar/column"
)

// spareMemory is what blocks of memtables took that are in parts now, and that no
// query reads any more. The next memtables fill it again: new memory for all that
// is appended would be most of what the garbage collector has to do. DB.mu guards it.
type spareMemory struct {
	blocks []spareBlock // the oldest first
	bytes  int
	since  time.Time // of the last block
}

// spareBlock is the memory of one block.
type spareBlock struct {
	times   []uint64
	stream  []uint32
	columns map[ColumnKey]*column.Builder
	bytes   int
}

// take returns memory for a block, which may be none.
func (s *spareMemory) take() spareBlock {
	last := len(s.blocks) - 1
	if last < 0 {
		return spareBlock{}
	}
	b := s.blocks[last]
	s.blocks[last] = spareBlock{}
	s.blocks, s.bytes = s.blocks[:last], s.bytes-b.bytes
	return b
}

// add takes the memory of a memtable. Of all there is, the oldest goes beyond so many bytes.
func (s *spareMemory) add(m *memTable, most int, now time.Time) {
	for _, t := range m.tenants {
		for _, b := range t.blocks {
			spare := t.spareOf(b)
			s.blocks, s.bytes = append(s.blocks, spare), s.bytes+spare.bytes
		}
	}
	drop := 0
	for s.bytes > most {
		s.bytes -= s.blocks[drop].bytes
		drop++
	}
	s.blocks = append([]spareBlock(nil), s.blocks[drop:]...)
	s.since = now
}

// spareOf empties a block, and returns its memory.
func (t *memTenant) spareOf(b *memBlock) spareBlock {
	spare := spareBlock{
		times: b.times[:0], stream: b.stream[:0], columns: map[ColumnKey]*column.Builder{},
		bytes: 8*cap(b.times) + 4*cap(b.stream),
	}
	for i, c := range b.cols {
		if c != nil {
			c.Reset()
			spare.columns[t.columns[i]] = c
			spare.bytes += c.Memory()
		}
	}
	return spare
}

// recycle keeps the memory of a memtable that was flushed, if nobody reads it. No
// query can begin to: it is not among the memtables any more.
func (db *DB) recycle(m *memTable) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if m.readers.Load() == 0 {
		db.spare.add(m, db.o.FlushBytes+db.o.FlushBytes/2, db.now())
	}
}

// spareFor is how long memory is kept that nobody fills again.
const spareFor = 10 * time.Second

// dropSpare gives memory back that nobody needs any more. DB.mu is held.
func (db *DB) dropSpare() {
	if s := db.spare; len(s.blocks) > 0 && db.now().Sub(s.since) >= spareFor {
		*s = spareMemory{}
	}
}
