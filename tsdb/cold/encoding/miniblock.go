package encoding

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// A mini-block of up to 128 integers begins with a byte: its low seven bits are
// a width from 0 to 64, its highest says that exceptions follow.
//
//	u8      width, + 128 if there are exceptions
//	varint  base
//	        (integer - base) of so many bits each; 0 where there is an exception
//	u8      number of exceptions, if the highest bit is set
//	          u8       position
//	          varint   integer - base
const hasExceptions = 1 << 7

// frame is how a mini-block is stored.
type frame struct {
	base  int64
	width int
}

// fits reports whether an integer needs no exception.
func (f frame) fits(v int64) bool {
	return f.width == 64 || uint64(v-f.base)>>f.width == 0
}

// bounds is the frame that fits all integers.
func bounds(vals []int64) frame {
	lo, hi := vals[0], vals[0]
	for _, v := range vals[1:] {
		lo, hi = min(lo, v), max(hi, v)
	}
	return frame{lo, bits.Len64(uint64(hi - lo))}
}

// maxExceptions bounds the search, and the work of a decoder.
const maxExceptions = block / 4

// narrow returns the frame that stores vals, whose bounds are f, in the fewest
// bits: for each number of exceptions, the smallest that the other integers fit.
func narrow(vals []int64, f frame) frame {
	exception := 8 * (2 + f.width/7)
	if len(vals)*f.width <= 2*exception {
		return f
	}
	var buf [block]int64
	sorted := buf[:copy(buf[:], vals)]
	slices.Sort(sorted)
	best, bestBits := f, len(vals)*f.width
	most := min(maxExceptions, len(vals)-1)
	_, least := tightest(sorted, most) // fewer exceptions leave no narrower frame
	leastBits := len(vals)*bits.Len64(least) + 8
	for out := 1; out <= most && leastBits+out*exception < bestBits; out++ {
		base, span := tightest(sorted, out)
		width := bits.Len64(span)
		if size := len(vals)*width + out*exception + 8; size < bestBits {
			best, bestBits = frame{base, width}, size
		}
	}
	return best
}

// tightest returns the least of the sorted integers but out, chosen such that
// they span the least, and their span.
func tightest(sorted []int64, out int) (base int64, span uint64) {
	span = ^uint64(0)
	inside := len(sorted) - out
	for i := range out + 1 {
		if s := uint64(sorted[i+inside-1] - sorted[i]); s < span {
			base, span = sorted[i], s
		}
	}
	return base, span
}

func appendBlock(dst []byte, vals []int64) []byte {
	f := narrow(vals, bounds(vals))
	var us [block]uint64
	exceptions := 0
	for i, v := range vals {
		if f.fits(v) {
			us[i] = uint64(v - f.base)
		} else {
			exceptions++
		}
	}
	head := byte(f.width)
	if exceptions > 0 {
		head |= hasExceptions
	}
	dst = append(dst, head)
	dst = binary.AppendVarint(dst, f.base)
	dst = appendPacked(dst, us[:len(vals)], f.width)
	if exceptions == 0 {
		return dst
	}
	dst = append(dst, byte(exceptions))
	for i, v := range vals {
		if !f.fits(v) {
			dst = append(dst, byte(i))
			dst = binary.AppendVarint(dst, v-f.base)
		}
	}
	return dst
}

// block fills dst, at most block long, with a mini-block.
func (r *reader) block(dst []int64) {
	head := r.byte()
	width := int(head &^ hasExceptions)
	base := r.varint()
	if width > 64 {
		r.fail()
		return
	}
	size := packedSize(len(dst), width)
	if size > len(r.src) {
		r.fail()
		return
	}
	unpack(dst, r.src, width, base)
	r.src = r.src[size:]
	if head&hasExceptions == 0 {
		return
	}
	for range r.byte() {
		at, v := int(r.byte()), r.varint()
		if at >= len(dst) {
			r.fail()
		}
		if r.err != nil {
			return
		}
		dst[at] = base + v
	}
}
