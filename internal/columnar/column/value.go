package column

import (
	"encoding/base64"
	"encoding/hex"
	"math"
	"strconv"
)

// Value is one typed value. The zero Value is "no value".
type Value struct {
	kind Kind
	num  uint64
	str  string
}

// StringValue returns a String.
func StringValue(s string) Value { return Value{kind: String, str: s} }

// IntValue returns an Int.
func IntValue(n int64) Value { return Value{kind: Int, num: uint64(n)} }

// FloatValue returns a Float.
func FloatValue(f float64) Value { return Value{kind: Float, num: math.Float64bits(f)} }

// BoolValue returns a Bool.
func BoolValue(b bool) Value {
	if b {
		return Value{kind: Bool, num: 1}
	}
	return Value{kind: Bool}
}

// BytesValue returns Bytes; b is copied.
func BytesValue(b []byte) Value { return Value{kind: Bytes, str: string(b)} }

// IDValue returns an ID; b is copied.
func IDValue(b []byte) Value { return Value{kind: ID, str: string(b)} }

// JSONValue returns an array or a map, given as JSON text.
func JSONValue(s string) Value { return Value{kind: JSON, str: s} }

// VarValue returns a value of one of the kinds that are byte strings.
func VarValue(k Kind, s string) Value { return Value{kind: k, str: s} }

// NumValue returns an Int, Float or Bool from its 64-bit form: the integer, the
// float's bits, 0 or 1.
func NumValue(k Kind, bits uint64) Value { return Value{kind: k, num: bits} }

// Kind returns the value's kind, Any for the zero Value.
func (v Value) Kind() Kind { return v.kind }

// IsZero reports whether v is no value at all.
func (v Value) IsZero() bool { return v.kind == Any }

// Int returns the number of an Int, 0 for other kinds.
func (v Value) Int() int64 {
	if v.kind != Int {
		return 0
	}
	return int64(v.num)
}

// Float returns the number of a Float or an Int, 0 for other kinds.
func (v Value) Float() float64 {
	switch v.kind {
	case Float:
		return math.Float64frombits(v.num)
	case Int:
		return float64(int64(v.num))
	}
	return 0
}

// Bool returns the value of a Bool, false for other kinds.
func (v Value) Bool() bool { return v.kind == Bool && v.num != 0 }

// Str returns the bytes of a String, Bytes, ID or JSON as they are, "" for
// other kinds. Text gives what a person reads.
func (v Value) Str() string { return v.str }

// Bits returns the 64-bit form of an Int, Float or Bool.
func (v Value) Bits() uint64 { return v.num }

// Text returns the value's text form: strings and JSON as they are, numbers in
// decimal (floats in the shortest form that reads back the same), true or
// false, IDs in hex, bytes in base64.
func (v Value) Text() string {
	switch v.kind {
	case String, JSON:
		return v.str
	}
	return string(v.AppendText(nil))
}

// AppendText appends Text to dst.
func (v Value) AppendText(dst []byte) []byte {
	switch v.kind {
	case String, JSON:
		return append(dst, v.str...)
	case Int, Float, Bool:
		return appendNumText(dst, v.kind, v.num)
	case Bytes:
		return base64.StdEncoding.AppendEncode(dst, []byte(v.str))
	case ID:
		return hex.AppendEncode(dst, []byte(v.str))
	}
	return dst
}

func appendNumText(dst []byte, k Kind, bits uint64) []byte {
	switch k {
	case Int:
		return strconv.AppendInt(dst, int64(bits), 10)
	case Float:
		return strconv.AppendFloat(dst, math.Float64frombits(bits), 'g', -1, 64)
	case Bool:
		return strconv.AppendBool(dst, bits != 0)
	}
	return dst
}

// ParseText returns the value of kind k whose Text is s, and false if there is
// none: "007" is the text of no Int.
func ParseText(k Kind, s string) (Value, bool) {
	var v Value
	switch k {
	case String, JSON:
		return Value{kind: k, str: s}, true
	case Int:
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return Value{}, false
		}
		v = IntValue(n)
	case Float:
		f, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return Value{}, false
		}
		v = FloatValue(f)
	case Bool:
		v = BoolValue(s == "true")
	case Bytes:
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			return Value{}, false
		}
		v = BytesValue(b)
	case ID:
		b, err := hex.DecodeString(s)
		if err != nil {
			return Value{}, false
		}
		v = IDValue(b)
	default:
		return Value{}, false
	}
	return v, v.Text() == s
}
