package column

import (
	"belfry/internal/columnar/encoding"
)

// Templates reads a chunk of templates. Values are put together when they are
// asked for.
type Templates struct {
	codec *encoding.Codec
	a     *Arena

	n     int // values
	raw   int // bytes of all of them
	list  []template
	ids   []uint32 // of each value; nil, as are ranks and texts, if all values have the one template
	ranks []uint32 // of each value among those of its template
	texts []uint32 // text slots before each value
	pages []textPage
}

// template is a template as parsed.
type template struct {
	text    []byte
	pieces  []piece
	uses    int
	numbers int
	texts   int
	packed  []byte // the number slots
	slots   []numbers
}

// piece is literal text with the slot that follows it; slot 0: none, at the end.
type piece struct {
	text []byte
	slot byte
}

// numbers are the values of one number slot.
type numbers struct {
	form   byte
	width  uint8
	values []uint64
	widths []uint64
}

// textPage is a page of text slots.
type textPage struct {
	first, count int
	body         []byte
	open         bool
	page         openPage
}

func openTemplates(r *encoding.Reader, n int, codec *encoding.Codec, a *Arena) (*Templates, error) {
	t, err := readTemplates(r, n, codec, a)
	if err != nil {
		return nil, err
	}
	if len(t.list) == 1 {
		tpl := &t.list[0]
		if r.B, err = encoding.SkipIDs(r.B, n); err != nil {
			return nil, err
		}
		tpl.uses = n
		return t, t.readSlots(r, n*tpl.texts)
	}
	t.ids = a.Uint32s(n)
	if r.B, err = encoding.DecodeIDs(t.ids, r.B, len(t.list)); err != nil {
		return nil, err
	}
	t.ranks, t.texts = a.Uint32s(n), a.Uint32s(n)
	texts := uint32(0)
	for i, id := range t.ids {
		tpl := &t.list[id]
		t.ranks[i], t.texts[i] = uint32(tpl.uses), texts
		tpl.uses++
		texts += uint32(tpl.texts)
	}
	return t, t.readSlots(r, int(texts))
}

// readTemplates reads the templates of a chunk of n values.
func readTemplates(r *encoding.Reader, n int, codec *encoding.Codec, a *Arena) (*Templates, error) {
	t := &Templates{codec: codec, a: a, n: n}
	t.raw = r.Count(encoding.MaxPageBytes)
	count := r.Count(maxDict)
	if r.Bad() || count == 0 || n == 0 {
		return nil, encoding.ErrCorrupt
	}
	t.list = make([]template, count)
	p := picker{codec: codec, a: a}
	for done := 0; done < count; {
		k := r.Count(count - done)
		body := r.Bytes()
		if r.Bad() || k == 0 {
			return nil, encoding.ErrCorrupt
		}
		var page openPage
		if err := p.open(&page, body, k, -1); err != nil {
			return nil, err
		}
		for i := range k {
			t.list[done+i].parse(page.value(i))
		}
		done += k
	}
	return t, nil
}

// readSlots finds the number slots of each template, and the pages of so many text slots.
func (t *Templates) readSlots(r *encoding.Reader, texts int) error {
	for i := range t.list {
		t.list[i].packed = r.Bytes()
	}
	for done := 0; done < texts; {
		k := r.Count(texts - done)
		body := r.Bytes()
		if r.Bad() || k == 0 {
			return encoding.ErrCorrupt
		}
		t.pages = append(t.pages, textPage{first: done, count: k, body: body})
		done += k
	}
	return r.Err()
}

func (t *template) parse(text []byte) {
	t.text = text
	start := 0
	for i, c := range text {
		switch c {
		case numberSlot:
			t.numbers++
		case textSlot:
			t.texts++
		default:
			continue
		}
		t.pieces = append(t.pieces, piece{text[start:i], c})
		start = i + 1
	}
	if start < len(text) || len(text) == 0 {
		t.pieces = append(t.pieces, piece{text[start:], 0})
	}
}

// numbersOf decodes a template's number slots.
func (t *Templates) numbersOf(tpl *template) ([]numbers, error) {
	if tpl.slots != nil || tpl.numbers == 0 {
		return tpl.slots, nil
	}
	if tpl.numbers*tpl.uses > encoding.MaxPageBytes/8 {
		return nil, encoding.ErrCorrupt
	}
	slots := make([]numbers, tpl.numbers)
	r := encoding.Reader{B: tpl.packed}
	for i := range slots {
		s := &slots[i]
		if err := s.read(&r, tpl.uses, t.a); err != nil {
			return nil, err
		}
	}
	tpl.slots = slots
	return slots, nil
}

func (s *numbers) read(r *encoding.Reader, n int, a *Arena) (err error) {
	if err := s.readForm(r); err != nil {
		return err
	}
	if s.form == formWidths {
		s.widths = a.Words(n)
		if r.B, err = encoding.DecodeInts(s.widths, r.B); err != nil {
			return err
		}
	}
	if err := s.check(); err != nil {
		return err
	}
	s.values = a.Words(n)
	r.B, err = encoding.DecodeInts(s.values, r.B)
	return err
}

// readForm reads how a slot's numbers are written, but for the widths of each.
func (s *numbers) readForm(r *encoding.Reader) error {
	s.form = r.Byte()
	if s.form == formFixed {
		s.width = r.Byte()
	}
	if r.Bad() || s.form > formWidths {
		return encoding.ErrCorrupt
	}
	return nil
}

