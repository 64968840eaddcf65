package encoding

import "math"

// Point reads: a few values of an array, without decoding the rest. Indexes must
// ascend; they may repeat.

// PickInts sets dst[i] to the value at idx[i] of n integers in src.
func PickInts(dst []uint64, src []byte, n int, idx []uint32) error {
	if len(idx) == 0 {
		return nil
	}
	if int(idx[len(idx)-1]) >= n {
		return ErrCorrupt
	}
	r := Reader{B: src}
	switch r.Byte() {
	case intsConst:
		v := uint64(r.Varint())
		for i := range idx {
			dst[i] = v
		}
		return r.Err()
	case intsFrame:
		return pickFrame(dst, &r, n, idx)
	case intsDelta:
		return pickDelta(dst, &r, n, idx)
	case intsTable:
		return pickTable(dst, &r, n, idx)
	}
	return ErrCorrupt
}

func pickFrame(dst []uint64, r *Reader, n int, idx []uint32) error {
	gcd, base := r.Uvarint(), uint64(r.Varint())
	for i, start := 0, 0; i < len(idx); start += runLen {
		end := min(start+runLen, n)
		h := readRun(r, end-start, false)
		if r.Bad() || int(idx[i]) < start {
			return ErrCorrupt
		}
		for ; i < len(idx) && int(idx[i]) < end; i++ {
			dst[i] = (unpackOne(h.body, int(idx[i])-start, h.width)+h.lo)*gcd + base
		}
	}
	return nil
}

func pickDelta(dst []uint64, r *Reader, n int, idx []uint32) error {
	gcd, base, value := r.Uvarint(), uint64(r.Varint()), uint64(r.Varint())
	i := 0
	for ; i < len(idx) && idx[i] == 0; i++ {
		dst[i] = value
	}
	var buf [runLen]uint64
	for start := 1; i < len(idx); start += runLen { // value is that of start-1
		end := min(start+runLen, n)
		h := readRun(r, end-start, true)
		if r.Bad() || int(idx[i]) < start {
			return ErrCorrupt
		}
		after := value + (h.sum+h.lo*uint64(end-start))*gcd + base*uint64(end-start)
		if int(idx[i]) >= end {
			value = after
			continue
		}
		unpack(buf[:end-start], h.body, h.width)
		for at := start; i < len(idx) && int(idx[i]) < end; i++ {
			for ; at <= int(idx[i]); at++ {
				value += (buf[at-start]+h.lo)*gcd + base
			}
			dst[i] = value
		}
		value = after
	}
	return nil
}

// SkipInts returns what follows n integers in src.
func SkipInts(src []byte, n int) ([]byte, error) {
	if n == 0 {
		return src, nil
	}
	r := Reader{B: src}
	switch mode := r.Byte(); mode {
	case intsConst:
		r.Varint()
	case intsTable:
		var room [maxTable]uint64
		readTable(&r, &room)
		rest, err := SkipIDs(r.B, n)
		if r.Bad() {
			return nil, ErrCorrupt
		}
		return rest, err
	case intsFrame, intsDelta:
		r.Uvarint()
		r.Varint()
		if mode == intsDelta {
			r.Varint()
			n--
		}
		for ; n > 0 && !r.Bad(); n -= runLen {
			readRun(&r, min(n, runLen), mode == intsDelta)
		}
	default:
		return nil, ErrCorrupt
	}
	return r.B, r.Err()
}

// SkipIDs returns what follows count dictionary IDs in src.
func SkipIDs(src []byte, count int) ([]byte, error) {
	r := Reader{B: src}
	width := uint(r.Byte())
	if width > 32 {
		return nil, ErrCorrupt
	}
	r.Take(packedSize(count, width))
	return r.B, r.Err()
}

// PickFloats sets dst[i] to the bits of the value at idx[i] of n floats in src.
func PickFloats(dst []uint64, src []byte, n int, idx []uint32) error {
	r := Reader{B: src}
	switch r.Byte() {
	case floatsDecimal:
		k := int(r.Byte())
		if r.Bad() || k > maxDecimals {
			return ErrCorrupt
		}
		if err := PickInts(dst, r.B, n, idx); err != nil {
			return err
		}
		for i := range idx {
			dst[i] = math.Float64bits(float64(int64(dst[i])) / pow10[k])
		}
		return nil
	case floatsBits:
		if r.Bad() {
			return ErrCorrupt
		}
		return PickInts(dst, r.B, n, idx)
	}
	return ErrCorrupt
}

// PickIDs sets dst[i] to the ID at idx[i] of count dictionary IDs below n in src.
func PickIDs(dst []uint32, src []byte, count, n int, idx []uint32) error {
	r := Reader{B: src}
	width := uint(r.Byte())
	body := r.Take(packedSize(count, width))
	if r.Bad() || width > 32 {
		return ErrCorrupt
	}
	for i, at := range idx {
		if int(at) >= count {
			return ErrCorrupt
		}
		id := unpackOne(body, int(at), width)
		if id >= uint64(n) {
			return ErrCorrupt
		}
		dst[i] = uint32(id)
	}
	return nil
}

// ConstInts returns the value that all integers in src have, and what follows
// them; ok is false if they are not stored as one value.
func ConstInts(src []byte) (value uint64, rest []byte, ok bool) {
	if len(src) == 0 || src[0] != intsConst {
		return 0, nil, false
	}
	r := Reader{B: src[1:]}
	value = uint64(r.Varint())
	return value, r.B, !r.Bad()
}

// RawFrame returns the bytes of a frame that is stored as it is, without copying
// them; ok is false for others.
func RawFrame(src []byte) (raw []byte, ok bool) {
	r := Reader{B: src}
	n := r.Count(MaxPageBytes)
	mode := r.Byte()
	body := r.Bytes()
	return body, !r.Bad() && mode == frameRaw && len(body) == n
}
