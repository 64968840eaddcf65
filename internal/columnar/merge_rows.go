package columnar

import (
	"context"

	"belfry/internal/columnar/column"
	"belfry/internal/columnar/encoding"
	"belfry/internal/columnar/part"
	"belfry/internal/columnar/slab"
)

// A flush and a merge are one thing: sorted sources in, sorted blocks out.
// Sources are read block by block; where a run of one stream does not interleave
// with other sources it is copied column by column in one go.

// mergeSource yields blocks whose rows are sorted by (stream key, time), block
// after block.
type mergeSource interface {
	// next returns the next block, nil at the end. The block before becomes invalid.
	next() (*mergeBlock, error)
}

// mergeBlock is a block of a source.
type mergeBlock struct {
	times   []uint64
	runs    []part.Run
	columns []ColumnKey
	// vector returns a column of the block, by position in columns.
	vector func(i int) (*Vector, error)
	// sparse, if set, returns a column with few values as such, nil for others.
	sparse func(i int) *column.Builder
}

// cursor is a source's place.
type mergeCursor struct {
	src   mergeSource
	block *mergeBlock
	run   int // of block.runs
	row   int
	end   int // of the run
	out   []int
	codes []column.Codes // of the block's columns
}

// codesOf returns the codes of a column of the block.
func (c *mergeCursor) codesOf(i int) *column.Codes {
	for len(c.codes) <= i {
		c.codes = append(c.codes, column.Codes{})
	}
	return &c.codes[i]
}

func (c *mergeCursor) advance() (bool, error) {
	b, err := c.src.next()
	if err != nil || b == nil {
		c.block = nil
		return false, err
	}
	for i := range c.codes {
		c.codes[i].Reset()
	}
	c.block, c.run, c.row = b, 0, 0
	c.end = b.runs[0].Rows
	return true, nil
}

func (c *mergeCursor) key() string { return c.block.runs[c.run].Key }
func (c *mergeCursor) time() int64 { return int64(c.block.times[c.row]) }

// before orders cursors; equal rows keep the order of the sources.
func (c *mergeCursor) before(d *mergeCursor) bool {
	if k, l := c.key(), d.key(); k != l {
		return k < l
	}
	return c.time() < d.time()
}

// segment is a piece of a source that goes to the block being built.
type mergeSegment struct {
	c        *mergeCursor
	block    *mergeBlock
	key      string // of the rows' stream
	from, to int
}

// merger builds a part from sources.
type merger struct {
	w        *part.Writer
	o        *Options
	flags    map[ColumnKey]uint8
	maxBlock int
	maxCols  int

	cursors  []*mergeCursor // in the order of the sources
	pending  []mergeSegment
	pendRows int

	// The block being built.
	mem   *slab.Set
	times []uint64
	runs  []part.Run
	bytes int
	cols  []outColumn
	index map[ColumnKey]int
	dyn   int // columns that are not fixed
	over  map[uint32][]byte
}

type outColumn struct {
	key ColumnKey
	id  int // in the part
	b   column.Builder
}

// A block of a part is closed at this many bytes of column data.
const maxBlockBytes = 8 << 20

// So it is at so many rows times columns, however few have a value: who reads a
// column has a word for each row.
const maxBlockCells = 8 << 20

// newMerger returns a merger that builds blocks in mem.
func newMerger(o *Options, mem *slab.Set, w *part.Writer, blockRows int, sources []mergeSource) *merger {
	m := &merger{w: w, o: o, mem: mem, flags: map[ColumnKey]uint8{}, maxBlock: blockRows, maxCols: o.MaxColumns, index: map[ColumnKey]int{}}
	for _, c := range o.Columns {
		m.flags[ColumnKey{c.Name, c.Kind}] = c.flags()
	}
	m.flags[overflowKey] = part.FlagOverflow
	for _, s := range sources {
		m.cursors = append(m.cursors, &mergeCursor{src: s})
	}
	return m
}

// run merges everything.
func (m *merger) run(ctx context.Context) error {
	live := m.cursors[:0]
	for _, c := range m.cursors {
		ok, err := c.advance()
		if err != nil {
			return err
		}
		if ok {
			c.out = nil
			live = append(live, c)
		}
	}
	m.cursors = live
	for len(m.cursors) > 0 {
		if err := m.step(ctx); err != nil {
			return err
		}
	}
	return m.flush()
}

