package column

import (
	"math/bits"

	"belfry/internal/columnar/encoding"
)

// Pages reads the pages of a chunk, at offsets from the chunk's begin.
type Pages = encoding.Pages

// PageCache is what Pages may be beside: it keeps what pages in the head of a chunk unpack to, by the offset of
// the page.
type PageCache interface {
	// Unpacked fills dst with the bytes of a page if they are here; again says that they
	// are missed not for the first time, and should be kept.
	Unpacked(off int, dst []byte) (found, again bool)
	// KeepUnpacked keeps a copy of b.
	KeepUnpacked(off int, b []byte)
}

// Chunk is a chunk whose head is decoded. Its vector covers the whole block;
// of byte strings in pages only those rows are there that Load was asked for.
type Chunk struct {
	vec    Vector
	codec  *encoding.Codec
	pages  []chunkPage
	loaded int
	words  []uint64

	tpl  *Templates
	all  bool     // all values of the templates are there
	done []uint64 // rows that are
	row  []uint32 // row to value; nil if they are the same
}

type chunkPage struct {
	first, count int // values
	off, n       int // bytes in the chunk
	start, raw   int // bytes in the vector's data
	crc          uint32
	done         bool
}

// Open decodes the verified head of a chunk of a block of n rows, and the pages of numbers. The chunk may
// share head's memory.
func Open(head []byte, kind Kind, n int, src Pages, codec *encoding.Codec, a *Arena) (*Chunk, error) {
	c := &Chunk{codec: codec, vec: Vector{kind: kind, n: n, count: n}}
	r := encoding.Reader{B: head}
	tag := r.Byte()
	if n > encoding.MaxRows || r.Bad() {
		return nil, encoding.ErrCorrupt
	}
	if err := c.readPresence(&r, int(tag>>4), a); err != nil {
		return nil, err
	}
	v := &c.vec
	var err error
	switch enc := tag & 15; {
	case enc == chunkInts && (kind == Int || kind == Bool), enc == chunkFloats && kind == Float:
		nums, pages := a.Words(v.count), &encoding.PageReader{Pages: src, Off: len(head)}
		if enc == chunkInts {
			_, err = encoding.DecodePagedInts(nums, r.B, pages)
		} else {
			_, err = encoding.DecodeFloats(nums, r.B, pages)
		}
		v.nums = scatter(v, nums, a)
	case enc == chunkConst && kind.VarWidth():
		v.data = r.Bytes()
		v.offs = a.Uint32s(2)
		v.offs[0], v.offs[1] = 0, uint32(len(v.data))
		v.ids, v.dict = a.zeroIDs(n), true
		err = r.Err()
	case enc == chunkDict && kind.VarWidth():
		err = c.readDict(&r, a)
	case enc == chunkPlain && kind.VarWidth():
		err = c.readPageTable(&r, len(head), a)
	case enc == chunkTpl && kind.VarWidth():
		c.tpl, err = openTemplates(&r, v.count, codec, a)
	default:
		err = encoding.ErrCorrupt
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Chunk) readPresence(r *encoding.Reader, mode int, a *Arena) error {
	v := &c.vec
	if mode == presentAll {
		return nil
	}
	v.count = r.Count(v.n)
	v.present = a.ZeroWords((v.n + 63) / 64)
	switch mode {
	case presentBitmap:
		raw := r.Take((v.n + 7) / 8)
		if raw == nil {
			return encoding.ErrCorrupt
		}
		for i, b := range raw {
			v.present[i>>3] |= uint64(b) << (8 * (uint(i) & 7))
		}
	case presentRows:
		rows := a.Words(v.count)
		rest, err := encoding.DecodeInts(rows, r.B)
		if err != nil {
			return err
		}
		r.B = rest
		for _, row := range rows {
			if row >= uint64(v.n) {
				return encoding.ErrCorrupt
			}
			v.present[row>>6] |= 1 << (row & 63)
		}
	default:
		return encoding.ErrCorrupt
	}
	if v.n&63 != 0 && len(v.present) > 0 && v.present[len(v.present)-1]>>(uint(v.n)&63) != 0 {
		return encoding.ErrCorrupt
	}
	if r.Bad() || countBits(v.present) != v.count {
		return encoding.ErrCorrupt
	}
	return nil
}

// scatter spreads the present values' words over all rows.
func scatter(v *Vector, vals []uint64, a *Arena) []uint64 {
	if v.present == nil {
		return vals
	}
	out := a.ZeroWords(v.n)
	forEachBit(v.present, func(i, rank int) { out[i] = vals[rank] })
	return out
}

func forEachBit(words []uint64, f func(i, rank int)) {
	rank := 0
	for w, word := range words {
		for ; word != 0; word &= word - 1 {
			f(w<<6+bits.TrailingZeros64(word), rank)
			rank++
		}
	}
}

func (c *Chunk) readDict(r *encoding.Reader, a *Arena) error {
	v := &c.vec
	n := r.Count(maxDict)
	if r.Bad() || n == 0 {
		return encoding.ErrCorrupt
	}
	v.dict = true
	v.offs = a.Uint32s(n + 1)
	v.offs[0] = 0
	lens := a.Words(n)
	type dictPage struct {
		frame      []byte
		start, end int
	}
	var room [8]dictPage
	pages, total := room[:0], 0
	for done := 0; done < n; {
		k := r.Count(n - done)
		page := r.Bytes()
		if r.Bad() || k == 0 {
			return encoding.ErrCorrupt
		}
		frame, err := encoding.DecodeInts(lens[done:done+k], page)
		if err != nil {
			return err
		}
		raw, err := encoding.FrameLen(frame)
		if err != nil || raw > encoding.MaxPageBytes-total || !fillOffsets(v.offs[done:], lens[done:done+k], total, raw) {
			return encoding.ErrCorrupt
		}
		pages = append(pages, dictPage{frame, total, total + raw})
		done, total = done+k, total+raw
	}
	v.data = a.Bytes(total + encoding.Slack)[:total]
	for _, p := range pages { // in order: each may spoil a little of what comes next
		if _, err := c.codec.DecodeFrame(v.data[p.start:p.end:cap(v.data)], p.frame); err != nil {
			return err
		}
	}
	ids := a.Uint32s(v.count)
	if _, err := encoding.DecodeIDs(ids, r.B, n); err != nil {
		return err
	}
	v.ids = ids
	if v.present != nil {
		v.ids = a.Uint32s(v.n)
		clear(v.ids)
		forEachBit(v.present, func(i, rank int) { v.ids[i] = ids[rank] })
	}
	return nil
}

// fillOffsets sets offs[1:] from lengths, and reports whether they add up to total.
func fillOffsets(offs []uint32, lens []uint64, start, total int) bool {
	sum := uint64(0)
	for i, n := range lens {
		if n > uint64(total) {
			return false
		}
		sum += n
		offs[i+1] = uint32(uint64(start) + sum)
	}
	return sum == uint64(total)
}

func (c *Chunk) readPageTable(r *encoding.Reader, headLen int, a *Arena) error {
	v := &c.vec
	n := r.Count(encoding.MaxRows)
	if r.Bad() {
		return encoding.ErrCorrupt
	}
	c.pages = make([]chunkPage, n)
	values, raw, off := 0, 0, headLen
	for i := range c.pages {
		p := &c.pages[i]
		p.first, p.start, p.off = values, raw, off
		p.count = r.Count(v.count - values)
		p.raw = r.Count(encoding.MaxPageBytes)
		p.n = r.Count(encoding.MaxPageBytes)
		p.crc = r.Uint32()
		values += p.count
		raw += p.raw
		off += p.n
		if r.Bad() || p.count == 0 || raw > encoding.MaxPageBytes {
			return encoding.ErrCorrupt
		}
	}
	if values != v.count {
		return encoding.ErrCorrupt
	}
	v.offs = a.Uint32s(v.count + 1)
	if v.present != nil {
		v.ids = a.Uint32s(v.n)
		clear(v.ids)
		forEachBit(v.present, func(i, rank int) { v.ids[i] = uint32(rank) })
	}
	return nil
}

// Paged reports whether there are values to load.
func (c *Chunk) Paged() bool { return len(c.pages) > 0 || c.tpl != nil }

// Templates returns the templates that the values are made from, nil if they are stored otherwise.
func (c *Chunk) Templates() *Templates { return c.tpl }

// Load makes the given rows (ascending; nil: all) readable, and returns the raw
// bytes that it decoded.
func (c *Chunk) Load(sel []uint32, src Pages, a *Arena) (int, error) {
	if c.tpl != nil {
		return c.loadTemplates(sel, a)
	}
	if c.loaded == len(c.pages) {
		return 0, nil
	}
	v := &c.vec
	if v.data == nil {
		last := &c.pages[len(c.pages)-1]
		size := last.start + last.raw
		v.data = a.Bytes(size + encoding.Slack)[:size]
	}
	raw := 0
	load := func(p *chunkPage) error {
		n, err := c.loadPage(p, src, a)
		raw += n
		return err
	}
	if sel == nil {
		for i := range c.pages {
			if err := load(&c.pages[i]); err != nil {
				return raw, err
			}
		}
		return raw, nil
	}
	page := 0
	for _, row := range sel {
		if !v.Has(int(row)) {
			continue
		}
		val := int(row)
		if v.ids != nil {
			val = int(v.ids[row])
		}
		for val >= c.pages[page].first+c.pages[page].count {
			page++
		}
		if p := &c.pages[page]; !p.done {
			if err := load(p); err != nil {
				return raw, err
			}
		}
	}
	return raw, nil
}

func (c *Chunk) loadPage(p *chunkPage, src Pages, a *Arena) (int, error) {
	if p.done {
		return 0, nil
	}
	body, err := src.ReadPage(p.off, p.n, p.crc)
	if err != nil {
		return 0, err
	}
	if cap(c.words) < p.count {
		c.words = a.Words(max(p.count, 1024))
	}
	lens := c.words[:p.count]
	frame, err := encoding.DecodeInts(lens, body)
	if err != nil {
		return 0, err
	}
	// The decoder may write a little behind the page, where the next one may be already.
	end := p.start + p.raw
	var behind [encoding.Slack]byte
	room := c.vec.data[end:cap(c.vec.data)][:encoding.Slack]
	copy(behind[:], room)
	_, err = c.codec.DecodeFrame(c.vec.data[p.start:end:end+encoding.Slack], frame)
	copy(room, behind[:])
	if err != nil {
		return 0, err
	}
	offs := c.vec.offs[p.first : p.first+p.count+1]
	offs[0] = uint32(p.start)
	if !fillOffsets(offs, lens, p.start, p.raw) {
		return 0, encoding.ErrCorrupt
	}
	p.done = true
	c.loaded++
	return p.raw + 4*p.count, nil
}

// Vector returns the block's vector.
func (c *Chunk) Vector() *Vector { return &c.vec }

// Size returns the bytes that decoding the head made.
func (c *Chunk) Size() int {
	return 8*len(c.vec.nums) + 4*len(c.vec.ids)
}
