package columnar

import (
	"bytes"
	"cmp"
	"slices"

	"belfry/internal/columnar/encoding"
)

// groupIndex numbers IDs.
type groupIndex struct {
	slots  []uint32 // number + 1, by hash; a power of two
	hashes []uint64 // by number
	ids    [][]byte
}

func newGroupIndex() *groupIndex { return &groupIndex{slots: make([]uint32, 1024)} }

// of returns the number of an ID, the next one if it is new. The ID must stay as it is.
func (x *groupIndex) of(id []byte) uint32 {
	h := encoding.HashValue(id)
	mask := uint64(len(x.slots) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		n := x.slots[i]
		if n == 0 {
			x.slots[i] = uint32(len(x.ids)) + 1
			x.hashes, x.ids = append(x.hashes, h), append(x.ids, id)
			if 2*len(x.ids) > len(x.slots) {
				x.grow()
			}
			return uint32(len(x.ids)) - 1
		}
		if x.hashes[n-1] == h && bytes.Equal(x.ids[n-1], id) {
			return n - 1
		}
	}
}

func (x *groupIndex) grow() {
	x.slots = make([]uint32, 2*len(x.slots))
	mask := uint64(len(x.slots) - 1)
	for n, h := range x.hashes {
		i := h & mask
		for x.slots[i] != 0 {
			i = (i + 1) & mask
		}
		x.slots[i] = uint32(n) + 1
	}
}

// number renumbers the groups of blocks by their first times, and returns the
// groups' hashes by the new numbers.
func (x *groupIndex) number(first []uint64, blocks []JoinBlock) []uint64 {
	order := make([]uint32, len(first))
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortStableFunc(order, func(a, b uint32) int { return cmp.Compare(int64(first[a]), int64(first[b])) })
	number := make([]uint32, len(first))
	hashes := make([]uint64, len(first))
	for n, old := range order {
		number[old] = uint32(n)
		hashes[n] = x.hashes[old]
	}
	for i := range blocks {
		for row, n := range blocks[i].Group {
			if n != NoGroup {
				blocks[i].Group[row] = number[n]
			}
		}
	}
	return hashes
}

// hashSet is a set of hashes.
type hashSet struct {
	slots []uint64 // 0 where empty
	n     int
	zero  bool
}

func (s *hashSet) has(h uint64) bool {
	if h == 0 {
		return s.zero
	}
	if s.n == 0 {
		return false
	}
	mask := uint64(len(s.slots) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		switch s.slots[i] {
		case h:
			return true
		case 0:
			return false
		}
	}
}

func (s *hashSet) add(h uint64) {
	if h == 0 {
		s.zero = true
		return
	}
	if 2*s.n >= len(s.slots) {
		old := s.slots
		s.slots = make([]uint64, max(2*len(old), 1024))
		for _, o := range old {
			if o != 0 {
				s.put(o)
			}
		}
	}
	if s.put(h) {
		s.n++
	}
}

func (s *hashSet) put(h uint64) bool {
	mask := uint64(len(s.slots) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		switch s.slots[i] {
		case h:
			return false
		case 0:
			s.slots[i] = h
			return true
		}
	}
}

// each calls f with the members.
func (s *hashSet) each(f func(h uint64)) {
	if s.zero {
		f(0)
	}
	for _, h := range s.slots {
		if h != 0 {
			f(h)
		}
	}
}
