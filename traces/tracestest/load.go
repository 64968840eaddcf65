package tracestest

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"belfry/traces"
)

// Epoch is the time that scripts count from.
var Epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()

// ParseSpans reads the lines of a load command.
func ParseSpans(lines []string) ([]traces.Span, error) {
	l := loader{resources: map[string]*traces.Resource{}}
	for i, line := range lines {
		if trimmed := strings.TrimSpace(line); trimmed == "" || strings.HasPrefix(trimmed, "#") {
			continue
		}
		if err := l.line(line); err != nil {
			return nil, fmt.Errorf("line %d, %q: %w", i+1, line, err)
		}
	}
	return l.spans, nil
}

type open struct {
	indent int
	span   int // index
}

type loader struct {
	spans     []traces.Span
	trace     traces.TraceID
	stack     []open
	resources map[string]*traces.Resource
}

func (l *loader) line(line string) error {
	indent := len(line) - len(strings.TrimLeft(line, " "))
	words := splitWords(line)
	if len(words) < 2 {
		return errors.New("too short")
	}
	for len(l.stack) > 0 && l.stack[len(l.stack)-1].indent >= indent {
		l.stack = l.stack[:len(l.stack)-1]
	}
	switch words[0] {
	case "trace":
		id, err := traces.ParseTraceID(words[1])
		l.trace = id
		return err
	case "span":
		return l.span(indent, words)
	case "event", "link":
		if len(l.stack) == 0 {
			return fmt.Errorf("%s without a span", words[0])
		}
		span := &l.spans[l.stack[len(l.stack)-1].span]
		if words[0] == "event" {
			return addEvent(span, words[1:])
		}
		return addLink(span, words[1:])
	}
	return fmt.Errorf("unknown word %q", words[0])
}

func (l *loader) span(indent int, words []string) error {
	id, err := parseSpanID(words[1])
	if err != nil {
		return err
	}
	s := traces.Span{TraceID: l.trace, ID: id, Start: Epoch, Name: "span-" + words[1]}
	if len(l.stack) > 0 {
		parent := &l.spans[l.stack[len(l.stack)-1].span]
		s.ParentID, s.Start = parent.ID, parent.Start
	}
	resource := traces.Resource{}
	if err := fillSpan(&s, &resource, words[2:]); err != nil {
		return err
	}
	byKey := func(a, b traces.Attribute) int { return strings.Compare(a.Key, b.Key) }
	slices.SortFunc(s.Attributes, byKey)
	slices.SortFunc(resource.Attributes, byKey)
	key := fmt.Sprint(resource)
	if l.resources[key] == nil {
		l.resources[key] = &resource
	}
	s.Resource = l.resources[key]
	l.stack = append(l.stack, open{indent, len(l.spans)})
	l.spans = append(l.spans, s)
	return nil
}

func fillSpan(s *traces.Span, resource *traces.Resource, words []string) (err error) {
	for _, word := range words {
		key, text, ok := strings.Cut(word, "=")
		if !ok {
			return fmt.Errorf("%q is not key=value", word)
		}
		value := parseValue(text)
		switch key {
		case "name":
			s.Name = value.Text()
		case "service":
			resource.Attributes = append(resource.Attributes, traces.Attribute{Key: "service.name", Value: traces.String(value.Text())})
		case "start":
			s.Start, err = parseOffset(text)
			s.Start += Epoch
		case "dur":
			s.Duration, err = parseOffset(text)
		case "kind":
			if s.Kind, ok = traces.ParseSpanKind(text); !ok {
				err = fmt.Errorf("unknown kind %q", text)
			}
		case "status":
			if s.Status, ok = traces.ParseStatus(text); !ok {
				err = fmt.Errorf("unknown status %q", text)
			}
		case "message":
			s.StatusMessage = value.Text()
		case "parent":
			s.ParentID, err = parseSpanID(text)
		case "library":
			resource.ScopeName = value.Text()
		case "version":
			resource.ScopeVersion = value.Text()
		default:
			scope, name, _ := strings.Cut(key, ".")
			a := traces.Attribute{Key: name, Value: value}
			switch scope {
			case "span":
				s.Attributes = append(s.Attributes, a)
			case "resource":
				resource.Attributes = append(resource.Attributes, a)
			case "scope":
				resource.ScopeAttributes = append(resource.ScopeAttributes, a)
			default:
				err = fmt.Errorf("unknown key %q", key)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func addEvent(s *traces.Span, words []string) error {
	e := traces.Event{Name: parseValue(words[0]).Text(), Time: s.Start}
	for _, word := range words[1:] {
		key, text, _ := strings.Cut(word, "=")
		if key == "at" {
			offset, err := parseOffset(text)
			if err != nil {
				return err
			}
			e.Time = Epoch + offset
			continue
		}
		e.Attributes = append(e.Attributes, traces.Attribute{Key: key, Value: parseValue(text)})
	}
	s.Events = append(s.Events, e)
	return nil
}

func addLink(s *traces.Span, words []string) error {
	if len(words) < 2 {
		return errors.New("a link needs a trace and a span")
	}
	trace, err := traces.ParseTraceID(words[0])
	if err != nil {
		return err
	}
	span, err := parseSpanID(words[1])
	if err != nil {
		return err
	}
	link := traces.Link{TraceID: trace, SpanID: span}
	for _, word := range words[2:] {
		key, text, _ := strings.Cut(word, "=")
		link.Attributes = append(link.Attributes, traces.Attribute{Key: key, Value: parseValue(text)})
	}
	s.Links = append(s.Links, link)
	return nil
}

func parseSpanID(s string) (id traces.SpanID, err error) {
	if len(s) > 16 {
		return id, fmt.Errorf("span ID %q is too long", s)
	}
	_, err = hex.Decode(id[:], []byte(strings.Repeat("0", 16-len(s))+s))
	return id, err
}

func parseOffset(s string) (int64, error) {
	d, err := time.ParseDuration(s)
	return int64(d), err
}

// parseValue reads text in quotes or without, a number, a boolean, or [a,b].
func parseValue(s string) traces.Value {
	if inner, ok := strings.CutPrefix(s, "["); ok {
		inner = strings.TrimSuffix(inner, "]")
		var list []traces.Value
		for part := range strings.SplitSeq(inner, ",") {
			list = append(list, parseValue(part))
		}
		return traces.Array(list...)
	}
	if text, err := strconv.Unquote(s); err == nil {
		return traces.String(text)
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return traces.Int(n)
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		return traces.Float(f)
	}
	if s == "true" || s == "false" {
		return traces.Bool(s == "true")
	}
	return traces.String(s)
}

// splitWords splits at blanks that are not in quotes.
func splitWords(line string) []string {
	var words []string
	var word strings.Builder
	quoted := false
	for _, r := range line + " " {
		switch {
		case r == '"':
			quoted = !quoted
			word.WriteRune(r)
		case r == ' ' && !quoted:
			if word.Len() > 0 {
				words = append(words, word.String())
				word.Reset()
			}
		default:
			word.WriteRune(r)
		}
	}
	return words
}
