package column

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"

	"github.com/prometheus/prometheus/promql"
)

// errCorrupt says that a chunk ends before its last sample.
var errCorrupt = errors.New("float chunk is cut short")

const (
	xorHeader = 2  // the number of samples, big endian
	padding   = 16 // zero bytes behind a chunk, so that eight can be loaded anywhere in it
)

// bits are a chunk's. The next are at the top of buf, of which n are loaded;
// those below are a correct continuation as far as they go.
type bits struct {
	data []byte // padded
	pos  int
	buf  uint64
	n    uint
}

// load makes at least 56 bits available. Past the padding there are none.
func (b bits) load() bits {
	if b.pos+8 > len(b.data) {
		return b
	}
	b.buf |= binary.BigEndian.Uint64(b.data[b.pos:]) >> b.n
	k := (63 - b.n) >> 3
	b.pos += int(k) //nolint:gosec // at most seven
	b.n += k << 3
	return b
}

// xorDecoder decodes chunks in Prometheus' XOR encoding (chunkenc.EncXOR):
// delta of delta for the times; values as in "Gorilla: A Fast, Scalable,
// In-Memory Time Series Database" (Pelkonen et al., 2015).
type xorDecoder struct{ padded []byte }

// append appends the samples of a chunk.
func (d *xorDecoder) append(dst []promql.FPoint, chunk []byte) ([]promql.FPoint, error) {
	if len(chunk) < xorHeader {
		return dst, errCorrupt
	}
	total := int(binary.BigEndian.Uint16(chunk))
	if total == 0 {
		return dst, nil
	}
	b := chunk[xorHeader:]
	t, size := binary.Varint(b)
	if size <= 0 || len(b) < size+8 {
		return dst, errCorrupt
	}
	val := binary.BigEndian.Uint64(b[size:])
	b = b[size+8:]
	dst = append(slices.Grow(dst, total), promql.FPoint{T: t, F: math.Float64frombits(val)})
	if total == 1 {
		return dst, nil
	}
	delta, size := binary.Uvarint(b)
	if size <= 0 {
		return dst, errCorrupt
	}
	b = b[size:]
	d.padded = append(append(d.padded[:0], b...), make([]byte, padding)...)
	return appendDeltas(dst, d.padded, total-1, int64(delta)) //nolint:gosec // wraps as the encoder's does
}

// appendDeltas appends n samples to the one that is there, the first of which
// has its delta given.
func appendDeltas(dst []promql.FPoint, padded []byte, n int, delta int64) ([]promql.FPoint, error) {
	var (
		r        = bits{data: padded}
		last     = dst[len(dst)-1]
		t, val   = last.T, math.Float64bits(last.F)
		trailing uint
		width    uint = 64 // of the bits that differ
	)
	for i := range n {
		if r.n < 37 { // the longest delta but one, and how the value begins
			r = r.load()
		}
		if i > 0 {
			if r.buf>>63 == 0 {
				r.buf, r.n = r.buf<<1, r.n-1
			} else {
				var dod int64
				dod, r = deltaOfDelta(r)
				delta += dod
			}
		}
		t += delta
		if r.n < 13 {
			r = r.load()
		}
		switch r.buf >> 63 {
		case 0:
			r.buf, r.n = r.buf<<1, r.n-1
		default:
			if r.buf>>62 == 0b10 {
				r.buf, r.n = r.buf<<2, r.n-2
			} else {
				leading := uint(r.buf << 2 >> 59)
				if width = uint(r.buf << 7 >> 58); width == 0 { // 64 does not fit into six bits
					width = 64
				}
				if leading+width > 64 {
					return dst, errCorrupt
				}
				trailing = 64 - leading - width
				r.buf, r.n = r.buf<<13, r.n-13
			}
			var diff uint64
			if width > r.n {
				diff, r = wide(r, width)
			} else {
				diff, r.buf, r.n = r.buf>>(64-width), r.buf<<width, r.n-width
			}
			val ^= diff << trailing
		}
		if r.n > 64 { // less than nothing was left
			return dst, errCorrupt
		}
		dst = append(dst, promql.FPoint{T: t, F: math.Float64frombits(val)})
	}
	if used := r.pos*8 - int(r.n); used > (len(padded)-padding)*8 { //nolint:gosec // at most 64
		return dst, errCorrupt
	}
	return dst, nil
}

// wide takes bits of which not all are loaded.
func wide(r bits, width uint) (uint64, bits) {
	r = r.load()
	if width <= r.n {
		return r.buf >> (64 - width), bits{r.data, r.pos, r.buf << width, r.n - width}
	}
	have := min(r.n, 32)
	high := r.buf >> (64 - have)
	r.buf, r.n = r.buf<<have, r.n-have
	r = r.load()
	rest := width - have
	low := r.buf >> (64 - rest)
	return high<<rest | low, bits{r.data, r.pos, r.buf << rest, r.n - rest}
}

// deltaOfDelta reads a prefix of two to four bits, which says how many follow.
func deltaOfDelta(r bits) (int64, bits) {
	var prefix, size uint
	switch {
	case r.buf>>62 == 0b10:
		prefix, size = 2, 14
	case r.buf>>61 == 0b110:
		prefix, size = 3, 17
	case r.buf>>60 == 0b1110:
		prefix, size = 4, 20
	default:
		r.buf, r.n = r.buf<<4, r.n-4
		v, r := wide(r, 64)
		return int64(v), r //nolint:gosec // two's complement
	}
	v := int64(r.buf << prefix >> (64 - size)) //nolint:gosec // at most 20 bits
	if v > 1<<(size-1) {
		v -= 1 << size
	}
	return v, bits{r.data, r.pos, r.buf << (prefix + size), r.n - prefix - size}
}
