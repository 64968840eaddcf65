package encoding

import "encoding/binary"

// Reader reads a sequence of fields. After the first bad one it returns zeros
// and Err is ErrCorrupt.
type Reader struct {
	B   []byte
	bad bool
}

// Bad reports whether a field was missing or malformed.
func (r *Reader) Bad() bool { return r.bad }

// Err returns ErrCorrupt if Bad.
func (r *Reader) Err() error {
	if r.bad {
		return ErrCorrupt
	}
	return nil
}

// Fail marks the input as corrupt.
func (r *Reader) Fail() { r.bad, r.B = true, nil }

// Byte reads one byte.
func (r *Reader) Byte() byte {
	if len(r.B) == 0 {
		r.Fail()
		return 0
	}
	b := r.B[0]
	r.B = r.B[1:]
	return b
}

// Uvarint reads an unsigned varint.
func (r *Reader) Uvarint() uint64 {
	// Most have one byte or two.
	switch b := r.B; {
	case len(b) > 0 && b[0] < 0x80:
		r.B = b[1:]
		return uint64(b[0])
	case len(b) > 1 && b[1] < 0x80:
		r.B = b[2:]
		return uint64(b[0]&0x7f) | uint64(b[1])<<7
	}
	v, n := binary.Uvarint(r.B)
	if n <= 0 {
		r.Fail()
		return 0
	}
	r.B = r.B[n:]
	return v
}

// Count reads an unsigned varint that must not be above limit.
func (r *Reader) Count(limit int) int {
	v := r.Uvarint()
	if v > uint64(limit) {
		r.Fail()
		return 0
	}
	return int(v)
}

// Varint reads a zigzag varint.
func (r *Reader) Varint() int64 {
	v, n := binary.Varint(r.B)
	if n <= 0 {
		r.Fail()
		return 0
	}
	r.B = r.B[n:]
	return v
}

// Uint32 reads four bytes, little-endian.
func (r *Reader) Uint32() uint32 {
	b := r.Take(4)
	if b == nil {
		return 0
	}
	return binary.LittleEndian.Uint32(b)
}

// Uint64 reads eight bytes, little-endian.
func (r *Reader) Uint64() uint64 {
	b := r.Take(8)
	if b == nil {
		return 0
	}
	return binary.LittleEndian.Uint64(b)
}

// Take returns the next n bytes, nil if there are fewer.
func (r *Reader) Take(n int) []byte {
	if n < 0 || len(r.B) < n {
		r.Fail()
		return nil
	}
	b := r.B[:n:n]
	r.B = r.B[n:]
	return b
}

// Bytes reads a length and so many bytes.
func (r *Reader) Bytes() []byte { return r.Take(r.Count(len(r.B))) }

// AppendUvarint appends an unsigned varint.
func AppendUvarint(dst []byte, v uint64) []byte { return binary.AppendUvarint(dst, v) }

// AppendBytes appends a length and b.
func AppendBytes[T []byte | string](dst []byte, b T) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(b)))
	return append(dst, b...)
}
