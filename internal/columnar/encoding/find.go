package encoding

import "encoding/binary"

// FindInts appends to dst the positions, ascending, at which n integers in src are value, and returns
// what follows the integers, which may have pages. Numbers are compared as they are packed; of what cannot hold the
// value nothing is unpacked.
func FindInts(dst []uint32, src []byte, n int, value uint64, pages *PageReader) (found []uint32, rest []byte, err error) {
	if n == 0 {
		return dst, src, nil
	}
	r := Reader{B: src}
	switch mode := r.Byte(); mode {
	case intsConst:
		if uint64(r.Varint()) == value {
			for i := range n {
				dst = append(dst, uint32(i))
			}
		}
	case intsTable:
		dst = findTable(dst, &r, n, value)
	default:
		s, err := spansOf(r, mode, n, pages)
		if err != nil || s.gcd == 0 {
			return dst, nil, ErrCorrupt
		}
		if s.delta && s.first == value {
			dst = append(dst, 0)
		}
		for s.next() {
			if err := s.open(); err != nil {
				return dst, nil, err
			}
			if s.delta {
				dst = s.findDelta(dst, s.runs(), s.span, value)
			} else {
				dst = s.findFrame(dst, s.runs(), s.span, value)
			}
			if s.runs().Bad() {
				return dst, nil, ErrCorrupt
			}
		}
		rest, err = s.end(pages)
		return dst, rest, err
	}
	return dst, r.B, r.Err()
}

func (h *runsHead) findFrame(dst []uint32, r *Reader, s span, value uint64) []uint32 {
	number, odd := (value-h.base)/h.gcd, (value-h.base)%h.gcd
	for start := s.from; start < s.to; start += runLen {
		k := min(s.to-start, runLen)
		run := readRun(r, k, false)
		if r.Bad() {
			return dst
		}
		if odd == 0 && number >= run.lo {
			dst = findPacked(dst, run.body, start, k, run.width, number-run.lo)
		}
	}
	return dst
}

func (h *runsHead) findDelta(dst []uint32, r *Reader, s span, value uint64) []uint32 {
	at := s.before
	var buf [runLen]uint64
	for start := s.from; start < s.to; start += runLen { // at is the value before
		k := min(s.to-start, runLen)
		run := readRun(r, k, true)
		if r.Bad() {
			return dst
		}
		least := run.lo*h.gcd + h.base
		after := at + run.sum*h.gcd + least*uint64(k)
		// Values that only grow are between those at the ends of their run. The sum of 256 differences below
		// 2^55 does not wrap around.
		grows := least < 1<<54 && run.width+bitLen(h.gcd) <= 54
		if grows && value-at > after-at {
			at = after
			continue
		}
		unpack(buf[:k], run.body, run.width)
		for i, d := range buf[:k] {
			if at += d*h.gcd + least; at == value {
				dst = append(dst, uint32(start+i))
			}
		}
		at = after
	}
	return dst
}

func findTable(dst []uint32, r *Reader, n int, value uint64) []uint32 {
	var room [maxTable]uint64
	values := readTable(r, &room)
	width := uint(r.Byte())
	body := r.Take(packedSize(n, width))
	if r.Bad() || width > 8 {
		r.Fail()
		return dst
	}
	for id, v := range values {
		if v == value {
			return findPacked(dst, body, 0, n, width, uint64(id))
		}
	}
	return dst
}

// findPacked appends start + i for each i below n at which the number of width bits in src is number. Src
// holds packedSize bytes, perhaps more.
func findPacked(dst []uint32, src []byte, start, n int, width uint, number uint64) []uint32 {
	if width < 64 && number>>width != 0 {
		return dst
	}
	i := 0
	if 0 < width && width <= 28 {
		// Two numbers are in the 8 bytes from the one on that the first begins in.
		two := 2 * width
		both, low := uint64(1)<<two-1, uint64(1)<<width-1
		twice := number | number<<width
		bit := uint(0)
		for safe := len(src) - loadBytes; i+2 <= n && int(bit>>3) <= safe; i += 2 {
			d := (binary.LittleEndian.Uint64(src[bit>>3:])>>(bit&7) ^ twice) & both
			bit += two
			if d&low != 0 && d>>width != 0 {
				continue
			}
			if d&low == 0 {
				dst = append(dst, uint32(start+i))
			}
			if d>>width == 0 {
				dst = append(dst, uint32(start+i+1))
			}
		}
	}
	var buf [runLen]uint64
	if width > 28 && n <= runLen {
		unpack(buf[:n], src, width)
		for i, v := range buf[:n] {
			if v == number {
				dst = append(dst, uint32(start+i))
			}
		}
		return dst
	}
	for ; i < n; i++ {
		if unpackOne(src, i, width) == number {
			dst = append(dst, uint32(start+i))
		}
	}
	return dst
}
