package extract

import (
	"errors"
	"strings"
)

// Errors of patterns.
var (
	errNoCapture   = errors.New("at least one capture is required")
	errConsecutive = errors.New("found consecutive capture")
	errDuplicate   = errors.New("duplicate capture name")
	errEmpty       = errors.New("pattern is empty")
	errNamed       = errors.New("only unnamed captures <_> are allowed in a line filter")
)

// Pattern is a line's shape: literal text with captures, <name>, between.
// <_> matches like a capture and is forgotten.
type Pattern struct {
	parts []patternPart
}

type patternPart struct {
	capture bool
	text    string // literal, or the capture's name
}

func parsePattern(s string) []patternPart {
	var parts []patternPart
	literal := ""
	for s != "" {
		open := strings.IndexByte(s, '<')
		if open < 0 {
			break
		}
		end := strings.IndexByte(s[open:], '>')
		if end < 0 || !isCaptureName(s[open+1:open+end]) {
			literal, s = literal+s[:open+1], s[open+1:]
			continue
		}
		if literal += s[:open]; literal != "" {
			parts = append(parts, patternPart{text: literal})
		}
		parts = append(parts, patternPart{capture: true, text: s[open+1 : open+end]})
		literal, s = "", s[open+end+1:]
	}
	if literal += s; literal != "" {
		parts = append(parts, patternPart{text: literal})
	}
	return parts
}

func isCaptureName(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// CheckPattern reports what is wrong with the pattern of a parser.
func CheckPattern(s string) error { _, err := ParsePattern(s); return err }

// ParsePattern reads the pattern of a parser.
func ParsePattern(s string) (*Pattern, error) {
	p := &Pattern{parts: parsePattern(s)}
	if len(p.parts) == 0 {
		return nil, errEmpty
	}
	seen := map[string]bool{}
	for i, part := range p.parts {
		if !part.capture {
			continue
		}
		if i > 0 && p.parts[i-1].capture {
			return nil, errConsecutive
		}
		if part.text == "_" {
			continue
		}
		if seen[part.text] {
			return nil, errDuplicate
		}
		seen[part.text] = true
	}
	if len(seen) == 0 {
		return nil, errNoCapture
	}
	return p, nil
}

// Extract calls set for each named capture. The text before the first capture
// must begin the line. A capture goes as far as the first occurrence of the text after
// it; where that does not occur, it takes the rest and is the last.
func (p *Pattern) Extract(line string, set func(name, value string)) {
	parts := p.parts
	if !parts[0].capture {
		if !strings.HasPrefix(line, parts[0].text) {
			return
		}
		line, parts = line[len(parts[0].text):], parts[1:]
	}
	for len(parts) > 0 {
		value, rest, more := line, "", false
		if len(parts) > 1 {
			value, rest, more = strings.Cut(line, parts[1].text)
		}
		if parts[0].text != "_" {
			set(parts[0].text, value)
		}
		if !more {
			return
		}
		line, parts = rest, parts[2:]
	}
}

// LinePattern is the shape that a |> filter looks for.
type LinePattern struct {
	literals  []string
	openStart bool // begins with <_>
	openEnd   bool // ends with <_>
}

// ParseLinePattern reads the pattern of a line filter.
func ParseLinePattern(s string) (*LinePattern, error) {
	p := &LinePattern{}
	parts := parsePattern(s)
	if len(parts) == 0 {
		return p, nil // the empty pattern matches the empty line
	}
	for i, part := range parts {
		switch {
		case !part.capture:
			p.literals = append(p.literals, part.text)
		case part.text != "_":
			return nil, errNamed
		case i > 0 && parts[i-1].capture:
			return nil, errConsecutive
		}
	}
	p.openStart, p.openEnd = parts[0].capture, parts[len(parts)-1].capture
	return p, nil
}

// Literals returns the texts that every matching line contains, in order.
func (p *LinePattern) Literals() []string { return p.literals }

// Match reports whether the whole line has the shape: text at the pattern's ends is text
// at the line's ends.
func (p *LinePattern) Match(line string) bool {
	lits := p.literals
	if len(lits) == 0 {
		return p.openStart || line == ""
	}
	if !p.openStart {
		if !strings.HasPrefix(line, lits[0]) {
			return false
		}
		line, lits = line[len(lits[0]):], lits[1:]
		if len(lits) == 0 {
			return p.openEnd || line == ""
		}
	}
	last := ""
	if !p.openEnd {
		last, lits = lits[len(lits)-1], lits[:len(lits)-1]
		if !strings.HasSuffix(line, last) {
			return false
		}
		line = line[:len(line)-len(last)]
	}
	for _, lit := range lits {
		i := strings.Index(line, lit)
		if i < 0 {
			return false
		}
		line = line[i+len(lit):]
	}
	return true
}
