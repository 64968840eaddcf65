package columnar

import (
	"bytes"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"

	"belfry/internal/columnar/encoding"

	"github.com/grafana/regexp"
)

// innerWords returns the hashes of the words that any text containing s has
// whole: those that s bounds on both sides. atStart and atEnd say that s begins or ends the text.
func innerWords(s string, atStart, atEnd bool) []uint64 {
	text := []byte(s)
	var out []uint64
	for i := 0; ; {
		start, end := encoding.NextWord(text, i)
		if start == len(text) {
			return out
		}
		if (start > 0 || atStart) && (end < len(text) || atEnd) {
			out = append(out, encoding.HashWord(text[start:end]))
		}
		i = end
	}
}

// wordsMatcher reports whether a text has all the words.
func wordsMatcher(words [][]byte, fold bool) func([]byte) bool {
	if !fold {
		return func(text []byte) bool {
			for _, w := range words {
				if !hasWord(text, w) {
					return false
				}
			}
			return true
		}
	}
	hashes := make([]uint64, len(words))
	for i, w := range words {
		hashes[i] = encoding.HashWord(w)
	}
	return func(text []byte) bool {
		for i, w := range words {
			found := false
			for at := 0; !found; {
				start, end := encoding.NextWord(text, at)
				if start == len(text) {
					break
				}
				got := text[start:end]
				found = encoding.HashWord(got) == hashes[i] && strings.EqualFold(string(got), string(w))
				at = end
			}
			if !found {
				return false
			}
		}
		return true
	}
}

func hasWord(text, word []byte) bool {
	for at := 0; ; {
		i := bytes.Index(text[at:], word)
		if i < 0 {
			return false
		}
		start := at + i
		end := start + len(word)
		if (start == 0 || !encoding.IsWordByte(text[start-1])) && (end == len(text) || !encoding.IsWordByte(text[end])) {
			return true
		}
		at = start + 1
	}
}

// foldMatcher reports whether a text contains s in whatever case.
func foldMatcher(s string) func([]byte) bool {
	if s == "" {
		return func([]byte) bool { return true }
	}
	lower := asciiLower(s)
	re, err := regexp.Compile("(?is)" + regexp.QuoteMeta(s))
	if err != nil { // not UTF-8
		re = nil
	}
	if re != nil && !isASCII(lower) {
		return re.Match
	}
	// k and s have relatives outside of ASCII, which only the regexp knows.
	special := re != nil && bytes.ContainsAny(lower, "ks")
	first, upper := lower[0], lower[0]
	if 'a' <= first && first <= 'z' {
		upper -= 'a' - 'A'
	}
	return func(text []byte) bool {
		if foldIndexASCII(text, lower, first, upper) {
			return true
		}
		return special && !isASCII(text) && re.Match(text)
	}
}

func asciiLower(s string) []byte {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return b
}

func foldIndexASCII(text, lower []byte, first, upper byte) bool {
	last := len(text) - len(lower)
	for i := 0; i <= last; i++ {
		if c := text[i]; c != first && c != upper {
			continue
		}
		j := 1
		for j < len(lower) {
			c := text[i+j]
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			if c != lower[j] {
				break
			}
			j++
		}
		if j == len(lower) {
			return true
		}
	}
	return false
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

// literal is a text that values are searched for.
type literal struct {
	text  []byte // with fold, in lower case
	fold  bool   // in whatever case (Unicode simple folding)
	ascii bool
	match func([]byte) bool

	// What filters can tell of it.
	words  []uint64 // hashes of the words that it bounds on both sides
	probe  encoding.Literal
	probed bool // there is something to probe for
}

func newLiteral(text string, fold bool) literal {
	l := literal{text: []byte(text), fold: fold, words: innerWords(text, false, false)}
	l.ascii = isASCII(l.text)
	l.match = func(b []byte) bool { return bytes.Contains(b, l.text) }
	if fold {
		l.text, l.match = asciiLower(text), foldMatcher(text)
	}
	if utf8.ValidString(text) { // pieces of runes are not folded as the runes are
		l.probe, l.probed = encoding.NewLiteral(text)
	}
	return l
}

// size is how much a literal tells: its bytes.
func shortest(lits []literal) int {
	n := len(lits[0].text)
	for i := range lits {
		n = min(n, len(lits[i].text))
	}
	return n
}

// maxLiterals bounds the literals of one alternative, and the lists of a regexp.
const maxLiterals = 32

// requiredLiterals returns what every match of a regexp contains: one literal of
// each list. Lists with long literals come first.
func requiredLiterals(expr string) [][]literal {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil
	}
	lists := literalsOf(re.Simplify())
	slices.SortStableFunc(lists, func(a, b []literal) int { return shortest(b) - shortest(a) })
	return lists[:min(len(lists), maxLiterals)]
}

func literalsOf(re *syntax.Regexp) [][]literal {
	switch re.Op {
	case syntax.OpLiteral:
		if slices.Contains(re.Rune, utf8.RuneError) { // matches bytes that are not UTF-8, too
			return nil
		}
		return [][]literal{{newLiteral(string(re.Rune), re.Flags&syntax.FoldCase != 0)}}
	case syntax.OpCapture, syntax.OpPlus:
		return literalsOf(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			return literalsOf(re.Sub[0])
		}
	case syntax.OpConcat:
		var all [][]literal
		for _, sub := range re.Sub {
			all = append(all, literalsOf(sub)...)
		}
		return all
	case syntax.OpAlternate:
		var any []literal
		for _, sub := range re.Sub {
			lists := literalsOf(sub)
			if len(lists) == 0 {
				return nil
			}
			best := slices.MaxFunc(lists, func(a, b []literal) int { return shortest(a) - shortest(b) })
			if any = append(any, best...); len(any) > maxLiterals {
				return nil
			}
		}
		return [][]literal{any}
	}
	return nil
}

// regexpMatcher looks for the literals that tell most before it runs the regexp.
func (l *leaf) regexpMatcher(re *regexp.Regexp) func([]byte) bool {
	if len(l.require) == 0 {
		return re.Match
	}
	first := l.require[0]
	if len(first) == 1 && !first[0].fold {
		l.needle = first[0].text
		if prefix, _ := re.LiteralPrefix(); strings.HasPrefix(prefix, string(l.needle)) {
			return re.Match // does so by itself
		}
	}
	return func(b []byte) bool {
		for i := range first {
			if first[i].match(b) {
				return re.Match(b)
			}
		}
		return false
	}
}
