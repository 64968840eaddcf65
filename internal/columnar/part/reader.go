package part

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"

	"belfry/internal/columnar/column"
	"belfry/internal/columnar/encoding"
	"belfry/internal/vfs"
)

// Reader reads a part. Its exported fields are read-only.
type Reader struct {
	Meta    Meta
	Streams []Stream
	Columns []Column
	Blocks  []Block
	Groups  Groups

	version uint32

	f     vfs.File
	codec *encoding.Codec
	index map[columnKey]int
	ids   map[int]*idIndex // by column
}

type section struct {
	off int64
	n   int
	crc uint32
}

// IO is what one goroutine reads with.
type IO struct {
	Arena     *column.Arena
	Cache     *Cache // of what is read for a few rows; nil: none
	BytesRead int64
	buf       []byte
	pages     ChunkPages // of the column that rows are picked of
}

// Open opens a part by its tail. The reader owns f, also when it fails.
func Open(f vfs.File, codec *encoding.Codec) (*Reader, error) {
	r := &Reader{f: f, codec: codec, index: map[columnKey]int{}, ids: map[int]*idIndex{}}
	if err := r.open(); err != nil {
		f.Close()
		return nil, err
	}
	return r, nil
}

// Close closes the file.
func (r *Reader) Close() error { return r.f.Close() }

func corrupt(what string) error { return fmt.Errorf("%w: %s", ErrCorrupt, what) }

func (r *Reader) open() error {
	size, err := r.f.Size()
	if err != nil {
		return err
	}
	if size < headerLen+trailerLen {
		return corrupt("file too short")
	}
	tailOff := max(0, size-tailRead)
	tail := make([]byte, size-tailOff)
	if _, err := r.f.ReadAt(tail, tailOff); err != nil {
		return fmt.Errorf("part: read tail: %w", err)
	}
	t := tail[len(tail)-trailerLen:]
	footerLen := int64(binary.LittleEndian.Uint32(t[4:]))
	if string(t[12:]) != magicTail {
		return corrupt("no trailer")
	}
	if footerLen > size-headerLen-trailerLen {
		return corrupt("footer length")
	}
	read := func(off int64, n int) ([]byte, error) {
		if off < 0 || n < 0 || off > size-int64(n) {
			return nil, corrupt("section outside of the file")
		}
		if off >= tailOff {
			return tail[off-tailOff:][:n], nil
		}
		b := make([]byte, n)
		_, err := r.f.ReadAt(b, off)
		return b, err
	}
	footer, err := read(size-trailerLen-footerLen, int(footerLen)+8)
	if err != nil {
		return err
	}
	if crc32.Checksum(footer, encoding.Castagnoli) != binary.LittleEndian.Uint32(t[8:]) {
		return corrupt("footer checksum")
	}
	// Only now: a version that is not what was written says nothing.
	if v := binary.LittleEndian.Uint32(t); v < oldestVersion || v > version {
		return fmt.Errorf("part: format version %d, this release reads %d to %d", v, oldestVersion, version)
	}
	r.version = binary.LittleEndian.Uint32(t)
	d := encoding.Reader{B: footer[:footerLen]}
	r.Meta = Meta{Rows: d.Uvarint(), MinTime: d.Varint(), MaxTime: d.Varint(), Size: size, Blocks: d.Count(MaxBlocks)}
	count := d.Count(1 << 20)
	var raw [sectionGroups + 1][]byte
	for range count {
		kind, arg := int(d.Byte()), d.Count(math.MaxInt32)
		s := section{off: int64(d.Uvarint()), n: d.Count(math.MaxInt32), crc: d.Uint32()}
		if d.Bad() {
			return corrupt("footer")
		}
		switch kind {
		case sectionIDs:
			r.idIndex(arg).section = s
		case sectionFilter:
			r.idIndex(arg).filter = s
		case sectionBlocks, sectionStreams, sectionColumns, sectionGroups:
			b, err := read(s.off, s.n)
			if err != nil {
				return err
			}
			if raw[kind], err = r.section(b, s); err != nil {
				return err
			}
		}
	}
	for _, parse := range []struct {
		what string
		raw  []byte
		f    func(*encoding.Reader)
	}{
		{"column dictionary", raw[sectionColumns], r.parseColumns},
		{"stream directory", raw[sectionStreams], r.parseStreams},
		{"block directory", raw[sectionBlocks], r.parseBlocks},
	} {
		d := encoding.Reader{B: parse.raw}
		parse.f(&d)
		if d.Bad() || len(d.B) > 0 {
			return corrupt(parse.what)
		}
	}
	return r.parseGroups(raw[sectionGroups])
}

