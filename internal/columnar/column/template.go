package column

import (
	"encoding/binary"
	"math/bits"
	"slices"

	"belfry/internal/columnar/encoding"
	"belfry/internal/columnar/slab"
)

// Text that programs print comes from few templates: constant text with numbers
// and names in it. A chunk of templates stores each of these once, a template
// number per value, the numbers of each place as integers, and what else varies
// as text (after the idea of CLP: Rodrigues, Luo, Yuan: "CLP: Efficient and
// Scalable Search on Compressed Text Logs"). It is smaller than compressed text,
// and what a search looks for is mostly decided on the templates.
//
// A slot is written as one of two bytes that UTF-8 does not have.
const (
	numberSlot = 0xfe // 1 to maxDigits digits
	textSlot   = 0xff // letters and digits mixed, or many digits; in the template of nothing else: any text

	maxDigits    = 18
	maxTemplates = 1 << 12
	// Values of rarer templates are stored as one text slot.
	minTemplateUses = 8
	// A sample tells whether there are templates at all.
	templateSample = 2048

	// How a slot's numbers are written.
	formPlain  = 0 // without leading zeros
	formFixed  = 1 // all in as many digits
	formWidths = 2 // each in a number of digits of its own
)

// restTemplate is the template of values that have none of their own.
const restTemplate = "\xff"

// Classes of bytes.
const (
	byteOther = iota
	byteLetter
	byteDigit
	byteSlot
)

//nolint:gochecknoglobals // a constant
var byteClass = func() (t [256]uint8) {
	for i := range t {
		switch c := byte(i); {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
			t[i] = byteLetter
		case '0' <= c && c <= '9':
			t[i] = byteDigit
		case c == numberSlot || c == textSlot:
			t[i] = byteSlot
		}
	}
	return t
}()

// templater splits values into templates and slots. It keeps scratch memory.
type templater struct {
	mem *slab.Set // for what there is of each value; nil: the heap

	list  Builder  // the templates
	uses  []uint32 // of each
	slots [][2]int // number and text slots of each

	// For fits: where slots and the end of each template are in its text, and where those of a template begin.
	slotAt []uint32
	slotOf []uint32

	table []uint32
	ids   []uint32 // template of each value

	// Of all values, in order.
	numbers []uint64
	widths  []uint8
	places  []span // of all slots

	guesses [256]uint32 // by how a value begins and ends: its likely template plus one

	small [smallNumbers / 64]uint64 // numbers that collect has seen

	key    []byte // scratch: the value's template
	spare  []span
	sorted []uint64 // the numbers by template and place
	digits []uint8  // their widths
}

// span is a slot's place in the builder's data.
type span struct {
	start, end uint32
	number     bool
}

// split fills the templater from b's values, and reports whether templates are
// worth while.
func (t *templater) split(b *Builder) bool {
	t.list.Reset()
	t.list.Kind = String
	t.uses, t.slots, t.ids = t.uses[:0], t.slots[:0], t.ids[:0]
	t.slotAt, t.slotOf = t.slotAt[:0], append(t.slotOf[:0], 0)
	t.numbers, t.widths, t.places = t.numbers[:0], t.widths[:0], t.places[:0]
	t.ids = slab.Grow(t.mem, t.ids, b.count)
	if t.table == nil {
		t.table = make([]uint32, 4*maxTemplates)
	}
	clear(t.table)
	clear(t.guesses[:])
	for i := range b.count {
		if !t.splitValue(b.data, b.offs[i], b.offs[i+1]) {
			return false
		}
		if i+1 == templateSample && t.list.count > templateSample/4 {
			return false
		}
	}
	return t.worth(b)
}

// leave forgets all values.
func (t *templater) leave() {
	t.ids, t.numbers, t.widths, t.places = nil, nil, nil, nil
	t.spare, t.sorted, t.digits = nil, nil, nil
}

// worth reports whether most of the text has a template, and moves the rest.
func (t *templater) worth(b *Builder) bool {
	rare := 0
	for i, id := range t.ids {
		if t.uses[id] < minTemplateUses {
			rare += int(b.offs[i+1] - b.offs[i])
		}
	}
	return 2*rare <= len(b.data)
}

