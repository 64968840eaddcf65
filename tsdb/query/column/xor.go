package column

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/prometheus/prometheus/promql"
)

// errCorrupt says that a chunk ends before its last sample.
var errCorrupt = errors.New("float chunk is cut short")

// xorHeader is the number of samples, big endian.
const xorHeader = 2

// bitReader reads a chunk's bits. The next bits are at the top of buf, of which
// n are loaded; those below are a correct continuation as far as they go.
type bitReader struct {
	data []byte
	pos  int
	buf  uint64
	n    uint
}

// fill loads at least 56 bits, or all that are left.
func (r *bitReader) fill() {
	if r.pos+8 <= len(r.data) {
		r.buf |= binary.BigEndian.Uint64(r.data[r.pos:]) >> r.n
		k := (63 - r.n) >> 3
		r.pos += int(k) //nolint:gosec // at most seven
		r.n += k << 3
		return
	}
	for r.n <= 56 && r.pos < len(r.data) {
		r.buf |= uint64(r.data[r.pos]) << (56 - r.n)
		r.pos++
		r.n += 8
	}
}

func (r *bitReader) skip(k uint) bool {
	if k > r.n {
		return false
	}
	r.buf <<= k
	r.n -= k
	return true
}

// take returns the next k bits, 1 to 64.
func (r *bitReader) take(k uint) (uint64, bool) {
	if k > r.n {
		r.fill()
		if k > r.n {
			return r.takeWide(k)
		}
	}
	v := r.buf >> (64 - k)
	r.buf <<= k
	r.n -= k
	return v, true
}

// takeWide returns more bits than fill promises to have.
func (r *bitReader) takeWide(k uint) (uint64, bool) {
	if k <= 32 {
		return 0, false
	}
	high, ok := r.take(32)
	if !ok {
		return 0, false
	}
	low, ok := r.take(k - 32)
	return high<<(k-32) | low, ok
}

// appendXOR appends the samples of a chunk in Prometheus' XOR encoding
// (chunkenc.EncXOR): delta of delta for the times; values as in "Gorilla: A
// Fast, Scalable, In-Memory Time Series Database" (Pelkonen et al., 2015).
func appendXOR(dst []promql.FPoint, b []byte) ([]promql.FPoint, error) {
	if len(b) < xorHeader {
		return dst, errCorrupt
	}
	total := int(binary.BigEndian.Uint16(b))
	if total == 0 {
		return dst, nil
	}
	b = b[xorHeader:]
	t, size := binary.Varint(b)
	if size <= 0 || len(b) < size+8 {
		return dst, errCorrupt
	}
	val := binary.BigEndian.Uint64(b[size:])
	b = b[size+8:]
	dst = append(dst, promql.FPoint{T: t, F: math.Float64frombits(val)})
	if total == 1 {
		return dst, nil
	}
	first, size := binary.Uvarint(b)
	if size <= 0 {
		return dst, errCorrupt
	}
	delta := int64(first) //nolint:gosec // wraps as the encoder's does
	d := xorDecoder{bits: bitReader{data: b[size:]}, val: val}
	t += delta
	if !d.value() {
		return dst, errCorrupt
	}
	dst = append(dst, promql.FPoint{T: t, F: math.Float64frombits(d.val)})
	for range total - 2 {
		dod, ok := d.deltaOfDelta()
		if !ok || !d.value() {
			return dst, errCorrupt
		}
		delta += dod
		t += delta
		dst = append(dst, promql.FPoint{T: t, F: math.Float64frombits(d.val)})
	}
	return dst, nil
}

type xorDecoder struct {
	bits              bitReader
	val               uint64
	leading, trailing uint
}

// deltaOfDelta reads a prefix of up to four bits, which says how many follow.
func (d *xorDecoder) deltaOfDelta() (int64, bool) {
	r := &d.bits
	if r.n < 24 {
		r.fill()
	}
	if r.buf>>63 == 0 {
		return 0, r.skip(1)
	}
	var prefix, size uint
	switch {
	case r.buf>>62 == 0b10:
		prefix, size = 2, 14
	case r.buf>>61 == 0b110:
		prefix, size = 3, 17
	case r.buf>>60 == 0b1110:
		prefix, size = 4, 20
	default:
		if !r.skip(4) {
			return 0, false
		}
		v, ok := r.take(64)
		return int64(v), ok //nolint:gosec // two's complement
	}
	if prefix+size > r.n {
		return 0, false
	}
	v := int64(r.buf << prefix >> (64 - size)) //nolint:gosec // at most 20 bits
	r.buf <<= prefix + size
	r.n -= prefix + size
	if v > 1<<(size-1) {
		v -= 1 << size
	}
	return v, true
}

// value reads how the next value differs from the last.
func (d *xorDecoder) value() bool {
	r := &d.bits
	if r.n < 13 {
		r.fill()
	}
	if r.buf>>63 == 0 {
		return r.skip(1)
	}
	if r.buf>>62 == 0b10 {
		if !r.skip(2) {
			return false
		}
	} else {
		leading, size := uint(r.buf<<2>>59), uint(r.buf<<7>>58)
		if !r.skip(13) {
			return false
		}
		if size == 0 { // 64 does not fit into six bits
			size = 64
		}
		if leading+size > 64 {
			return false
		}
		d.leading, d.trailing = leading, 64-leading-size
	}
	v, ok := r.take(64 - d.leading - d.trailing)
	d.val ^= v << d.trailing
	return ok
}
