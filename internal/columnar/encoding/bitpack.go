package encoding

import (
	"encoding/binary"
	"math/bits"
)

// packedSize returns the bytes that n values of width bits take.
func packedSize(n int, width uint) int { return (n*int(width) + 7) / 8 }

// appendPacked appends values of width bits each, the first in the lowest bits,
// little-endian. Values must fit.
func appendPacked(dst []byte, vals []uint64, width uint) []byte {
	if width == 0 {
		return dst
	}
	var acc uint64
	var have uint
	for _, v := range vals {
		acc |= v << have
		if have+width >= 64 {
			dst = binary.LittleEndian.AppendUint64(dst, acc)
			used := 64 - have
			acc = 0
			if used < width {
				acc = v >> used
			}
			have = width - used
		} else {
			have += width
		}
	}
	for n := (have + 7) / 8; n > 0; n-- {
		dst = append(dst, byte(acc))
		acc >>= 8
	}
	return dst
}

// loadBytes are how many bytes unpack loads at once.
const loadBytes = 8

// unpack fills dst with values of width bits from src, which holds at least
// packedSize bytes; bytes behind are read but do not matter.
func unpack(dst []uint64, src []byte, width uint) {
	switch width {
	case 0:
		clear(dst)
		return
	case 8:
		for i := range dst {
			dst[i] = uint64(src[i])
		}
		return
	case 16:
		for i := range dst {
			dst[i] = uint64(binary.LittleEndian.Uint16(src[2*i:]))
		}
		return
	case 32:
		for i := range dst {
			dst[i] = uint64(binary.LittleEndian.Uint32(src[4*i:]))
		}
		return
	case 64:
		for i := range dst {
			dst[i] = binary.LittleEndian.Uint64(src[8*i:])
		}
		return
	}
	i := 0
	if width <= 56 {
		// The values whose 8-byte load stays inside src.
		if safe := (len(src) - loadBytes) * 8; safe >= 0 {
			n := min(len(dst), safe/int(width)+1)
			i = unpackLoads(dst[:n], src, width)
		}
	}
	for ; i < len(dst); i++ {
		dst[i] = unpackOne(src, i, width)
	}
}

// unpackLoads is unpack where 8 bytes can be loaded from the one that a value begins in, whichever
// it is. One load gives as many values as it holds for sure: 8 that begin a byte, 4 that
// begin in its first half, or 2. It returns the number of values that are done: all.
func unpackLoads(dst []uint64, src []byte, width uint) int {
	mask := uint64(1)<<width - 1
	bit, i := uint(0), 0
	switch {
	case width <= 8:
		for ; i+8 <= len(dst); i += 8 {
			v, d := binary.LittleEndian.Uint64(src[bit>>3:]), dst[i:i+8:i+8]
			d[0], v = v&mask, v>>(width&63)
			d[1], v = v&mask, v>>(width&63)
			d[2], v = v&mask, v>>(width&63)
			d[3], v = v&mask, v>>(width&63)
			d[4], v = v&mask, v>>(width&63)
			d[5], v = v&mask, v>>(width&63)
			d[6], v = v&mask, v>>(width&63)
			d[7] = v & mask
			bit += 8 * width
		}
	case width <= 15:
		for ; i+4 <= len(dst); i += 4 {
			v, d := binary.LittleEndian.Uint64(src[bit>>3:])>>(bit&7), dst[i:i+4:i+4]
			d[0], v = v&mask, v>>(width&63)
			d[1], v = v&mask, v>>(width&63)
			d[2], v = v&mask, v>>(width&63)
			d[3] = v & mask
			bit += 4 * width
		}
	case width <= 29:
		for ; i+2 <= len(dst); i += 2 {
			v, d := binary.LittleEndian.Uint64(src[bit>>3:])>>(bit&7), dst[i:i+2:i+2]
			d[0], d[1] = v&mask, v>>(width&63)&mask
			bit += 2 * width
		}
	}
	for ; i < len(dst); i++ {
		dst[i] = binary.LittleEndian.Uint64(src[bit>>3:]) >> (bit & 7) & mask
		bit += width
	}
	return i
}

// unpackOne returns value i.
func unpackOne(src []byte, i int, width uint) uint64 {
	bit := uint(i) * width
	var v uint64
	for got := uint(0); got < width; {
		b := uint64(src[bit>>3]) >> (bit & 7)
		v |= b << got
		step := 8 - bit&7
		got += step
		bit += step
	}
	if width < 64 {
		v &= 1<<width - 1
	}
	return v
}

func bitLen(v uint64) uint { return uint(bits.Len64(v)) }

// AppendIDs appends dictionary IDs below n, bit-packed: the width in a byte, the IDs.
func AppendIDs(dst []byte, ids []uint32, n int) []byte {
	width := bitLen(uint64(max(n, 1) - 1))
	dst = append(dst, byte(width))
	var buf [256]uint64
	for len(ids) > 0 {
		k := min(len(ids), len(buf))
		for i, id := range ids[:k] {
			buf[i] = uint64(id)
		}
		dst = appendPacked(dst, buf[:k], width) // 256 values fill whole bytes, whatever the width
		ids = ids[k:]
	}
	return dst
}

// DecodeIDs fills ids from src and returns what follows. IDs of n and above are corrupt.
func DecodeIDs(ids []uint32, src []byte, n int) ([]byte, error) {
	if len(src) == 0 {
		return nil, ErrCorrupt
	}
	width := uint(src[0])
	src = src[1:]
	size := packedSize(len(ids), width)
	if width > 32 || len(src) < size {
		return nil, ErrCorrupt
	}
	body := src[:size]
	var buf [256]uint64
	for done := 0; done < len(ids); {
		k := min(len(ids)-done, len(buf))
		unpack(buf[:k], body, width)
		top := uint64(0)
		out := ids[done : done+k]
		for i, v := range buf[:k] {
			top = max(top, v)
			out[i] = uint32(v)
		}
		if top >= uint64(n) {
			return nil, ErrCorrupt
		}
		body = body[packedSize(k, width):]
		done += k
	}
	return src[size:], nil
}
