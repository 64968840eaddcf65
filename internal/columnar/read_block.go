package columnar

import (
	"slices"

	"belfry/internal/columnar/column"
	"belfry/internal/columnar/part"
)

// blockView reads one block, of a part or of a memtable. Each goroutine of a
// query has one and points it at block after block.
type blockView struct {
	io    part.IO
	stats *Stats // of this goroutine

	part  *partHandle
	blk   *part.Block
	mem   *memView
	block *memBlock

	rows    int
	times   []uint64
	runs    []streamRun
	headers bool // times and runs are read
	// If only the times of some rows are read: the others are undefined.
	picked []uint32

	cols  []blockColumn     // of a part: in the order of blk.Columns
	slots map[ColumnKey]int // of a block in memory

	// What was asked for of a part's columns, and which they are: a query asks every block for the same few.
	asked   []askedColumn
	askedOf *partHandle
}

type askedColumn struct {
	key    ColumnKey
	column int // -1: the part has none such
}

// streamRun is a run of rows [start, end) of one stream.
type streamRun struct {
	stream     int // position in the part's or memtable's streams
	start, end int
}

// blockColumn is a column of the block, decoded as far as needed.
type blockColumn struct {
	key   ColumnKey
	disk  *part.BlockColumn
	chunk *column.Chunk
	picks int // how often rows were read without decoding the column
	vec   *Vector

	// What was read last without decoding the column.
	picked    *Vector
	pickedSel []uint32
}

func newBlockView(stats *Stats, a *column.Arena) *blockView {
	return &blockView{stats: stats, io: part.IO{Arena: a}, slots: map[ColumnKey]int{}}
}

func (v *blockView) reset() {
	v.io.Arena.Reset()
	v.part, v.blk, v.mem, v.block = nil, nil, nil, nil
	v.times, v.runs, v.headers, v.picked = nil, v.runs[:0], false, nil
	v.cols = v.cols[:0]
	clear(v.slots)
}

func (v *blockView) openPart(p *partHandle, blk *part.Block) {
	v.reset()
	v.part, v.blk, v.rows = p, blk, blk.Rows
	if p != v.askedOf {
		v.asked, v.askedOf = v.asked[:0], p
	}
}

// columns returns the columns of the block. Those of a part are listed when they are first asked
// for: most blocks are excluded before.
func (v *blockView) columns() []blockColumn {
	if len(v.cols) == 0 && v.blk != nil {
		for i := range v.blk.Columns {
			v.cols = append(v.cols, blockColumn{key: v.keyOf(i), disk: &v.blk.Columns[i]})
		}
	}
	return v.cols
}

// keyOf returns the key of the column in a slot of a block of a part.
func (v *blockView) keyOf(slot int) ColumnKey {
	def := &v.part.r.Columns[v.blk.Columns[slot].Column]
	return ColumnKey{def.Name, def.Kind}
}

func (v *blockView) openMem(m *memView, b *memBlock, derived []derivedColumn) {
	v.reset()
	v.mem, v.block, v.rows = m, b, len(b.times)
	for i, c := range b.cols {
		if c != nil && c.Count() > 0 {
			v.addColumn(blockColumn{key: m.columns[i], vec: nil})
		}
	}
	for _, d := range derived {
		v.addColumn(blockColumn{key: d.key, vec: d.b.Vector(v.rows, v.io.Arena)})
	}
}

func (v *blockView) addColumn(c blockColumn) {
	v.slots[c.key] = len(v.cols)
	v.cols = append(v.cols, c)
}

// head reads the times and stream runs.
func (v *blockView) head() error {
	if v.headers {
		return nil
	}
	v.headers, v.picked, v.runs = true, nil, v.runs[:0]
	if v.block != nil {
		v.times = v.block.times
		start := 0
		for i := 1; i <= v.rows; i++ {
			if i == v.rows || v.block.stream[i] != v.block.stream[start] {
				v.runs = append(v.runs, streamRun{int(v.block.stream[start]), start, i})
				start = i
			}
		}
		return nil
	}
	before := v.io.BytesRead
	runs, times, err := v.part.r.ReadHead(&v.io, v.blk)
	v.stats.BytesRead += v.io.BytesRead - before
	if err != nil {
		return err
	}
	v.stats.BytesScanned += int64(8 * len(times))
	v.times = times
	v.setRuns(runs)
	return nil
}

