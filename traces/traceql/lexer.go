package traceql

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"belfry/internal/fault"
	"belfry/traces"
)

// ParseError says where a query is wrong.
type ParseError struct {
	Line, Column int // from 1; columns count characters
	Message      string
}

// Error returns the message with its position.
func (e *ParseError) Error() string {
	return fmt.Sprintf("parse error at line %d, col %d: %s", e.Line, e.Column, e.Message)
}

func errorAt(src string, pos int, format string, args ...any) error {
	before := src[:min(pos, len(src))]
	line := 1 + strings.Count(before, "\n")
	column := 1 + utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
	err := &ParseError{Line: line, Column: column, Message: fmt.Sprintf(format, args...)}
	return fault.New(fault.Invalid, "%w", err)
}

type tokenKind uint8

const (
	tokEOF     tokenKind = iota
	tokOp                // text: the operator or bracket
	tokIdent             // text: a word that is not a field
	tokLiteral           // static
	tokField             // field
)

type token struct {
	kind   tokenKind
	pos    int // byte offset
	text   string
	static Static
	field  FieldRef
}

func (t token) describe() string {
	switch t.kind {
	case tokEOF:
		return "end of query"
	case tokLiteral:
		return t.static.String()
	case tokField:
		return t.field.String()
	}
	return strconv.Quote(t.text)
}

// operators, longer ones before their beginnings.
var operators = []string{
	"&>>", "&<<", "!>>", "!<<",
	"&&", "||", "=~", "!~", "!=", ">=", "<=", ">>", "<<", "&>", "&<", "&~", "!>", "!<",
	"{", "}", "(", ")", ",", "|", "=", ">", "<", "~", "+", "-", "*", "/", "%", "^", "!",
}

type lexer struct {
	src    string
	pos    int
	tokens []token
}

func lex(src string) ([]token, error) {
	l := &lexer{src: src}
	for {
		l.skipBlanks()
		if l.pos == len(src) {
			return append(l.tokens, token{kind: tokEOF, pos: l.pos}), nil
		}
		if err := l.next(); err != nil {
			return nil, err
		}
	}
}

// skipBlanks skips white space, and comments from // to the end of the line.
func (l *lexer) skipBlanks() {
	for l.pos < len(l.src) {
		switch rest := l.src[l.pos:]; {
		case strings.IndexByte(" \t\r\n", rest[0]) >= 0:
			l.pos++
		case strings.HasPrefix(rest, "//"):
			end := strings.IndexByte(rest, '\n')
			if end < 0 {
				end = len(rest)
			}
			l.pos += end
		default:
			return
		}
	}
}

func (l *lexer) next() error {
	c := l.src[l.pos]
	switch {
	case c == '"' || c == '`':
		return l.lexString()
	case isDigit(c) || c == '.' && l.numberAfterDot():
		return l.lexNumber()
	case c == '.':
		start := l.pos
		l.pos++
		return l.lexAttribute(start, FieldRef{Field: traces.Field{Scope: traces.ScopeAny}})
	case isLetter(c):
		return l.lexWord()
	}
	for _, op := range operators {
		if strings.HasPrefix(l.src[l.pos:], op) {
			l.tokens = append(l.tokens, token{kind: tokOp, pos: l.pos, text: op})
			l.pos += len(op)
			return nil
		}
	}
	r, _ := utf8.DecodeRuneInString(l.src[l.pos:])
	return errorAt(l.src, l.pos, "unexpected character %q", r)
}

func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' }

// numberAfterDot tells .5 from the attribute .5xx.
func (l *lexer) numberAfterDot() bool {
	end := l.pos + 1
	for end < len(l.src) && isAttributeByte(l.src[end]) {
		if !isDigit(l.src[end]) {
			return false
		}
		end++
	}
	return end > l.pos+1
}

func (l *lexer) lexString() error {
	start, quote := l.pos, l.src[l.pos]
	var text strings.Builder
	for i := l.pos + 1; i < len(l.src); i++ {
		c := l.src[i]
		switch {
		case c == quote:
			l.pos = i + 1
			l.literal(start, Static{TypeString, traces.String(text.String())})
			return nil
		case c == '\\' && quote == '"':
			r, _, rest, err := strconv.UnquoteChar(l.src[i:], '"')
			if err != nil {
				return errorAt(l.src, i, "unknown escape in string")
			}
			if consumed := len(l.src) - i - len(rest); consumed == 4 && l.src[i+1] == 'x' {
				text.WriteByte(byte(r))
			} else {
				text.WriteRune(r)
			}
			i = len(l.src) - len(rest) - 1
		default:
			text.WriteByte(c)
		}
	}
	return errorAt(l.src, start, "string is not closed")
}

func (l *lexer) literal(start int, s Static) {
	l.tokens = append(l.tokens, token{kind: tokLiteral, pos: start, static: s})
}

