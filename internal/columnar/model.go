package columnar

import (
	"encoding/hex"

	"belfry/internal/columnar/column"
)

// Kind is the type of a column's values.
type Kind = column.Kind

// The kinds; see package column.
const (
	KindAny    = column.Any
	KindString = column.String
	KindInt    = column.Int
	KindFloat  = column.Float
	KindBool   = column.Bool
	KindBytes  = column.Bytes
	KindID     = column.ID
	KindJSON   = column.JSON
)

// Value is one typed value; column.StringValue and its siblings make one.
type Value = column.Value

// Vector is one column of the selected rows of a block.
type Vector = column.Vector

// String returns a String value.
func String(s string) Value { return column.StringValue(s) }

// Int returns an Int value.
func Int(n int64) Value { return column.IntValue(n) }

// Float returns a Float value.
func Float(f float64) Value { return column.FloatValue(f) }

// Bool returns a Bool value.
func Bool(b bool) Value { return column.BoolValue(b) }

// Bytes returns a Bytes value; b is copied.
func Bytes(b []byte) Value { return column.BytesValue(b) }

// ID returns an ID value; b is copied.
func ID(b []byte) Value { return column.IDValue(b) }

// JSON returns an array or map value from its JSON text.
func JSON(text string) Value { return column.JSONValue(text) }

// Field is a named value.
type Field struct {
	Name  string
	Value Value
}

// StreamID identifies a stream: the first 16 bytes of the SHA-256 of its fields.
// Equal fields give equal IDs in every process and release.
type StreamID [16]byte

// String returns the ID in hex.
func (id StreamID) String() string { return hex.EncodeToString(id[:]) }

// Stream is what many rows share. It is read-only and may be kept.
type Stream struct {
	ID     StreamID
	Fields []Field // sorted by name, then kind; a name may repeat
}

// Field returns the first field of that name.
func (s *Stream) Field(name string) (Value, bool) {
	for i := range s.Fields {
		if s.Fields[i].Name == name {
			return s.Fields[i].Value, true
		}
	}
	return Value{}, false
}

// ColumnKey names a column of rows.
type ColumnKey struct {
	Name string
	Kind Kind
}
