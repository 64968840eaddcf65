package seriescache

import (
	"bytes"
	"encoding/binary"
)

// Limits of an entry. A reference of a head is a count of the series that it ever
// had: five bytes are enough for a million a second for twelve days, and one that
// needs more is not remembered.
const (
	MaxKey  = 1<<16 - 1 // bytes
	MaxRefs = 1<<12 - 1
	maxRef  = 1<<(8*refSize) - 1
)

const (
	headerSize = 5
	refSize    = 5

	isUnused  = 0
	isUsed    = 1
	isRemoved = 2
)

// entry is an entry in its shard's memory, which goes on behind it:
//
//	key size  2 bytes
//	refs      2 bytes, the number of references
//	state     1 byte: used since the last sweep or not, or removed
//	refs      5 bytes each
//	key
type entry []byte

func entrySize(key, refs int) int { return headerSize + refSize*refs + key }

func (e entry) keySize() int  { return int(binary.LittleEndian.Uint16(e)) }
func (e entry) refs() int     { return int(binary.LittleEndian.Uint16(e[2:])) }
func (e entry) used() bool    { return e[4] == isUsed }
func (e entry) removed() bool { return e[4] == isRemoved }
func (e entry) remove()       { e[4] = isRemoved }
func (e entry) size() int     { return entrySize(e.keySize(), e.refs()) }

func (e entry) setUsed(used bool) {
	e[4] = isUnused
	if used {
		e[4] = isUsed
	}
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

func (e entry) key() []byte {
	from := headerSize + refSize*e.refs()
	return e[from : from+e.keySize()]
}

func (e entry) is(key []byte) bool { return e.keySize() == len(key) && bytes.Equal(e.key(), key) }

func (e entry) write(key []byte, refs []uint64) {
	binary.LittleEndian.PutUint16(e, uint16(len(key)))      //nolint:gosec // at most MaxKey
	binary.LittleEndian.PutUint16(e[2:], uint16(len(refs))) //nolint:gosec // at most MaxRefs
	e.setUsed(true)
	e.setRefs(refs)
	copy(e[headerSize+refSize*len(refs):], key)
}