// guess returns where the likely template of a value is noted, nil for short ones.
func (t *templater) guess(v []byte) *uint32 {
	h := uint64(0)
	switch n := len(v); {
	case n >= 8:
		h = withoutDigits(binary.LittleEndian.Uint64(v)) ^ withoutDigits(binary.LittleEndian.Uint64(v[n-8:]))*3
	case n >= 4:
		h = withoutDigits(uint64(binary.LittleEndian.Uint32(v)) | uint64(binary.LittleEndian.Uint32(v[n-4:]))<<32)
	default:
		return nil
	}
	return &t.guesses[h*0x9e3779b97f4a7c15>>56]
}

// withoutDigits returns eight bytes with all digits alike.
func withoutDigits(w uint64) uint64 {
	const (
		ones = 0x0101010101010101
		high = 0x8080808080808080
	)
	low7 := w &^ high
	digits := (low7 + (0x80-'0')*ones) &^ (low7 + (0x80-'9'-1)*ones) &^ w & high
	return w &^ (digits >> 7 * 15) // '0' to '9' are 0x30 to 0x39
}

// fits adds a value if it is made from a template that has but number slots, and
// reports whether it is. What splitValue would find is the same: literals between slots
// begin and end where digits do.
func (t *templater) fits(id uint32, data []byte, start, end uint32) bool {
	if t.slots[id][1] > 0 {
		return false
	}
	tpl := t.template(id)
	numbers, places := len(t.numbers), len(t.places)
	i := start
	done := uint32(0)
	for _, slot := range t.slotAt[t.slotOf[id]:t.slotOf[id+1]] {
		lit := tpl[done:slot]
		if int(end-i) < len(lit) || string(data[i:i+uint32(len(lit))]) != string(lit) {
			break
		}
		i += uint32(len(lit))
		if int(slot) == len(tpl) {
			if i == end {
				t.ids = append(t.ids, id)
				t.uses[id]++
				return true
			}
			break
		}
		from, n := i, uint64(0)
		for i < end && byteClass[data[i]] == byteDigit {
			n = n*10 + uint64(data[i]-'0')
			i++
		}
		if i == from || i-from > maxDigits {
			break
		}
		t.addNumber(n, span{from, i, true})
		done = slot + 1
	}
	t.numbers, t.widths, t.places = t.numbers[:numbers], t.widths[:numbers], t.places[:places]
	return false
}

// addNumber adds what fills a number's slot.
func (t *templater) addNumber(n uint64, at span) {
	t.numbers = append(slab.Grow(t.mem, t.numbers, 1), n)
	t.widths = append(slab.Grow(t.mem, t.widths, 1), uint8(at.end-at.start))
	t.places = append(slab.Grow(t.mem, t.places, 1), at)
}

// splitValue adds a value; false if it cannot be.
func (t *templater) splitValue(data []byte, start, end uint32) bool {
	guess := t.guess(data[start:end])
	if guess != nil && *guess > 0 && t.fits(*guess-1, data, start, end) {
		return true
	}
	if !t.parseValue(data, start, end) {
		return false
	}
	if guess != nil {
		*guess = t.ids[len(t.ids)-1] + 1
	}
	return true
}