// section verifies and unpacks a section.
func (r *Reader) section(b []byte, s section) ([]byte, error) {
	if crc32.Checksum(b, encoding.Castagnoli) != s.crc {
		return nil, corrupt("section checksum")
	}
	n, err := encoding.FrameLen(b)
	if err != nil {
		return nil, corrupt("section")
	}
	raw := make([]byte, n)
	if _, err := r.codec.DecodeFrame(raw, b); err != nil {
		return nil, corrupt("section")
	}
	return raw, nil
}

func (r *Reader) parseColumns(d *encoding.Reader) {
	r.Columns = make([]Column, d.Count(len(d.B)))
	for i := range r.Columns {
		c := Column{Name: string(d.Bytes()), Kind: column.Kind(d.Byte()), Flags: d.Byte(), Rows: d.Uvarint()}
		if !c.Kind.Valid() {
			d.Fail()
			return
		}
		r.Columns[i] = c
		r.index[columnKey{c.Name, c.Kind}] = i
	}
}

func (r *Reader) parseStreams(d *encoding.Reader) {
	r.Streams = make([]Stream, d.Count(len(d.B)))
	for i := range r.Streams {
		s := Stream{Key: string(d.Bytes())}
		s.Min = r.Meta.MinTime + d.Varint()
		s.Max = s.Min + d.Varint()
		s.Rows = d.Uvarint()
		r.Streams[i] = s
	}
}

func (r *Reader) parseBlocks(d *encoding.Reader) {
	r.Blocks = make([]Block, d.Count(min(len(d.B), MaxBlocks)))
	for i := range r.Blocks {
		b := &r.Blocks[i]
		b.Rows = d.Count(encoding.MaxRows)
		b.MinTime = r.Meta.MinTime + d.Varint()
		b.MaxTime = b.MinTime + int64(d.Uvarint())
		b.FirstStream = d.Count(len(r.Streams))
		b.LastStream = b.FirstStream + d.Count(len(r.Streams))
		b.off, b.len, b.crc = int64(d.Uvarint()), d.Count(math.MaxInt32), d.Uint32()
		b.Columns = make([]BlockColumn, d.Count(min(len(d.B), len(r.Columns))))
		if d.Bad() || b.Rows == 0 || b.LastStream >= len(r.Streams) {
			d.Fail()
			return
		}
		prevCol, prevOff := -1, b.off
		for j := range b.Columns {
			c := &b.Columns[j]
			c.Column = prevCol + 1 + d.Count(len(r.Columns))
			c.Off = prevOff + int64(d.Uvarint())
			c.Count = d.Count(b.Rows)
			c.HeadLen = d.Count(math.MaxInt32)
			c.Len = c.HeadLen + d.Count(math.MaxInt32)
			c.HeadCRC = d.Uint32()
			filter := d.Byte()
			if c.Filter = column.FilterKind(filter &^ filterGrams); c.Filter != column.NoFilter {
				c.FilterLen = d.Count(math.MaxInt32)
			}
			if filter&filterGrams != 0 {
				c.GramsLen = d.Count(math.MaxInt32)
			}
			if d.Bad() || c.Column >= len(r.Columns) || c.Count == 0 {
				d.Fail()
				return
			}
			if !r.Columns[c.Column].Kind.VarWidth() && d.Byte() == 1 {
				c.Bounded, c.Min, c.Max = true, d.Uint64(), d.Uint64()
			}
			prevCol, prevOff = c.Column, c.Off
		}
	}
}

// FindColumn returns the number of a column, -1 if the part has none such.
func (r *Reader) FindColumn(name string, kind column.Kind) int {
	if i, ok := r.index[columnKey{name, kind}]; ok {
		return i
	}
	return -1
}

