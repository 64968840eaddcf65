package column

import "bytes"

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