// step takes as many rows as it can from the source with the least row.
func (m *merger) step(ctx context.Context) error {
	least, second := 0, -1
	for i := 1; i < len(m.cursors); i++ {
		c := m.cursors[i]
		switch {
		case c.before(m.cursors[least]):
			least, second = i, least
		case second < 0 || c.before(m.cursors[second]):
			second = i
		}
	}
	c := m.cursors[least]
	to := c.end
	if second >= 0 && m.cursors[second].key() == c.key() {
		// Rows of both: up to the other's time, and with it if this source comes first.
		limit := m.cursors[second].time()
		to = c.row + 1
		for to < c.end && (int64(c.block.times[to]) < limit || int64(c.block.times[to]) == limit && least < second) {
			to++
		}
	}
	to = min(to, c.row+m.maxBlock-len(m.times)-m.pendRows)
	m.pending = append(m.pending, mergeSegment{c, c.block, c.key(), c.row, to})
	m.pendRows += to - c.row
	c.row = to
	full := len(m.times)+m.pendRows >= m.maxBlock
	if c.row == c.end {
		c.run++
		if c.run < len(c.block.runs) {
			c.end += c.block.runs[c.run].Rows
		} else {
			// The block is read up: copy what is pending from it before it goes.
			if err := m.drain(); err != nil {
				return err
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			ok, err := c.advance()
			if err != nil {
				return err
			}
			c.out = nil
			if !ok {
				m.cursors = append(m.cursors[:least], m.cursors[least+1:]...)
			}
		}
	}
	if m.pendRows >= 4096 || full {
		if err := m.drain(); err != nil {
			return err
		}
	}
	if full || m.bytes >= maxBlockBytes || len(m.times)*len(m.cols) >= maxBlockCells {
		return m.flush()
	}
	return nil
}

// outOf returns the positions of a source block's columns in the output, -1 for overflow.
func (m *merger) outOf(s *mergeSegment) []int {
	if s.c.out != nil && s.c.block == s.block {
		return s.c.out
	}
	out := make([]int, len(s.block.columns))
	for i, key := range s.block.columns {
		out[i] = m.columnOf(key)
	}
	if s.c.block == s.block {
		s.c.out = out
	}
	return out
}

func (m *merger) columnOf(key ColumnKey) int {
	if i, ok := m.index[key]; ok {
		return i
	}
	flags, fixed := m.flags[key]
	if !fixed {
		if m.dyn >= m.maxCols {
			m.columnOf(overflowKey)
			return -1
		}
		m.dyn++
	}
	i := len(m.cols)
	m.cols = append(m.cols, outColumn{key: key, id: m.w.Column(key.Name, key.Kind, flags), b: *column.NewBuilder(key.Kind, column.Shape{}, m.mem)})
	m.index[key] = i
	return i
}

// drain copies the pending segments into the block being built.
func (m *merger) drain() error {
	at := uint32(len(m.times))
	for i := range m.pending {
		s := &m.pending[i]
		out := m.outOf(s)
		row := uint32(len(m.times))
		m.copyHead(s)
		if err := m.copyColumns(s, out, row); err != nil {
			return err
		}
	}
	m.pending, m.pendRows = m.pending[:0], 0
	if err := m.w.Pause(); err != nil {
		return err
	}
	if len(m.over) > 0 {
		b := &m.cols[m.columnOf(overflowKey)].b
		for row := at; row < uint32(len(m.times)); row++ {
			if v, ok := m.over[row]; ok {
				b.AppendBytes(row, v)
				m.bytes += len(v)
			}
		}
		clear(m.over)
	}
	return nil
}

// copyHead appends a segment's times and stream runs.
func (m *merger) copyHead(s *mergeSegment) {
	m.times = append(slab.Grow(m.mem, m.times, s.to-s.from), s.block.times[s.from:s.to]...)
	m.bytes += 8 * (s.to - s.from)
	if n := len(m.runs); n > 0 && m.runs[n-1].Key == s.key {
		m.runs[n-1].Rows += s.to - s.from
		return
	}
	m.runs = append(m.runs, part.Run{Key: s.key, Rows: s.to - s.from})
}

func (m *merger) copyColumns(s *mergeSegment, out []int, at uint32) error {
	for i, o := range out {
		if few := s.few(i, o); few != nil {
			b := &m.cols[o].b
			before := b.Size()
			b.AppendBuilder(at, few, s.from, s.to)
			m.bytes += b.Size() - before
			continue
		}
		v, err := s.block.vector(i)
		if err != nil {
			return err
		}
		if key := s.block.columns[i]; o < 0 || key == overflowKey {
			m.spill(v, key, s, at)
			continue
		}
		b := &m.cols[o].b
		before := b.Size()
		b.AppendCoded(at, v, s.from, s.to, s.c.codesOf(i))
		m.bytes += b.Size() - before
	}
	return nil
}

// few returns a source's column with few values, if it goes to a column of its own.
func (s *mergeSegment) few(i, out int) *column.Builder {
	if s.block.sparse == nil || out < 0 || s.block.columns[i] == overflowKey {
		return nil
	}
	return s.block.sparse(i)
}

// spill adds a column's values to the rows' overflow entries.
func (m *merger) spill(v *Vector, key ColumnKey, s *mergeSegment, at uint32) {
	if m.over == nil {
		m.over = map[uint32][]byte{}
	}
	for i := s.from; i < s.to; i++ {
		if !v.Has(i) {
			continue
		}
		row := at + uint32(i-s.from)
		switch {
		case key == overflowKey:
			m.over[row] = append(m.over[row], v.Bytes(i)...)
		case key.Kind.VarWidth():
			m.over[row] = appendOverflow(m.over[row], key, v.Bytes(i))
		default:
			m.over[row] = appendOverflowNum(m.over[row], key, v.Nums()[i])
		}
	}
}

// flush writes the block that was built.
func (m *merger) flush() error {
	if err := m.drain(); err != nil {
		return err
	}
	if len(m.times) == 0 {
		return nil
	}
	values := make([]part.Values, 0, len(m.cols))
	for i := range m.cols {
		if c := &m.cols[i]; c.b.Count() > 0 {
			values = append(values, part.Values{Column: c.id, Builder: &c.b})
		}
	}
	if err := m.w.WriteBlock(m.times, m.runs, values); err != nil {
		return err
	}
	m.times, m.runs, m.bytes = m.times[:0], m.runs[:0], 0
	for i := range m.cols {
		m.cols[i].b.Reset()
	}
	return nil
}

func (c *ColumnDef) flags() uint8 {
	f := uint8(0)
	if c.Indexed {
		f |= part.FlagIndexed
	}
	if c.NoWordFilter {
		f |= part.FlagNoWordFilter
	}
	if c.NoFilter {
		f |= part.FlagNoFilter
	}
	if c.Head {
		f |= part.FlagHead
	}
	return f
}

// partSource reads a part for a merge.
type partSource struct {
	h     *partHandle
	stats Stats
	view  *blockView
	at    int
	block mergeBlock

	ordinal ColumnKey // the column of group numbers, to which base is added
	base    uint64
	shifted *Vector // of the block

	patches map[int]*blockPatch // of blocks with rows of groups that are joined again; see rejoin.go
	patch   *blockPatch         // of the block

	failed error // why the part could not be read
}

// newPartSource returns a source, which must be closed.
func newPartSource(h *partHandle) *partSource {
	s := &partSource{h: h}
	s.view = newBlockView(&s.stats, column.NewArena(h.db.memory.NewSet()))
	s.block.vector = s.vector
	return s
}

// close gives the source's memory back.
func (s *partSource) close() { s.view.reset() }

func (s *partSource) next() (*mergeBlock, error) {
	if s.at == len(s.h.r.Blocks) {
		s.close()
		return nil, nil
	}
	s.view.openPart(s.h, &s.h.r.Blocks[s.at])
	s.at++
	s.shifted = nil
	if err := s.view.head(); err != nil {
		s.failed = err
		return nil, err
	}
	b := &s.block
	b.times = s.view.times
	b.runs, b.columns = b.runs[:0], b.columns[:0]
	for _, r := range s.view.runs {
		b.runs = append(b.runs, part.Run{Key: s.view.stream(r.stream).key, Rows: r.end - r.start})
	}
	for i := range s.view.columns() {
		b.columns = append(b.columns, s.view.cols[i].key)
	}
	if s.patch = s.patches[s.at-1]; s.patch != nil {
		b.columns = s.patch.addColumns(b.columns)
	}
	return b, nil
}

// vector returns a column of the block, as it is in the part that is written.
func (s *partSource) vector(i int) (*Vector, error) {
	if s.patch != nil {
		return s.patch.vector(s.block.columns[i], s.view.rows, func() (*Vector, error) { return s.stored(i) })
	}
	return s.stored(i)
}

// stored returns a column of the block, nil if the part has none such.
func (s *partSource) stored(i int) (*Vector, error) {
	if i >= len(s.view.columns()) {
		return nil, nil
	}
	v, err := s.view.vector(i, nil)
	if err != nil {
		s.failed = err
		return nil, err
	}
	if s.base > 0 && s.view.columns()[i].key == s.ordinal {
		if s.shifted == nil {
			s.shifted = v.Shifted(s.base, s.view.io.Arena)
		}
		v = s.shifted
	}
	return v, nil
}

var errCorruptData = encoding.ErrCorrupt
