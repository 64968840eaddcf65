package seriescache

import (
	"bytes"
	"encoding/binary"
)

// Limits of an entry.
const (
	MaxKey  = 1<<16 - 1 // bytes
	MaxRefs = 1<<15 - 1
)

const (
	alignment  = 8
	headerSize = 16
)

// entry is an entry in its shard's memory, which goes on behind it:
//
//	hash      8 bytes; 0 once it is forgotten
//	key size  2 bytes
//	refs      2 bytes, the number of references
//	used      1 byte
//	          3 bytes unused
//	refs      8 bytes each
//	key       padded to a multiple of 8 bytes
type entry []byte

func (s *shard) entry(at int) entry { return entry(s.slab[at:]) }

func entrySize(key, refs int) int {
	return (headerSize + 8*refs + key + alignment - 1) / alignment * alignment
}

func (e entry) hash() uint64 { return binary.LittleEndian.Uint64(e) }
func (e entry) clearHash()   { binary.LittleEndian.PutUint64(e, 0) }
func (e entry) keySize() int { return int(binary.LittleEndian.Uint16(e[8:])) }
func (e entry) refs() int    { return int(binary.LittleEndian.Uint16(e[10:])) }
func (e entry) used() bool   { return e[12] != 0 }
func (e entry) size() int    { return entrySize(e.keySize(), e.refs()) }

func (e entry) setUsed(used bool) {
	e[12] = 0
	if used {
		e[12] = 1
	}
}

func (e entry) ref(i int) uint64 { return binary.LittleEndian.Uint64(e[headerSize+8*i:]) }

func (e entry) setRefs(refs []uint64) {
	for i, r := range refs {
		binary.LittleEndian.PutUint64(e[headerSize+8*i:], r)
	}
}

func (e entry) is(key []byte) bool {
	if e.keySize() != len(key) {
		return false
	}
	from := headerSize + 8*e.refs()
	return bytes.Equal(e[from:from+len(key)], key)
}

func (e entry) write(hash uint64, key []byte, refs []uint64) {
	binary.LittleEndian.PutUint64(e, hash)
	binary.LittleEndian.PutUint16(e[8:], uint16(len(key)))   //nolint:gosec // at most MaxKey
	binary.LittleEndian.PutUint16(e[10:], uint16(len(refs))) //nolint:gosec // at most MaxRefs
	e.setUsed(true)
	e.setRefs(refs)
	copy(e[headerSize+8*len(refs):], key)
}
