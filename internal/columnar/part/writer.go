package part

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"

	"belfry/internal/columnar/column"
	"belfry/internal/columnar/encoding"
	"belfry/internal/columnar/slab"
	"belfry/internal/vfs"
)

// Writer writes a part. One goroutine at a time.
type Writer struct {
	// Pause, if set, is called between pieces of work of a few milliseconds. Its error ends the write.
	Pause func() error
	f     vfs.File
	codec *encoding.Codec
	enc   *column.Encoder
	level encoding.Level

	off     int64
	buf     []byte
	pages   []byte // of the times
	words   []uint64
	mem     *slab.Set // nil: the heap
	rows    int       // that will be written, at most, if that is known
	blocks  []Block
	streams []Stream
	columns []Column
	index   map[columnKey]int
	ids     map[int]*idEntries
	heads   [][]uint64 // by block: which of its rows come first in ID indexes; nil: none
	groups  *Groups    // nil: nothing is recorded
	meta    Meta
}

type columnKey struct {
	name string
	kind column.Kind
}

// writeSize is how many bytes are gathered for one write.
const writeSize = 1 << 20

// NewWriter begins a part in an empty file. Byte strings are compressed in pages of
// pageBytes: small ones are larger in the file, and quicker to read a value from.
func NewWriter(f vfs.File, codec *encoding.Codec, level encoding.Level, pageBytes int) *Writer {
	w := &Writer{codec: codec, enc: column.NewEncoder(codec)}
	w.Reset(f, level, pageBytes)
	return w
}

// Reset makes of the writer what NewWriter returns, but that it keeps its scratch memory. What it was
// writing before is given up. With a nil f it only lets go of that.
func (w *Writer) Reset(f vfs.File, level encoding.Level, pageBytes int) {
	w.enc.Reset(pageBytes)
	*w = Writer{
		f: f, codec: w.codec, enc: w.enc, level: level, buf: w.buf[:0], pages: w.pages[:0], words: w.words[:0],
		index: map[columnKey]int{}, ids: map[int]*idEntries{},
	}
	w.buf = append(w.buf, magicHead...)
	w.buf = binary.LittleEndian.AppendUint32(w.buf, version)
	w.buf = binary.LittleEndian.AppendUint32(w.buf, 0)
}

// Use makes the writer take what it needs of memory for each row from mem, which is left to it until the next
// Reset. rows is how many there will be at most, if that is known.
func (w *Writer) Use(mem *slab.Set, rows int) {
	w.mem, w.rows = mem, rows
	w.enc.Use(mem)
}

// Column returns the number of a column, adding it to the dictionary.
func (w *Writer) Column(name string, kind column.Kind, flags uint8) int {
	key := columnKey{name, kind}
	if i, ok := w.index[key]; ok {
		return i
	}
	i := len(w.columns)
	w.columns = append(w.columns, Column{Name: name, Kind: kind, Flags: flags})
	w.index[key] = i
	return i
}

// Values is a column's values in a block that is written.
type Values struct {
	Column  int // as Writer.Column returned it
	Builder *column.Builder
}

func (w *Writer) pos() int64 { return w.off + int64(len(w.buf)) }

func (w *Writer) flush() error {
	if _, err := w.f.Write(w.buf); err != nil {
		return err
	}
	w.off += int64(len(w.buf))
	w.buf = w.buf[:0]
	return nil
}

// WriteBlock appends a block: its rows' times, its streams in ascending order of
// keys (the first may go on from the block before), its columns in any order.
func (w *Writer) WriteBlock(times []uint64, runs []Run, cols []Values) error {
	n := len(times)
	if n == 0 || n > encoding.MaxRows || len(w.blocks) >= MaxBlocks {
		return fmt.Errorf("part: block %d of %d rows", len(w.blocks), n)
	}
	b := Block{Rows: n, MinTime: int64(times[0]), MaxTime: int64(times[0]), off: w.pos()}
	for _, t := range times {
		b.MinTime, b.MaxTime = min(b.MinTime, int64(t)), max(b.MaxTime, int64(t))
	}
	start := len(w.buf)
	w.words = w.words[:0]
	row := 0
	for i, r := range runs {
		if last := len(w.streams) - 1; i > 0 || last < 0 || w.streams[last].Key != r.Key {
			if last >= 0 && w.streams[last].Key >= r.Key {
				return errors.New("part: streams out of order")
			}
			w.streams = append(w.streams, Stream{Key: r.Key, Min: int64(times[row]), Max: int64(times[row])})
		}
		if r.Rows <= 0 || r.Rows > n-row {
			return fmt.Errorf("part: run of %d rows in a block of %d", r.Rows, n)
		}
		st := &w.streams[len(w.streams)-1]
		if i == 0 {
			b.FirstStream = len(w.streams) - 1
		}
		for _, t := range times[row : row+r.Rows] {
			st.Min, st.Max = min(st.Min, int64(t)), max(st.Max, int64(t))
		}
		st.Rows += uint64(r.Rows)
		row += r.Rows
		w.words = append(w.words, uint64(r.Rows))
	}
	if row != n {
		return fmt.Errorf("part: runs of %d rows in a block of %d", row, n)
	}
	b.LastStream = len(w.streams) - 1
	w.buf = encoding.AppendInts(w.buf, w.words)
	w.buf, w.pages = encoding.AppendPagedInts(w.buf, w.pages[:0], times)
	b.len = len(w.buf) - start
	b.crc = crc32.Checksum(w.buf[start:], encoding.Castagnoli)
	w.buf = append(w.buf, w.pages...)

	slices.SortFunc(cols, func(x, y Values) int { return x.Column - y.Column })
	w.noteHeads(cols, n)
	for _, c := range cols {
		if c.Builder.Count() == 0 {
			continue
		}
		if err := w.writeColumn(&b, c, n); err != nil {
			return err
		}
	}
	w.blocks = append(w.blocks, b)
	if w.meta.Rows == 0 {
		w.meta.MinTime, w.meta.MaxTime = b.MinTime, b.MaxTime
	}
	w.meta.MinTime, w.meta.MaxTime = min(w.meta.MinTime, b.MinTime), max(w.meta.MaxTime, b.MaxTime)
	w.meta.Rows += uint64(n)
	return nil
}

