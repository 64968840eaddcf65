package columnar

import (
	"encoding/binary"
	"math"
	"sort"
	"strconv"
	"strings"

	"belfry/internal/columnar/column"
)

// ColRef is the handle of a column within a RowWriter: the position in
// Options.Columns for the columns named there, what Ref returns for others. It
// is valid during one call of the Decoder.
type ColRef int32

// RowWriter takes the rows of one payload from a Decoder:
//
//	if !w.SelectStream(resource, scope) { // raw bytes not seen before
//		w.StreamField("service.name", columnar.String("shop"))
//		w.DefineStream()
//	}
//	w.Begin(timeUnixNano)
//	w.SetString(columnBody, body)
//	w.SetInt(w.Ref(key, columnar.KindInt), 200)
//	w.End()
//
// All methods copy what they are given. A column set twice in one row keeps the
// first value. Rows without a stream are of the stream without fields.
type RowWriter struct {
	streams *streamCache
	fixed   int
	maxCols int
	minTime int64 // rows before are rejected
	tenant  string
	live    bool

	cols  []writerColumn
	names [column.JSON + 1]map[string]ColRef

	// The batch.
	active  []ColRef // columns with a value, in order of appearance
	times   []uint64
	rowOf   []uint32 // stream of each row, in defs
	defs    []*streamDef
	defOf   map[*streamDef]uint32
	rejects map[string]int
	reject  int

	// The row and stream being written.
	open     bool
	t        int64
	touched  []ColRef
	current  uint32
	selected bool
	raw      rawKey
	fields   []Field
	over     []byte // overflow entries of the row
	overKeys []ColumnKey
	overName map[ColumnKey]ColRef
}

type writerColumn struct {
	key ColumnKey
	b   column.Builder
}

func newRowWriter(o *Options, streams *streamCache) *RowWriter {
	w := &RowWriter{
		streams:  streams,
		fixed:    len(o.Columns),
		maxCols:  o.MaxColumns + len(o.Columns),
		defOf:    map[*streamDef]uint32{},
		rejects:  map[string]int{},
		overName: map[ColumnKey]ColRef{},
	}
	for k := range w.names {
		w.names[k] = map[string]ColRef{}
	}
	w.addColumn(overflowKey)
	w.cols = w.cols[:0]
	clear(w.names[overflowKey.Kind])
	for _, c := range o.Columns {
		w.addColumn(ColumnKey{c.Name, c.Kind})
	}
	return w
}

func (w *RowWriter) addColumn(key ColumnKey) ColRef {
	c := ColRef(len(w.cols))
	w.cols = append(w.cols, writerColumn{key: key, b: column.Builder{Kind: key.Kind}})
	w.names[key.Kind][key.Name] = c
	return c
}

// Tenant returns whose payload is decoded, and whether it has just come: in a replay it has not.
func (w *RowWriter) Tenant() (id string, live bool) { return w.tenant, w.live }

// reset makes the writer ready for a new batch.
func (w *RowWriter) reset(minTime int64) {
	for _, c := range w.active {
		w.cols[c].b.Reset()
	}
	w.active, w.times, w.rowOf = w.active[:0], w.times[:0], w.rowOf[:0]
	w.minTime = minTime
	w.tenant, w.live = "", false
	w.defs = w.defs[:0]
	clear(w.defOf)
	clear(w.rejects)
	w.reject = 0
	w.open, w.selected = false, false
	w.touched, w.over = w.touched[:0], w.over[:0]
	w.overKeys = w.overKeys[:0]
	clear(w.overName)
}

// size returns the bytes that the batch takes in memory.
func (w *RowWriter) size() int {
	n := 12 * len(w.times)
	for _, c := range w.active {
		n += w.cols[c].b.Size()
	}
	return n
}

// reusable reports whether the writer may serve another batch: one that has seen
// too many column names or too large a payload is left to the collector.
func (w *RowWriter) reusable() bool { return len(w.cols) < w.maxCols && w.size() < 16<<20 }