// check says whether there are digits for the widths.
func (s *numbers) check() error {
	for _, w := range s.widths {
		if w > maxDigits {
			return encoding.ErrCorrupt
		}
	}
	if s.width > maxDigits {
		return encoding.ErrCorrupt
	}
	return nil
}

// digits returns the number of digits of value i.
func (s *numbers) digits(i uint32) uint64 {
	switch s.form {
	case formPlain:
		return uint64(decimalLen(s.values[i]))
	case formWidths:
		return s.widths[i]
	}
	return uint64(s.width)
}

// appendNumber appends the digits of value i.
func (s *numbers) appendNumber(dst []byte, i uint32) []byte {
	n, width := s.values[i], int(s.digits(i))
	at := len(dst)
	dst = append(dst, zeros[:width]...)
	for p := at + width - 1; n > 0 && p >= at; p-- {
		q := n / 10
		dst[p] = byte('0' + n - 10*q)
		n = q
	}
	return dst
}

const zeros = "00000000000000000000"

// at returns the template of value i, its place among the template's values, and its first text slot.
func (t *Templates) at(i int) (id, rank uint32, text int) {
	if t.ids == nil {
		return 0, uint32(i), i * t.list[0].texts
	}
	return t.ids[i], t.ranks[i], int(t.texts[i])
}

// appendValue appends value i.
func (t *Templates) appendValue(dst []byte, i int) ([]byte, error) {
	id, rank, text := t.at(i)
	tpl := &t.list[id]
	slots, err := t.numbersOf(tpl)
	if err != nil {
		return nil, err
	}
	number := 0
	for j := range tpl.pieces {
		p := &tpl.pieces[j]
		dst = append(dst, p.text...)
		switch p.slot {
		case numberSlot:
			dst = slots[number].appendNumber(dst, rank)
			number++
		case textSlot:
			v, err := t.text(text)
			if err != nil {
				return nil, err
			}
			dst = append(dst, v...)
			text++
		}
	}
	return dst, nil
}

// text returns a text slot's value.
func (t *Templates) text(i int) ([]byte, error) {
	lo, hi := 0, len(t.pages)
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; t.pages[mid].first <= i {
			lo = mid
		} else {
			hi = mid
		}
	}
	p := &t.pages[lo]
	if !p.open {
		pick := picker{codec: t.codec, a: t.a}
		if err := pick.open(&p.page, p.body, p.count, -1); err != nil {
			return nil, err
		}
		p.open = true
	}
	return p.page.value(i - p.first), nil
}

// appendAll appends all values and sets their offsets.
func (t *Templates) appendAll(offs []uint32) ([]byte, error) {
	data := t.a.Bytes(t.raw + encoding.Slack)[:0]
	offs[0] = 0
	var err error
	for i := range t.n {
		if data, err = t.appendValue(data, i); err != nil {
			return nil, err
		}
		if len(data) > t.raw {
			return nil, encoding.ErrCorrupt
		}
		offs[i+1] = uint32(len(data))
	}
	if len(data) != t.raw {
		return nil, encoding.ErrCorrupt
	}
	return data, nil
}

// Len returns the number of templates.
func (t *Templates) Len() int { return len(t.list) }

// Of returns the template of a value, by its position among the values.
func (t *Templates) Of(value int) int {
	id, _, _ := t.at(value)
	return int(id)
}

// loadTemplates makes rows of a chunk of templates readable: all, or few of them
// one by one.
func (c *Chunk) loadTemplates(sel []uint32, a *Arena) (int, error) {
	v, t := &c.vec, c.tpl
	if c.all {
		return 0, nil
	}
	if c.row == nil && v.present != nil {
		c.row = a.Uint32s(v.n)
		clear(c.row)
		forEachBit(v.present, func(i, rank int) { c.row[i] = uint32(rank) })
	}
	if sel == nil || 2*len(sel) > v.n {
		offs := a.Uint32s(t.n + 1)
		data, err := t.appendAll(offs)
		if err != nil {
			return 0, err
		}
		c.all = true
		v.offs, v.data, v.ids = offs, data, c.row
		return len(data) + 4*t.n, nil
	}
	if c.done == nil {
		c.done = a.ZeroWords((v.n + 63) / 64)
		v.ids = a.Uint32s(v.n)
		clear(v.ids)
		v.offs = append(a.Uint32s(len(sel) + 2)[:0], 0, 0) // value 0: that of rows not asked for
		v.data = a.Bytes(t.raw/t.n*len(sel)*5/4 + 64)[:0]
	}
	before := len(v.data)
	for _, row := range sel {
		if c.done[row>>6]>>(row&63)&1 != 0 || !v.Has(int(row)) {
			continue
		}
		value := int(row)
		if c.row != nil {
			value = int(c.row[row])
		}
		var err error
		if v.data, err = t.appendValue(v.data, value); err != nil {
			return len(v.data) - before, err
		}
		if len(v.data) > t.raw {
			return len(v.data) - before, encoding.ErrCorrupt
		}
		v.ids[row] = uint32(len(v.offs) - 1)
		v.offs = append(v.offs, uint32(len(v.data)))
		c.done[row>>6] |= 1 << (row & 63)
	}
	return len(v.data) - before, nil
}