// lexNumber reads an integer, a float, or a duration such as 1h30m.
func (l *lexer) lexNumber() error {
	start := l.pos
	end := start
	for end < len(l.src) && (isDigit(l.src[end]) || l.src[end] == '.') {
		end++
	}
	if rest := l.src[end:]; len(rest) > 1 && (rest[0] == 'e' || rest[0] == 'E') {
		digits := 1
		if rest[1] == '+' || rest[1] == '-' {
			digits = 2
		}
		if len(rest) > digits && isDigit(rest[digits]) {
			end += digits
			for end < len(l.src) && isDigit(l.src[end]) {
				end++
			}
		}
	}
	number := l.src[start:end]
	for end < len(l.src) && (isLetter(l.src[end]) || isDigit(l.src[end]) || l.src[end] == '.' || l.src[end] >= utf8.RuneSelf) {
		end++
	}
	text := l.src[start:end]
	l.pos = end
	if text != number {
		d, err := time.ParseDuration(text)
		if err != nil {
			return errorAt(l.src, start, "%q is not a number or a duration such as 1h30m or 250ms", text)
		}
		l.literal(start, Static{TypeDuration, traces.Int(int64(d))})
		return nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		l.literal(start, Static{TypeInt, traces.Int(n)})
		return nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(f, 0) {
		return errorAt(l.src, start, "%q is not a number", text)
	}
	l.literal(start, Static{TypeFloat, traces.Float(f)})
	return nil
}

// isAttributeByte reports whether c may be part of an unquoted attribute name.
func isAttributeByte(c byte) bool {
	return c > ' ' && strings.IndexByte("{}()=~!<>&|^,\"`", c) < 0
}

// lexAttribute reads an attribute's name: text, and quoted text within it.
func (l *lexer) lexAttribute(start int, ref FieldRef) error {
	var name strings.Builder
	for l.pos < len(l.src) {
		c := l.src[l.pos]
		if c == '"' {
			if err := l.lexQuotedName(&name); err != nil {
				return err
			}
			continue
		}
		if !isAttributeByte(c) {
			break
		}
		name.WriteByte(c)
		l.pos++
	}
	if name.Len() == 0 {
		return errorAt(l.src, start, "attribute without a name")
	}
	ref.Field.Name = name.String()
	l.tokens = append(l.tokens, token{kind: tokField, pos: start, field: ref})
	return nil
}

func (l *lexer) lexQuotedName(name *strings.Builder) error {
	start := l.pos
	for i := l.pos + 1; i < len(l.src); i++ {
		switch c := l.src[i]; {
		case c == '"':
			l.pos = i + 1
			return nil
		case c == '\\' && i+1 < len(l.src) && (l.src[i+1] == '"' || l.src[i+1] == '\\'):
			i++
			name.WriteByte(l.src[i])
		default:
			name.WriteByte(c)
		}
	}
	return errorAt(l.src, start, "quoted attribute name is not closed")
}

// lexWord reads a scoped field, an intrinsic, a literal word, or the name of a function.
func (l *lexer) lexWord() error {
	start := l.pos
	word := l.word()
	parent := false
	if word == "parent" && l.peek() == '.' {
		parent = true
		l.pos++
		mark := l.pos
		if word = l.word(); word != "span" && word != "resource" || l.peek() != '.' {
			l.pos = mark
			return l.lexAttribute(start, FieldRef{Field: traces.Field{Scope: traces.ScopeAny}, Parent: true})
		}
	}
	if scope, ok := attributeScopes[word]; ok && l.peek() == '.' {
		l.pos++
		return l.lexAttribute(start, FieldRef{Field: traces.Field{Scope: scope}, Parent: parent})
	}
	if l.peek() == ':' {
		l.pos++
		full := word + ":" + l.word()
		name, ok := scopedIntrinsics[full]
		if !ok {
			return errorAt(l.src, start, "unknown intrinsic %q", full)
		}
		l.tokens = append(l.tokens, token{kind: tokField, pos: start, field: intrinsicRef(name)})
		return nil
	}
	if static, ok := literalWord(word); ok {
		l.literal(start, static)
		return nil
	}
	if _, ok := bareIntrinsics[word]; ok && !l.callFollows() {
		l.tokens = append(l.tokens, token{kind: tokField, pos: start, field: intrinsicRef(word)})
		return nil
	}
	l.tokens = append(l.tokens, token{kind: tokIdent, pos: start, text: word})
	return nil
}

func (l *lexer) word() string {
	start := l.pos
	for l.pos < len(l.src) && (isLetter(l.src[l.pos]) || isDigit(l.src[l.pos])) {
		l.pos++
	}
	return l.src[start:l.pos]
}

func (l *lexer) peek() byte {
	if l.pos < len(l.src) {
		return l.src[l.pos]
	}
	return 0
}

func (l *lexer) callFollows() bool { return l.peek() == '(' }

func literalWord(word string) (Static, bool) {
	switch word {
	case "true", "false":
		return Static{TypeBool, traces.Bool(word == "true")}, true
	case "nil":
		return Static{}, true
	case "minInt":
		return Static{TypeInt, traces.Int(math.MinInt64)}, true
	case "maxInt":
		return Static{TypeInt, traces.Int(math.MaxInt64)}, true
	}
	if status, ok := traces.ParseStatus(word); ok {
		return Static{TypeStatus, traces.Int(int64(status))}, true
	}
	if kind, ok := traces.ParseSpanKind(word); ok {
		return Static{TypeKind, traces.Int(int64(kind))}, true
	}
	return Static{}, false
}
