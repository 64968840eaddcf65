package columnar

import (
	"encoding/base64"
	"encoding/binary"

	"belfry/internal/fault"
)

// Cursor is the place of a row in Select's order. It stays good while rows are
// appended, flushed and merged.
type Cursor struct {
	Time   int64
	Stream StreamID
	Nth    int // how many selected rows of the same time and stream come up to and with this one
}

const cursorSize = 8 + 16 + 4

// String returns the cursor as text for a URL.
func (c Cursor) String() string {
	var b [cursorSize]byte
	binary.BigEndian.PutUint64(b[:], uint64(c.Time))
	copy(b[8:], c.Stream[:])
	binary.BigEndian.PutUint32(b[24:], uint32(c.Nth))
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// ParseCursor reads what String wrote.
func ParseCursor(s string) (Cursor, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) != cursorSize {
		return Cursor{}, fault.Invalidf("%q is not a cursor", s)
	}
	c := Cursor{Time: int64(binary.BigEndian.Uint64(b)), Nth: int(binary.BigEndian.Uint32(b[24:]))}
	copy(c.Stream[:], b[8:24])
	return c, nil
}
