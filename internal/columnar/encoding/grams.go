package encoding

import (
	"encoding/binary"
	"hash/crc32"
	"math/bits"
)

// A gram filter tells which substrings a column of a block cannot hold, whether
// or not they are words. It knows the three-byte sequences (grams) of all texts,
// in one case and with all digits alike, and the lengths of words: where no word
// is longer than a given one, a text that contains that one has it as a word,
// and the filter of words can tell.
//
//	u64      lengths of words with a digit: bit min(length, 63)
//	u64      lengths of words without
//	bitmap   for each gram two bits: bits 32 to 47 and 48 to 63 of its product
//	         with gramFactor, modulo the bitmap's size
//	crc
const (
	gramLen     = 3
	gramFactor  = 0x9e3779b97f4a7c15
	maxGramBits = 1 << 16
	minGramBits = 1 << 9
	gramHead    = 16
	// A bitmap is halved for as long as at most one bit of so many is set.
	gramSparse = 4
	longWord   = 63
)

// gramByte maps bytes to what grams know of them.
//
//nolint:gochecknoglobals // a constant
var gramByte = func() (t [256]byte) {
	for i := range t {
		c := byte(i)
		switch {
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		case '0' <= c && c <= '9':
			c = '0'
		}
		t[i] = c
	}
	return t
}()

// gramBits returns the two bits of a gram, of 16 bits each.
func gramBits(gram uint32) uint32 { return uint32(uint64(gram) * gramFactor >> 32) }

// TextSet collects what the filters of a column of text hold. The zero value is ready.
type TextSet struct {
	words   HashSet
	lengths [2]uint64 // of words with a digit, without
	grams   [maxGramBits / 64]uint64
	some    bool // there are grams
}

// Reset empties the set and keeps its memory.
func (s *TextSet) Reset() {
	s.words.Reset()
	s.lengths = [2]uint64{}
	if s.some {
		clear(s.grams[:])
	}
	s.some = false
}

// AddText adds a text's words and grams.
func (s *TextSet) AddText(text []byte) {
	s.AddWords(text)
	s.AddGrams(text)
}

// AddWords adds a text's words.
func (s *TextSet) AddWords(text []byte) {
	for i := 0; ; {
		var multi uint8
		for i < len(text) && wordByte[text[i]] == 0 {
			i++
		}
		if i == len(text) {
			return
		}
		start := i
		for i < len(text) {
			k := wordByte[text[i]]
			if k == 0 {
				break
			}
			multi |= k
			i++
		}
		s.addWord(text[start:i], multi&2 != 0)
	}
}

// AddWord adds a word.
func (s *TextSet) AddWord(word []byte) {
	multi := false
	for _, c := range word {
		multi = multi || c >= 0x80
	}
	s.addWord(word, multi)
}

// AddNumber adds a word of digits.
func (s *TextSet) AddNumber(digits []byte) {
	if s.words.Add(hashWord(digits)) {
		s.lengths[0] |= 1 << min(len(digits), longWord)
	}
}

func (s *TextSet) addWord(word []byte, multi bool) {
	if multi {
		word = foldWord(word)
	}
	if s.words.Add(hashWord(word)) {
		s.lengths[wordClass(word)] |= 1 << min(len(word), longWord)
	}
}

// wordClass returns 0 for words with a digit, 1 for others.
func wordClass(word []byte) int {
	for _, c := range word {
		if '0' <= c && c <= '9' {
			return 0
		}
	}
	return 1
}

// AddGrams adds a text's grams.
func (s *TextSet) AddGrams(text []byte) {
	if len(text) < gramLen {
		return
	}
	multi := byte(0)
	gram := uint32(gramByte[text[0]])<<8 | uint32(gramByte[text[1]])
	for _, c := range text[:2] {
		multi |= c
	}
	for _, c := range text[2:] {
		multi |= c
		gram = gram<<8&0xffffff | uint32(gramByte[c])
		s.setGram(gramBits(gram))
	}
	s.some = true
	if multi < 0x80 {
		return
	}
	// Grams of the text as it is do no harm; what is looked for is folded.
	if text = foldWord(text); len(text) >= gramLen {
		eachGram(text, s.setGram)
	}
}

