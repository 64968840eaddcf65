package columnar

import (
	"encoding/binary"
	"math"

	"belfry/internal/columnar/column"
	"belfry/internal/columnar/encoding"
)

// Columns beyond MaxColumns share one column of name "" and kind Bytes, whose
// values list what the row has of them. Zero bytes keep names and values apart,
// so that their words are the words of the whole and its filter finds both.
//
//	entry: kind, name length, 0, name, 0, value length, 0, value, 0
//	numbers are 8 bytes, little-endian
//
//nolint:gochecknoglobals // a constant
var overflowKey = ColumnKey{Name: "", Kind: KindBytes}

func appendOverflow(dst []byte, key ColumnKey, v []byte) []byte {
	dst = append(dst, byte(key.Kind))
	dst = binary.AppendUvarint(dst, uint64(len(key.Name)))
	dst = append(dst, 0)
	dst = append(dst, key.Name...)
	dst = append(dst, 0)
	dst = binary.AppendUvarint(dst, uint64(len(v)))
	dst = append(dst, 0)
	dst = append(dst, v...)
	return append(dst, 0)
}

func appendOverflowNum(dst []byte, key ColumnKey, v uint64) []byte {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], v)
	return appendOverflow(dst, key, b[:])
}

// eachOverflow calls f with the entries of an overflow value until f returns false.
func eachOverflow(b []byte, f func(kind Kind, name, value []byte) bool) error {
	r := encoding.Reader{B: b}
	for len(r.B) > 0 {
		kind := Kind(r.Byte())
		n := r.Count(math.MaxInt32)
		r.Byte()
		name := r.Take(n)
		r.Byte()
		m := r.Count(math.MaxInt32)
		r.Byte()
		value := r.Take(m)
		r.Byte()
		if r.Bad() || !kind.Valid() || !kind.VarWidth() && len(value) != 8 {
			return encoding.ErrCorrupt
		}
		if !f(kind, name, value) {
			return nil
		}
	}
	return nil
}

// addOverflow appends an entry's value to a builder.
func addOverflow(b *column.Builder, row uint32, value []byte) {
	if b.Kind.VarWidth() {
		b.AppendBytes(row, value)
		return
	}
	b.AppendNum(row, binary.LittleEndian.Uint64(value))
}
