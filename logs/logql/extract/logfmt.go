package extract

import (
	"errors"
	"strings"
)

// ErrLogfmt marks a line that is not logfmt.
var ErrLogfmt = errors.New("malformed logfmt")

// Logfmt calls set for each key of a logfmt line, in order. A key without a
// value, or with an empty one, has the value "". Lenient, it passes over what is not a
// pair; strict, it ends there with ErrLogfmt.
func Logfmt(line string, strict bool, set func(key, value string)) error {
	for i := 0; ; {
		for i < len(line) && line[i] <= ' ' {
			i++
		}
		if i >= len(line) {
			return nil
		}
		start := i
		for i < len(line) && line[i] > ' ' && line[i] != '=' && line[i] != '"' {
			i++
		}
		key := line[start:i]
		if key == "" || i < len(line) && line[i] == '"' { // ="x", a"b
			if strict {
				return ErrLogfmt
			}
			i = skipWord(line, i)
			continue
		}
		if i >= len(line) || line[i] != '=' {
			set(key, "")
			continue
		}
		i++
		value, next, ok := logfmtValue(line, i)
		if i = next; !ok {
			if strict {
				return ErrLogfmt
			}
			continue
		}
		set(key, value)
	}
}

func skipWord(line string, i int) int {
	for i < len(line) && line[i] > ' ' {
		i++
	}
	return i
}

func logfmtValue(line string, i int) (value string, next int, ok bool) {
	if i < len(line) && line[i] == '"' {
		end, err := skipString(line, i)
		if err != nil {
			return "", len(line), false
		}
		if end < len(line) && line[end] > ' ' { // "x"y
			return "", skipWord(line, end), false
		}
		return unescape(line[i+1 : end-1]), end, true
	}
	next = skipWord(line, i)
	value = line[i:next]
	return value, next, strings.IndexByte(value, '"') < 0 && strings.IndexByte(value, '=') < 0
}

// AppendLabelName appends name as a label name: what is no letter, digit or '_'
// becomes '_', and a leading digit gets a '_' before it.
func AppendLabelName(dst []byte, name string) []byte { return appendLabelName(dst, name) }
