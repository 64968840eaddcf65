package traceql

import (
	"math"
	"strconv"
	"strings"
	"time"

	"belfry/traces"
)

// Type is the type of a literal, an intrinsic field or a value.
type Type uint8

// The types. Int, Float and Duration are numbers and compare with each other.
const (
	TypeNil Type = iota
	TypeInt
	TypeFloat
	TypeDuration
	TypeString
	TypeBool
	TypeStatus
	TypeKind
	TypeOther   // arrays, maps and bytes
	typeUnknown // of an attribute, before it is looked at
)

var typeNames = [...]string{"nil", "integer", "float", "duration", "string", "boolean", "status", "kind", "array", "attribute"}

// String returns the type's name.
func (t Type) String() string { return typeNames[t] }

func (t Type) isNumber() bool { return t == TypeInt || t == TypeFloat || t == TypeDuration }

// comparable reports whether values of the two types can be equal at all.
func (t Type) comparable(o Type) bool {
	return t == o || t.isNumber() && o.isNumber() || t == typeUnknown || o == typeUnknown || t == TypeNil || o == TypeNil
}

// Static is a typed value within an expression. The zero Static is nil.
type Static struct {
	Type  Type
	Value traces.Value // durations, status and kind are Ints
}

// staticOf returns the value of an attribute.
func staticOf(v traces.Value) Static {
	switch v.Kind() {
	case traces.KindNil:
		return Static{}
	case traces.KindString:
		return Static{TypeString, v}
	case traces.KindInt:
		return Static{TypeInt, v}
	case traces.KindFloat:
		return Static{TypeFloat, v}
	case traces.KindBool:
		return Static{TypeBool, v}
	}
	return Static{TypeOther, v}
}

func boolStatic(b bool) Static { return Static{TypeBool, traces.Bool(b)} }

// isTrue reports whether s is the boolean true.
func (s Static) isTrue() bool { return s.Type == TypeBool && s.Value.Bool() }

// String returns s as it is written in a query.
func (s Static) String() string {
	switch s.Type {
	case TypeNil:
		return "nil"
	case TypeString:
		return strconv.Quote(s.Value.Str())
	case TypeDuration:
		return time.Duration(s.Value.Int()).String()
	case TypeInt:
		if s.Value.Int() == math.MinInt64 { // its digits alone are too large for an integer
			return "minInt"
		}
	case TypeStatus:
		return traces.Status(s.Value.Int()).String()
	case TypeKind:
		return traces.SpanKind(s.Value.Int()).String()
	case TypeFloat:
		text := strconv.FormatFloat(s.Value.Float(), 'g', -1, 64)
		if !strings.ContainsAny(text, ".e") { // it would be read as an integer
			return text + ".0"
		}
		return text
	}
	return s.Value.Text()
}

// Output returns s as an answer shows it: enumerations by their names.
func (s Static) Output() traces.Value {
	switch s.Type {
	case TypeStatus, TypeKind:
		return traces.String(s.String())
	case TypeDuration:
		return traces.String(s.String())
	}
	return s.Value
}

// compare orders two values; ok is false if they are of different classes.
func (s Static) compare(o Static) (order int, ok bool) {
	if s.Type != o.Type && (!s.Type.isNumber() || !o.Type.isNumber()) {
		return 0, false
	}
	return s.Value.Compare(o.Value)
}

// arithmetic applies + - * / % ^ to two numbers; anything else gives nil.
func arithmetic(op string, a, b Static) Static {
	if !a.Type.isNumber() || !b.Type.isNumber() {
		return Static{}
	}
	t := TypeInt
	switch {
	case a.Type == TypeDuration && b.Type == TypeDuration && op == "/":
		t = TypeFloat
	case a.Type == TypeDuration || b.Type == TypeDuration:
		t = TypeDuration
	case a.Type == TypeFloat || b.Type == TypeFloat:
		t = TypeFloat
	}
	if a.Value.Kind() == traces.KindInt && b.Value.Kind() == traces.KindInt && t != TypeFloat {
		if n, ok := integerArithmetic(op, a.Value.Int(), b.Value.Int()); ok {
			return Static{t, traces.Int(n)}
		}
	}
	x, y := a.Value.Float(), b.Value.Float()
	var f float64
	switch op {
	case "+":
		f = x + y
	case "-":
		f = x - y
	case "*":
		f = x * y
	case "/":
		f = x / y
	case "%":
		f = math.Mod(x, y)
	case "^":
		f = math.Pow(x, y)
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return Static{}
	}
	if t == TypeInt {
		t = TypeFloat
	}
	return Static{t, traces.Float(f)}
}

// integerArithmetic does what stays exact in integers.
func integerArithmetic(op string, x, y int64) (int64, bool) {
	switch op {
	case "+":
		n := x + y
		return n, (n > x) == (y > 0)
	case "-":
		n := x - y
		return n, (n < x) == (y > 0)
	case "*":
		if x == 0 || y == 0 {
			return 0, true
		}
		n := x * y
		return n, n/y == x && (x != -1 || y != math.MinInt64) && (y != -1 || x != math.MinInt64)
	case "%":
		if y == 0 || y == -1 {
			return 0, y == -1
		}
		return x % y, true
	case "/":
		if y == 0 || y == -1 || x%y != 0 {
			return 0, false
		}
		return x / y, true
	}
	return 0, false
}