// SelectStream makes the stream that these raw bytes were last defined as the
// stream of the rows that follow, and reports whether it is known. The raw bytes
// are whatever identifies the fields, such as the wire bytes of resource and
// scope; the parts are kept apart, so that ("a", "b") is not ("ab", "").
// If it returns false, StreamField (any number of times) and DefineStream must follow.
func (w *RowWriter) SelectStream(raw ...[]byte) bool {
	w.raw = w.streams.hash(raw)
	if d := w.streams.get(w.raw); d != nil {
		w.use(d)
		return true
	}
	w.fields = w.fields[:0]
	return false
}

// StreamField adds a field to the stream being defined.
func (w *RowWriter) StreamField(name string, v Value) {
	if !v.IsZero() {
		w.fields = append(w.fields, Field{strings.Clone(name), v})
	}
}

// DefineStream ends the definition that SelectStream began.
func (w *RowWriter) DefineStream() {
	fields := append([]Field(nil), w.fields...)
	w.use(w.streams.define(w.raw, fields))
	w.fields = w.fields[:0]
}

func (w *RowWriter) use(d *streamDef) {
	i, ok := w.defOf[d]
	if !ok {
		i = uint32(len(w.defs))
		w.defs = append(w.defs, d)
		w.defOf[d] = i
	}
	w.current, w.selected = i, true
}

// Begin starts a row at a time in nanoseconds since the epoch.
func (w *RowWriter) Begin(t int64) {
	if w.open {
		w.drop()
	}
	if !w.selected {
		w.use(w.streams.define(w.streams.hash(nil), nil))
	}
	w.open, w.t = true, t
	w.touched, w.over = w.touched[:0], w.over[:0]
}

// Ref returns the handle of a column by name and kind. It does not allocate for
// names seen before.
func (w *RowWriter) Ref(name []byte, kind Kind) ColRef {
	if !kind.Valid() {
		kind = KindString
	}
	if c, ok := w.names[kind][string(name)]; ok {
		return c
	}
	if len(w.cols) < w.maxCols && (len(name) > 0 || kind != overflowKey.Kind) {
		return w.addColumn(ColumnKey{string(name), kind})
	}
	key := ColumnKey{string(name), kind}
	c, ok := w.overName[key]
	if !ok {
		w.overKeys = append(w.overKeys, key)
		c = ColRef(-len(w.overKeys))
		w.overName[key] = c
	}
	return c
}

// builder returns the builder that the current row's value goes to, nil if it goes nowhere.
func (w *RowWriter) builder(c ColRef, kind Kind) *column.Builder {
	if !w.open || int(c) >= len(w.cols) {
		return nil
	}
	col := &w.cols[c]
	if col.key.Kind != kind {
		return nil
	}
	row := len(w.times)
	switch n := col.b.Count(); {
	case n == 0:
		w.active = append(w.active, c)
	case col.b.LastRow() == row:
		return nil
	}
	w.touched = append(w.touched, c)
	return &col.b
}

// overflow adds a value to the row's overflow entries.
func (w *RowWriter) overflow(c ColRef, kind Kind, v []byte) {
	i := int(-c) - 1
	if !w.open || i >= len(w.overKeys) || w.overKeys[i].Kind != kind {
		return
	}
	key := w.overKeys[i]
	seen := false
	_ = eachOverflow(w.over, func(k Kind, name, _ []byte) bool { // what we wrote ourselves is well-formed
		seen = k == kind && string(name) == key.Name
		return !seen
	})
	if !seen {
		w.over = appendOverflow(w.over, key, v)
	}
}

func (w *RowWriter) setBytes(c ColRef, kind Kind, v []byte) {
	if c < 0 {
		w.overflow(c, kind, v)
		return
	}
	if b := w.builder(c, kind); b != nil {
		b.AppendBytes(uint32(len(w.times)), v)
	}
}

