package column

import (
	"encoding/binary"
	"math/bits"

	"belfry/internal/columnar/encoding"
)

// Pick reads the given rows (ascending) of a chunk of n rows, without decoding the others,
// from its verified head and its pages. Row i of the vector is row sel[i] of the
// block. It also returns how many bytes it has decoded.
func Pick(head []byte, kind Kind, n int, sel []uint32, src Pages, codec *encoding.Codec, a *Arena) (*Vector, int, error) {
	p := picker{codec: codec, src: src, a: a, headLen: len(head)}
	p.cache, _ = src.(PageCache)
	v, err := p.pick(head, kind, n, sel)
	if err != nil {
		return nil, p.decoded, err
	}
	return v, p.decoded, nil
}

type picker struct {
	codec   *encoding.Codec
	src     Pages
	a       *Arena
	cache   PageCache // nil: none
	headLen int
	count   int      // values in the chunk
	idx     []uint32 // the wanted rows' values: positions among the chunk's values, ascending
	rows    []uint32 // which of the wanted rows each is for; nil if all rows have one
	decoded int
}

func (p *picker) pick(head []byte, kind Kind, n int, sel []uint32) (*Vector, error) {
	r := encoding.Reader{B: head}
	tag := r.Byte()
	if r.Bad() || n > encoding.MaxRows || len(sel) > 0 && int(sel[len(sel)-1]) >= n {
		return nil, encoding.ErrCorrupt
	}
	if err := p.presence(&r, int(tag>>4), n, sel); err != nil {
		return nil, err
	}
	v := p.a.vector()
	v.kind, v.n, v.count = kind, len(sel), len(p.idx)
	if p.rows != nil {
		v.present = p.a.ZeroWords((len(sel) + 63) / 64)
		for _, row := range p.rows {
			v.present[row>>6] |= 1 << (row & 63)
		}
	}
	var err error
	switch enc := tag & 15; {
	case enc == chunkInts && (kind == Int || kind == Bool), enc == chunkFloats && kind == Float:
		nums, pages := p.a.Words(len(p.idx)), encoding.PageReader{Pages: p.src, Off: p.headLen}
		if enc == chunkInts {
			err = encoding.PickPagedInts(nums, r.B, p.count, p.idx, pages)
		} else {
			err = encoding.PickFloats(nums, r.B, p.count, p.idx, pages)
		}
		v.nums = scatter(v, nums, p.a)
		p.decoded += 8 * len(sel)
	case enc == chunkConst && kind.VarWidth():
		v.data = r.Bytes()
		v.offs = p.a.Uint32s(2)
		v.offs[0], v.offs[1] = 0, uint32(len(v.data))
		v.ids, v.dict = p.a.zeroIDs(v.n), true
		err = r.Err()
	case enc == chunkDict && kind.VarWidth():
		err = p.fromDict(v, &r)
	case enc == chunkPlain && kind.VarWidth():
		err = p.fromPages(v, &r, len(head))
	case enc == chunkTpl && kind.VarWidth():
		err = p.fromTemplates(v, &r)
	default:
		err = encoding.ErrCorrupt
	}
	return v, err
}

// presence finds the values of the wanted rows.
func (p *picker) presence(r *encoding.Reader, mode, n int, sel []uint32) error {
	if mode == presentAll {
		p.count, p.idx = n, sel
		return nil
	}
	p.count = r.Count(n)
	p.idx, p.rows = p.a.Uint32s(len(sel))[:0], p.a.Uint32s(len(sel))[:0]
	switch mode {
	case presentBitmap:
		raw := r.Take((n + 7) / 8)
		if raw == nil {
			return encoding.ErrCorrupt
		}
		rank, at := 0, 0 // values in rows before byte at
		for i, row := range sel {
			for ; at+8 <= int(row>>3); at += 8 {
				rank += bits.OnesCount64(binary.LittleEndian.Uint64(raw[at:]))
			}
			for ; at < int(row>>3); at++ {
				rank += bits.OnesCount8(raw[at])
			}
			if raw[at]>>(row&7)&1 != 0 {
				p.idx = append(p.idx, uint32(rank+bits.OnesCount8(raw[at]&(1<<(row&7)-1))))
				p.rows = append(p.rows, uint32(i))
			}
		}
	case presentRows:
		rows := p.a.Words(p.count)
		rest, err := encoding.DecodeInts(rows, r.B)
		if err != nil {
			return err
		}
		r.B = rest
		at := 0
		for i, row := range sel {
			for at < len(rows) && rows[at] < uint64(row) {
				at++
			}
			if at < len(rows) && rows[at] == uint64(row) {
				p.idx = append(p.idx, uint32(at))
				p.rows = append(p.rows, uint32(i))
			}
		}
	default:
		return encoding.ErrCorrupt
	}
	if n := len(p.idx); r.Bad() || n > 0 && int(p.idx[n-1]) >= p.count {
		return encoding.ErrCorrupt
	}
	return nil
}

// rowOf returns the row of the vector that idx[i] is for.
func (p *picker) rowOf(i int) int {
	if p.rows == nil {
		return i
	}
	return int(p.rows[i])
}

// gathered collects values that come page by page, in whatever order.
type gathered struct {
	data []byte
	ids  []uint32 // row to value
	offs []uint32
}

