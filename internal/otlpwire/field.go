package otlpwire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// MaxDepth is how deep arrays and maps may nest in an AnyValue.
const MaxDepth = 64

var (
	// ErrMalformed marks bytes that are not the protobuf message they should be.
	ErrMalformed = errors.New("malformed protobuf")
	// ErrTooDeep marks a value that nests deeper than MaxDepth.
	ErrTooDeep = errors.New("value is nested too deeply")
)

// Field is one field of a message.
type Field struct {
	Number int32
	Type   protowire.Type
	Num    uint64 // of varint, fixed32 and fixed64 fields
	Bytes  []byte // of length-delimited fields
}

// Next returns the first field of a message and what follows it. Groups come
// back as a Field of their type without content.
func Next(b []byte) (f Field, rest []byte, err error) {
	tag, n := uvarint(b)
	if n <= 0 {
		return Field{}, nil, fmt.Errorf("%w: field tag", ErrMalformed)
	}
	b = b[n:]
	if tag>>3 == 0 || tag>>3 > uint64(protowire.MaxValidNumber) {
		return Field{}, nil, fmt.Errorf("%w: field number %d", ErrMalformed, tag>>3)
	}
	f.Number, f.Type = int32(tag>>3), protowire.Type(tag&7)
	switch f.Type {
	case protowire.VarintType:
		f.Num, n = uvarint(b)
	case protowire.Fixed64Type:
		f.Num, n = protowire.ConsumeFixed64(b)
	case protowire.Fixed32Type:
		var v uint32
		v, n = protowire.ConsumeFixed32(b)
		f.Num = uint64(v)
	case protowire.BytesType:
		size, m := uvarint(b)
		if m <= 0 || size > uint64(len(b)-m) {
			n = -1
			break
		}
		n = m + int(size)
		f.Bytes = b[m:n:n]
	default:
		n = protowire.ConsumeFieldValue(protowire.Number(f.Number), f.Type, b)
	}
	if n < 0 {
		return Field{}, nil, fmt.Errorf("%w: field %d is cut short or too large", ErrMalformed, f.Number)
	}
	return f, b[n:], nil
}

// NextBytes returns the content of a length-delimited field whose tag is one byte, and what
// follows it; ok is false where Next has to look.
func NextBytes(b []byte) (content, rest []byte, ok bool) {
	if len(b) < 2 {
		return nil, nil, false
	}
	from, end := 2, 2+int(b[1])
	if b[1] >= 0x80 {
		if len(b) < 3 || b[2] >= 0x80 {
			return nil, nil, false
		}
		from, end = 3, 3+int(b[1]&0x7f)+int(b[2])<<7
	}
	if end > len(b) {
		return nil, nil, false
	}
	return b[from:end:end], b[end:], true
}

// uvarint reads a varint, at once if it has one or two bytes.
func uvarint(b []byte) (uint64, int) {
	switch {
	case len(b) > 0 && b[0] < 0x80:
		return uint64(b[0]), 1
	case len(b) > 1 && b[1] < 0x80:
		return uint64(b[0]&0x7f) | uint64(b[1])<<7, 2
	}
	return protowire.ConsumeVarint(b)
}

// AsBytes returns the content of a length-delimited field; any other is malformed.
func (f *Field) AsBytes() ([]byte, error) {
	if f.Type != protowire.BytesType {
		return nil, f.wrongType()
	}
	return f.Bytes, nil
}

// AsVarint returns the number of a varint field.
func (f *Field) AsVarint() (uint64, error) {
	if f.Type != protowire.VarintType {
		return 0, f.wrongType()
	}
	return f.Num, nil
}

// AsFixed64 returns the number of a fixed64 (or double, or sfixed64) field.
func (f *Field) AsFixed64() (uint64, error) {
	if f.Type != protowire.Fixed64Type {
		return 0, f.wrongType()
	}
	return f.Num, nil
}

// AsFixed32 returns the number of a fixed32 field.
func (f *Field) AsFixed32() (uint32, error) {
	if f.Type != protowire.Fixed32Type {
		return 0, f.wrongType()
	}
	return uint32(f.Num), nil
}

func (f *Field) wrongType() error {
	return fmt.Errorf("%w: field %d has wire type %d", ErrMalformed, f.Number, f.Type)
}

const replacement = "\uFFFD"

// Text returns s if it is UTF-8. Otherwise it returns a copy, appended to
// scratch[:0], with U+FFFD for each run of bytes that are not.
func Text(s, scratch []byte) []byte {
	if isASCII(s) || utf8.Valid(s) {
		return s
	}
	return appendValid(scratch[:0], s)
}

// isASCII tells of short texts sooner than utf8.Valid that they are ASCII.
func isASCII(s []byte) bool {
	const high = 0x8080808080808080
	n := len(s)
	switch {
	case n >= 8:
		w := binary.LittleEndian.Uint64(s[n-8:])
		for ; len(s) > 8; s = s[8:] {
			w |= binary.LittleEndian.Uint64(s)
		}
		return w&high == 0
	case n >= 4:
		return (binary.LittleEndian.Uint32(s)|binary.LittleEndian.Uint32(s[n-4:]))&(high>>32) == 0
	case n > 0:
		return (s[0]|s[n>>1]|s[n-1])&0x80 == 0
	}
	return true
}

func appendValid(dst, s []byte) []byte {
	bad := false
	for len(s) > 0 {
		if s[0] < utf8.RuneSelf {
			dst, s, bad = append(dst, s[0]), s[1:], false
			continue
		}
		_, n := utf8.DecodeRune(s)
		if n > 1 {
			dst, bad = append(dst, s[:n]...), false
		} else if !bad {
			dst, bad = append(dst, replacement...), true
		}
		s = s[n:]
	}
	return dst
}
