package column

import (
	"bytes"
	"slices"

	"belfry/internal/columnar/encoding"
)

// Match is what a template says of the values made from it.
type Match uint8

// The outcomes.
const (
	Never Match = iota
	Maybe
	Always
)

// Find says whether values of a template contain a text. With fold the text is
// in lower case ASCII, and found in whatever case.
func (t *Templates) Find(id int, text []byte, fold bool) Match {
	tpl := &t.list[id]
	if fold && !isPlain(tpl.text) {
		return Maybe
	}
	if len(tpl.pieces) == 1 && len(tpl.pieces[0].text) == 0 && tpl.pieces[0].slot == textSlot {
		return Maybe // anything
	}
	for i := range tpl.pieces {
		if indexFold(tpl.pieces[i].text, text, fold) >= 0 {
			return Always
		}
	}
	for i := range tpl.pieces {
		p := &tpl.pieces[i]
		if p.slot == 0 {
			continue
		}
		// The text begins in the piece's literal and goes on in its slot, or
		// begins in the slot.
		for start := max(len(p.text)-len(text)+1, 0); start <= len(p.text); start++ {
			if n := len(p.text) - start; equalFold(p.text[start:], text[:n], fold) && tpl.goesOn(i, text[n:], fold) {
				return Maybe
			}
		}
	}
	return Never
}

// goesOn reports whether text may be what follows from the slot of a piece on.
// Slots hold all the digits, or letters and digits, that there are in their place.
func (t *template) goesOn(i int, text []byte, fold bool) bool {
	for ; i < len(t.pieces); i++ {
		p := &t.pieces[i]
		n := 0
		for n < len(text) && (byteClass[text[n]] == byteDigit || p.slot == textSlot && byteClass[text[n]] == byteLetter) {
			n++
		}
		if text = text[n:]; len(text) == 0 {
			return true
		}
		if i+1 == len(t.pieces) {
			return false
		}
		next := t.pieces[i+1].text
		if len(text) <= len(next) {
			return equalFold(next[:len(text)], text, fold)
		}
		if !equalFold(next, text[:len(next)], fold) {
			return false
		}
		text = text[len(next):]
		if t.pieces[i+1].slot == 0 {
			return false
		}
	}
	return false
}

// sought is what values of a template must have in their number slots to be equal to a text.
type sought struct {
	match   Match // Maybe: the values are to be looked at; Always: those with these numbers are equal
	numbers []uint64
	widths  []uint64 // digits of each
	exact   bool     // only the uses with these ranks are
	ranks   []uint32 // ascending
}

// seek says which values of a template are equal to text.
func (t *template) seek(text []byte) (s sought) {
	if len(t.pieces) == 0 || !bytes.HasPrefix(text, t.pieces[0].text) {
		return s
	}
	if t.texts > 0 {
		s.match = Maybe
		return s
	}
	for i := range t.pieces {
		p := &t.pieces[i]
		rest, ok := bytes.CutPrefix(text, p.text)
		if !ok {
			return sought{}
		}
		if text = rest; p.slot == 0 {
			continue
		}
		n := 0
		for n < len(text) && byteClass[text[n]] == byteDigit {
			n++
		}
		if n == 0 || n > maxDigits {
			return sought{}
		}
		s.numbers, s.widths = append(s.numbers, parseDigits(text[:n])), append(s.widths, uint64(n))
		text = text[n:]
	}
	if len(text) == 0 {
		s.match = Always
	}
	return s
}

// Equal says of each value whether it is equal to text; nil if none is.
func (t *Templates) Equal(text []byte) ([]Match, error) {
	seek := make([]sought, len(t.list))
	found := false
	for id := range t.list {
		s := &seek[id]
		*s = t.list[id].seek(text)
		if s.match == Always {
			if err := t.findNumbers(id, s); err != nil {
				return nil, err
			}
		}
		found = found || s.match != Never
	}
	if !found {
		return nil, nil
	}
	out := make([]Match, t.n)
	if t.ids == nil {
		seek[0].mark(out)
		return out, nil
	}
	for i, id := range t.ids {
		if s := &seek[id]; s.has(t.ranks[i]) {
			out[i] = s.match
		}
	}
	return out, nil
}

