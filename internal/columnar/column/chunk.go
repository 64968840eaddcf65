package column

import (
	"encoding/binary"
	"hash/crc32"
	"math"

	"belfry/internal/columnar/encoding"
	"belfry/internal/columnar/slab"
)

// A chunk is one column of one block as bytes: a head, and for what is long
// pages behind it. docs/format/part.md describes every byte.
const (
	chunkInts   = 0
	chunkFloats = 1
	chunkPlain  = 2 // byte strings in pages
	chunkDict   = 3 // distinct byte strings, an ID per value
	chunkConst  = 4 // one byte string for all
	chunkTpl    = 5 // templates, and what fills their slots

	presentAll    = 0
	presentBitmap = 1
	presentRows   = 2

	// DefaultPageBytes is how many raw bytes close a page.
	DefaultPageBytes = 96 << 10
	// IDs do not compress: their pages are as small as reading one value wants them.
	idPageBytes = 4 << 10
	// So are those of dictionaries, which are there to be small.
	dictPageBytes = 32 << 10
	// Dictionaries may have so many entries.
	maxDict = 1 << 16
	// So many values are worth looking for templates.
	minTemplated = 64
)

// Encoder encodes chunks. It keeps scratch memory: one goroutine at a time.
type Encoder struct {
	PageBytes int // of byte strings; DefaultPageBytes if a chunk is not to be read in few rows

	codec   *encoding.Codec
	words   []uint64
	ids     []uint32
	table   []uint32
	entries Builder
	pages   []byte
	page    []byte
	set     encoding.HashSet
	text    encoding.TextSet
	tpl     *templater
	dictOf  *Builder // the last builder, if it was stored as a dictionary
	tplOf   *Builder // the same of templates
}

// NewEncoder returns an encoder.
func NewEncoder(c *encoding.Codec) *Encoder {
	return &Encoder{PageBytes: DefaultPageBytes, codec: c, tpl: &templater{}}
}

// Reset forgets the builders that were encoded and the memory that Use gave, and keeps other scratch memory.
func (e *Encoder) Reset(pageBytes int) {
	e.PageBytes, e.dictOf, e.tplOf = pageBytes, nil, nil
	e.Use(nil)
}

// Use makes the encoder split text in memory of mem, until Reset; nil is the heap.
func (e *Encoder) Use(mem *slab.Set) {
	if e.tpl.mem != mem {
		e.tpl.leave()
		e.tpl.mem = mem
	}
}

// FilterKind says what a chunk's Bloom filter holds.
type FilterKind uint8

// The kinds of filters.
const (
	NoFilter    FilterKind = 0
	WordFilter  FilterKind = 1 // the words of each value's bytes
	ValueFilter FilterKind = 2 // each value's bytes
)

// ChunkMeta is what a directory tells of a chunk.
type ChunkMeta struct {
	Count    int    // rows with a value
	HeadLen  int    // bytes of the head
	Len      int    // bytes of the head and the pages
	HeadCRC  uint32 // checksum of the head
	Filter   FilterKind
	Min, Max uint64 // least and greatest number, for Int, Bool and Float without NaN
	Bounded  bool   // Min and Max are set
}

// Append appends the chunk of b's values in a block of n rows.
func (e *Encoder) Append(dst []byte, b *Builder, n int, level encoding.Level) ([]byte, ChunkMeta) {
	m := ChunkMeta{Count: b.count}
	e.dictOf, e.tplOf = nil, nil
	start := len(dst)
	mode := presentAll
	if b.count < n {
		mode = presentRows
		if b.count > n/24 {
			mode = presentBitmap
		}
	}
	at := len(dst)
	dst = append(dst, 0)
	dst = e.appendPresence(dst, b, n, mode)
	enc := 0
	e.pages = e.pages[:0]
	if b.Kind.VarWidth() {
		dst, enc = e.appendBytes(dst, b, level)
	} else {
		m.Min, m.Max, m.Bounded = numBounds(b.Kind, b.nums)
		dst, enc = e.appendNums(dst, b)
	}
	dst[at] = byte(enc | mode<<4)
	m.HeadLen = len(dst) - start
	m.HeadCRC = crc32.Checksum(dst[start:], encoding.Castagnoli)
	dst = append(dst, e.pages...)
	m.Len = len(dst) - start
	return dst, m
}