func (w *RowWriter) setNum(c ColRef, kind Kind, v uint64) {
	if c < 0 {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], v)
		w.overflow(c, kind, b[:])
		return
	}
	if b := w.builder(c, kind); b != nil {
		b.AppendNum(uint32(len(w.times)), v)
	}
}

// SetString sets a String of the current row.
func (w *RowWriter) SetString(c ColRef, v []byte) { w.setBytes(c, KindString, v) }

// SetInt sets an Int of the current row.
func (w *RowWriter) SetInt(c ColRef, v int64) { w.setNum(c, KindInt, uint64(v)) }

// SetFloat sets a Float of the current row.
func (w *RowWriter) SetFloat(c ColRef, v float64) { w.setNum(c, KindFloat, math.Float64bits(v)) }

// SetBool sets a Bool of the current row.
func (w *RowWriter) SetBool(c ColRef, v bool) {
	n := uint64(0)
	if v {
		n = 1
	}
	w.setNum(c, KindBool, n)
}

// SetBytes sets Bytes of the current row.
func (w *RowWriter) SetBytes(c ColRef, v []byte) { w.setBytes(c, KindBytes, v) }

// SetID sets an ID of the current row: 8 or 16 bytes.
func (w *RowWriter) SetID(c ColRef, v []byte) { w.setBytes(c, KindID, v) }

// SetJSON sets an array or map of the current row, as canonical JSON text (no
// blanks, keys in the order received).
func (w *RowWriter) SetJSON(c ColRef, v []byte) { w.setBytes(c, KindJSON, v) }

// End keeps the current row. Rows older than the retention are rejected.
func (w *RowWriter) End() {
	if !w.open {
		return
	}
	if w.t < w.minTime {
		w.Reject("older than the retention time")
		return
	}
	if len(w.over) > 0 {
		w.endOverflow()
	}
	w.times = append(w.times, uint64(w.t))
	w.rowOf = append(w.rowOf, w.current)
	w.open = false
}

func (w *RowWriter) endOverflow() {
	c, ok := w.names[overflowKey.Kind][overflowKey.Name]
	if !ok {
		c = w.addColumn(overflowKey)
	}
	if b := w.builder(c, overflowKey.Kind); b != nil {
		b.AppendBytes(uint32(len(w.times)), w.over)
	}
}

// drop takes back what the current row has set.
func (w *RowWriter) drop() {
	for _, c := range w.touched {
		b := &w.cols[c].b
		b.DropLast()
		if b.Count() == 0 {
			b.Reset()
			for i, a := range w.active {
				if a == c {
					w.active = append(w.active[:i], w.active[i+1:]...)
					break
				}
			}
		}
	}
	w.touched, w.over = w.touched[:0], w.over[:0]
	w.open = false
}

// Reject drops the current row, or counts one that was never begun, with the
// reason for the sender. Reasons should be few and static: they are counted.
func (w *RowWriter) Reject(reason string) {
	if w.open {
		w.drop()
	}
	w.reject++
	if len(w.rejects) < 16 || w.rejects[reason] > 0 {
		w.rejects[reason]++
	}
}

// reason sums up the rejections, the most common first.
func (w *RowWriter) reason() string {
	if w.reject == 0 {
		return ""
	}
	reasons := make([]string, 0, len(w.rejects))
	for r := range w.rejects {
		reasons = append(reasons, r)
	}
	sort.Slice(reasons, func(i, j int) bool {
		a, b := w.rejects[reasons[i]], w.rejects[reasons[j]]
		return a > b || a == b && reasons[i] < reasons[j]
	})
	var sb strings.Builder
	for i, r := range reasons {
		if i == 3 {
			sb.WriteString("; …")
			break
		}
		if i > 0 {
			sb.WriteString("; ")
		}
		sb.WriteString(r)
		if n := w.rejects[r]; n > 1 {
			sb.WriteString(" (" + strconv.Itoa(n) + " times)")
		}
	}
	return sb.String()
}
