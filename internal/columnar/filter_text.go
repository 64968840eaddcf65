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

// requiredLiteral returns the longest text that every match of a regexp
// contains, and whether its case does not matter; "" if there is none.
func requiredLiteral(expr string) (lit string, fold bool) {
	re, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return "", false
	}
	return longestLiteral(re.Simplify())
}

func longestLiteral(re *syntax.Regexp) (string, bool) {
	switch re.Op {
	case syntax.OpLiteral:
		if slices.Contains(re.Rune, utf8.RuneError) { // matches bytes that are not UTF-8, too
			return "", false
		}
		return string(re.Rune), re.Flags&syntax.FoldCase != 0
	case syntax.OpCapture, syntax.OpPlus:
		return longestLiteral(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			return longestLiteral(re.Sub[0])
		}
	case syntax.OpConcat:
		best, fold := "", false
		for _, sub := range re.Sub {
			if s, f := longestLiteral(sub); len(s) > len(best) {
				best, fold = s, f
			}
		}
		return best, fold
	}
	return "", false
}
