package encoding

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// A column of integers:
//
//	u8       order: 0, 1, 2; 3 if all are the same
//	varint   the first integer
//	uvarint  divisor d, unless all are the same
//	varint   first difference / d, if order is 2 and there are two integers or more
//	         mini-blocks of the rest
//
// What is packed is (integer - first)/d, or its first or second differences.
// All arithmetic is modulo 2^64.
const sameInts = 3

// AppendInts appends a column of integers.
func AppendInts(dst []byte, vals []int64) []byte {
	if len(vals) == 0 {
		return dst
	}
	first := vals[0]
	divisor := commonDivisor(vals)
	if divisor == 0 {
		return binary.AppendVarint(append(dst, sameInts), first)
	}
	order := smallestOrder(vals, divisor)
	dst = append(dst, byte(order))
	dst = binary.AppendVarint(dst, first)
	dst = binary.AppendUvarint(dst, divisor)
	d := differ{order: order, divisor: divisor, first: first, last: first}
	vals = vals[1:]
	if order == 2 {
		d.step = d.quotient(vals[0])
		d.last = vals[0]
		dst = binary.AppendVarint(dst, d.step)
		vals = vals[1:]
	}
	d.first = first
	var buf [block]int64
	for len(vals) > 0 {
		n := min(len(vals), block)
		d.next(buf[:n], vals)
		dst = appendBlock(dst, buf[:n])
		vals = vals[n:]
	}
	return dst
}

// commonDivisor returns what divides all differences from the first integer, 0
// if there are none, 1 where differences do not fit 63 bits.
func commonDivisor(vals []int64) uint64 {
	lo, hi := vals[0], vals[0]
	for _, v := range vals[1:] {
		lo, hi = min(lo, v), max(hi, v)
	}
	span := uint64(hi - lo)
	if span == 0 {
		return 0
	}
	if span>>63 != 0 {
		return 1
	}
	g := uint64(0)
	for _, v := range vals[1:] {
		d := uint64(v - vals[0])
		if v < vals[0] {
			d = -d
		}
		if g == 0 || d%g != 0 {
			g = gcd(g, d)
		}
		if g == 1 {
			break
		}
	}
	return g
}

// gcd is Stein's binary algorithm.
func gcd(a, b uint64) uint64 {
	if a == 0 || b == 0 {
		return a | b
	}
	shift := bits.TrailingZeros64(a | b)
	a >>= bits.TrailingZeros64(a)
	for b != 0 {
		b >>= bits.TrailingZeros64(b)
		if a > b {
			a, b = b, a
		}
		b -= a
	}
	return a << shift
}

// differ turns integers into what is packed.
type differ struct {
	order   int
	divisor uint64
	first   int64
	last    int64 // the integer before
	step    int64 // the difference before, for order 2
}

// quotient divides a difference. The divisor divides it exactly.
func (d *differ) quotient(v int64) int64 {
	diff := v - d.last
	if d.divisor == 1 {
		return diff
	}
	return diff / int64(d.divisor)
}

// next fills dst from the front of vals.
func (d *differ) next(dst, vals []int64) {
	switch d.order {
	case 0:
		d.last = d.first
		for i := range dst {
			dst[i] = d.quotient(vals[i])
		}
	case 1:
		for i := range dst {
			dst[i] = d.quotient(vals[i])
			d.last = vals[i]
		}
	default:
		for i := range dst {
			step := d.quotient(vals[i])
			dst[i] = step - d.step
			d.last, d.step = vals[i], step
		}
	}
}

// smallestOrder returns how often to difference so that the packed bits are
// fewest, exceptions left aside.
func smallestOrder(vals []int64, divisor uint64) int {
	if len(vals) < 3 {
		return 0
	}
	differs := [3]differ{}
	for order := range differs {
		differs[order] = differ{order: order, divisor: divisor, first: vals[0], last: vals[0]}
	}
	differs[2].step = differs[2].quotient(vals[1]) // so that its first second difference is 0
	var sizes [3]int
	var buf [block]int64
	for rest := vals[1:]; len(rest) > 0; {
		n := min(len(rest), block)
		for order := range differs {
			differs[order].next(buf[:n], rest)
			sizes[order] += robustBits(buf[:n])
		}
		rest = rest[n:]
	}
	best := 0
	for order, size := range sizes {
		if size < sizes[best] {
			best = order
		}
	}
	return best
}

// robustBits estimates the packed bits of a mini-block. The integer farthest out
// on either side need not count: it can be an exception.
func robustBits(vals []int64) int {
	lo, lo2 := int64(math.MaxInt64), int64(math.MaxInt64) // lowest and next to it
	hi, hi2 := int64(math.MinInt64), int64(math.MinInt64)
	for _, v := range vals {
		if v < lo {
			lo, lo2 = v, lo
		} else {
			lo2 = min(lo2, v)
		}
		if v > hi {
			hi, hi2 = v, hi
		} else {
			hi2 = max(hi2, v)
		}
	}
	width := bits.Len64(uint64(hi - lo))
	if len(vals) < 3 {
		return len(vals) * width
	}
	inner := bits.Len64(uint64(hi2 - lo2))
	return min(len(vals)*width, len(vals)*inner+16*(2+width/7))
}

// DecodeInts fills dst with a column of as many integers and returns what
// follows it in src.
func DecodeInts(dst []int64, src []byte) ([]byte, error) {
	if len(dst) == 0 {
		return src, nil
	}
	r := reader{src: src}
	order := r.byte()
	first := r.varint()
	if order == sameInts {
		for i := range dst {
			dst[i] = first
		}
		return r.src, r.err
	}
	divisor := int64(r.uvarint())
	dst[0] = first
	at, step := 1, int64(0)
	if order == 2 && len(dst) > 1 {
		step = r.varint()
		dst[1] = first + step*divisor
		at = 2
	}
	for packed := dst[at:]; len(packed) > 0 && r.err == nil; {
		n := min(len(packed), block)
		r.block(packed[:n])
		packed = packed[n:]
	}
	if r.err != nil {
		return nil, r.err
	}
	switch order {
	case 0:
		for i := range dst[at:] {
			dst[at+i] = first + dst[at+i]*divisor
		}
	case 1:
		v := first
		for i, d := range dst[at:] {
			v += d * divisor
			dst[at+i] = v
		}
	case 2:
		v := dst[at-1]
		for i, d := range dst[at:] {
			step += d
			v += step * divisor
			dst[at+i] = v
		}
	default:
		return nil, ErrCorrupt
	}
	return r.src, nil
}
