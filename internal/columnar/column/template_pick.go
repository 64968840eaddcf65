package column

import "belfry/internal/columnar/encoding"

// pickTemplates opens a chunk of templates for the wanted values alone: value i of
// what it returns is value idx[i] of the chunk.
func (p *picker) pickTemplates(r *encoding.Reader) (*Templates, error) {
	t, err := readTemplates(r, p.count, p.codec, p.a)
	if err != nil {
		return nil, err
	}
	n := len(p.idx)
	t.ids, t.ranks, t.texts = p.a.Uint32s(n), p.a.Uint32s(n), p.a.Uint32s(n)
	ranks := make([][]uint32, len(t.list)) // that are wanted, of each template
	texts, err := p.places(t, r, ranks)
	if err != nil {
		return nil, err
	}
	if err := t.readSlots(r, texts); err != nil {
		return nil, err
	}
	for id, wanted := range ranks {
		if err := t.list[id].pick(wanted, p.a); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// places finds the templates of the wanted values, and where their slots are. It returns the
// number of text slots of all values.
func (p *picker) places(t *Templates, r *encoding.Reader, ranks [][]uint32) (texts int, err error) {
	want := func(i int, id, text uint32, rank int) {
		t.ids[i], t.texts[i], t.ranks[i] = id, text, uint32(len(ranks[id]))
		ranks[id] = append(ranks[id], uint32(rank))
	}
	if len(t.list) == 1 {
		tpl := &t.list[0]
		tpl.uses = p.count
		ranks[0] = p.a.Uint32s(len(p.idx))[:0]
		for i, at := range p.idx {
			want(i, 0, at*uint32(tpl.texts), int(at))
		}
		r.B, err = encoding.SkipIDs(r.B, p.count)
		return p.count * tpl.texts, err
	}
	ids := p.a.Uint32s(p.count)
	if r.B, err = encoding.DecodeIDs(ids, r.B, len(t.list)); err != nil {
		return 0, err
	}
	p.decoded += 4 * p.count
	next := 0
	for at, id := range ids {
		tpl := &t.list[id]
		for ; next < len(p.idx) && int(p.idx[next]) == at; next++ {
			want(next, id, uint32(texts), tpl.uses)
		}
		tpl.uses++
		texts += tpl.texts
	}
	return texts, nil
}

// pick decodes the number slots of the uses with the given ranks, ascending.
func (t *template) pick(ranks []uint32, a *Arena) error {
	if len(ranks) == 0 || t.numbers == 0 {
		return nil
	}
	if t.numbers*len(ranks) > encoding.MaxPageBytes/8 {
		return encoding.ErrCorrupt
	}
	t.slots = make([]numbers, t.numbers)
	r := encoding.Reader{B: t.packed}
	for i := range t.slots {
		if err := t.slots[i].pick(&r, t.uses, ranks, a); err != nil {
			return err
		}
	}
	return nil
}

// pick is read for some of the n uses.
func (s *numbers) pick(r *encoding.Reader, n int, ranks []uint32, a *Arena) error {
	some := func() (values []uint64, err error) {
		values = a.Words(len(ranks))
		if err = encoding.PickInts(values, r.B, n, ranks); err == nil {
			r.B, err = encoding.SkipInts(r.B, n)
		}
		return values, err
	}
	if err := s.readForm(r); err != nil {
		return err
	}
	var err error
	if s.form == formWidths {
		if s.widths, err = some(); err != nil {
			return err
		}
	}
	if err := s.check(); err != nil {
		return err
	}
	s.values, err = some()
	return err
}