// parseValue is splitValue without a guess.
func (t *templater) parseValue(data []byte, start, end uint32) bool {
	key := t.key[:0]
	numbers, texts := len(t.numbers), 0
	first := len(t.places)
	lit := start
	slot := func(from, to uint32, number bool) {
		key = append(key, data[lit:from]...)
		if number {
			key = append(key, numberSlot)
			t.addNumber(parseDigits(data[from:to]), span{from, to, true})
		} else {
			key = append(key, textSlot)
			t.places = append(slab.Grow(t.mem, t.places, 1), span{from, to, false})
			texts++
		}
		lit = to
	}
	for i := start; i < end; {
		switch byteClass[data[i]] {
		case byteOther:
			i++
			continue
		case byteSlot:
			return false
		}
		from := i
		i = skipClass(data, i, end, byteClass[data[i]])
		mid := i
		if i < end {
			if c := byteClass[data[i]]; c == byteLetter || c == byteDigit {
				i = skipClass(data, i, end, c)
			}
		}
		// The slot of a word is its digits; all of it if it has more than one run of them, or a long one.
		mixed := i-mid > maxDigits || mid-from > maxDigits && byteClass[data[from]] == byteDigit
		for i < end && (byteClass[data[i]] == byteLetter || byteClass[data[i]] == byteDigit) {
			mixed = true
			i++
		}
		switch {
		case mixed:
			slot(from, i, false)
		case byteClass[data[from]] == byteDigit:
			slot(from, mid, true)
		case mid < i:
			slot(mid, i, true)
		}
	}
	key = append(key, data[lit:end]...)
	t.key = key
	id, ok := t.intern(key, len(t.numbers)-numbers, texts)
	if !ok {
		t.numbers, t.widths = t.numbers[:numbers], t.widths[:numbers]
		t.places = append(slab.Grow(t.mem, t.places[:first], 1), span{start, end, false})
		id, _ = t.intern([]byte(restTemplate), 0, 1)
	}
	t.ids = append(t.ids, id)
	t.uses[id]++
	return true
}

func skipClass(data []byte, i, end uint32, class uint8) uint32 {
	for i < end && byteClass[data[i]] == class {
		i++
	}
	return i
}

func parseDigits(b []byte) uint64 {
	n := uint64(0)
	for _, c := range b {
		n = n*10 + uint64(c-'0')
	}
	return n
}

// intern returns the number of a template; false if there are too many.
func (t *templater) intern(key []byte, numbers, texts int) (uint32, bool) {
	mask := uint64(len(t.table) - 1)
	for p := encoding.HashValue(key) & mask; ; p = (p + 1) & mask {
		id := t.table[p]
		if id == 0 {
			if t.list.count >= maxTemplates && string(key) != restTemplate {
				return 0, false
			}
			t.list.AppendBytes(uint32(t.list.count), key)
			t.uses = append(t.uses, 0)
			t.slots = append(t.slots, [2]int{numbers, texts})
			t.noteSlots(key)
			t.table[p] = uint32(t.list.count)
			return uint32(t.list.count - 1), true
		}
		if id--; string(key) == string(t.list.data[t.list.offs[id]:t.list.offs[id+1]]) {
			return id, true
		}
	}
}

// noteSlots notes where a new template has its slots.
func (t *templater) noteSlots(text []byte) {
	for i, c := range text {
		if byteClass[c] == byteSlot {
			t.slotAt = append(t.slotAt, uint32(i))
		}
	}
	t.slotAt = append(t.slotAt, uint32(len(text)))
	t.slotOf = append(t.slotOf, uint32(len(t.slotAt)))
}

// template returns the text of a template.
func (t *templater) template(id uint32) []byte { return t.list.data[t.list.offs[id]:t.list.offs[id+1]] }

// prune gives values of rare templates to the template of the rest, and leaves
// out templates without uses.
func (t *templater) prune(b *Builder) {
	if !slices.ContainsFunc(t.uses, func(n uint32) bool { return n < minTemplateUses }) {
		return
	}
	rest, _ := t.intern([]byte(restTemplate), 0, 1)
	numbers, places := 0, 0
	keptNumbers, keptPlaces := t.numbers[:0], slab.Grow(t.mem, t.spare[:0], len(t.places))
	for i, id := range t.ids {
		n, all := t.slots[id][0], t.slots[id][0]+t.slots[id][1]
		if t.uses[id] < minTemplateUses {
			t.ids[i] = rest
			keptPlaces = append(keptPlaces, span{b.offs[i], b.offs[i+1], false})
		} else {
			copy(t.widths[len(keptNumbers):], t.widths[numbers:numbers+n])
			keptNumbers = append(keptNumbers, t.numbers[numbers:numbers+n]...)
			keptPlaces = append(keptPlaces, t.places[places:places+all]...)
		}
		numbers, places = numbers+n, places+all
	}
	t.numbers, t.widths = keptNumbers, t.widths[:len(keptNumbers)]
	t.places, t.spare = keptPlaces, t.places
	// Renumber.
	clear(t.uses)
	for _, id := range t.ids {
		t.uses[id]++
	}
	number := make([]uint32, t.list.count)
	kept := Builder{Kind: String}
	uses, slots := t.uses[:0], t.slots[:0]
	for id := range number {
		if t.uses[id] == 0 {
			continue
		}
		number[id] = uint32(kept.count)
		kept.AppendBytes(uint32(kept.count), t.template(uint32(id)))
		uses, slots = append(uses, t.uses[id]), append(slots, t.slots[id])
	}
	t.list, t.uses, t.slots = kept, uses, slots
	for i, id := range t.ids {
		t.ids[i] = number[id]
	}
}

