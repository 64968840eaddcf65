package part

import (
	"encoding/binary"
	"hash/crc32"
	"slices"

	"belfry/internal/columnar/encoding"
	"belfry/internal/columnar/slab"
)

// idEntries collects the entries of an ID index. They are kept in buckets by the
// hash's first byte: each is sorted on its own, and growing one copies little.
type idEntries struct {
	buckets [256][]idEntry
	count   int
}

// newIDEntries returns an empty collection with room in mem (nil: the heap) for the entries of so many rows,
// if their hashes are spread as hashes are.
func newIDEntries(rows int, mem *slab.Set) *idEntries {
	s := &idEntries{}
	each := rows/len(s.buckets) + rows/len(s.buckets)/8
	room := slab.Make[idEntry](mem, each*len(s.buckets))
	for i := range s.buckets {
		s.buckets[i] = room[i*each : i*each : (i+1)*each]
	}
	return s
}

// idEntry is a row's hash, in two halves so that an entry takes 12 bytes, and place.
type idEntry struct {
	high, low uint32
	pos       uint32 // block << 16 | row
}

func (e idEntry) hash() uint64 { return uint64(e.high)<<32 | uint64(e.low) }

func (s *idEntries) add(hash uint64, pos uint32) {
	b := &s.buckets[hash>>56]
	*b = append(*b, idEntry{uint32(hash >> 32), uint32(hash), pos})
	s.count++
}

// sort orders the entries by the part of the hash that is stored, then place.
func (s *idEntries) sort(pause func() error) error {
	for _, b := range s.buckets {
		slices.SortFunc(b, func(x, y idEntry) int {
			switch hx, hy := x.hash()>>idHashShift, y.hash()>>idHashShift; {
			case hx < hy:
				return -1
			case hx > hy:
				return 1
			}
			return int(x.pos) - int(y.pos)
		})
		if err := pause(); err != nil {
			return err
		}
	}
	return nil
}

// headsFirst puts the heads in front of the other entries of their hash, after sort.
func (s *idEntries) headsFirst(isHead func(idEntry) bool) {
	for _, b := range s.buckets {
		first := 0 // place of the next head
		for i, e := range b {
			if e.hash()>>idHashShift != b[first].hash()>>idHashShift {
				first = i
			}
			if isHead(e) {
				copy(b[first+1:i+1], b[first:i])
				b[first] = e
				first++
			}
		}
	}
}

// distinct calls f with each hash at least once, mostly once, after sort.
func (s *idEntries) distinct(f func(hash uint64)) {
	for _, b := range s.buckets {
		for i, e := range b {
			if i == 0 || e.hash() != b[i-1].hash() {
				f(e.hash())
			}
		}
	}
}

// appendFilter appends a filter of the sorted entries.
func (s *idEntries) appendFilter(dst []byte) []byte {
	n := 0
	s.distinct(func(uint64) { n++ })
	return encoding.AppendBloomSeq(dst, n, s.distinct)
}

// writeIDs writes the pages of an ID index and returns its top. It sorts ids.
func (w *Writer) writeIDs(ids *idEntries) ([]byte, error) {
	if err := ids.sort(w.pause); err != nil {
		return nil, err
	}
	if w.heads != nil {
		ids.headsFirst(w.isHead)
	}
	top := binary.AppendUvarint(nil, uint64(ids.count))
	top = binary.AppendUvarint(top, uint64(w.pos()))
	prev := uint64(0)
	page := make([]idEntry, 0, idPageEntries)
	var words [idPageEntries]uint64
	lengths := make([]uint64, 0, idPageEntries)
	write := func() error {
		start := len(w.buf)
		column := func(f func(idEntry) uint64) {
			for i, e := range page {
				words[i] = f(e)
			}
			w.buf = encoding.AppendInts(w.buf, words[:len(page)])
		}
		runs := words[:0]
		lengths = lengths[:0]
		for i, e := range page {
			if h := e.hash() >> idHashShift; i == 0 || h != runs[len(runs)-1] {
				runs, lengths = append(runs, h), append(lengths, 0)
			}
			lengths[len(lengths)-1]++
		}
		w.buf = binary.AppendUvarint(w.buf, uint64(len(runs)))
		w.buf = encoding.AppendInts(w.buf, runs)
		w.buf = encoding.AppendInts(w.buf, lengths)
		column(func(e idEntry) uint64 { return uint64(e.pos >> 16) })
		column(func(e idEntry) uint64 { return uint64(e.pos & 0xffff) })
		first := page[0].hash() >> idHashShift
		top = binary.AppendUvarint(top, first-prev)
		top = binary.AppendUvarint(top, uint64(len(w.buf)-start))
		top = binary.LittleEndian.AppendUint32(top, crc32.Checksum(w.buf[start:], encoding.Castagnoli))
		prev, page = first, page[:0]
		if len(w.buf) >= writeSize {
			if err := w.flush(); err != nil {
				return err
			}
		}
		return w.pause()
	}
	for _, b := range ids.buckets {
		for len(b) > 0 {
			n := min(len(b), idPageEntries-len(page))
			page, b = append(page, b[:n]...), b[n:]
			if len(page) == idPageEntries {
				if err := write(); err != nil {
					return nil, err
				}
			}
		}
	}
	if len(page) > 0 {
		if err := write(); err != nil {
			return nil, err
		}
	}
	return top, nil
}
