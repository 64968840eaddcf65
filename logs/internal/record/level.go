package record

import (
	"bytes"
	"strings"

	"belfry/internal/otlpwire"
)

// Levels that Level returns.
const (
	LevelTrace    = "trace"
	LevelDebug    = "debug"
	LevelInfo     = "info"
	LevelWarn     = "warn"
	LevelError    = "error"
	LevelCritical = "critical"
	LevelUnknown  = "unknown"
)

// Level returns how severe a record is: by its severity number, its severity
// text, an attribute, a field in its body, a word in its body, in that order.
func Level(r *Record) string {
	switch n := r.SeverityNumber; {
	case n >= 1 && n <= 4:
		return LevelTrace
	case n >= 5 && n <= 8:
		return LevelDebug
	case n >= 9 && n <= 12:
		return LevelInfo
	case n >= 13 && n <= 16:
		return LevelWarn
	case n >= 17 && n <= 20:
		return LevelError
	case n >= 21 && n <= 24:
		return LevelCritical
	}
	if l := levelOf(r.SeverityText); l != "" {
		return l
	}
	for i := range r.Attributes {
		if a := &r.Attributes[i]; a.Value.Kind == otlpwire.KindString && isLevelKey(a.Key) {
			if l := levelOf(a.Value.Raw); l != "" {
				return l
			}
		}
	}
	switch r.Body.Kind {
	case otlpwire.KindString:
		return levelInText(r.Body.Raw)
	case otlpwire.KindMap:
		return levelInMap(&r.Body)
	}
	return LevelUnknown
}

func levelInMap(body *otlpwire.AnyValue) string {
	level := LevelUnknown
	// A malformed body is found, and refused, by whoever reads all of it.
	_ = body.Entries(func(key []byte, v otlpwire.AnyValue) error {
		if level == LevelUnknown && v.Kind == otlpwire.KindString && isLevelKey(key) {
			if l := levelOf(v.Raw); l != "" {
				level = l
			}
		}
		return nil
	})
	return level
}

func isLevelKey(key []byte) bool {
	switch string(key) {
	case "level", "LEVEL", "Level", "severity", "SEVERITY", "Severity", "lvl", "LVL", "log.level", "loglevel", "severity_text":
		return true
	}
	return false
}

// levelOf reads the name of a level, "" if it is none.
func levelOf(text []byte) string {
	if len(text) == 0 || len(text) > len("information") {
		return ""
	}
	switch strings.ToLower(string(text)) {
	case "trace", "trc":
		return LevelTrace
	case "debug", "dbg":
		return LevelDebug
	case "info", "inf", "information", "notice", "informational":
		return LevelInfo
	case "warn", "wrn", "warning":
		return LevelWarn
	case "error", "err", "eror":
		return LevelError
	case "critical", "fatal", "crit", "emerg", "emergency", "alert", "panic":
		return LevelCritical
	}
	return ""
}

// searched is how much of a body is looked at for a level.
const searched = 512

var levelFields = [...]string{"level", "lvl", "severity"}

func levelInText(body []byte) string {
	body = body[:min(len(body), searched)]
	for _, key := range levelFields {
		for rest := body; ; {
			i := bytes.Index(rest, []byte(key))
			if i < 0 {
				break
			}
			start := i == 0 || !isWordByte(rest[i-1])
			if rest = rest[i+len(key):]; !start {
				continue
			}
			if l := levelOf(valueAfterKey(rest)); l != "" {
				return l
			}
		}
	}
	best := LevelUnknown
	for i := 0; i < len(body); {
		if !isWordByte(body[i]) {
			i++
			continue
		}
		end := i
		for end < len(body) && isWordByte(body[end]) {
			end++
		}
		if l := levelOf(body[i:end]); rank(l) > rank(best) {
			best = l
		}
		i = end
	}
	return best
}

// valueAfterKey returns the word behind "key": " or key= or key: .
func valueAfterKey(s []byte) []byte {
	s = bytes.TrimLeft(s, "\"")
	if len(s) == 0 || s[0] != '=' && s[0] != ':' {
		return nil
	}
	s = bytes.TrimLeft(s[1:], " \"")
	end := 0
	for end < len(s) && isWordByte(s[end]) {
		end++
	}
	return s[:end]
}

func isWordByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_'
}

func rank(level string) int {
	switch level {
	case LevelTrace:
		return 1
	case LevelDebug:
		return 2
	case LevelInfo:
		return 3
	case LevelWarn:
		return 4
	case LevelError:
		return 5
	case LevelCritical:
		return 6
	}
	return 0
}
