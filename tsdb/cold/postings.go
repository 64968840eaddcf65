package cold

import (
	"encoding/binary"

	"github.com/RoaringBitmap/roaring/v2"
)

// Postings are the numbers of the series that have a value, in whichever form
// is smallest:
//
//	u8  0    uvarint first, uvarint how many: all without a gap
//	u8  1    uvarint how many, uvarint each less the one before
//	u8  2    a Roaring bitmap in its portable form
const (
	postingsRange  = 0
	postingsList   = 1
	postingsBitmap = 2

	// maxPostingsList is how long a list may be: longer ones would be slow to
	// take apart.
	maxPostingsList = 1024
)

// postingsEncoder keeps memory between postings.
type postingsEncoder struct{ list []byte }

func (e *postingsEncoder) append(dst []byte, ids []uint32) []byte {
	first, n := ids[0], len(ids)
	if int(ids[n-1]-first) == n-1 {
		dst = binary.AppendUvarint(append(dst, postingsRange), uint64(first))
		return binary.AppendUvarint(dst, uint64(n))
	}
	if n <= maxPostingsList {
		e.list = binary.AppendUvarint(append(e.list[:0], postingsList), uint64(n))
		last := uint32(0)
		for _, id := range ids {
			e.list = binary.AppendUvarint(e.list, uint64(id-last))
			last = id
		}
		if n <= 64 {
			return append(dst, e.list...)
		}
	}
	set := roaring.BitmapOf(ids...)
	set.RunOptimize()
	if n <= maxPostingsList && len(e.list) <= int(set.GetSerializedSizeInBytes()) {
		return append(dst, e.list...)
	}
	b, err := set.ToBytes()
	if err != nil { // to memory, which does not fail
		return append(dst, e.list...)
	}
	return append(append(dst, postingsBitmap), b...)
}

// addPostings adds postings to a set.
func addPostings(set *roaring.Bitmap, postings []byte) error {
	if len(postings) == 0 {
		return corruptf("no postings")
	}
	s := scanner(postings[1:])
	switch postings[0] {
	case postingsRange:
		first, n := s.Uvarint(), s.Uvarint()
		if first > 1<<32 || n > 1<<32-first {
			return corruptf("range of postings")
		}
		set.AddRange(first, first+n)
	case postingsList:
		n := s.Count()
		if n > maxPostingsList {
			return corruptf("list of postings")
		}
		var ids [maxPostingsList]uint32
		last := uint32(0)
		for i := range n {
			last += uint32(s.Uvarint())
			ids[i] = last
		}
		set.AddMany(ids[:n])
	case postingsBitmap:
		other := roaring.New()
		if err := other.UnmarshalBinary(postings[1:]); err != nil {
			return corruptf("postings: %v", err)
		}
		if err := other.Validate(); err != nil {
			return corruptf("postings: %v", err)
		}
		set.Or(other)
	default:
		return corruptf("postings of kind %d", postings[0])
	}
	return s.Err()
}