func (s *TextSet) setGram(pair uint32) {
	a, b := pair>>16, pair&0xffff
	s.grams[a>>6] |= 1 << (a & 63)
	s.grams[b>>6] |= 1 << (b & 63)
}

// eachGram calls f with the bits of each gram of a folded text.
func eachGram(text []byte, f func(pair uint32)) {
	gram := uint32(0)
	for i, c := range text {
		gram = gram<<8&0xffffff | uint32(gramByte[c])
		if i >= gramLen-1 {
			f(gramBits(gram))
		}
	}
}

// Words returns the hashes of the words. Reset invalidates it.
func (s *TextSet) Words() []uint64 { return s.words.Hashes() }

// AppendGrams appends the gram filter.
func (s *TextSet) AppendGrams(dst []byte) []byte {
	start := len(dst)
	dst = binary.LittleEndian.AppendUint64(dst, s.lengths[0])
	dst = binary.LittleEndian.AppendUint64(dst, s.lengths[1])
	words := s.grams[:]
	if !s.some {
		words = words[:minGramBits/64]
	}
	for len(words) > minGramBits/64 {
		half := len(words) / 2
		set := 0
		for i := range half {
			set += bits.OnesCount64(words[i] | words[half+i])
		}
		if set*gramSparse > half*64 {
			break
		}
		for i := range half {
			words[i] |= words[half+i]
		}
		words = words[:half]
	}
	for _, w := range words {
		dst = binary.LittleEndian.AppendUint64(dst, w)
	}
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[start:], Castagnoli))
}

// Grams is a gram filter as read.
type Grams struct {
	lengths [2]uint64
	bitmap  []byte
}

// OpenGrams verifies a gram filter. It shares b's memory.
func OpenGrams(b []byte) (Grams, error) {
	n := len(b) - gramHead - 4
	if n < minGramBits/8 || n > maxGramBits/8 || n&(n-1) != 0 ||
		binary.LittleEndian.Uint32(b[len(b)-4:]) != crc32.Checksum(b[:len(b)-4], Castagnoli) {
		return Grams{}, ErrCorrupt
	}
	return Grams{
		lengths: [2]uint64{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])},
		bitmap:  b[gramHead : gramHead+n],
	}, nil
}

// Literal is a text that is looked for, prepared for gram filters.
type Literal struct {
	grams []uint32 // the two bits of each
	words []edgeWord
}

// edgeWord is a word at the literal's edge: in a text, a longer one may be around it.
type edgeWord struct {
	hash  uint64
	size  int
	class int
}

// NewLiteral prepares a text to look for in any case; ok is false if it cannot be
// told from a filter.
func NewLiteral(text string) (l Literal, ok bool) {
	folded := foldWord([]byte(text))
	eachGram(folded, func(pair uint32) { l.grams = append(l.grams, pair) })
	for i := 0; ; {
		start, end := NextWord(folded, i)
		if start == len(folded) {
			break
		}
		if start == 0 || end == len(folded) {
			w := folded[start:end]
			l.words = append(l.words, edgeWord{hashWord(w), len(w), wordClass(w)})
		}
		i = end
	}
	return l, len(l.grams)+len(l.words) > 0
}

// MayContain reports whether a text may contain the literal in whatever case.
// hasWord asks the column's filter of words.
func (g *Grams) MayContain(l *Literal, hasWord func(hash uint64) (bool, error)) (bool, error) {
	mask := uint32(len(g.bitmap)*8 - 1)
	for _, pair := range l.grams {
		a, b := pair>>16&mask, pair&mask
		if g.bitmap[a>>3]>>(a&7)&(g.bitmap[b>>3]>>(b&7))&1 == 0 {
			return false, nil
		}
	}
	for _, w := range l.words {
		if g.hasLonger(w) {
			continue
		}
		if ok, err := hasWord(w.hash); err != nil || !ok {
			return ok, err
		}
	}
	return true, nil
}

// hasLonger reports whether there are words that w may be a piece of.
func (g *Grams) hasLonger(w edgeWord) bool {
	lengths := g.lengths[0]
	if w.class != 0 {
		lengths |= g.lengths[1] // words with a digit may hold one without
	}
	return w.size >= longWord || lengths>>(w.size+1) != 0
}
