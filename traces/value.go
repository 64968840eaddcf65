package traces

import (
	"cmp"
	"encoding/base64"
	"math"
	"strconv"
	"strings"
)

// Kind is the type of a Value.
type Kind uint8

// The kinds, those of an OTLP AnyValue.
const (
	KindNil Kind = iota
	KindString
	KindInt
	KindFloat
	KindBool
	KindBytes
	KindArray
	KindMap
)

var kindNames = [...]string{"nil", "string", "int", "float", "bool", "bytes", "array", "map"}

// String returns the kind's name.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "invalid"
}

// Value is one typed attribute value. It is read-only; the zero Value is nil.
type Value struct {
	kind Kind
	num  uint64
	str  string
	list []Value     // of an array
	kvs  []Attribute // of a map
}

// Attribute is a named value.
type Attribute struct {
	Key   string
	Value Value
}

// String returns a Value of text.
func String(s string) Value { return Value{kind: KindString, str: s} }

// Int returns an integer Value.
func Int(n int64) Value { return Value{kind: KindInt, num: uint64(n)} }

// Float returns a floating-point Value.
func Float(f float64) Value { return Value{kind: KindFloat, num: math.Float64bits(f)} }

// Bool returns a boolean Value.
func Bool(b bool) Value {
	if b {
		return Value{kind: KindBool, num: 1}
	}
	return Value{kind: KindBool}
}

// Bytes returns a Value of bytes, given as a string.
func Bytes(s string) Value { return Value{kind: KindBytes, str: s} }

// Array returns a Value of several values, which it keeps.
func Array(values ...Value) Value { return Value{kind: KindArray, list: values} }

// Map returns a Value of named values, which it keeps.
func Map(entries ...Attribute) Value { return Value{kind: KindMap, kvs: entries} }

// Kind returns the type of v.
func (v Value) Kind() Kind { return v.kind }

// IsNil reports whether v is no value.
func (v Value) IsNil() bool { return v.kind == KindNil }

// IsNumber reports whether v is an integer or a float.
func (v Value) IsNumber() bool { return v.kind == KindInt || v.kind == KindFloat }

// Str returns the content of a string or bytes, "" for other kinds.
func (v Value) Str() string { return v.str }

// Int returns the number of an Int, 0 for other kinds.
func (v Value) Int() int64 {
	if v.kind != KindInt {
		return 0
	}
	return int64(v.num)
}

// Float returns the number of an Int or a Float, 0 for other kinds.
func (v Value) Float() float64 {
	switch v.kind {
	case KindInt:
		return float64(int64(v.num))
	case KindFloat:
		return math.Float64frombits(v.num)
	}
	return 0
}

// Bool returns the value of a Bool, false for other kinds.
func (v Value) Bool() bool { return v.kind == KindBool && v.num != 0 }

// Elements returns the values of an array. They are read-only.
func (v Value) Elements() []Value { return v.list }

// Entries returns the entries of a map. They are read-only.
func (v Value) Entries() []Attribute { return v.kvs }

// Compare orders two scalar values of one class: numbers by number, strings and
// bytes bytewise, false before true. ok is false if they have no order, as
// values of different classes and NaN have none.
func (v Value) Compare(w Value) (order int, ok bool) {
	switch {
	case v.kind == KindInt && w.kind == KindInt:
		return cmp.Compare(int64(v.num), int64(w.num)), true
	case v.IsNumber() && w.IsNumber():
		a, b := v.Float(), w.Float()
		return cmp.Compare(a, b), a == a && b == b
	case v.kind != w.kind:
		return 0, false
	}
	switch v.kind {
	case KindString, KindBytes:
		return strings.Compare(v.str, w.str), true
	case KindBool:
		return cmp.Compare(v.num, w.num), true
	}
	return 0, false
}

// Equal reports whether two values are the same; numbers compare by number.
func (v Value) Equal(w Value) bool {
	switch {
	case v.kind == KindArray && w.kind == KindArray:
		if len(v.list) != len(w.list) {
			return false
		}
		for i := range v.list {
			if !v.list[i].Equal(w.list[i]) {
				return false
			}
		}
		return true
	case v.kind == KindMap && w.kind == KindMap:
		if len(v.kvs) != len(w.kvs) {
			return false
		}
		for i := range v.kvs {
			if v.kvs[i].Key != w.kvs[i].Key || !v.kvs[i].Value.Equal(w.kvs[i].Value) {
				return false
			}
		}
		return true
	case v.kind == KindNil && w.kind == KindNil:
		return true
	}
	order, ok := v.Compare(w)
	return ok && order == 0
}

// Text returns what a person reads: strings as they are, numbers in decimal,
// bytes in base64, arrays and maps as JSON.
func (v Value) Text() string {
	switch v.kind {
	case KindString:
		return v.str
	case KindInt:
		return strconv.FormatInt(int64(v.num), 10)
	case KindFloat:
		return strconv.FormatFloat(v.Float(), 'g', -1, 64)
	case KindBool:
		return strconv.FormatBool(v.num != 0)
	case KindBytes:
		return base64.StdEncoding.EncodeToString([]byte(v.str))
	case KindArray, KindMap:
		return string(v.AppendJSON(nil))
	}
	return ""
}

// NumValue returns the Value of kind KindInt, KindFloat or KindBool whose word it
// is: an int64, the bits of a float64, or 0 and 1.
func NumValue(kind Kind, word uint64) Value { return Value{kind: kind, num: word} }
