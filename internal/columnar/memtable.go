package columnar

import (
	"sync/atomic"
	"time"

	"belfry/internal/columnar/column"
	"belfry/internal/columnar/slab"
	"belfry/internal/wal"
)

// memTable holds the rows that no part has yet, of all tenants. It is written
// by the log's writer goroutine under DB.mu, and read through snapshots.
type memTable struct {
	tenants map[string]*memTenant
	rows    int
	bytes   int
	since   time.Time    // when the first row came
	last    time.Time    // when the last one did
	end     wal.Position // behind the last record whose rows are here
	clean   uint64       // deletions up to this number do not concern its rows
	shapes  tenantShapes // of the memtable before

	// mem holds the blocks. It is given back with the last reference: the DB's, which goes when the rows are in
	// parts, and that of each snapshot.
	mem  *slab.Set
	refs atomic.Int64
}

// tenantShapes are what the columns of a full block took, by tenant.
type tenantShapes map[string]map[ColumnKey]column.Shape

func newMemTable(mem *slab.Set, shapes tenantShapes) *memTable {
	m := &memTable{tenants: map[string]*memTenant{}, mem: mem, shapes: shapes}
	m.refs.Store(1)
	return m
}

// release takes a reference back.
func (m *memTable) release() {
	if m.refs.Add(-1) == 0 {
		m.mem.Release()
	}
}

type memTenant struct {
	columns []ColumnKey
	index   map[ColumnKey]int
	streams []*memStream
	defOf   map[*streamDef]uint32
	byKey   map[string]uint32
	blocks  []*memBlock // the last one grows
	shapes  map[ColumnKey]column.Shape
	mem     *slab.Set
}

type memStream struct {
	def      *streamDef
	min, max int64
	rows     int64
}

// memBlock holds rows in the order of their arrival. A full block does not change any more.
type memBlock struct {
	times    []uint64
	stream   []uint32          // position in memTenant.streams
	cols     []*column.Builder // by position in memTenant.columns; nil where empty
	min, max int64
	bytes    int
	filters  *memFilters
	of       *memBlock // the block that this is a snapshot of; nil: itself
}

// original returns the block that a snapshot was taken of.
func (b *memBlock) original() *memBlock {
	if b.of != nil {
		return b.of
	}
	return b
}

// Blocks are closed at this many bytes, so that no column of a block outgrows its offsets.
const memBlockBytes = 16 << 20

func (m *memTable) tenant(name string) *memTenant {
	t := m.tenants[name]
	if t == nil {
		t = &memTenant{mem: m.mem, shapes: m.shapes[name], index: map[ColumnKey]int{}, defOf: map[*streamDef]uint32{}, byKey: map[string]uint32{}}
		m.tenants[name] = t
	}
	return t
}

// publish copies a batch into the memtable.
func (m *memTable) publish(tenant string, w *RowWriter, o *Options, now time.Time, end wal.Position) {
	m.end = end
	if len(w.times) == 0 {
		return
	}
	if m.rows == 0 {
		m.since = now
	}
	m.last = now
	m.mem.Shared = m.refs.Load() > 1
	t := m.tenant(tenant)
	streams := make([]uint32, len(w.defs))
	for i, d := range w.defs {
		streams[i] = t.streamOf(d)
	}
	cols := make([]int, len(w.active))
	for i, c := range w.active {
		cols[i] = t.column(w.cols[c].key, o)
	}
	for from := 0; from < len(w.times); {
		b := t.openBlock(o.BlockRows)
		n := min(len(w.times)-from, o.BlockRows-len(b.times))
		before := b.bytes
		t.add(b, w, from, from+n, streams, cols)
		m.bytes += b.bytes - before
		from += n
	}
	m.rows += len(w.times)
}

func (t *memTenant) streamOf(d *streamDef) uint32 {
	if i, ok := t.defOf[d]; ok {
		return i
	}
	i, ok := t.byKey[d.key]
	if !ok {
		i = uint32(len(t.streams))
		t.streams = append(t.streams, &memStream{def: d, min: 1<<63 - 1, max: -1 << 63})
		t.byKey[d.key] = i
	}
	t.defOf[d] = i
	return i
}

// column returns the position of a column, that of the overflow column (-1) if
// there are too many.
func (t *memTenant) column(key ColumnKey, o *Options) int {
	if i, ok := t.index[key]; ok {
		return i
	}
	if len(t.columns) >= o.MaxColumns+len(o.Columns) && key != overflowKey {
		t.column(overflowKey, o)
		return -1
	}
	i := len(t.columns)
	t.columns = append(t.columns, key)
	t.index[key] = i
	return i
}

func (t *memTenant) openBlock(rows int) *memBlock {
	if n := len(t.blocks); n > 0 {
		b := t.blocks[n-1]
		if len(b.times) < rows && b.bytes < memBlockBytes {
			return b
		}
		t.shapes = t.shapesOf(b)
	}
	b := &memBlock{min: 1<<63 - 1, max: -1 << 63, filters: &memFilters{}}
	if t.shapes != nil {
		b.times, b.stream = slab.Make[uint64](t.mem, rows), slab.Make[uint32](t.mem, rows)
	}
	t.blocks = append(t.blocks, b)
	return b
}

