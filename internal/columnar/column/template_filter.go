package column

import "belfry/internal/columnar/encoding"

// smallNumbers is up to where numbers are told from those seen before by a bitmap.
const smallNumbers = 1 << 16

// templateFacts is what filters need to know of a template.
type templateFacts struct {
	plain   bool   // ASCII but for its slots
	alone   []bool // for each slot from the left: it is a word of its own
	classes uint8  // of widths of numbers: bit 1, 2 and 3 (or more)
}

// factsOf returns the facts but for the classes.
func factsOf(text []byte) templateFacts {
	f := templateFacts{plain: isPlain(text)}
	for i, c := range text {
		if c == numberSlot || c == textSlot {
			f.alone = append(f.alone, (i == 0 || !encoding.IsWordByte(text[i-1])) && (i+1 == len(text) || !encoding.IsWordByte(text[i+1])))
		}
	}
	return f
}

// collect adds what a filter of the split values holds: the templates once, and
// of each value what its slots touch.
func (t *templater) collect(b *Builder, set *encoding.TextSet) {
	facts := make([]templateFacts, t.list.count)
	for id := range facts {
		facts[id] = factsOf(t.template(uint32(id)))
	}
	clear(t.small[:])
	place, number := 0, 0
	for i, id := range t.ids {
		f := &facts[id]
		v := splitText{text: b.data[b.offs[i]:b.offs[i+1]], base: b.offs[i], alone: f.alone}
		n := t.slots[id][0]
		v.slots, v.numbers = t.places[place:place+n+t.slots[id][1]], t.numbers[number:number+n]
		for _, w := range t.widths[number : number+n] {
			f.classes |= 1 << min(w, 3)
		}
		place, number = place+len(v.slots), number+n
		if !f.plain || len(v.slots) == 1 && len(v.text) == int(v.slots[0].end-v.slots[0].start) && n == 0 {
			set.AddText(v.text)
			continue
		}
		t.collectSlots(&v, set)
	}
	for id := range facts {
		if facts[id].plain {
			t.collectTemplate(t.template(uint32(id)), facts[id].classes, set)
		}
	}
}

// splitText is a value with its slots.
type splitText struct {
	text    []byte
	base    uint32 // of the slots' places
	slots   []span
	numbers []uint64
	alone   []bool
}

// collectSlots adds the words that touch a value's slots, and the grams that touch slots of text.
func (t *templater) collectSlots(v *splitText, set *encoding.TextSet) {
	done, number := 0, 0
	for i, s := range v.slots {
		start, end := int(s.start-v.base), int(s.end-v.base)
		if s.number {
			n := v.numbers[number]
			number++
			if v.alone[i] {
				if !t.wasSeen(n, v.text[start:end]) {
					set.AddNumber(v.text[start:end])
				}
				continue
			}
		} else {
			set.AddGrams(v.text[max(start-2, 0):min(end+2, len(v.text))])
		}
		if start < done {
			continue // in the word before
		}
		for start > 0 && encoding.IsWordByte(v.text[start-1]) {
			start--
		}
		for end < len(v.text) && encoding.IsWordByte(v.text[end]) {
			end++
		}
		set.AddWord(v.text[start:end])
		done = end
	}
}

// wasSeen notes a number, and reports whether it is known to have been seen before.
func (t *templater) wasSeen(n uint64, digits []byte) bool {
	if n >= smallNumbers || digits[0] == '0' && len(digits) > 1 {
		return false
	}
	word, bit := &t.small[n>>6], uint64(1)<<(n&63)
	seen := *word&bit != 0
	*word |= bit
	return seen
}

// collectTemplate adds the words of a template that touch no slot, and its grams
// with numbers of each class of widths that occur: for grams, all digits are alike.
func (t *templater) collectTemplate(text []byte, classes uint8, set *encoding.TextSet) {
	for i := 0; ; {
		start, end := encoding.NextWord(text, i) // slots count as bytes of words
		if start == len(text) {
			break
		}
		if isPlainWord(text[start:end]) {
			set.AddWord(text[start:end])
		}
		i = end
	}
	for class := 1; class <= 3; class++ {
		if classes != 0 && classes>>class&1 == 0 {
			continue
		}
		t.key = t.key[:0]
		for _, c := range text {
			switch c {
			case numberSlot:
				t.key = append(t.key, "000"[:class]...)
			case textSlot:
				set.AddGrams(t.key)
				t.key = t.key[:0]
			default:
				t.key = append(t.key, c)
			}
		}
		set.AddGrams(t.key)
		if classes == 0 {
			break
		}
	}
}

// isPlain reports whether a template is ASCII but for its slots.
func isPlain(text []byte) bool {
	for _, c := range text {
		if c >= 0x80 && c != numberSlot && c != textSlot {
			return false
		}
	}
	return true
}

func isPlainWord(word []byte) bool {
	for _, c := range word {
		if c >= 0x80 {
			return false
		}
	}
	return true
}
