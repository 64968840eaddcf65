package patterns

import (
	"encoding/binary"
	"math/bits"
)

const (
	maxBytes = 512 // of a line; what is behind is the same for all
	maxWords = 48
	wildcard = "<_>"
)

// Classes of bytes. What is no word is punctuation.
const (
	classPunct = iota
	classLetter
	classDigit
)

type classes [256]uint8

func newClasses() *classes {
	var c classes
	for i := range c {
		switch b := byte(i); {
		case b >= '0' && b <= '9':
			c[i] = classDigit
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b == '_', b == '-', b == '.', b == '/', b == '%', b == '+', b == '@', b >= 0x80:
			c[i] = classLetter
		}
	}
	return &c
}

const (
	prime1 = 0x9e3779b97f4a7c15
	prime2 = 0xbf58476d1ce4e5b9
)

func mix(h, v uint64) uint64 {
	hi, lo := bits.Mul64(h^v, prime1)
	return hi ^ lo
}

// signature hashes the words without digits and what is between the words.
func (c *classes) signature(line []byte) uint64 {
	line = line[:min(len(line), maxBytes)]
	h := uint64(prime2)
	words := 0
	for i := 0; i < len(line); {
		start := i
		seen := uint8(0)
		for i < len(line) {
			k := c[line[i]]
			if k == classPunct {
				break
			}
			seen |= k
			i++
		}
		if i > start {
			if words++; words > maxWords {
				break
			}
			if seen&classDigit == 0 {
				h = hashBytes(h, line[start:i])
			} else {
				h = mix(h, prime1)
			}
			continue
		}
		for i < len(line) && c[line[i]] == classPunct {
			i++
		}
		h = hashBytes(h, line[start:i])
	}
	return h
}

func hashBytes(h uint64, b []byte) uint64 {
	n := uint64(len(b))
	for len(b) >= 8 {
		h = mix(h, binary.LittleEndian.Uint64(b))
		b = b[8:]
	}
	var v uint64
	for i, x := range b {
		v |= uint64(x) << (8 * i)
	}
	return mix(h, v^n<<56)
}

// line is a line taken apart: word i stands between gap i and gap i+1.
type line struct {
	words []string
	gaps  []string
}

// split takes a line apart. Words with digits are wildcards already.
func (c *classes) split(text []byte) line {
	cut := len(text) > maxBytes
	text = text[:min(len(text), maxBytes)]
	var l line
	for i := 0; ; {
		start := i
		for i < len(text) && c[text[i]] == classPunct {
			i++
		}
		l.gaps = append(l.gaps, string(text[start:i]))
		if i == len(text) {
			break
		}
		if len(l.words) == maxWords {
			cut = true
			break
		}
		start = i
		seen := uint8(0)
		for i < len(text) && c[text[i]] != classPunct {
			seen |= c[text[i]]
			i++
		}
		word := wildcard
		if seen&classDigit == 0 {
			word = string(text[start:i])
		}
		l.words = append(l.words, word)
	}
	if cut {
		// The last word may be half of one, and more follows.
		if n := len(l.words); n > 0 {
			l.words[n-1], l.gaps[n] = wildcard, ""
		}
	}
	return l
}

// shape tells apart lines that cannot be of one pattern.
func (l *line) shape() uint64 {
	h := mix(prime2, uint64(len(l.words)))
	for _, g := range l.gaps {
		h = hashBytes(h, []byte(g))
	}
	return h
}

// text writes the pattern. Wildcards with nothing between them are one.
func (l *line) text() string {
	b := []byte(l.gaps[0])
	for i, w := range l.words {
		b = append(b, w...)
		b = append(b, l.gaps[i+1]...)
	}
	return string(b)
}

// common returns how many of the words are the same, wildcards of l included.
func (l *line) common(o *line) int {
	n := 0
	for i, w := range l.words {
		if w == o.words[i] || w == wildcard {
			n++
		}
	}
	return n
}

// generalize makes a wildcard of each word that differs, and reports whether there was one.
func (l *line) generalize(o *line) bool {
	changed := false
	for i, w := range l.words {
		if w != o.words[i] && w != wildcard {
			l.words[i] = wildcard
			changed = true
		}
	}
	return changed
}