// appendTemplates appends the values of b, which have been split.
func (e *Encoder) appendTemplates(dst []byte, b *Builder, level encoding.Level) []byte {
	t := e.tpl
	t.prune(b)
	dst = binary.AppendUvarint(dst, uint64(len(b.data)))
	dst = binary.AppendUvarint(dst, uint64(t.list.count))
	dst = e.appendInline(dst, &t.list, level)
	dst = encoding.AppendIDs(dst, t.ids, t.list.count)
	dst = e.appendNumbers(dst)
	texts := Builder{Kind: b.Kind}
	for _, p := range t.places {
		if !p.number {
			texts.AppendBytes(uint32(texts.count), b.data[p.start:p.end])
		}
	}
	return e.appendInline(dst, &texts, level)
}

// appendInline appends values as pages inside the head.
func (e *Encoder) appendInline(dst []byte, b *Builder, level encoding.Level) []byte {
	b.eachPage(dictPageBytes, func(from, to int) {
		e.page = e.appendPage(e.page[:0], b, from, to, level)
		dst = binary.AppendUvarint(dst, uint64(to-from))
		dst = encoding.AppendBytes(dst, e.page)
	})
	return dst
}

// appendNumbers appends the number slots, template by template, place by place.
func (e *Encoder) appendNumbers(dst []byte) []byte {
	t := e.tpl
	// Where each place's values begin in one array of all.
	base := make([]int, len(t.uses))
	sum := 0
	for id, n := range t.uses {
		base[id] = sum
		sum += int(n) * t.slots[id][0]
	}
	t.sorted, t.digits = slab.Grow(t.mem, t.sorted[:0], sum), slab.Grow(t.mem, t.digits[:0], sum)
	sorted, widths := t.sorted[:sum], t.digits[:sum]
	rank := make([]int, len(t.uses))
	at := 0
	for _, id := range t.ids {
		for s := range t.slots[id][0] {
			to := base[id] + s*int(t.uses[id]) + rank[id]
			sorted[to], widths[to] = t.numbers[at], t.widths[at]
			at++
		}
		rank[id]++
	}
	for id, n := range t.uses {
		e.page = e.page[:0]
		for s := range t.slots[id][0] {
			from := base[id] + s*int(n)
			e.page = e.appendSlot(e.page, sorted[from:from+int(n)], widths[from:from+int(n)])
		}
		dst = encoding.AppendBytes(dst, e.page)
	}
	return dst
}

func (e *Encoder) appendSlot(dst []byte, numbers []uint64, widths []uint8) []byte {
	form := byte(formPlain)
	for i, w := range widths {
		if int(w) != decimalLen(numbers[i]) {
			form = formFixed
			break
		}
	}
	if form == formFixed {
		for _, w := range widths {
			if w != widths[0] {
				form = formWidths
				break
			}
		}
	}
	dst = append(dst, form)
	switch form {
	case formFixed:
		dst = append(dst, widths[0])
	case formWidths:
		e.words = e.words[:0]
		for _, w := range widths {
			e.words = append(e.words, uint64(w))
		}
		dst = encoding.AppendInts(dst, e.words)
	}
	return encoding.AppendInts(dst, numbers)
}

// decimalLen returns the number of digits of n.
func decimalLen(n uint64) int {
	size := bits.Len64(n|1) * 1233 >> 12 // times log10(2)
	if size < len(powersOf10) && n >= powersOf10[size] {
		size++
	}
	return size
}

//nolint:gochecknoglobals // a constant
var powersOf10 = func() (t [20]uint64) {
	t[0] = 1
	for i := 1; i < len(t); i++ {
		t[i] = 10 * t[i-1]
	}
	return t
}()
