package encoding

import (
	"math"
)

// Floats are stored as integers times a negative power of ten where that gives
// back every bit, else as their bits.
const (
	floatsDecimal = 0
	floatsBits    = 1

	maxDecimals = 12
	maxDecimal  = 1 << 53
)

var pow10 = [maxDecimals + 1]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12}

// AppendFloats appends floats, given as their bits, to head, and their pages to pages. scratch is overwritten.
func AppendFloats(head, pages []byte, vals []uint64, scratch []uint64) (headAfter, pagesAfter []byte) {
	if k, ok := decimals(vals); ok {
		ints := append(scratch[:0], vals...)
		exact := true
		for i, v := range vals {
			n, ok := scale(math.Float64frombits(v), k)
			if !ok {
				exact = false
				break
			}
			ints[i] = uint64(n)
		}
		if exact {
			return AppendPagedInts(append(head, floatsDecimal, byte(k)), pages, ints)
		}
	}
	return AppendPagedInts(append(head, floatsBits), pages, vals)
}

// decimals returns the digits after the point that all values need.
func decimals(vals []uint64) (int, bool) {
	k := 0
	for _, v := range vals {
		f := math.Float64frombits(v)
		for {
			if _, ok := scale(f, k); ok {
				break
			}
			if k++; k > maxDecimals {
				return 0, false
			}
		}
	}
	return k, true
}

// scale returns f times 10^k if that is an integer that divides back to exactly f.
func scale(f float64, k int) (int64, bool) {
	n := math.RoundToEven(f * pow10[k])
	if !(n > -maxDecimal && n < maxDecimal) {
		return 0, false
	}
	i := int64(n)
	return i, math.Float64bits(float64(i)/pow10[k]) == math.Float64bits(f)
}

// DecodeFloats fills dst with the bits of floats and returns what follows.
func DecodeFloats(dst []uint64, src []byte, pages *PageReader) ([]byte, error) {
	r := Reader{B: src}
	switch r.Byte() {
	case floatsDecimal:
		k := int(r.Byte())
		if r.Bad() || k > maxDecimals {
			return nil, ErrCorrupt
		}
		rest, err := DecodePagedInts(dst, r.B, pages)
		if err != nil {
			return nil, err
		}
		p := pow10[k]
		for i, v := range dst {
			dst[i] = math.Float64bits(float64(int64(v)) / p)
		}
		return rest, nil
	case floatsBits:
		if r.Bad() {
			return nil, ErrCorrupt
		}
		return DecodePagedInts(dst, r.B, pages)
	}
	return nil, ErrCorrupt
}
