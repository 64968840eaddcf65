package encoding

import (
	"encoding/binary"
	"slices"
)

// intTable is the distinct values of an array that has few, in the order of
// their first appearance.
type intTable struct {
	values [maxTable]uint64
	count  int
	slots  [4 * maxTable]uint8 // hash table: position in values plus one
}

// fill enters vals, and reports whether there are not too many distinct ones.
func (t *intTable) fill(vals []uint64) bool {
	for i, v := range vals {
		if i > 0 && v == vals[i-1] {
			continue
		}
		slot := t.slot(v)
		if t.slots[slot] > 0 {
			continue
		}
		if t.count == maxTable {
			return false
		}
		t.values[t.count] = v
		t.count++
		t.slots[slot] = uint8(t.count)
	}
	return true
}

// slot returns where a value is, or where there is room for it.
func (t *intTable) slot(v uint64) int {
	for p := mix(v^hashK1, hashK0) % uint64(len(t.slots)); ; p = (p + 1) % uint64(len(t.slots)) {
		if i := t.slots[p]; i == 0 || t.values[i-1] == v {
			return int(p)
		}
	}
}

// size returns the bytes that a table of n values takes, at most.
func (t *intTable) size(n int) int {
	size := 3 + packedSize(n, t.width())
	for _, v := range t.values[:t.count] {
		size += uvarintLen(zigzag(v))
	}
	return size
}

func (t *intTable) append(dst []byte, vals []uint64) []byte {
	dst = append(slices.Grow(dst, t.size(len(vals))), intsTable)
	dst = binary.AppendUvarint(dst, uint64(t.count))
	for _, v := range t.values[:t.count] {
		dst = binary.AppendVarint(dst, int64(v))
	}
	dst = append(dst, byte(t.width()))
	var ids [runLen]uint64
	prev, id := t.values[0], uint64(0)
	for len(vals) > 0 {
		k := min(len(vals), runLen) // that many fill whole bytes, whatever the width
		for i, v := range vals[:k] {
			if v != prev {
				prev, id = v, uint64(t.slots[t.slot(v)]-1)
			}
			ids[i] = id
		}
		dst = appendPacked(dst, ids[:k], t.width())
		vals = vals[k:]
	}
	return dst
}

// width returns the bits that the number of a value takes.
func (t *intTable) width() uint { return bitLen(uint64(t.count - 1)) }

func zigzag(v uint64) uint64 { return v<<1 ^ uint64(int64(v)>>63) }

// readTable reads the distinct values; the IDs follow.
func readTable(r *Reader, room *[maxTable]uint64) []uint64 {
	values := room[:r.Count(maxTable)]
	for i := range values {
		values[i] = uint64(r.Varint())
	}
	return values
}

func decodeTable(dst []uint64, r *Reader) ([]byte, error) {
	var room [maxTable]uint64
	values := readTable(r, &room)
	width := uint(r.Byte())
	body := r.Take(packedSize(len(dst), width))
	if r.Bad() || width > 8 {
		return nil, ErrCorrupt
	}
	unpack(dst, body, width)
	for i, id := range dst {
		if id >= uint64(len(values)) {
			return nil, ErrCorrupt
		}
		dst[i] = values[id]
	}
	return r.B, nil
}

func pickTable(dst []uint64, r *Reader, n int, idx []uint32) error {
	var room [maxTable]uint64
	values := readTable(r, &room)
	ids := make([]uint32, len(idx))
	if err := PickIDs(ids, r.B, n, len(values), idx); err != nil || r.Bad() {
		return ErrCorrupt
	}
	for i, id := range ids {
		dst[i] = values[id]
	}
	return nil
}