func (v *blockView) setRuns(lengths []uint64) {
	start := 0
	for i, n := range lengths {
		v.runs = append(v.runs, streamRun{v.blk.FirstStream + i, start, start + int(n)})
		start += int(n)
	}
}

// pickShare says what few rows are: one in so many of the block. Decoding all of a column costs
// less than finding more of them one by one.
const pickShare = 32

// few reports whether it is worth while to read these rows one by one.
func (v *blockView) few(sel []uint32) bool {
	return v.blk != nil && sel != nil && len(sel)*pickShare <= v.rows
}

// headOf reads the stream runs and the times of the given rows (nil: all).
func (v *blockView) headOf(sel []uint32) error {
	if v.headers || !v.few(sel) {
		return v.head()
	}
	if v.picked != nil && within(sel, v.picked) {
		return nil
	}
	before := v.io.BytesRead
	runs, times, err := v.part.r.PickHead(&v.io, v.blk, sel)
	v.stats.BytesRead += v.io.BytesRead - before
	if err != nil {
		return err
	}
	v.stats.BytesScanned += int64(8 * len(times))
	v.picked, v.runs = sel, v.runs[:0]
	v.times = v.io.Arena.Words(v.rows)
	for i, row := range sel {
		v.times[row] = times[i]
	}
	v.setRuns(runs)
	return nil
}

// within reports whether all of some rows are among others; both ascend.
func within(rows, others []uint32) bool {
	i := 0
	for _, row := range rows {
		for i < len(others) && others[i] < row {
			i++
		}
		if i == len(others) || others[i] != row {
			return false
		}
	}
	return true
}

// canPick reports whether a column's rows should be read one by one. A column that was read
// so twice is decoded the third time: a filter may ask for it over and over.
func (v *blockView) canPick(slot int, sel []uint32) bool {
	c := &v.columns()[slot]
	return v.few(sel) && c.chunk == nil && c.picks < 2
}

// pick returns the given rows of a column; row i of the vector is row sel[i].
func (v *blockView) pick(slot int, sel []uint32) (*Vector, error) {
	c := &v.columns()[slot]
	if c.picked != nil && slices.Equal(c.pickedSel, sel) {
		return c.picked, nil
	}
	c.picks++
	before := v.io.BytesRead
	vec, n, err := v.part.r.PickColumn(&v.io, v.blk, c.disk, sel)
	v.stats.BytesRead += v.io.BytesRead - before
	v.stats.BytesScanned += int64(n)
	if err == nil {
		c.picked, c.pickedSel = vec, sel
	}
	return vec, err
}

// gathered returns the column of a key for the given rows (nil: all), row i being sel[i]; nil if the block
// has none such.
func (v *blockView) gathered(key ColumnKey, sel []uint32) (*Vector, error) {
	if slot := v.find(key); slot >= 0 && v.find(overflowKey) < 0 && v.canPick(slot, sel) {
		return v.pick(slot, sel)
	}
	vec, err := v.full(key, sel)
	if err != nil || vec == nil || sel == nil {
		return vec, err
	}
	return vec.Gather(sel, v.io.Arena), nil
}

// stream returns a stream by its position.
func (v *blockView) stream(i int) *streamDef {
	if v.mem != nil {
		return v.mem.streams[i].def
	}
	return v.part.streams[i]
}

// find returns the slot of a column, -1 if the block has none such.
func (v *blockView) find(key ColumnKey) int {
	if v.blk != nil {
		return v.blk.Position(v.columnOf(key))
	}
	if i, ok := v.slots[key]; ok {
		return i
	}
	return -1
}

// maxAsked bounds what is remembered of a part's columns.
const maxAsked = 16

// columnOf returns which of its part's columns a key is, -1 if none.
func (v *blockView) columnOf(key ColumnKey) int {
	for i := range v.asked {
		if v.asked[i].key == key {
			return v.asked[i].column
		}
	}
	col := v.part.r.FindColumn(key.Name, key.Kind)
	if len(v.asked) < maxAsked {
		v.asked = append(v.asked, askedColumn{key, col})
	}
	return col
}

// vector decodes a column, so far as the given rows (nil: all) need it. The
// vector covers the whole block.
func (v *blockView) vector(slot int, sel []uint32) (*Vector, error) {
	c := &v.columns()[slot]
	if v.block != nil {
		if c.vec == nil {
			b := v.block.cols[v.memColumn(c.key)]
			c.vec = b.Vector(v.rows, v.io.Arena)
			v.stats.BytesScanned += int64(b.Size())
		}
		return c.vec, nil
	}
	before := v.io.BytesRead
	defer func() { v.stats.BytesRead += v.io.BytesRead - before }()
	if err := v.openColumn(c); err != nil {
		return nil, err
	}
	if c.chunk.Paged() {
		raw, err := c.chunk.Load(sel, v.part.r.Pages(&v.io, c.disk), v.io.Arena)
		v.stats.BytesScanned += int64(raw)
		if err != nil {
			return nil, err
		}
	}
	return c.vec, nil
}

