package encoding

import (
	"encoding/binary"
	"errors"
)

// ErrCorrupt is returned for bytes that no encoder wrote.
var ErrCorrupt = errors.New("corrupt column")

// block is the number of integers in a mini-block.
const block = 128

// packedSize returns the bytes that n integers of width bits take.
func packedSize(n, width int) int { return (n*width + 7) / 8 }

// appendPacked appends integers of width bits each, the first in the lowest
// bits. They must fit.
func appendPacked(dst []byte, us []uint64, width int) []byte {
	if width == 0 {
		return dst
	}
	var acc uint64
	have := 0
	for _, u := range us {
		acc |= u << have
		if have+width < 64 {
			have += width
			continue
		}
		dst = binary.LittleEndian.AppendUint64(dst, acc)
		acc = 0
		if used := 64 - have; used < width {
			acc = u >> used
		}
		have += width - 64
	}
	for ; have > 0; have -= 8 {
		dst = append(dst, byte(acc))
		acc >>= 8
	}
	return dst
}

// unpack fills dst, at most block long, with integers of width bits from src,
// which holds packedSize bytes or more, each plus base.
func unpack(dst []int64, src []byte, width int, base int64) {
	if width == 0 {
		for i := range dst {
			dst[i] = base
		}
		return
	}
	// Each load is of 8 bytes: at the end of a column they need room.
	var tail [block*8 + 8]byte
	if need := packedSize(len(dst), width); len(src) < need+8 {
		copy(tail[:], src[:need])
		src = tail[:]
	}
	mask := ^uint64(0) >> (64 - width)
	bit := 0
	if width <= 56 {
		for i := range dst {
			dst[i] = base + int64(binary.LittleEndian.Uint64(src[bit>>3:])>>(bit&7)&mask)
			bit += width
		}
		return
	}
	for i := range dst {
		at, shift := bit>>3, bit&7
		u := binary.LittleEndian.Uint64(src[at:]) >> shift
		if shift+width > 64 {
			u |= uint64(src[at+8]) << (64 - shift)
		}
		dst[i] = base + int64(u&mask)
		bit += width
	}
}

// reader takes a column apart. After a failure it returns zeros.
type reader struct {
	src []byte
	err error
}

func (r *reader) fail() {
	r.src, r.err = nil, ErrCorrupt
}

func (r *reader) byte() byte {
	if len(r.src) == 0 {
		r.fail()
		return 0
	}
	b := r.src[0]
	r.src = r.src[1:]
	return b
}

func (r *reader) uvarint() uint64 {
	u, n := binary.Uvarint(r.src)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.src = r.src[n:]
	return u
}

func (r *reader) varint() int64 {
	u := r.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

func (r *reader) bytes(n int) []byte {
	if n > len(r.src) {
		r.fail()
		return nil
	}
	b := r.src[:n]
	r.src = r.src[n:]
	return b
}

func (r *reader) uint64() uint64 {
	b := r.bytes(8)
	if b == nil {
		return 0
	}
	return binary.LittleEndian.Uint64(b)
}
