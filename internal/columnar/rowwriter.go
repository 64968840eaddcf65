package columnar

// ColRef is the handle of a column within a RowWriter: the position in
// Options.Columns for the columns named there, what Ref returns for others. It
// is valid during one call of the Decoder.
type ColRef int32

// RowWriter takes the rows of one payload from a Decoder:
//
//	if !w.SelectStream(resource, scope) { // raw bytes seen before: done
//		w.StreamField("service.name", columnar.String("shop"))
//		w.DefineStream()
//	}
//	w.Begin(timeUnixNano)
//	w.SetBytes…(columnBody, body)
//	w.SetInt(w.Ref(key, columnar.KindInt), 200)
//	w.End()
//
// All methods copy what they are given. A column set twice in one row keeps the
// first value.
type RowWriter struct {
	batch *batch
}

type batch struct{}

// SelectStream makes the stream that these raw bytes were last defined as the
// stream of the rows that follow, and reports whether it is known. The raw bytes
// are whatever identifies the fields, such as the wire bytes of resource and
// scope; the parts are kept apart, so that ("a", "b") is not ("ab", "").
// If it returns false, StreamField (any number of times) and DefineStream must follow.
func (w *RowWriter) SelectStream(raw ...[]byte) bool { return false }

// StreamField adds a field to the stream being defined.
func (w *RowWriter) StreamField(name string, v Value) {}

// DefineStream ends the definition that SelectStream began.
func (w *RowWriter) DefineStream() {}

// Begin starts a row at a time in nanoseconds since the epoch.
func (w *RowWriter) Begin(t int64) {}

// Ref returns the handle of a column by name and kind. It does not allocate for
// names seen before.
func (w *RowWriter) Ref(name []byte, kind Kind) ColRef { return 0 }

// SetString sets a String of the current row.
func (w *RowWriter) SetString(c ColRef, v []byte) {}

// SetInt sets an Int of the current row.
func (w *RowWriter) SetInt(c ColRef, v int64) {}

// SetFloat sets a Float of the current row.
func (w *RowWriter) SetFloat(c ColRef, v float64) {}

// SetBool sets a Bool of the current row.
func (w *RowWriter) SetBool(c ColRef, v bool) {}

// SetBytes sets Bytes of the current row.
func (w *RowWriter) SetBytes(c ColRef, v []byte) {}

// SetID sets an ID of the current row: 8 or 16 bytes.
func (w *RowWriter) SetID(c ColRef, v []byte) {}

// SetJSON sets an array or map of the current row, as canonical JSON text (no
// blanks, keys in the order received).
func (w *RowWriter) SetJSON(c ColRef, v []byte) {}

// End keeps the current row.
func (w *RowWriter) End() {}

// Reject drops the current row, or counts one that was never begun, with the
// reason for the sender. Reasons should be few and static: they are counted.
func (w *RowWriter) Reject(reason string) {}