// appendNums appends numbers, and says how.
func (e *Encoder) appendNums(dst []byte, b *Builder) (after []byte, enc int) {
	if b.Kind != Float {
		dst, e.pages = encoding.AppendPagedInts(dst, e.pages, b.nums)
		return dst, chunkInts
	}
	if cap(e.words) < len(b.nums) {
		e.words = make([]uint64, 0, len(b.nums))
	}
	dst, e.pages = encoding.AppendFloats(dst, e.pages, b.nums, e.words[:0])
	return dst, chunkFloats
}

// appendBytes appends byte strings, and says how.
func (e *Encoder) appendBytes(dst []byte, b *Builder, level encoding.Level) (after []byte, enc int) {
	ok := e.dictionary(b)
	if ok {
		e.dictOf = b
	}
	switch {
	case ok && e.entries.count == 1:
		return encoding.AppendBytes(dst, b.data[b.offs[0]:b.offs[1]]), chunkConst
	case ok:
		dst = binary.AppendUvarint(dst, uint64(e.entries.count))
		dst = e.appendInline(dst, &e.entries, level)
		return encoding.AppendIDs(dst, e.ids, e.entries.count), chunkDict
	case (b.Kind == String || b.Kind == JSON) && b.count >= minTemplated && e.tpl.split(b):
		e.tplOf = b
		return e.appendTemplates(dst, b, level), chunkTpl
	}
	return e.appendPlain(dst, b, level), chunkPlain
}

func (e *Encoder) appendPresence(dst []byte, b *Builder, n, mode int) []byte {
	if mode == presentAll {
		return dst
	}
	dst = binary.AppendUvarint(dst, uint64(b.count))
	row := func(i int) uint32 {
		if b.sparse {
			return b.rows[i]
		}
		return uint32(i)
	}
	if mode == presentBitmap {
		at := len(dst)
		dst = append(dst, make([]byte, (n+7)/8)...)
		for i := range b.count {
			r := row(i)
			dst[at+int(r>>3)] |= 1 << (r & 7)
		}
		return dst
	}
	e.words = e.words[:0]
	for i := range b.count {
		e.words = append(e.words, uint64(row(i)))
	}
	return encoding.AppendInts(dst, e.words)
}

// dictionary is buildDict for any builder. One that is coded and does not deserve a dictionary is not
// coded any more then.
func (e *Encoder) dictionary(b *Builder) bool {
	if !b.isCoded() {
		return e.buildDict(b)
	}
	e.entries.Reset()
	e.entries.Kind, e.entries.count = String, len(b.offs)-1
	e.entries.offs, e.entries.data = append(e.entries.offs, b.offs...), append(e.entries.data, b.data...)
	e.ids = append(e.ids[:0], b.codes.ids...)
	if e.entries.count > min(maxDict, b.count/2+1) || !e.worthDict(b.Kind, b.codes.raw) {
		b.expand()
		return false
	}
	return true
}

// worthDict reports whether the dictionary in e.entries is worth it for values of raw bytes.
func (e *Encoder) worthDict(k Kind, raw int) bool {
	// Text that repeats compresses well without a dictionary too, unless the
	// repetition is far; four to one is where the dictionary is surely smaller.
	return k == ID || e.entries.count <= 256 || len(e.entries.data)*4 <= raw
}

// buildDict fills e.entries and e.ids, and reports whether a dictionary is worth it.
func (e *Encoder) buildDict(b *Builder) bool {
	n := b.count
	// A sample first: most columns without repetition show it at once.
	limit := min(maxDict, n/2+1)
	size := 256
	for size < 4*min(n, maxDict) {
		size *= 2
	}
	if len(e.table) < size {
		e.table = make([]uint32, size)
	}
	table := e.table[:size]
	clear(table)
	mask := uint64(size - 1)
	e.entries.Reset()
	e.entries.Kind = String
	if cap(e.ids) < n {
		e.ids = make([]uint32, n)
	}
	e.ids = e.ids[:n]
	lastID := uint32(0)
	for i := range n {
		v := b.data[b.offs[i]:b.offs[i+1]]
		if i > 0 && string(v) == string(e.entries.data[e.entries.offs[lastID]:e.entries.offs[lastID+1]]) {
			e.ids[i] = lastID
			continue
		}
		for p := encoding.HashValue(v) & mask; ; p = (p + 1) & mask {
			id := table[p]
			if id == 0 {
				if e.entries.count >= limit || i >= 2048 && e.entries.count > i-i/4 {
					return false
				}
				e.entries.AppendBytes(uint32(e.entries.count), v)
				lastID = uint32(e.entries.count - 1)
				table[p] = lastID + 1
				break
			}
			if id--; string(v) == string(e.entries.data[e.entries.offs[id]:e.entries.offs[id+1]]) {
				lastID = id
				break
			}
		}
		e.ids[i] = lastID
	}
	return e.worthDict(b.Kind, len(b.data))
}