func (p *picker) fromDict(v *Vector, r *encoding.Reader) error {
	n := r.Count(maxDict)
	if r.Bad() || n == 0 {
		return encoding.ErrCorrupt
	}
	type dictPage struct {
		first, count int
		body         []byte
		off          int // in the head
	}
	var room [8]dictPage
	pages := room[:0]
	for done := 0; done < n; {
		k := r.Count(n - done)
		body := r.Bytes()
		if r.Bad() || k == 0 {
			return encoding.ErrCorrupt
		}
		pages = append(pages, dictPage{done, k, body, p.headLen - len(r.B) - len(body)})
		done += k
	}
	ids := p.a.Uint32s(len(p.idx))
	if err := encoding.PickIDs(ids, r.B, p.count, n, p.idx); err != nil {
		return err
	}
	g := p.gather(v)
	for _, pg := range pages {
		var page openPage
		for i, id := range ids {
			if k := int(id) - pg.first; k >= 0 && k < pg.count {
				if page.offs == nil {
					page.off = pg.off
					if err := p.open(&page, pg.body, pg.count, -1); err != nil {
						return err
					}
				}
				g.add(p.rowOf(i), page.value(k))
			}
		}
	}
	g.fill(v)
	return nil
}

func (p *picker) fromPages(v *Vector, r *encoding.Reader, headLen int) error {
	n := r.Count(encoding.MaxRows)
	g := p.gather(v)
	first, off, next := 0, headLen, 0
	for i := 0; i < n && next < len(p.idx); i++ {
		count, raw, size, crc := r.Count(p.count-first), r.Count(encoding.MaxPageBytes), r.Count(encoding.MaxPageBytes), r.Uint32()
		if r.Bad() || count == 0 {
			return encoding.ErrCorrupt
		}
		if next < len(p.idx) && int(p.idx[next]) < first+count {
			body, err := p.src.ReadPage(off, size, crc)
			if err != nil {
				return err
			}
			var page openPage
			if err := p.open(&page, body, count, raw); err != nil {
				return err
			}
			for ; next < len(p.idx) && int(p.idx[next]) < first+count; next++ {
				g.add(p.rowOf(next), page.value(int(p.idx[next])-first))
			}
		}
		first, off = first+count, off+size
	}
	if r.Bad() || next < len(p.idx) {
		return encoding.ErrCorrupt
	}
	g.fill(v)
	return nil
}

func (p *picker) fromTemplates(v *Vector, r *encoding.Reader) error {
	t, err := p.pickTemplates(r)
	if err != nil {
		return err
	}
	g := p.gather(v)
	for i := range p.idx {
		if g.data, err = t.appendValue(g.data, i); err != nil {
			return err
		}
		g.end(p.rowOf(i))
	}
	p.decoded += len(g.data) + 8*len(p.idx)
	g.fill(v)
	return nil
}

// openPage is a page whose values can be told apart.
type openPage struct {
	offs  []uint64 // ends of the values; of one length: that alone
	fixed bool
	data  []byte
	off   int // in the head, of a page that may be kept unpacked; 0: none such
}

// open decodes a page of n values, of total bytes if that is known (not -1). It may share body's memory.
func (p *picker) open(page *openPage, body []byte, n, total int) error {
	size, frame, fixed := encoding.ConstInts(body)
	if fixed {
		page.fixed = true
		page.offs = p.a.Words(1)
		page.offs[0] = size
	} else {
		page.offs = p.a.Words(n)
		var err error
		if frame, err = encoding.DecodeInts(page.offs, body); err != nil {
			return err
		}
	}
	raw, err := encoding.FrameLen(frame)
	if err != nil || total >= 0 && raw != total {
		return encoding.ErrCorrupt
	}
	p.decoded += raw + 4*n
	if direct, ok := encoding.RawFrame(frame); ok {
		page.data = direct
	} else if page.data, err = p.unpack(page.off, frame, raw); err != nil {
		return err
	}
	if fixed {
		if size > uint64(raw) || size*uint64(n) != uint64(raw) {
			return encoding.ErrCorrupt
		}
		return nil
	}
	end := uint64(0)
	for i, l := range page.offs {
		if l > uint64(raw) {
			return encoding.ErrCorrupt
		}
		end += l
		page.offs[i] = end
	}
	if end != uint64(raw) {
		return encoding.ErrCorrupt
	}
	return nil
}

// unpack decodes a frame of n bytes, of the page at an offset in the head, unless it is kept.
func (p *picker) unpack(off int, frame []byte, n int) ([]byte, error) {
	found, again := false, false
	b := p.a.Bytes(n + encoding.Slack)[:n]
	if p.cache != nil && off > 0 {
		if found, again = p.cache.Unpacked(off, b); found {
			return b, nil
		}
	}
	if _, err := p.codec.DecodeFrame(b, frame); err != nil {
		return nil, err
	}
	if again {
		p.cache.KeepUnpacked(off, b)
	}
	return b, nil
}

func (g *openPage) value(i int) []byte {
	if g.fixed {
		size := int(g.offs[0])
		return g.data[i*size : (i+1)*size]
	}
	start := uint64(0)
	if i > 0 {
		start = g.offs[i-1]
	}
	return g.data[start:g.offs[i]]
}

func (p *picker) gather(v *Vector) *gathered {
	g := &gathered{ids: p.a.Uint32s(v.n), offs: p.a.Uint32s(len(p.idx) + 1)[:1]}
	clear(g.ids)
	g.offs[0] = 0
	return g
}

func (g *gathered) add(row int, value []byte) {
	g.data = append(g.data, value...)
	g.end(row)
}

// end makes what was appended to data the value of a row.
func (g *gathered) end(row int) {
	g.ids[row] = uint32(len(g.offs) - 1)
	g.offs = append(g.offs, uint32(len(g.data)))
}

func (g *gathered) fill(v *Vector) { v.ids, v.offs, v.data = g.ids, g.offs, g.data }