func (w *Writer) writeColumn(b *Block, c Values, n int) error {
	def := &w.columns[c.Column]
	bc := BlockColumn{Column: c.Column, Off: w.pos()}
	w.buf, bc.ChunkMeta = w.enc.Append(w.buf, c.Builder, n, w.level)
	def.Rows += uint64(bc.Count)
	at := len(w.buf)
	switch {
	case def.Flags&FlagIndexed != 0 && def.Kind == column.ID:
		w.indexIDs(c.Column, c.Builder)
	case !def.Kind.VarWidth() || def.Flags&FlagNoFilter != 0:
	case def.Flags&FlagOverflow != 0:
		w.buf, bc.Filter = w.enc.AppendFilter(w.buf, c.Builder, column.WordFilter)
	case def.Flags&FlagNoWordFilter != 0 || def.Kind == column.ID || def.Kind == column.Bytes:
		w.buf, bc.Filter = w.enc.AppendFilter(w.buf, c.Builder, column.ValueFilter)
	default:
		w.buf, bc.Filter = w.enc.AppendFilter(w.buf, c.Builder, column.WordFilter)
	}
	bc.FilterLen = len(w.buf) - at
	if bc.Filter == column.WordFilter && def.Flags&FlagOverflow == 0 {
		w.buf = w.enc.AppendGrams(w.buf)
		bc.GramsLen = len(w.buf) - at - bc.FilterLen
	}
	b.Columns = append(b.Columns, bc)
	if len(w.buf) >= writeSize {
		if err := w.flush(); err != nil {
			return err
		}
	}
	return w.pause()
}

// noteHeads notes which of the n rows of a block have a value in a column of heads.
func (w *Writer) noteHeads(cols []Values, n int) {
	for _, c := range cols {
		if w.columns[c.Column].Flags&FlagHead == 0 || c.Builder.Count() == 0 {
			continue
		}
		for len(w.heads) <= len(w.blocks) {
			w.heads = append(w.heads, nil)
		}
		rows := slab.Make[uint64](w.mem, (n+63)/64)[:(n+63)/64]
		clear(rows)
		c.Builder.EachNum(func(row uint32, _ uint64) { rows[row>>6] |= 1 << (row & 63) })
		w.heads[len(w.blocks)] = rows
	}
}

// isHead reports whether the row of an entry of an ID index is a head.
func (w *Writer) isHead(e idEntry) bool {
	block, row := int(e.pos>>16), e.pos&0xffff
	return block < len(w.heads) && w.heads[block] != nil && w.heads[block][row>>6]>>(row&63)&1 != 0
}

func (w *Writer) pause() error {
	if w.Pause == nil {
		return nil
	}
	return w.Pause()
}

func (w *Writer) indexIDs(col int, b *column.Builder) {
	block := uint32(len(w.blocks)) << 16
	ids := w.ids[col]
	if ids == nil {
		ids = newIDEntries(w.rows, w.mem)
		w.ids[col] = ids
	}
	b.EachBytes(func(row uint32, v []byte) { ids.add(encoding.HashValue(v), block|row) })
}

// Blocks returns the blocks written so far.
func (w *Writer) Blocks() int { return len(w.blocks) }

// Size returns the bytes written so far.
func (w *Writer) Size() int64 { return w.pos() }

