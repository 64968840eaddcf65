package encoding

import (
	"encoding/binary"
	"math"

	"github.com/prometheus/prometheus/model/value"
)

// A column of floats begins with a byte:
//
//	0        all have the same bits: u64
//	1        their bits as integers in the order of the values
//	2 + e    integers, which divided by 10^e are the floats; e is at most 12
//
// Integers are a column of integers. Behind those of 2 + e come the floats that
// are no such decimals:
//
//	uvarint  their number
//	           uvarint  position, less the one before
//	           u8       which: see special; 0 if the bits follow
//	           u64      bits
const (
	sameFloats  = 0
	bitOrder    = 1
	decimal     = 2
	maxExponent = 12
)

// special are the bits of floats that are no decimals and yet common: stale
// markers, NaN, -0, the infinities. A code of i+1 stands for special[i].
func special(code byte) (uint64, bool) {
	switch code {
	case 1:
		return value.StaleNaN, true
	case 2:
		return value.NormalNaN, true
	case 3:
		return 1 << 63, true
	case 4:
		return 0x7ff << 52, true
	case 5:
		return 0xfff << 52, true
	}
	return 0, false
}

func specialCode(b uint64) byte {
	for code := byte(1); ; code++ {
		switch s, ok := special(code); {
		case !ok:
			return 0
		case s == b:
			return code
		}
	}
}

// power10 returns 10^e. All are exact, and so is the rounding of a division by
// one.
func power10(e int) float64 {
	return [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12}[e]
}

// scaled returns the integer that 10^e divides to exactly v, if there is one.
func scaled(v float64, e int) (int64, bool) {
	const exact = 1 << 53
	if e == 0 {
		if v >= -1<<63 && v < 1<<63 {
			i := int64(v)
			return i, math.Float64bits(float64(i)) == math.Float64bits(v)
		}
		return 0, false
	}
	p := power10(e)
	m := math.RoundToEven(v * p)
	if !(m > -exact && m < exact) { // also if v is NaN
		return 0, false
	}
	i := int64(m)
	return i, math.Float64bits(float64(i)/p) == math.Float64bits(v)
}

// Encoder appends columns of floats. The zero value is ready; it keeps memory
// between columns and is used by one goroutine at a time.
type Encoder struct {
	ints []int64
	odd  []int // positions of floats that are no decimals
}

// AppendFloats appends a column of floats.
func (e *Encoder) AppendFloats(dst []byte, vals []float64) []byte {
	if len(vals) == 0 {
		return dst
	}
	if same(vals) {
		return binary.LittleEndian.AppendUint64(append(dst, sameFloats), math.Float64bits(vals[0]))
	}
	exponent, ok := pickExponent(vals)
	if !ok {
		return e.appendBits(dst, vals)
	}
	start := len(dst)
	dst = e.appendDecimals(dst, vals, exponent)
	if len(e.odd)*8 > len(vals) {
		// Not sure that this was worth it.
		if other := e.appendBits(nil, vals); len(other) < len(dst)-start {
			return append(dst[:start], other...)
		}
	}
	return dst
}

func same(vals []float64) bool {
	first := math.Float64bits(vals[0])
	for _, v := range vals[1:] {
		if math.Float64bits(v) != first {
			return false
		}
	}
	return true
}

// pickExponent returns the exponent that makes the column smallest: each digit
// costs every value some bits, each float that is no decimal costs its own. It
// returns false if most are none.
func pickExponent(vals []float64) (int, bool) {
	var needs [maxExponent + 1]int // how many need that exponent and no less
	decimals, e := 0, 0
	for i, v := range vals {
		if _, ok := scaled(v, e); !ok || e > 0 {
			e = 0
			for ; e <= maxExponent; e++ {
				if _, ok = scaled(v, e); ok {
					break
				}
			}
		}
		if e > maxExponent {
			e = 0
			if i >= 64 && decimals*4 < i {
				return 0, false // arbitrary doubles: do not try them all
			}
			continue
		}
		needs[e]++
		decimals++
	}
	const digitBits, oddBits = 3.33, 80
	best, bestBits, covered := 0, math.Inf(1), 0
	for e, n := range needs {
		covered += n
		if size := digitBits*float64(e*len(vals)) + oddBits*float64(len(vals)-covered); size < bestBits {
			best, bestBits = e, size
		}
	}
	return best, decimals*2 >= len(vals)
}

