package encoding

import (
	"encoding/binary"
	"hash/crc32"
)

// A filter is a split-block Bloom filter (Putze, Sanders, Singler: "Cache-,
// Hash- and Space-Efficient Bloom Filters"; the variant of Apache Parquet with
// our hash): blocks of eight 32-bit words, each hash sets one bit in every word
// of one block. Twelve bits a key give about 0.4 % false positives.
//
// Blocks are stored in pages of 128, each followed by its checksum, so that one
// probe reads and verifies 4 KiB however large the filter is.
const (
	bloomBlock      = 32
	bloomPageBlocks = 128
	bloomBitsPerKey = 12

	// BloomPage is the size of a full page on disk.
	BloomPage = bloomBlock*bloomPageBlocks + 4
)

var bloomSalt = [8]uint32{0x47b6137b, 0x44974d91, 0x8824ad5b, 0xa2b7289d, 0x705495c7, 0x2df1424b, 0x9efc4947, 0x5c6bfb31}

// Castagnoli is the table of every checksum in the engine's files.
var Castagnoli = crc32.MakeTable(crc32.Castagnoli)

// AppendBloom appends a filter of the given hashes, which should be distinct.
func AppendBloom(dst []byte, hashes []uint64) []byte {
	return AppendBloomSeq(dst, len(hashes), func(yield func(uint64)) {
		for _, h := range hashes {
			yield(h)
		}
	})
}

// AppendBloomSeq appends a filter of the n hashes that each passes to its argument.
func AppendBloomSeq(dst []byte, n int, each func(func(hash uint64))) []byte {
	blocks := (n*bloomBitsPerKey + bloomBlock*8 - 1) / (bloomBlock * 8)
	if blocks == 0 {
		return dst
	}
	start := len(dst)
	pages := (blocks + bloomPageBlocks - 1) / bloomPageBlocks
	dst = append(dst, make([]byte, blocks*bloomBlock+4*pages)...)
	f := dst[start:]
	each(func(h uint64) {
		b := f[bloomOffset(h, blocks):][:bloomBlock]
		key := uint32(h)
		for i, salt := range bloomSalt {
			w := b[4*i:]
			binary.LittleEndian.PutUint32(w, binary.LittleEndian.Uint32(w)|1<<(key*salt>>27))
		}
	})
	for p := range pages {
		page := f[p*BloomPage : min((p+1)*BloomPage, len(f))]
		n := len(page) - 4
		binary.LittleEndian.PutUint32(page[n:], crc32.Checksum(page[:n], Castagnoli))
	}
	return dst
}

// bloomOffset returns where the block of a hash begins.
func bloomOffset(h uint64, blocks int) int {
	b := int(h >> 32 * uint64(blocks) >> 32)
	return b*bloomBlock + b/bloomPageBlocks*4
}

// bloomBlocks returns the number of blocks in a filter of that size, 0 if no filter has it.
func bloomBlocks(size int) int {
	pages := (size + BloomPage - 1) / BloomPage
	n := size - 4*pages
	if n <= 0 || n%bloomBlock != 0 {
		return 0
	}
	return n / bloomBlock
}

// BloomPageOf returns which bytes of a filter of the given size must be read to
// probe for a hash; n is 0 if the size is no filter's.
func BloomPageOf(h uint64, size int) (off, n int) {
	blocks := bloomBlocks(size)
	if blocks == 0 {
		return 0, 0
	}
	off = bloomOffset(h, blocks) / BloomPage * BloomPage
	return off, min(BloomPage, size-off)
}

// CheckBloomPage verifies a page as read.
func CheckBloomPage(page []byte) error {
	n := len(page) - 4
	if n <= 0 || binary.LittleEndian.Uint32(page[n:]) != crc32.Checksum(page[:n], Castagnoli) {
		return ErrCorrupt
	}
	return nil
}

// ProbeBloomPage reports whether the hash may be in the filter of the given
// size, of which page is the page that BloomPageOf named.
func ProbeBloomPage(page []byte, h uint64, size int) bool {
	blocks := bloomBlocks(size)
	if blocks == 0 {
		return true
	}
	return probeBloomBlock(page[bloomOffset(h, blocks)%BloomPage:], h)
}

// ProbeBloom reports whether the hash may be in a filter that is wholly in memory.
func ProbeBloom(filter []byte, h uint64) bool {
	blocks := bloomBlocks(len(filter))
	return blocks == 0 || probeBloomBlock(filter[bloomOffset(h, blocks):], h)
}

func probeBloomBlock(b []byte, h uint64) bool {
	b = b[:bloomBlock]
	key := uint32(h)
	for i, salt := range bloomSalt {
		if binary.LittleEndian.Uint32(b[4*i:])>>(key*salt>>27)&1 == 0 {
			return false
		}
	}
	return true
}

// HashSet collects distinct hashes. The zero value is ready.
type HashSet struct {
	table []uint64
	list  []uint64
	zero  bool
}

// Add adds a hash, and reports whether it was not there.
func (s *HashSet) Add(h uint64) bool {
	if h == 0 {
		if s.zero {
			return false
		}
		s.zero = true
		s.list = append(s.list, 0)
		return true
	}
	if 2*len(s.list) >= len(s.table) {
		s.grow()
	}
	mask := uint64(len(s.table) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		switch s.table[i] {
		case h:
			return false
		case 0:
			s.table[i] = h
			s.list = append(s.list, h)
			return true
		}
	}
}

func (s *HashSet) grow() {
	s.table = make([]uint64, max(2*len(s.table), 1024))
	mask := uint64(len(s.table) - 1)
	for _, h := range s.list {
		if h == 0 {
			continue
		}
		i := h & mask
		for s.table[i] != 0 {
			i = (i + 1) & mask
		}
		s.table[i] = h
	}
}

// Hashes returns the hashes added, in order of arrival. Reset invalidates it.
func (s *HashSet) Hashes() []uint64 { return s.list }

// Reset empties the set and keeps its memory.
func (s *HashSet) Reset() {
	if len(s.list)*8 < len(s.table) {
		// Few entries in a large table: clear them one by one.
		mask := uint64(len(s.table) - 1)
		for _, h := range s.list {
			if h == 0 {
				continue
			}
			for i := h & mask; s.table[i] != 0; i = (i + 1) & mask {
				s.table[i] = 0
			}
		}
	} else {
		clear(s.table)
	}
	s.list, s.zero = s.list[:0], false
}
