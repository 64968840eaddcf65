package otlpwire

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"strconv"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// Kind is the type of an AnyValue.
type Kind uint8

// The kinds of an AnyValue.
const (
	KindEmpty Kind = iota // no value at all, or an empty one
	KindString
	KindBool
	KindInt
	KindDouble
	KindArray
	KindMap
	KindBytes
)

// AnyValue is a decoded opentelemetry.proto.common.v1.AnyValue. Arrays and maps
// stay in wire form: Elements and Entries walk them, AppendJSON writes them.
type AnyValue struct {
	Kind Kind
	Num  uint64 // Bool: 0 or 1; Int: the int64; Double: its bits
	Raw  []byte // String, Bytes: the content; Array, Map: the ArrayValue or KeyValueList message
}

// Int returns the number of a KindInt.
func (v *AnyValue) Int() int64 { return int64(v.Num) }

// Double returns the number of a KindDouble.
func (v *AnyValue) Double() float64 { return math.Float64frombits(v.Num) }

// Bool returns the value of a KindBool.
func (v *AnyValue) Bool() bool { return v.Num != 0 }

// Merge reads an AnyValue message over v, as protobuf merges a message that
// occurs twice. Start from the zero AnyValue.
func (v *AnyValue) Merge(message []byte) error {
	if v.plain(message) {
		return nil
	}
	for b := message; len(b) > 0; {
		f, rest, err := Next(b)
		if err != nil {
			return err
		}
		b = rest
		switch f.Number {
		case 1:
			err = v.setBytes(KindString, &f)
		case 2:
			var n uint64
			if n, err = f.AsVarint(); err == nil {
				*v = AnyValue{Kind: KindBool, Num: min(n, 1)}
			}
		case 3:
			var n uint64
			if n, err = f.AsVarint(); err == nil {
				*v = AnyValue{Kind: KindInt, Num: n}
			}
		case 4:
			var n uint64
			if n, err = f.AsFixed64(); err == nil {
				*v = AnyValue{Kind: KindDouble, Num: n}
			}
		case 5:
			err = v.setBytes(KindArray, &f)
		case 6:
			err = v.setBytes(KindMap, &f)
		case 7:
			err = v.setBytes(KindBytes, &f)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (v *AnyValue) setBytes(k Kind, f *Field) error {
	raw, err := f.AsBytes()
	if err == nil {
		*v = AnyValue{Kind: k, Raw: raw}
	}
	return err
}

// plain reads an AnyValue message of one scalar that ends with the message, the
// way nearly all are written, and reports whether it was one.
func (v *AnyValue) plain(b []byte) bool {
	if len(b) < 2 {
		return false
	}
	switch b[0] {
	case 1<<3 | byte(protowire.BytesType):
		size, n := uvarint(b[1:])
		if n <= 0 || size != uint64(len(b)-1-n) {
			return false
		}
		*v = AnyValue{Kind: KindString, Raw: b[1+n:]}
	case 2<<3 | byte(protowire.VarintType), 3<<3 | byte(protowire.VarintType):
		num, n := uvarint(b[1:])
		if n <= 0 || n != len(b)-1 {
			return false
		}
		*v = AnyValue{Kind: KindInt, Num: num}
		if b[0]>>3 == 2 {
			*v = AnyValue{Kind: KindBool, Num: min(num, 1)}
		}
	case 4<<3 | byte(protowire.Fixed64Type):
		if len(b) != 9 {
			return false
		}
		*v = AnyValue{Kind: KindDouble, Num: binary.LittleEndian.Uint64(b[1:])}
	default:
		return false
	}
	return true
}

// KeyValue is a decoded KeyValue message.
type KeyValue struct {
	Key   []byte
	Value AnyValue
}

// plain is AnyValue.plain for a KeyValue message: a key and a value, in either order (Go's
// Collector writes fields backwards).
func (kv *KeyValue) plain(b []byte) bool {
	const tagKey, tagValue = 1<<3 | byte(protowire.BytesType), 2<<3 | byte(protowire.BytesType)
	if len(b) == 0 || b[0] != tagKey && b[0] != tagValue {
		return false
	}
	key, rest, ok := NextBytes(b)
	if !ok || len(rest) == 0 || b[0]^rest[0] != tagKey^tagValue {
		return false
	}
	value, end, ok := NextBytes(rest)
	if !ok || len(end) > 0 {
		return false
	}
	if b[0] == tagValue {
		key, value = value, key
	}
	if !kv.Value.plain(value) {
		return false
	}
	kv.Key = key
	return true
}

// Parse reads a KeyValue message into kv, whatever it was before.
func (kv *KeyValue) Parse(message []byte) error {
	if kv.plain(message) {
		return nil
	}
	*kv = KeyValue{}
	for b := message; len(b) > 0; {
		f, rest, err := Next(b)
		if err != nil {
			return err
		}
		b = rest
		switch f.Number {
		case 1:
			kv.Key, err = f.AsBytes()
		case 2:
			var raw []byte
			if raw, err = f.AsBytes(); err == nil {
				err = kv.Value.Merge(raw)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ParseKeyValue reads a KeyValue message.
func ParseKeyValue(message []byte) (key []byte, v AnyValue, err error) {
	var kv KeyValue
	err = kv.Parse(message)
	return kv.Key, kv.Value, err
}

// Elements calls yield for each element of a KindArray, in order, until it
// returns an error.
func (v *AnyValue) Elements(yield func(AnyValue) error) error {
	for b := v.Raw; len(b) > 0; {
		f, rest, err := Next(b)
		if err != nil {
			return err
		}
		b = rest
		if f.Number != 1 {
			continue
		}
		raw, err := f.AsBytes()
		if err != nil {
			return err
		}
		var e AnyValue
		if err := e.Merge(raw); err != nil {
			return err
		}
		if err := yield(e); err != nil {
			return err
		}
	}
	return nil
}

// Entries calls yield for each entry of a KindMap, in order, until it returns
// an error. Keys may repeat.
func (v *AnyValue) Entries(yield func(key []byte, v AnyValue) error) error {
	return Attributes(v.Raw, 1, yield)
}

// Attributes calls yield for each KeyValue in field number of a message, in
// order, until it returns an error: number 1 of a Resource, 3 of an
// InstrumentationScope, 6 of a LogRecord, 9 of a Span.
func Attributes(message []byte, number int32, yield func(key []byte, v AnyValue) error) error {
	for b := message; len(b) > 0; {
		f, rest, err := Next(b)
		if err != nil {
			return err
		}
		b = rest
		if f.Number != number {
			continue
		}
		raw, err := f.AsBytes()
		if err != nil {
			return err
		}
		key, v, err := ParseKeyValue(raw)
		if err != nil {
			return err
		}
		if err := yield(key, v); err != nil {
			return err
		}
	}
	return nil
}

// AppendJSON appends v as JSON without blanks: map keys in the order received,
// bytes in base64, numbers that JSON lacks (NaN, infinities) as strings, empty
// values as null, text made UTF-8.
func (v *AnyValue) AppendJSON(dst []byte) ([]byte, error) { return v.appendJSON(dst, 0) }

func (v *AnyValue) appendJSON(dst []byte, depth int) ([]byte, error) {
	if depth > MaxDepth {
		return dst, ErrTooDeep
	}
	switch v.Kind {
	case KindString:
		return AppendJSONString(dst, v.Raw), nil
	case KindBool:
		return strconv.AppendBool(dst, v.Bool()), nil
	case KindInt:
		return strconv.AppendInt(dst, v.Int(), 10), nil
	case KindDouble:
		return appendJSONNumber(dst, v.Double()), nil
	case KindBytes:
		dst = append(dst, '"')
		dst = base64.StdEncoding.AppendEncode(dst, v.Raw)
		return append(dst, '"'), nil
	case KindArray:
		dst = append(dst, '[')
		first := true
		err := v.Elements(func(e AnyValue) (err error) {
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst, err = e.appendJSON(dst, depth+1)
			return err
		})
		return append(dst, ']'), err
	case KindMap:
		dst = append(dst, '{')
		first := true
		err := v.Entries(func(key []byte, e AnyValue) (err error) {
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = append(AppendJSONString(dst, key), ':')
			dst, err = e.appendJSON(dst, depth+1)
			return err
		})
		return append(dst, '}'), err
	}
	return append(dst, "null"...), nil
}

func appendJSONNumber(dst []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(dst, `"Infinity"`...)
	case math.IsInf(f, -1):
		return append(dst, `"-Infinity"`...)
	}
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(dst, f, format, -1, 64)
}

const hexDigits = "0123456789abcdef"

// AppendJSONString appends s as a JSON string: only what JSON demands is
// escaped, and what is not UTF-8 replaced.
func AppendJSONString(dst, s []byte) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			if _, n := utf8.DecodeRune(s[i:]); n > 1 {
				i += n
				continue
			}
			dst = append(dst, s[start:i]...)
			dst = append(dst, replacement...)
			for i++; i < len(s) && s[i] >= utf8.RuneSelf; i++ {
				if _, n := utf8.DecodeRune(s[i:]); n > 1 {
					break
				}
			}
			start = i
			continue
		}
		if c >= 0x20 && c != '"' && c != '\\' {
			i++
			continue
		}
		dst = append(dst, s[start:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		start = i
	}
	return append(append(dst, s[start:]...), '"')
}
