package seriescache

import (
	"encoding/binary"
	"hash/maphash"
)

// Limits of an entry. A reference of a head is a count of the series that it ever
// had: five bytes are enough for a million a second for twelve days, and one that
// needs more is not remembered.
const (
	MaxRefs = 1<<refBits - 1
	maxRef  = 1<<(8*refSize) - 1
)

const (
	idSize     = 16
	headerSize = idSize + 2
	refSize    = 5
	refBits    = 12

	usedBit    = 1 << refBits
	removedBit = usedBit << 1
)

// id stands for a key: two hashes of it, each with a seed of its own. Of a billion
// keys the chance that any two have the same is one in 10^20.
type id struct{ a, b uint64 }

// seeds are those of a cache's hashes.
type seeds struct{ a, b maphash.Seed }

func newSeeds() seeds { return seeds{maphash.MakeSeed(), maphash.MakeSeed()} }

func (s seeds) id(key []byte) id { return id{maphash.Bytes(s.a, key), maphash.Bytes(s.b, key)} }

// entry is an entry in its shard's memory, which goes on behind it:
//
//	id     16 bytes
//	state  2 bytes: the number of references, whether it was used since the last
//	       sweep, whether it is removed
//	refs   5 bytes each
type entry []byte

func entrySize(refs int) int { return headerSize + refSize*refs }

func (e entry) state() uint16     { return binary.LittleEndian.Uint16(e[idSize:]) }
func (e entry) setState(s uint16) { binary.LittleEndian.PutUint16(e[idSize:], s) }
func (e entry) refs() int         { return int(e.state() & MaxRefs) }
func (e entry) used() bool        { return e.state()&usedBit != 0 }
func (e entry) removed() bool     { return e.state()&removedBit != 0 }
func (e entry) remove()           { e.setState(e.state()&^usedBit | removedBit) }
func (e entry) size() int         { return entrySize(e.refs()) }

func (e entry) setUsed(used bool) {
	s := e.state() &^ usedBit
	if used {
		s |= usedBit
	}
	e.setState(s)
}

func (e entry) ref(i int) uint64 {
	b := e[headerSize+refSize*i:]
	return uint64(binary.LittleEndian.Uint32(b)) | uint64(b[4])<<32
}

func (e entry) setRefs(refs []uint64) {
	for i, r := range refs {
		if r > maxRef {
			r = 0
		}
		b := e[headerSize+refSize*i:]
		binary.LittleEndian.PutUint32(b, uint32(r)) //nolint:gosec // the lower half
		b[4] = byte(r >> 32)
	}
}

func (e entry) id() id {
	return id{binary.LittleEndian.Uint64(e), binary.LittleEndian.Uint64(e[8:])}
}

func (e entry) write(key id, refs []uint64) {
	binary.LittleEndian.PutUint64(e, key.a)
	binary.LittleEndian.PutUint64(e[8:], key.b)
	e.setState(uint16(len(refs)) | usedBit) //nolint:gosec // at most MaxRefs
	e.setRefs(refs)
}
