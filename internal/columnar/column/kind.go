package column

// Kind is the type of a column's values. The numbers are part of the file
// format: they never change meaning.
type Kind uint8

// The kinds. Two columns of one name and different kinds are different columns.
const (
	Any    Kind = 0 // in a reference: columns of that name, whatever their kind
	String Kind = 1 // text; UTF-8 by convention, not by force
	Int    Kind = 2 // int64
	Float  Kind = 3 // float64, NaN and -0 kept bit for bit
	Bool   Kind = 4
	Bytes  Kind = 5 // arbitrary bytes; their text form is base64
	ID     Kind = 6 // 8 or 16 bytes, such as a span or trace ID; their text form is lower-case hex
	JSON   Kind = 7 // an array or a map as canonical JSON text
)

// Valid reports whether k is a kind that a value can have.
func (k Kind) Valid() bool { return k >= String && k <= JSON }

// VarWidth reports whether values of this kind are byte strings.
func (k Kind) VarWidth() bool { return k == String || k == Bytes || k == ID || k == JSON }

// String returns the kind's name.
func (k Kind) String() string {
	switch k {
	case Any:
		return "any"
	case String:
		return "string"
	case Int:
		return "int"
	case Float:
		return "float"
	case Bool:
		return "bool"
	case Bytes:
		return "bytes"
	case ID:
		return "id"
	case JSON:
		return "json"
	}
	return "invalid"
}
