package syntax

import (
	"belfry/logs/logql/extract"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ParseError says what is wrong with a query, and where.
type ParseError struct {
	Line, Col int // from 1; 0: the query as a whole
	Msg       string
}

func (e *ParseError) Error() string {
	if e.Line == 0 {
		return "parse error : " + e.Msg
	}
	return fmt.Sprintf("parse error at line %d, col %d: %s", e.Line, e.Col, e.Msg)
}

type tokenKind uint8

const (
	tokEOF    tokenKind = iota
	tokIdent            // also keywords
	tokString           // unquoted
	tokWord             // a number, duration or size as written
	tokOp               // punctuation and operators
	tokFlag             // --name
)

type token struct {
	kind tokenKind
	text string // identifier, operator, number as written; content of a string
	pos  int
}

// name is how an error names the token.
func (t token) name() string {
	switch t.kind {
	case tokEOF:
		return "$end"
	case tokIdent:
		if isKeyword(t.text) {
			return t.text
		}
		return "IDENTIFIER"
	case tokString:
		return "STRING"
	case tokWord:
		if _, err := strconv.ParseFloat(t.text, 64); err == nil {
			return "NUMBER"
		}
		if _, err := extract.ParseDuration(t.text); err == nil {
			return "DURATION"
		}
		return "BYTES"
	case tokFlag:
		return "PARSER_FLAG"
	}
	return t.text
}

// operators, the longer ones before their prefixes.
var operators = []string{
	"|=", "|~", "|>", "!=", "!~", "!>", "=~", "==", ">=", "<=",
	"{", "}", "(", ")", "[", "]", ",", "|", "=", ">", "<", "+", "-", "*", "/", "%", "^", "@",
}

func lex(src string) ([]token, error) {
	var tokens []token
	for pos := 0; pos < len(src); {
		c := src[pos]
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			pos++
		case c == '#':
			if end := strings.IndexByte(src[pos:], '\n'); end >= 0 {
				pos += end
			} else {
				pos = len(src)
			}
		case c == '"' || c == '`':
			text, n, err := scanString(src[pos:])
			if err != "" {
				return nil, errorAt(src, pos, "%s", err)
			}
			tokens = append(tokens, token{tokString, text, pos})
			pos += n
		case isDigit(c) || c == '.' && pos+1 < len(src) && isDigit(src[pos+1]):
			end := scanWord(src, pos)
			tokens = append(tokens, token{tokWord, src[pos:end], pos})
			pos = end
		case isIdentStart(c):
			end := pos + 1
			for end < len(src) && (isIdentStart(src[end]) || isDigit(src[end])) {
				end++
			}
			tokens = append(tokens, token{tokIdent, src[pos:end], pos})
			pos = end
		case strings.HasPrefix(src[pos:], "--") && pos+2 < len(src) && isIdentStart(src[pos+2]):
			end := pos + 2
			for end < len(src) && (isIdentStart(src[end]) || src[end] == '-') {
				end++
			}
			tokens = append(tokens, token{tokFlag, src[pos:end], pos})
			pos = end
		default:
			op := ""
			for _, o := range operators {
				if strings.HasPrefix(src[pos:], o) {
					op = o
					break
				}
			}
			if op == "" {
				r, _ := utf8.DecodeRuneInString(src[pos:])
				return nil, errorAt(src, pos, "syntax error: unexpected character %q", r)
			}
			tokens = append(tokens, token{tokOp, op, pos})
			pos += len(op)
		}
	}
	return append(tokens, token{tokEOF, "", len(src)}), nil
}

func scanString(s string) (text string, n int, problem string) {
	if s[0] == '`' {
		end := strings.IndexByte(s[1:], '`')
		if end < 0 {
			return "", 0, "literal not terminated"
		}
		return s[1 : 1+end], end + 2, ""
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '\n':
			return "", 0, "literal not terminated"
		case '"':
			text, err := strconv.Unquote(s[:i+1])
			if err != nil {
				return "", 0, "invalid char escape"
			}
			return text, i + 1, ""
		}
	}
	return "", 0, "literal not terminated"
}

// scanWord returns the end of a number, duration or size that begins at pos.
func scanWord(src string, pos int) int {
	for i := pos; i < len(src); i++ {
		c := src[i]
		switch {
		case isDigit(c) || c == '.' || isLetter(c):
		case strings.HasPrefix(src[i:], "µ") || strings.HasPrefix(src[i:], "μ"):
			i++
		case (c == '+' || c == '-') && (src[i-1] == 'e' || src[i-1] == 'E') && i+1 < len(src) && isDigit(src[i+1]) && isMantissa(src[pos:i-1]):
		default:
			return i
		}
	}
	return len(src)
}

func isMantissa(s string) bool {
	_, err := strconv.ParseFloat(s, 64)
	return err == nil && !strings.ContainsAny(s, "xX")
}

func isDigit(c byte) bool      { return '0' <= c && c <= '9' }
func isLetter(c byte) bool     { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
func isIdentStart(c byte) bool { return isLetter(c) || c == '_' }

func errorAt(src string, pos int, format string, args ...any) *ParseError {
	line, col := 1, 1
	for _, r := range src[:min(pos, len(src))] {
		if r == '\n' {
			line, col = line+1, 1
		} else {
			col++
		}
	}
	return &ParseError{Line: line, Col: col, Msg: fmt.Sprintf(format, args...)}
}
