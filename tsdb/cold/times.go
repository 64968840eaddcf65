package cold

import (
	"encoding/binary"
	"slices"
	"sync/atomic"

	"belfry/tsdb/cold/encoding"
)

// Columns of times are stored once for all series that were scraped together.
// Their directory holds for each:
//
//	uvarint  bytes
//	uvarint  number of times
//	varint   first time
//	uvarint  last time, less the first

// timesTable collects columns of times while a block is written.
type timesTable struct {
	columns []byte
	dir     []byte
	n       uint32

	// What was seen of late, to be found again: at most recentTimes bytes.
	recent map[uint64]seenTimes
	order  []uint64
	bytes  int
}

type seenTimes struct {
	id    uint32
	times []int64
}

// recentTimes bounds the memory for finding equal columns.
const recentTimes = 64 << 20

func newTimesTable() *timesTable { return &timesTable{recent: map[uint64]seenTimes{}} }

// add returns the number of a column with these times.
func (t *timesTable) add(times []int64) uint32 {
	h := hashTimes(times)
	if seen, ok := t.recent[h]; ok && slices.Equal(seen.times, times) {
		return seen.id
	}
	before := len(t.columns)
	t.columns = encoding.AppendInts(t.columns, times)
	first, last := times[0], times[len(times)-1]
	t.dir = binary.AppendUvarint(t.dir, uint64(len(t.columns)-before))
	t.dir = binary.AppendUvarint(t.dir, uint64(len(times)))
	t.dir = binary.AppendVarint(t.dir, first)
	t.dir = binary.AppendUvarint(t.dir, uint64(last-first))
	id := t.n
	t.n++
	t.remember(h, seenTimes{id, slices.Clone(times)})
	return id
}

func (t *timesTable) remember(h uint64, seen seenTimes) {
	if old, ok := t.recent[h]; ok {
		t.bytes -= 8 * len(old.times)
	} else {
		t.order = append(t.order, h)
	}
	t.recent[h] = seen
	for t.bytes += 8 * len(seen.times); t.bytes > recentTimes && len(t.order) > 1; {
		t.bytes -= 8 * len(t.recent[t.order[0]].times)
		delete(t.recent, t.order[0])
		t.order = t.order[1:]
	}
}

func hashTimes(times []int64) uint64 {
	h := uint64(len(times))
	for _, t := range times {
		h = (h ^ uint64(t)) * 0x9e3779b97f4a7c15
		h ^= h >> 32
	}
	return h
}

// timesColumn is a column of times in a block.
type timesColumn struct {
	coded      []byte
	n          int
	mint, maxt int64
	decoded    atomic.Pointer[[]int64]
}

// maxDecodedTimes bounds the decoded times that a block keeps, in bytes.
const maxDecodedTimes = 32 << 20

func parseTimes(dir, columns []byte) ([]timesColumn, error) {
	n := 0
	for s := scanner(dir); s.Len() > 0; n++ {
		s.Uvarint()
		s.Uvarint()
		s.Varint()
		s.Uvarint()
	}
	out := make([]timesColumn, n)
	s := scanner(dir)
	for i := range out {
		length, n := s.Uvarint(), s.Uvarint()
		t := &out[i]
		t.mint = s.Varint()
		t.maxt = t.mint + int64(s.Uvarint())
		if s.Err() != nil || length > uint64(len(columns)) || n == 0 || n > MaxColumn || t.maxt < t.mint {
			return nil, corruptf("directory of times")
		}
		t.n = int(n)
		t.coded, columns = columns[:length:length], columns[length:]
	}
	return out, nil
}

// timesOf returns the i-th column of times, which is not to be changed.
func (b *Block) timesOf(i uint32) ([]int64, error) {
	t := &b.times[i]
	if known := t.decoded.Load(); known != nil {
		return *known, nil
	}
	times := make([]int64, t.n)
	if _, err := encoding.DecodeInts(times, t.coded); err != nil {
		return nil, corruptf("times: %v", err)
	}
	if times[0] != t.mint || times[len(times)-1] != t.maxt || !ascend(times) {
		return nil, corruptf("times are not what the directory says")
	}
	if b.decodedTimes.Add(int64(8*t.n)) > maxDecodedTimes {
		b.forgetTimes()
		b.decodedTimes.Add(int64(8 * t.n))
	}
	t.decoded.Store(&times)
	return times, nil
}

// forgetTimes drops what was decoded. Who reads it keeps it that long.
func (b *Block) forgetTimes() {
	b.decodedTimes.Store(0)
	for i := range b.times {
		b.times[i].decoded.Store(nil)
	}
}

func ascend(times []int64) bool {
	for i, t := range times[1:] {
		if t <= times[i] {
			return false
		}
	}
	return true
}