// Column returns the block's entry of a column, nil if no row has a value.
func (b *Block) Column(col int) *BlockColumn {
	if i := b.Position(col); i >= 0 {
		return &b.Columns[i]
	}
	return nil
}

// nearEntries is how many entries are looked at one by one before the others are searched.
const nearEntries = 4

// Position returns where in Columns a column's entry is, -1 if no row has a value.
func (b *Block) Position(col int) int {
	// Entries ascend from 0 on: a column's is where its number says, or before. Most columns are in all
	// blocks, and a search from the middle would touch memory far apart.
	lo, hi := 0, min(col+1, len(b.Columns))
	for near := hi - 1; near >= max(0, hi-nearEntries); near-- {
		switch at := b.Columns[near].Column; {
		case at == col:
			return near
		case at < col:
			return -1
		}
	}
	for lo < hi {
		if mid := int(uint(lo+hi) >> 1); b.Columns[mid].Column < col {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == len(b.Columns) || b.Columns[lo].Column != col {
		return -1
	}
	return lo
}

// read reads and verifies. The bytes are in the IO's buffer unless keep is set,
// then in its arena.
func (r *Reader) read(io *IO, off int64, n int, crc uint32, keep bool) ([]byte, error) {
	if off < 0 || n < 0 || off > r.Meta.Size-int64(n) {
		return nil, corrupt("reference outside of the file")
	}
	if !keep {
		b, err := r.bytes(io, off, n)
		if err == nil && crc32.Checksum(b, encoding.Castagnoli) != crc {
			err = corrupt("checksum")
		}
		return b, err
	}
	b := io.Arena.Bytes(n)
	if _, err := r.f.ReadAt(b, off); err != nil {
		return nil, fmt.Errorf("part: read: %w", err)
	}
	io.BytesRead += int64(n)
	if crc32.Checksum(b, encoding.Castagnoli) != crc {
		return nil, corrupt("checksum")
	}
	return b, nil
}

// readFew is read for a few rows: the cache may have the bytes, and keeps them.
func (r *Reader) readFew(io *IO, off int64, n int, crc uint32, keep bool) ([]byte, error) {
	var b []byte
	found, again := r.cached(io, off, n, func(have []byte) {
		if keep {
			b = io.Arena.Bytes(n)
		} else {
			b = io.buffer(n)
		}
		copy(b, have)
	})
	if found {
		return b, nil
	}
	b, err := r.read(io, off, n, crc, keep)
	if again && err == nil {
		io.Cache.put(pieceKey{r: r, off: off}, b)
	}
	return b, err
}

// cached hands bytes of the file to use, if the cache has them; again says that it should.
func (r *Reader) cached(io *IO, off int64, n int, use func(b []byte)) (found, again bool) {
	if io.Cache == nil || n > maxCached {
		return false, false
	}
	return io.Cache.get(pieceKey{r: r, off: off}, n, use)
}

// ReadHead returns the lengths of the runs of the block's streams and its rows' times.
func (r *Reader) ReadHead(io *IO, b *Block) (runs, times []uint64, err error) {
	n := b.len
	if len(b.Columns) > 0 {
		n = int(b.Columns[0].Off - b.off) // with the pages
	}
	raw, pages, err := r.readWhole(io, b.off, b.len, n, b.crc)
	if err != nil {
		return nil, nil, err
	}
	runs, rest, err := decodeRuns(io, b, raw)
	if err != nil {
		return nil, nil, err
	}
	times = io.Arena.Words(b.Rows)
	if _, err := encoding.DecodePagedInts(times, rest, &encoding.PageReader{Pages: pages, Off: b.len}); err != nil {
		return nil, nil, blamed("block head", err)
	}
	return runs, times, nil
}

// readWhole reads a verified head and its pages, n bytes together, at once.
func (r *Reader) readWhole(io *IO, off int64, headLen, n int, crc uint32) (head []byte, pages heldPages, err error) {
	pages.ChunkPages = ChunkPages{R: r, IO: io, Off: off}
	if off < 0 || headLen < 0 || n < headLen || off > r.Meta.Size-int64(n) {
		return nil, pages, corrupt("reference outside of the file")
	}
	pages.held = io.Arena.Bytes(n)
	if _, err := r.f.ReadAt(pages.held, off); err != nil {
		return nil, pages, fmt.Errorf("part: read: %w", err)
	}
	io.BytesRead += int64(n)
	if crc32.Checksum(pages.held[:headLen], encoding.Castagnoli) != crc {
		return nil, pages, corrupt("checksum")
	}
	return pages.held[:headLen], pages, nil
}

// heldPages are pages of which the first ones are in memory.
type heldPages struct {
	ChunkPages
	held []byte // from the chunk's begin on, to be verified
}

// ReadPage implements column.Pages.
func (p heldPages) ReadPage(off, n int, crc uint32) ([]byte, error) {
	if off < 0 || n < 0 || off > len(p.held)-n {
		return p.ChunkPages.ReadPage(off, n, crc)
	}
	b := p.held[off : off+n : off+n]
	if crc32.Checksum(b, encoding.Castagnoli) != crc {
		return nil, corrupt("checksum")
	}
	return b, nil
}

// blamed says what is corrupt, if that is the error.
func blamed(what string, err error) error {
	if errors.Is(err, encoding.ErrCorrupt) {
		return corrupt(what)
	}
	return err
}

// decodeRuns decodes the lengths of the runs of a block's streams, and returns what follows.
func decodeRuns(io *IO, b *Block, raw []byte) (runs []uint64, rest []byte, err error) {
	runs = io.Arena.Words(b.LastStream - b.FirstStream + 1)
	if rest, err = encoding.DecodeInts(runs, raw); err != nil {
		return nil, nil, corrupt("block head")
	}
	sum := uint64(0)
	for _, n := range runs {
		if n > uint64(b.Rows) {
			return nil, nil, corrupt("block head")
		}
		sum += n
	}
	if sum != uint64(b.Rows) {
		return nil, nil, corrupt("block head")
	}
	return runs, rest, nil
}

// PickHead returns what ReadHead does, with the times of the given rows only.
func (r *Reader) PickHead(io *IO, b *Block, sel []uint32) (runs, times []uint64, err error) {
	raw, err := r.readFew(io, b.off, b.len, b.crc, true)
	if err != nil {
		return nil, nil, err
	}
	runs, rest, err := decodeRuns(io, b, raw)
	if err != nil {
		return nil, nil, err
	}
	times = io.Arena.Words(len(sel))
	io.pages = ChunkPages{r, io, b.off, true}
	if err := encoding.PickPagedInts(times, rest, b.Rows, sel, encoding.PageReader{Pages: &io.pages, Off: b.len}); err != nil {
		return nil, nil, blamed("block head", err)
	}
	return runs, times, nil
}

// PickColumn reads the given rows (ascending) of a column, without decoding the others. Row i
// of the vector is row sel[i] of the block. It also returns how many bytes it has decoded.
func (r *Reader) PickColumn(io *IO, b *Block, c *BlockColumn, sel []uint32) (*column.Vector, int, error) {
	head, err := r.readFew(io, c.Off, c.HeadLen, c.HeadCRC, true)
	if err != nil {
		return nil, 0, err
	}
	def := &r.Columns[c.Column]
	io.pages = ChunkPages{r, io, c.Off, true}
	v, n, err := column.Pick(head, def.Kind, b.Rows, sel, &io.pages, r.codec, io.Arena)
	return v, n, blamed("column "+def.Name, err)
}

// OpenColumn decodes the head of a column's chunk, and all of numbers.
func (r *Reader) OpenColumn(io *IO, b *Block, c *BlockColumn) (*column.Chunk, error) {
	def, n := &r.Columns[c.Column], c.HeadLen
	if !def.Kind.VarWidth() {
		n = c.Len
	}
	head, pages, err := r.readWhole(io, c.Off, c.HeadLen, n, c.HeadCRC)
	if err != nil {
		return nil, err
	}
	chunk, err := column.Open(head, def.Kind, b.Rows, pages, r.codec, io.Arena)
	return chunk, blamed("column "+def.Name, err)
}

// ChunkPages reads the pages of one chunk.
type ChunkPages struct {
	R   *Reader
	IO  *IO
	Off int64 // of the chunk
	few bool  // for a few rows
}

// ReadPage implements column.Pages.
func (p ChunkPages) ReadPage(off, n int, crc uint32) ([]byte, error) {
	if p.few {
		return p.R.readFew(p.IO, p.Off+int64(off), n, crc, false)
	}
	return p.R.read(p.IO, p.Off+int64(off), n, crc, false)
}

// Unpacked implements column.PageCache.
func (p ChunkPages) Unpacked(off int, dst []byte) (found, again bool) {
	if !p.few || p.IO.Cache == nil || len(dst) > maxCached {
		return false, false
	}
	return p.IO.Cache.get(pieceKey{p.R, p.Off + int64(off), true}, len(dst), func(b []byte) { copy(dst, b) })
}

// KeepUnpacked implements column.PageCache.
func (p ChunkPages) KeepUnpacked(off int, b []byte) {
	p.IO.Cache.put(pieceKey{p.R, p.Off + int64(off), true}, b)
}

// Pages returns the reader of a column's pages.
func (r *Reader) Pages(io *IO, c *BlockColumn) ChunkPages {
	return ChunkPages{R: r, IO: io, Off: c.Off}
}

// MayContain reports whether the column's filter may hold the hash; true if it has no filter.
func (r *Reader) MayContain(io *IO, c *BlockColumn, hash uint64) (bool, error) {
	if c.Filter == column.NoFilter {
		return true, nil
	}
	return r.probe(io, c.Off+int64(c.Len), c.FilterLen, hash)
}

// MayHold reports whether the column's filters may hold a text as a piece of a
// value, in whatever case; true if it has no gram filter.
func (r *Reader) MayHold(io *IO, c *BlockColumn, l *encoding.Literal) (bool, error) {
	if c.GramsLen == 0 {
		return true, nil
	}
	b, err := r.bytes(io, c.Off+int64(c.Len)+int64(c.FilterLen), c.GramsLen)
	if err != nil {
		return false, err
	}
	grams, err := encoding.OpenGrams(b)
	if err != nil {
		return false, corrupt("gram filter")
	}
	// The filter is read into the buffer that the grams are in: these are asked first.
	return grams.MayContain(l, func(hash uint64) (bool, error) { return r.MayContain(io, c, hash) })
}

// bytes reads into the IO's buffer.
func (r *Reader) bytes(io *IO, off int64, n int) ([]byte, error) {
	if off < 0 || n < 0 || off > r.Meta.Size-int64(n) {
		return nil, corrupt("reference outside of the file")
	}
	b := io.buffer(n)
	if _, err := r.f.ReadAt(b, off); err != nil {
		return nil, fmt.Errorf("part: read: %w", err)
	}
	io.BytesRead += int64(n)
	return b, nil
}

// minBuffer is how large the buffer of an IO is that is used time and again: one with an Arena.
const minBuffer = 64 << 10

// buffer returns the IO's buffer.
func (io *IO) buffer(n int) []byte {
	switch {
	case cap(io.buf) >= n:
	case io.Arena == nil:
		io.buf = make([]byte, n)
	default:
		io.buf = make([]byte, max(n, minBuffer))
	}
	return io.buf[:n]
}

// probe asks a filter in the file, by reading the page that knows.
func (r *Reader) probe(io *IO, base int64, size int, hash uint64) (bool, error) {
	off, n := encoding.BloomPageOf(hash, size)
	if n == 0 {
		return false, corrupt("filter")
	}
	may := false
	found, again := r.cached(io, base+int64(off), n, func(page []byte) { may = encoding.ProbeBloomPage(page, hash, size) })
	if found {
		return may, nil
	}
	page, err := r.bytes(io, base+int64(off), n)
	if err == nil && encoding.CheckBloomPage(page) != nil {
		err = corrupt("filter checksum")
	}
	if err != nil {
		return false, err
	}
	if again {
		io.Cache.put(pieceKey{r: r, off: base + int64(off)}, page)
	}
	return encoding.ProbeBloomPage(page, hash, size), nil
}