// shapesOf returns what the columns of a block took.
func (t *memTenant) shapesOf(b *memBlock) map[ColumnKey]column.Shape {
	shapes := make(map[ColumnKey]column.Shape, len(b.cols))
	for i, c := range b.cols {
		if c != nil {
			shapes[t.columns[i]] = c.Shape()
		}
	}
	return shapes
}

// fullShapes returns what full blocks took, of the tenants that had some.
func (m *memTable) fullShapes() tenantShapes {
	out := tenantShapes{}
	for name, t := range m.tenants {
		if len(t.blocks) > 1 {
			out[name] = t.shapes
		}
	}
	return out
}

// add appends rows [from, to) of a batch to a block.
func (t *memTenant) add(b *memBlock, w *RowWriter, from, to int, streams []uint32, cols []int) {
	at := uint32(len(b.times))
	b.times, b.stream = slab.Grow(t.mem, b.times, to-from), slab.Grow(t.mem, b.stream, to-from)
	for i := from; i < to; i++ {
		ts := int64(w.times[i])
		b.min, b.max = min(b.min, ts), max(b.max, ts)
		s := streams[w.rowOf[i]]
		b.stream = append(b.stream, s)
		st := t.streams[s]
		st.min, st.max = min(st.min, ts), max(st.max, ts)
		st.rows++
	}
	b.times = append(b.times, w.times[from:to]...)
	b.bytes += 12 * (to - from)
	var over map[uint32][]byte
	for i, c := range w.active {
		src := &w.cols[c]
		if cols[i] < 0 || src.key == overflowKey {
			if over == nil {
				over = map[uint32][]byte{}
			}
			spill(over, &src.b, src.key, at, from, to)
			continue
		}
		dst := t.builder(b, cols[i])
		before := dst.Size()
		dst.AppendBuilder(at, &src.b, from, to)
		b.bytes += dst.Size() - before
	}
	if over == nil {
		return
	}
	dst := t.builder(b, t.index[overflowKey])
	for i := at; i < at+uint32(to-from); i++ {
		if v, ok := over[i]; ok {
			dst.AppendBytes(i, v)
			b.bytes += len(v) + 8
		}
	}
}

// spill adds a column's values to the overflow entries of rows.
func spill(over map[uint32][]byte, src *column.Builder, key ColumnKey, at uint32, from, to int) {
	if key.Kind.VarWidth() {
		src.EachBytes(func(row uint32, v []byte) {
			if int(row) < from || int(row) >= to {
				return
			}
			i := at + row - uint32(from)
			if key == overflowKey {
				over[i] = append(over[i], v...)
				return
			}
			over[i] = appendOverflow(over[i], key, v)
		})
		return
	}
	src.EachNum(func(row uint32, v uint64) {
		if int(row) >= from && int(row) < to {
			i := at + row - uint32(from)
			over[i] = appendOverflowNum(over[i], key, v)
		}
	})
}

// builder returns the builder of a block's column. A new one has room for as much as the block before held.
func (t *memTenant) builder(b *memBlock, i int) *column.Builder {
	for len(b.cols) <= i {
		b.cols = append(b.cols, nil)
	}
	if b.cols[i] == nil {
		key, mem := t.columns[i], t.mem
		if key == overflowKey {
			mem = nil // it is appended to value by value
		}
		b.cols[i] = column.NewBuilder(key.Kind, t.shapes[key], mem)
	}
	return b.cols[i]
}

// memView is a snapshot of a tenant's rows in one memtable, to which it is a reference.
type memView struct {
	table   *memTable
	columns []ColumnKey
	streams []*memStream // min, max and rows may still change: read under DB.mu only
	blocks  []*memBlock
}

// bounds returns the times of the first and the last row.
func (v *memView) bounds() (first, last int64) {
	first, last = 1<<63-1, -1<<63
	for _, b := range v.blocks {
		first, last = min(first, b.min), max(last, b.max)
	}
	return first, last
}

// view takes a snapshot of a tenant's rows. The growing block is copied: its slices only ever grow,
// so that the copy sees the rows of now.
func (m *memTable) view(t *memTenant, growing bool) *memView {
	m.refs.Add(1)
	v := &memView{table: m, columns: t.columns[:len(t.columns):len(t.columns)], streams: t.streams[:len(t.streams):len(t.streams)]}
	v.blocks = append([]*memBlock(nil), t.blocks...)
	if n := len(v.blocks); growing && n > 0 {
		b := *v.blocks[n-1]
		b.of = v.blocks[n-1]
		b.cols = make([]*column.Builder, len(b.cols))
		copies := make([]column.Builder, len(b.cols))
		for i, c := range v.blocks[n-1].cols {
			if c != nil {
				copies[i] = *c
				b.cols[i] = &copies[i]
			}
		}
		v.blocks[n-1] = &b
	}
	return v
}
