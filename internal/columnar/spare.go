package columnar

import (
	"time"

	"belfry/internal/columnar/column"
)

// spareMemory is what the columns of a memtable took that is in a part now, and that no
// query reads any more. The next memtables fill it again: new memory for all that
// is appended would be most of what the garbage collector has to do. DB.mu guards it.
type spareMemory struct {
	columns map[ColumnKey][]*column.Builder
	blocks  []spareRows
	since   time.Time // of the last refill
}

type spareRows struct {
	times  []uint64
	stream []uint32
}

// column returns an empty builder with memory, nil if there is none for the column.
func (s *spareMemory) column(key ColumnKey) *column.Builder {
	list := s.columns[key]
	if len(list) == 0 {
		return nil
	}
	b := list[len(list)-1]
	s.columns[key] = list[:len(list)-1]
	return b
}

// rows returns empty slices for a block's times and streams.
func (s *spareMemory) rows() (times []uint64, stream []uint32) {
	if len(s.blocks) == 0 {
		return nil, nil
	}
	r := s.blocks[len(s.blocks)-1]
	s.blocks = s.blocks[:len(s.blocks)-1]
	return r.times, r.stream
}

// refill replaces what is there by the memory of a memtable, at most so many bytes of it: what the
// tables since did not take is not needed.
func (s *spareMemory) refill(m *memTable, most int, now time.Time) {
	*s = spareMemory{columns: map[ColumnKey][]*column.Builder{}, since: now}
	for _, t := range m.tenants {
		for _, b := range t.blocks {
			if most -= 8*cap(b.times) + 4*cap(b.stream); most < 0 {
				return
			}
			s.blocks = append(s.blocks, spareRows{b.times[:0], b.stream[:0]})
			for i, c := range b.cols {
				if c == nil {
					continue
				}
				if most -= c.Memory(); most < 0 {
					return
				}
				c.Reset()
				s.columns[t.columns[i]] = append(s.columns[t.columns[i]], c)
			}
		}
	}
}

// recycle keeps the memory of a memtable that was flushed, if nobody reads it. No
// query can begin to: it is not among the memtables any more.
func (db *DB) recycle(m *memTable) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if m.readers.Load() == 0 {
		db.spare.refill(m, spareShare*db.o.FlushBytes, db.now())
	}
}

const (
	// So many times what starts a flush is kept at most: slices have room to grow.
	spareShare = 2
	// Who did not fill it again for so long does not need it.
	spareFor = 10 * time.Second
)

// dropSpare gives memory back that nobody needs any more. DB.mu is held.
func (db *DB) dropSpare() {
	if s := db.spare; s.columns != nil && db.now().Sub(s.since) >= spareFor {
		*s = spareMemory{}
	}
}
