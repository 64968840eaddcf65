package column

import (
	"encoding/binary"
	"math"
	stdbits "math/bits"
	"slices"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

const (
	nativeHeader = 3 // the number of samples, big endian, and flags
	nativeFlags  = 2 // where they are
)

// nativeDecoder decodes chunks of integer histograms in Prometheus' encoding
// (chunkenc.EncHistogram, tsdb/docs/format/chunks.md): a layout of buckets, then for
// each sample the times, counts and buckets as deltas of deltas in varbit numbers,
// the sum as in a chunk of floats.
type nativeDecoder struct {
	padded []byte
	layout histogram.FloatHistogram // with the buckets that all samples have, and memory for them
	state  []counter                // of the buckets
}

// counter is a number and how much it has grown last.
type counter struct{ value, delta int64 }

func (c *counter) next(dod int64) {
	c.delta += dod
	c.value += c.delta
}

// append appends the samples of a chunk from mint to maxt. It returns false, and does
// nothing, for a schema that it does not know.
func (d *nativeDecoder) append(dst []promql.HPoint, pool *histogramPool, chunk []byte, mint, maxt int64) ([]promql.HPoint, bool, error) {
	if len(chunk) < nativeHeader {
		return dst, true, errCorrupt
	}
	total := int(binary.BigEndian.Uint16(chunk))
	if total == 0 {
		return dst, true, nil
	}
	d.padded = append(append(d.padded[:0], chunk[nativeHeader:]...), make([]byte, padding)...)
	r, ok := d.readLayout(bits{data: d.padded})
	if !ok {
		return dst, true, errCorrupt
	}
	if s := d.layout.Schema; s != histogram.CustomBucketsSchema && (s < histogram.ExponentialSchemaMin || s > histogram.ExponentialSchemaMax) {
		return dst, false, nil
	}
	hint := histogram.UnknownCounterReset // as chunkenc: the chunk before may be gone
	gauge := chunkenc.CounterResetHeader(chunk[nativeFlags]&chunkenc.CounterResetHeaderMask) == chunkenc.GaugeType
	var (
		t, count, zero counter
		sum            xorValue
	)
	for i := range total {
		var v int64
		if i == 0 {
			t.value, r = varbit(r)
			count.value, r = varbitUint(r)
			zero.value, r = varbitUint(r)
			sum.bits, r = wide(r.load(), 64)
		} else {
			v, r = varbit(r)
			t.next(v)
			v, r = varbit(r)
			count.next(v)
			v, r = varbit(r)
			zero.next(v)
			if r, ok = sum.next(r); !ok {
				return dst, true, errCorrupt
			}
		}
		if t.value > maxt {
			return dst, true, nil
		}
		if t.value < mint {
			if i == 0 || !value.IsStaleNaN(math.Float64frombits(sum.bits)) {
				r = d.skip(r, i == 0)
			}
			hint = histogram.NotCounterReset
			continue
		}
		h := pool.get()
		had := room(h)
		h.Sum = math.Float64frombits(sum.bits)
		if i > 0 && value.IsStaleNaN(h.Sum) {
			clearHistogram(h)
			h.Sum = math.Float64frombits(sum.bits)
		} else {
			h.CounterResetHint = hint
			h.Count, h.ZeroCount = float64(uint64(count.value)), float64(uint64(zero.value)) //nolint:gosec // as they are stored
			r = d.buckets(h, r, i == 0)
		}
		if gauge {
			h.CounterResetHint = histogram.GaugeType
		}
		pool.buckets += room(h) - had
		dst = append(dst, promql.HPoint{T: t.value, H: h})
		hint = histogram.NotCounterReset
		if r.n > 64 { // less than nothing was left
			return dst, true, errCorrupt
		}
	}
	if used := r.pos*8 - int(r.n); used > (len(d.padded)-padding)*8 { //nolint:gosec // at most 64
		return dst, true, errCorrupt
	}
	return dst, true, nil
}

// readLayout reads what all samples have in common.
func (d *nativeDecoder) readLayout(r bits) (bits, bool) {
	l := &d.layout
	l.CustomValues = nil // samples share them
	v, r := wide(r.load(), 8)
	switch v {
	case 0:
		l.ZeroThreshold = 0
	case 255:
		v, r = wide(r, 64)
		l.ZeroThreshold = math.Float64frombits(v)
	default:
		l.ZeroThreshold = math.Ldexp(0.5, int(v)-243) //nolint:gosec // a byte
	}
	s, r := varbit(r)
	l.Schema = int32(s) //nolint:gosec // checked by the caller
	buckets := uint64(0)
	for _, spans := range []*[]histogram.Span{&l.PositiveSpans, &l.NegativeSpans} {
		*spans = (*spans)[:0]
		var n, length, offset int64
		if n, r = varbitUint(r); n < 0 || n > int64(len(d.padded)) {
			return r, false
		}
		for range n {
			length, r = varbitUint(r)
			offset, r = varbit(r)
			*spans = append(*spans, histogram.Span{Offset: int32(offset), Length: uint32(length)}) //nolint:gosec // as they are stored
			buckets += uint64(uint32(length))                                                      //nolint:gosec // likewise
		}
		if spans == &l.PositiveSpans {
			l.PositiveBuckets = grow(l.PositiveBuckets, min(buckets, uint64(8*len(d.padded))))
		}
	}
	if buckets > uint64(8*len(d.padded)) { // each takes a bit
		return r, false
	}
	l.NegativeBuckets = grow(l.NegativeBuckets, buckets-uint64(len(l.PositiveBuckets)))
	d.state = slices.Grow(d.state[:0], int(buckets))[:buckets] //nolint:gosec // bounded
	clear(d.state)
	if l.Schema == histogram.CustomBucketsSchema {
		var n, bound int64
		if n, r = varbitUint(r); n < 0 || n > int64(len(d.padded)) {
			return r, false
		}
		for range n {
			if bound, r = varbitUint(r); bound != 0 {
				l.CustomValues = append(l.CustomValues, float64(uint64(bound)-1)/1000) //nolint:gosec // as it is stored
				continue
			}
			v, r = wide(r.load(), 64)
			l.CustomValues = append(l.CustomValues, math.Float64frombits(v))
		}
	}
	return r, true
}

// grow returns n numbers in the memory of s, if they fit.
func grow(s []float64, n uint64) []float64 {
	return slices.Grow(s[:0], int(n))[:n] //nolint:gosec // bounded by the chunk
}

// buckets reads the buckets of a sample.
func (d *nativeDecoder) buckets(h *histogram.FloatHistogram, r bits, first bool) bits {
	l := &d.layout
	h.Schema, h.ZeroThreshold, h.CustomValues = l.Schema, l.ZeroThreshold, l.CustomValues
	h.PositiveSpans, h.NegativeSpans = append(h.PositiveSpans[:0], l.PositiveSpans...), append(h.NegativeSpans[:0], l.NegativeSpans...)
	h.PositiveBuckets = grow(h.PositiveBuckets, uint64(len(l.PositiveBuckets)))
	h.NegativeBuckets = grow(h.NegativeBuckets, uint64(len(l.NegativeBuckets)))
	return d.read(h, r, first)
}

// skip reads the buckets of a sample that nobody wants.
func (d *nativeDecoder) skip(r bits, first bool) bits { return d.read(&d.layout, r, first) }

// read reads the buckets of a sample to those of h.
func (d *nativeDecoder) read(h *histogram.FloatHistogram, r bits, first bool) bits {
	positive := len(h.PositiveBuckets)
	if first {
		r = firstBuckets(h.PositiveBuckets, d.state[:positive], r)
		return firstBuckets(h.NegativeBuckets, d.state[positive:], r)
	}
	r = nextBuckets(h.PositiveBuckets, d.state[:positive], r)
	return nextBuckets(h.NegativeBuckets, d.state[positive:], r)
}

// firstBuckets reads buckets, each as the difference to the one before.
func firstBuckets(out []float64, state []counter, r bits) bits {
	n := int64(0)
	for i := range out {
		state[i].value, r = varbit(r)
		n += state[i].value
		out[i] = float64(n)
	}
	return r
}

// nextBuckets reads buckets by how the growth of these differences has changed. It
// is what decoding takes its time for: the bits are in variables of their own.
func nextBuckets(out []float64, state []counter, r bits) bits {
	var (
		pos, buf, left = r.pos, r.buf, r.n
		n              = int64(0)
	)
	state = state[:len(out)]
	for i := range out {
		if left < 33 && pos+8 <= len(r.data) {
			buf |= binary.BigEndian.Uint64(r.data[pos:]) >> left
			k := (63 - left) >> 3
			pos += int(k) //nolint:gosec // at most seven
			left += k << 3
		}
		c := &state[i]
		if ones := uint(stdbits.LeadingZeros64(^buf)); ones < 7 { //nolint:gosec // at most 64
			// Without branches: which size comes next, nobody can guess.
			size := varbitSizes[ones&7]
			v := buf << ((ones + 1) & 63) >> 1 >> ((63 - size) & 63)
			over := (uint64(1)<<(size&63)>>1 - v) >> 63
			c.delta += int64(v - over<<(size&63)) //nolint:gosec // two's complement
			buf, left = buf<<((ones+1+size)&63), left-ones-1-size
		} else {
			dod, rest := varbit(bits{r.data, pos, buf, left})
			c.delta += dod
			pos, buf, left = rest.pos, rest.buf, rest.n
		}
		c.value += c.delta
		n += c.value
		out[i] = float64(n)
	}
	return bits{r.data, pos, buf, left}
}

// varbitSizes are how many bits follow a number of ones and a zero.
var varbitSizes = [8]uint{0, 3, 6, 9, 12, 18, 25, 56} //nolint:gochecknoglobals // a constant

// varbitBits reads the bits of a number, and how many there are.
func varbitBits(r bits) (v uint64, size uint, _ bits) {
	if r.n < 33 {
		r = r.load()
	}
	ones := uint(stdbits.LeadingZeros64(^r.buf)) //nolint:gosec // at most 64
	if ones < 7 {
		size = varbitSizes[ones]
		v = r.buf << ((ones + 1) & 63) >> 1 >> ((63 - size) & 63)
		r.buf, r.n = r.buf<<((ones+1+size)&63), r.n-ones-1-size
		return v, size, r
	}
	size = 64
	if ones == 7 {
		size = varbitSizes[ones]
	}
	r.buf, r.n = r.buf<<8, r.n-8
	v, r = wide(r, size)
	return v, size, r
}

func varbit(r bits) (int64, bits) {
	v, size, r := varbitBits(r)
	if size == 0 || size == 64 {
		return int64(v), r //nolint:gosec // two's complement
	}
	return signed(v, size), r
}

// signed is a number of so many bits, from one above the least to one above the
// greatest of two's complement.
func signed(v uint64, size uint) int64 {
	if v > 1<<(size-1) {
		return int64(v) - 1<<size //nolint:gosec // at most 56 bits
	}
	return int64(v) //nolint:gosec // likewise
}

func varbitUint(r bits) (int64, bits) {
	v, _, r := varbitBits(r)
	return int64(v), r //nolint:gosec // the same bits
}

// xorValue is a float of a sequence that is stored by what differs from the one
// before.
type xorValue struct {
	bits              uint64
	leading, trailing uint
}

func (x *xorValue) next(r bits) (bits, bool) {
	r = r.load()
	if r.buf>>63 == 0 {
		r.buf, r.n = r.buf<<1, r.n-1
		return r, true
	}
	width := 64 - x.leading - x.trailing
	if r.buf>>62 == 0b10 {
		r.buf, r.n = r.buf<<2, r.n-2
	} else {
		x.leading = uint(r.buf << 2 >> 59)
		if width = uint(r.buf << 7 >> 58); width == 0 { // 64 does not fit into six bits
			width = 64
		}
		if x.leading+width > 64 {
			return r, false
		}
		x.trailing = 64 - x.leading - width
		r.buf, r.n = r.buf<<13, r.n-13
	}
	var diff uint64
	if width > r.n {
		diff, r = wide(r, width)
	} else {
		diff, r.buf, r.n = r.buf>>(64-width), r.buf<<width, r.n-width
	}
	x.bits ^= diff << x.trailing
	return r, true
}