// EqualAt returns the values that are equal to text, ascending, where the numbers of a single template
// tell; ok is false where they do not.
func (t *Templates) EqualAt(text []byte) (values []uint32, ok bool, err error) {
	if t.ids != nil || len(t.list) != 1 {
		return nil, false, nil
	}
	s := t.list[0].seek(text)
	if s.match != Always {
		return nil, s.match == Never, nil
	}
	err = t.findNumbers(0, &s)
	return s.ranks, s.exact, err
}

// findNumbers finds the uses of a template that have the numbers that are sought: those that have the first
// one, and of these the ones that have the others.
func (t *Templates) findNumbers(id int, s *sought) error {
	tpl := &t.list[id]
	if tpl.numbers == 0 {
		return nil
	}
	s.exact = true
	r := encoding.Reader{B: tpl.packed}
	for i, number := range s.numbers {
		var err error
		if s.ranks, err = findSlot(&r, s.ranks, i == 0, tpl.uses, number, s.widths[i]); err != nil {
			return err
		}
		if len(s.ranks) == 0 {
			s.match = Never
			return nil
		}
	}
	return nil
}

// findSlot reads the number slot of so many uses, and returns those of the ranks (or of all uses) in which it
// holds a number of so many digits.
func findSlot(r *encoding.Reader, ranks []uint32, all bool, uses int, number, width uint64) ([]uint32, error) {
	var slot numbers
	if err := slot.readForm(r); err != nil {
		return nil, err
	}
	find := func(want uint64) error {
		var err error
		if all {
			ranks, r.B, err = encoding.FindInts(ranks[:0], r.B, uses, want, nil)
			all = false
			return err
		}
		have := make([]uint64, len(ranks))
		if err = encoding.PickInts(have, r.B, uses, ranks); err != nil {
			return err
		}
		kept := ranks[:0]
		for i, rank := range ranks {
			if have[i] == want {
				kept = append(kept, rank)
			}
		}
		ranks = kept
		r.B, err = encoding.SkipInts(r.B, uses)
		return err
	}
	var err error
	switch {
	case slot.form == formWidths: // the widths come first
		widths := r.B
		if r.B, err = encoding.SkipInts(r.B, uses); err != nil {
			return nil, err
		}
		if err = find(number); err != nil {
			return nil, err
		}
		numbers := r.B
		r.B = widths
		err = find(width)
		r.B = numbers
		return ranks, err
	case slot.form == formFixed && uint64(slot.width) != width, slot.form == formPlain && uint64(decimalLen(number)) != width:
		return nil, nil
	}
	err = find(number)
	return ranks, err
}

// has reports whether what is said of a template is said of its value of that rank.
func (s *sought) has(rank uint32) bool {
	if !s.exact || s.match == Never {
		return s.match != Never
	}
	_, found := slices.BinarySearch(s.ranks, rank)
	return found
}

// mark notes what is said where a template is all values'.
func (s *sought) mark(out []Match) {
	if !s.exact {
		for i := range out {
			out[i] = s.match
		}
		return
	}
	for _, rank := range s.ranks {
		out[rank] = s.match
	}
}

func indexFold(s, text []byte, fold bool) int {
	if !fold {
		return bytes.Index(s, text)
	}
	for i := 0; i+len(text) <= len(s); i++ {
		if equalFold(s[i:i+len(text)], text, true) {
			return i
		}
	}
	return -1
}

// equalFold compares; with fold, b is in lower case.
func equalFold(a, b []byte, fold bool) bool {
	if !fold {
		return bytes.Equal(a, b)
	}
	for i, c := range a {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != b[i] {
			return false
		}
	}
	return true
}