func (e *Encoder) appendDecimals(dst []byte, vals []float64, exponent int) []byte {
	e.ints, e.odd = e.ints[:0], e.odd[:0]
	last := int64(0)
	for i, v := range vals {
		n, ok := scaled(v, exponent)
		if !ok {
			n = last
			e.odd = append(e.odd, i)
		}
		e.ints = append(e.ints, n)
		last = n
	}
	// Those at the beginning have none before them: they take the one behind.
	for i := range e.leading() {
		e.ints[i] = e.ints[e.leading()]
	}
	dst = append(dst, byte(decimal+exponent))
	dst = AppendInts(dst, e.ints)
	dst = binary.AppendUvarint(dst, uint64(len(e.odd)))
	before := 0
	for _, at := range e.odd {
		dst = binary.AppendUvarint(dst, uint64(at-before))
		before = at
		b := math.Float64bits(vals[at])
		code := specialCode(b)
		dst = append(dst, code)
		if code == 0 {
			dst = binary.LittleEndian.AppendUint64(dst, b)
		}
	}
	return dst
}

// leading returns how many floats at the beginning are no decimals, less one if
// none is.
func (e *Encoder) leading() int {
	n := 0
	for n < len(e.odd) && e.odd[n] == n {
		n++
	}
	return min(n, len(e.ints)-1)
}

func (e *Encoder) appendBits(dst []byte, vals []float64) []byte {
	e.ints = e.ints[:0]
	for _, v := range vals {
		e.ints = append(e.ints, ordered(math.Float64bits(v)))
	}
	return AppendInts(append(dst, bitOrder), e.ints)
}

// ordered maps the bits of a float to an integer, so that the order is that of
// the values. It is its own inverse.
func ordered(b uint64) int64 {
	i := int64(b)
	return i ^ int64(uint64(i>>63)>>1)
}

// Decoder decodes columns of floats. The zero value is ready; it keeps memory
// between columns and is used by one goroutine at a time.
type Decoder struct{ ints []int64 }

// DecodeFloats fills dst with a column of as many floats and returns what
// follows it in src.
func (d *Decoder) DecodeFloats(dst []float64, src []byte) ([]byte, error) {
	if len(dst) == 0 {
		return src, nil
	}
	r := reader{src: src}
	kind := r.byte()
	switch {
	case kind == sameFloats:
		v := math.Float64frombits(r.uint64())
		for i := range dst {
			dst[i] = v
		}
		return r.src, r.err
	case kind > decimal+maxExponent:
		return nil, ErrCorrupt
	case r.err != nil:
		return nil, r.err
	}
	if cap(d.ints) < len(dst) {
		d.ints = make([]int64, len(dst))
	}
	ints := d.ints[:len(dst)]
	rest, err := DecodeInts(ints, r.src)
	if err != nil {
		return nil, err
	}
	switch kind {
	case bitOrder:
		for i, n := range ints {
			dst[i] = math.Float64frombits(uint64(ordered(uint64(n))))
		}
		return rest, nil
	case decimal:
		for i, n := range ints {
			dst[i] = float64(n)
		}
	default:
		p := power10(int(kind - decimal))
		for i, n := range ints {
			dst[i] = float64(n) / p
		}
	}
	return decodeOdd(dst, rest)
}

// decodeOdd sets the floats that are no decimals.
func decodeOdd(dst []float64, src []byte) ([]byte, error) {
	r := reader{src: src}
	n := r.uvarint()
	at := uint64(0)
	for range n {
		at += r.uvarint()
		code := r.byte()
		b, ok := special(code)
		if !ok {
			b = r.uint64()
			if code != 0 {
				return nil, ErrCorrupt
			}
		}
		if r.err != nil || at >= uint64(len(dst)) {
			return nil, ErrCorrupt
		}
		dst[at] = math.Float64frombits(b)
	}
	return r.src, r.err
}
