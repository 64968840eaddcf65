package rewrite

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

type kind int

const (
	word kind = iota // a name, keyword, number or duration
	text             // a quoted string
	mark             // one character of anything else
)

// token is a piece of an expression; white space and comments are between tokens.
type token struct {
	kind     kind
	s        string
	pos, end int
}

// scan cuts LogQL or TraceQL into tokens.
func scan(src string) ([]token, error) {
	var out []token
	for i := 0; i < len(src); {
		c := src[i]
		start := i
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
			continue
		case c == '#':
			for i < len(src) && src[i] != '\n' {
				i++
			}
			continue
		case c == '"' || c == '`' || c == '\'':
			end, ok := quoted(src, i)
			if !ok {
				return nil, fmt.Errorf("the string that begins at character %d has no end", i+1)
			}
			i = end
			out = append(out, token{text, src[start:i], start, i})
		case isWord(rune(c)) || c >= utf8.RuneSelf:
			for i < len(src) {
				r, size := utf8.DecodeRuneInString(src[i:])
				if !isWord(r) {
					break
				}
				i += size
			}
			i = max(i, start+1)
			out = append(out, token{word, src[start:i], start, i})
		default:
			i++
			out = append(out, token{mark, src[start:i], start, i})
		}
	}
	return out, nil
}

func isWord(r rune) bool {
	return r == '_' || r == '.' || r == ':' || r == '$' || unicode.IsLetter(r) || unicode.IsDigit(r)
}

// quoted returns where the string that begins at i ends.
func quoted(src string, i int) (int, bool) {
	q := src[i]
	for j := i + 1; j < len(src); j++ {
		switch {
		case src[j] == '\\' && q != '`':
			j++
		case src[j] == q:
			return j + 1, true
		}
	}
	return 0, false
}

// edit replaces src[pos:pos] by text; edits are applied from the end.
type edit struct {
	pos  int
	text string
}

func apply(src string, edits []edit) string {
	for i := len(edits) - 1; i >= 0; i-- {
		e := edits[i]
		src = src[:e.pos] + e.text + src[e.pos:]
	}
	return src
}