// appendPage appends values [from, to) as one page: lengths, then the bytes.
func (e *Encoder) appendPage(dst []byte, b *Builder, from, to int, level encoding.Level) []byte {
	e.words = e.words[:0]
	for i := from; i < to; i++ {
		e.words = append(e.words, uint64(b.offs[i+1]-b.offs[i]))
	}
	dst = encoding.AppendInts(dst, e.words)
	return e.codec.AppendFrame(dst, b.data[b.offs[from]:b.offs[to]], level, b.Kind != ID)
}

// appendPlain appends the page table to dst and the pages to e.pages.
func (e *Encoder) appendPlain(dst []byte, b *Builder, level encoding.Level) []byte {
	size := e.PageBytes
	if b.Kind == ID {
		size = idPageBytes
	}
	pages := 0
	b.eachPage(size, func(int, int) { pages++ })
	dst = binary.AppendUvarint(dst, uint64(pages))
	b.eachPage(size, func(from, to int) {
		at := len(e.pages)
		e.pages = e.appendPage(e.pages, b, from, to, level)
		page := e.pages[at:]
		dst = binary.AppendUvarint(dst, uint64(to-from))
		dst = binary.AppendUvarint(dst, uint64(b.offs[to]-b.offs[from]))
		dst = binary.AppendUvarint(dst, uint64(len(page)))
		dst = binary.LittleEndian.AppendUint32(dst, crc32.Checksum(page, encoding.Castagnoli))
	})
	return dst
}

// eachPage calls f with ranges of values that hold size bytes or a little more.
func (b *Builder) eachPage(size int, f func(from, to int)) {
	for from := 0; from < b.count; {
		to := from + 1
		for to < b.count && int(b.offs[to]-b.offs[from]) < size {
			to++
		}
		f(from, to)
		from = to
	}
}

// AppendFilter appends the Bloom filter of the chunk that Append made last, of
// the same builder. Small dictionaries have none: they are their own filter.
func (e *Encoder) AppendFilter(dst []byte, b *Builder, kind FilterKind) ([]byte, FilterKind) {
	src := b
	if e.dictOf == b {
		if e.entries.count <= 64 {
			return dst, NoFilter
		}
		src = &e.entries
	}
	var hashes []uint64
	if kind == WordFilter {
		hashes = e.collectText(src)
	} else {
		e.set.Reset()
		src.EachBytes(func(_ uint32, v []byte) { e.set.Add(encoding.HashValue(v)) })
		hashes = e.set.Hashes()
	}
	if len(hashes) == 0 {
		return dst, NoFilter
	}
	return encoding.AppendBloom(dst, hashes), kind
}

// collectText fills e.text, and returns the hashes of the words.
func (e *Encoder) collectText(src *Builder) []uint64 {
	e.text.Reset()
	switch {
	case e.tplOf == src:
		e.tpl.collect(src, &e.text)
	case src.Kind == Bytes:
		src.EachBytes(func(_ uint32, v []byte) { e.text.AddWords(v) })
	default:
		src.EachBytes(func(_ uint32, v []byte) { e.text.AddText(v) })
	}
	return e.text.Words()
}

// AppendGrams appends the gram filter that belongs to the filter of words that
// AppendFilter made last.
func (e *Encoder) AppendGrams(dst []byte) []byte { return e.text.AppendGrams(dst) }

// numBounds returns the least and the greatest number.
func numBounds(k Kind, nums []uint64) (lo, hi uint64, ok bool) {
	if len(nums) == 0 {
		return 0, 0, false
	}
	if k != Float {
		l, h := int64(nums[0]), int64(nums[0])
		for _, v := range nums {
			l, h = min(l, int64(v)), max(h, int64(v))
		}
		return uint64(l), uint64(h), true
	}
	l, h := math.Float64frombits(nums[0]), math.Float64frombits(nums[0])
	for _, v := range nums {
		f := math.Float64frombits(v)
		l, h = min(l, f), max(h, f) // NaN spreads
	}
	return math.Float64bits(l), math.Float64bits(h), l == l
}