// openColumn decodes the head of a column of a part.
func (v *blockView) openColumn(c *blockColumn) error {
	if c.chunk != nil {
		return nil
	}
	chunk, err := v.part.r.OpenColumn(&v.io, v.blk, c.disk)
	if err != nil {
		return err
	}
	c.chunk, c.vec = chunk, chunk.Vector()
	v.stats.BytesScanned += int64(chunk.Size())
	return nil
}

// templates returns what a column's values are made from, nil if they are stored otherwise.
func (v *blockView) templates(slot int) (*column.Templates, error) {
	c := &v.columns()[slot]
	before := v.io.BytesRead
	defer func() { v.stats.BytesRead += v.io.BytesRead - before }()
	if err := v.openColumn(c); err != nil {
		return nil, err
	}
	return c.chunk.Templates(), nil
}

func (v *blockView) memColumn(key ColumnKey) int {
	for i, k := range v.mem.columns {
		if k == key {
			return i
		}
	}
	return -1
}

// overflowVector extracts a column from the overflow column; nil if no row has it.
func (v *blockView) overflowVector(key ColumnKey, sel []uint32) (*Vector, error) {
	slot := v.find(overflowKey)
	if slot < 0 {
		return nil, nil
	}
	over, err := v.vector(slot, sel)
	if err != nil {
		return nil, err
	}
	b := column.Builder{Kind: key.Kind}
	err = eachRow(over, sel, func(row int) error {
		return eachOverflow(over.Bytes(row), func(kind Kind, name, value []byte) bool {
			if kind != key.Kind || string(name) != key.Name {
				return true
			}
			addOverflow(&b, uint32(row), value)
			return false
		})
	})
	if err != nil || b.Count() == 0 {
		return nil, err
	}
	return b.Vector(v.rows, v.io.Arena), nil
}

// overflowKeys returns the columns that the overflow column of these rows holds.
func (v *blockView) overflowKeys(sel []uint32) ([]ColumnKey, error) {
	slot := v.find(overflowKey)
	if slot < 0 {
		return nil, nil
	}
	over, err := v.vector(slot, sel)
	if err != nil {
		return nil, err
	}
	seen := map[ColumnKey]bool{}
	var keys []ColumnKey
	err = eachRow(over, sel, func(row int) error {
		return eachOverflow(over.Bytes(row), func(kind Kind, name, _ []byte) bool {
			key := ColumnKey{string(name), kind}
			if !seen[key] {
				seen[key] = true
				keys = append(keys, key)
			}
			return true
		})
	})
	return keys, err
}

func eachRow(v *Vector, sel []uint32, f func(row int) error) error {
	if sel == nil {
		for row := range v.Len() {
			if v.Has(row) {
				if err := f(row); err != nil {
					return err
				}
			}
		}
		return nil
	}
	for _, row := range sel {
		if v.Has(int(row)) {
			if err := f(int(row)); err != nil {
				return err
			}
		}
	}
	return nil
}

// full returns the column of a key for all of the given rows: what is stored under it and
// what overflowed; nil if the block has neither.
func (v *blockView) full(key ColumnKey, sel []uint32) (*Vector, error) {
	over, err := v.overflowVector(key, sel)
	if err != nil {
		return nil, err
	}
	slot := v.find(key)
	if slot < 0 || key == overflowKey {
		return over, nil
	}
	vec, err := v.vector(slot, sel)
	if err != nil || over == nil {
		return vec, err
	}
	b := column.Builder{Kind: key.Kind}
	rows := sel
	if rows == nil {
		rows = allRows(v.rows)
	}
	for _, row := range rows {
		for _, src := range [...]*Vector{vec, over} {
			if src.Has(int(row)) {
				b.AppendVector(row, src, int(row), int(row)+1)
				break
			}
		}
	}
	return b.Vector(v.rows, v.io.Arena), nil
}

func allRows(n int) []uint32 {
	rows := make([]uint32, n)
	for i := range rows {
		rows[i] = uint32(i)
	}
	return rows
}
