package encoding

import "math"

// Point reads: a few values of an array, without decoding the rest. Indexes must
// ascend; they may repeat.

// PickInts sets dst[i] to the value at idx[i] of n integers in src.
func PickInts(dst []uint64, src []byte, n int, idx []uint32) error {
	return PickPagedInts(dst, src, n, idx, PageReader{})
}

// PickPagedInts is PickInts for integers that may have pages, of which it reads those that it needs.
func PickPagedInts(dst []uint64, src []byte, n int, idx []uint32, pages PageReader) error {
	if len(idx) == 0 {
		return nil
	}
	if int(idx[len(idx)-1]) >= n {
		return ErrCorrupt
	}
	r := Reader{B: src}
	switch mode := r.Byte(); mode {
	case intsConst:
		v := uint64(r.Varint())
		for i := range idx {
			dst[i] = v
		}
		return r.Err()
	case intsTable:
		return pickTable(dst, &r, n, idx)
	default:
		s, err := spansOf(r, mode, n, &pages)
		if err != nil {
			return err
		}
		return s.pick(dst, idx)
	}
}

func (s *spans) pick(dst []uint64, idx []uint32) error {
	i := 0
	if s.delta {
		for ; i < len(idx) && idx[i] == 0; i++ {
			dst[i] = s.first
		}
	}
	for i < len(idx) && s.next() {
		j := i
		for j < len(idx) && int(idx[j]) < s.to {
			j++
		}
		if i == j {
			continue
		}
		err := s.open()
		if err != nil {
			return err
		}
		if s.delta {
			err = s.pickDelta(dst[i:j], s.runs(), s.span, idx[i:j])
		} else {
			err = s.pickFrame(dst[i:j], s.runs(), s.span, idx[i:j])
		}
		if err != nil {
			return err
		}
		i = j
	}
	return s.r.Err()
}

func (h *runsHead) pickFrame(dst []uint64, r *Reader, s span, idx []uint32) error {
	for i, start := 0, s.from; i < len(idx); start += runLen {
		end := min(start+runLen, s.to)
		run := readRun(r, end-start, false)
		if r.Bad() || int(idx[i]) < start {
			return ErrCorrupt
		}
		for ; i < len(idx) && int(idx[i]) < end; i++ {
			dst[i] = (unpackOne(run.body, int(idx[i])-start, run.width)+run.lo)*h.gcd + h.base
		}
	}
	return nil
}

func (h *runsHead) pickDelta(dst []uint64, r *Reader, s span, idx []uint32) error {
	value := s.before
	var buf [runLen]uint64
	for i, start := 0, s.from; i < len(idx); start += runLen { // value is that of start-1
		end := min(start+runLen, s.to)
		run := readRun(r, end-start, true)
		if r.Bad() || int(idx[i]) < start {
			return ErrCorrupt
		}
		after := value + (run.sum+run.lo*uint64(end-start))*h.gcd + h.base*uint64(end-start)
		if int(idx[i]) >= end {
			value = after
			continue
		}
		unpack(buf[:end-start], run.body, run.width)
		for at := start; i < len(idx) && int(idx[i]) < end; i++ {
			for ; at <= int(idx[i]); at++ {
				value += (buf[at-start]+run.lo)*h.gcd + h.base
			}
			dst[i] = value
		}
		value = after
	}
	return nil
}

// SkipInts returns what follows n integers in src.
func SkipInts(src []byte, n int) ([]byte, error) { return SkipPagedInts(src, n, nil) }

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

// PickFloats sets dst[i] to the bits of the value at idx[i] of n floats in src, and reads the pages that it needs.
func PickFloats(dst []uint64, src []byte, n int, idx []uint32, pages PageReader) error {
	r := Reader{B: src}
	switch r.Byte() {
	case floatsDecimal:
		k := int(r.Byte())
		if r.Bad() || k > maxDecimals {
			return ErrCorrupt
		}
		if err := PickPagedInts(dst, r.B, n, idx, pages); err != nil {
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
		return PickPagedInts(dst, r.B, n, idx, pages)
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