// Finish writes the directories and syncs the file. The caller closes it.
func (w *Writer) Finish() (Meta, error) {
	footer := binary.AppendUvarint(nil, w.meta.Rows)
	footer = binary.AppendVarint(footer, w.meta.MinTime)
	footer = binary.AppendVarint(footer, w.meta.MaxTime)
	footer = binary.AppendUvarint(footer, uint64(len(w.blocks)))

	sections := 0
	var table []byte
	entry := func(kind, arg int, fill func(dst []byte) []byte) {
		off, start := w.pos(), len(w.buf)
		w.buf = fill(w.buf)
		table = append(table, byte(kind))
		table = binary.AppendUvarint(table, uint64(arg))
		table = binary.AppendUvarint(table, uint64(off))
		table = binary.AppendUvarint(table, uint64(len(w.buf)-start))
		table = binary.LittleEndian.AppendUint32(table, crc32.Checksum(w.buf[start:], encoding.Castagnoli))
		sections++
	}
	add := func(kind, arg int, raw []byte) {
		entry(kind, arg, func(dst []byte) []byte { return w.codec.AppendFrame(dst, raw, encoding.Small, true) })
	}
	for col := range w.columns {
		ids := w.ids[col]
		if ids == nil {
			continue
		}
		top, err := w.writeIDs(ids)
		if err != nil {
			return Meta{}, err
		}
		add(sectionIDs, col, top)
		entry(sectionFilter, col, ids.appendFilter)
		delete(w.ids, col)
		if err := w.flush(); err != nil {
			return Meta{}, err
		}
	}
	if w.groups != nil {
		add(sectionGroups, 0, w.groups.append(nil))
	}
	add(sectionStreams, 0, w.appendStreams(nil))
	add(sectionColumns, 0, w.appendColumns(nil))
	add(sectionBlocks, 0, w.appendBlocks(nil))

	footer = binary.AppendUvarint(footer, uint64(sections))
	footer = append(footer, table...)
	w.buf = append(w.buf, footer...)
	w.buf = binary.LittleEndian.AppendUint32(w.buf, version)
	w.buf = binary.LittleEndian.AppendUint32(w.buf, uint32(len(footer)))
	// The checksum covers the two numbers too.
	w.buf = binary.LittleEndian.AppendUint32(w.buf, crc32.Checksum(w.buf[len(w.buf)-len(footer)-8:], encoding.Castagnoli))
	w.buf = append(w.buf, magicTail...)
	if err := w.flush(); err != nil {
		return Meta{}, err
	}
	if err := w.f.Sync(); err != nil {
		return Meta{}, err
	}
	w.meta.Size, w.meta.Blocks = w.off, len(w.blocks)
	return w.meta, nil
}

func (w *Writer) appendStreams(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(w.streams)))
	for _, s := range w.streams {
		dst = encoding.AppendBytes(dst, s.Key)
		dst = binary.AppendVarint(dst, s.Min-w.meta.MinTime)
		dst = binary.AppendVarint(dst, s.Max-s.Min)
		dst = binary.AppendUvarint(dst, s.Rows)
	}
	return dst
}

func (w *Writer) appendColumns(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(w.columns)))
	for _, c := range w.columns {
		dst = encoding.AppendBytes(dst, c.Name)
		dst = append(dst, byte(c.Kind), c.Flags)
		dst = binary.AppendUvarint(dst, c.Rows)
	}
	return dst
}

func (w *Writer) appendBlocks(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(w.blocks)))
	for i := range w.blocks {
		b := &w.blocks[i]
		dst = binary.AppendUvarint(dst, uint64(b.Rows))
		dst = binary.AppendVarint(dst, b.MinTime-w.meta.MinTime)
		dst = binary.AppendUvarint(dst, uint64(b.MaxTime-b.MinTime))
		dst = binary.AppendUvarint(dst, uint64(b.FirstStream))
		dst = binary.AppendUvarint(dst, uint64(b.LastStream-b.FirstStream))
		dst = binary.AppendUvarint(dst, uint64(b.off))
		dst = binary.AppendUvarint(dst, uint64(b.len))
		dst = binary.LittleEndian.AppendUint32(dst, b.crc)
		dst = binary.AppendUvarint(dst, uint64(len(b.Columns)))
		prevCol, prevOff := -1, b.off
		for _, c := range b.Columns {
			dst = binary.AppendUvarint(dst, uint64(c.Column-prevCol-1))
			dst = binary.AppendUvarint(dst, uint64(c.Off-prevOff))
			dst = binary.AppendUvarint(dst, uint64(c.Count))
			dst = binary.AppendUvarint(dst, uint64(c.HeadLen))
			dst = binary.AppendUvarint(dst, uint64(c.Len-c.HeadLen))
			dst = binary.LittleEndian.AppendUint32(dst, c.HeadCRC)
			filter := byte(c.Filter)
			if c.GramsLen > 0 {
				filter |= filterGrams
			}
			dst = append(dst, filter)
			if c.Filter != column.NoFilter {
				dst = binary.AppendUvarint(dst, uint64(c.FilterLen))
			}
			if c.GramsLen > 0 {
				dst = binary.AppendUvarint(dst, uint64(c.GramsLen))
			}
			if !w.columns[c.Column].Kind.VarWidth() {
				if !c.Bounded {
					dst = append(dst, 0)
				} else {
					dst = append(dst, 1)
					dst = binary.LittleEndian.AppendUint64(dst, c.Min)
					dst = binary.LittleEndian.AppendUint64(dst, c.Max)
				}
			}
			prevCol, prevOff = c.Column, c.Off
		}
	}
	return dst
}
