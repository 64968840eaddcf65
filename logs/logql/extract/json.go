package extract

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Errors of JSON lines.
var (
	ErrJSON       = errors.New("malformed JSON")
	ErrJSONObject = errors.New("expecting json object, but it is not")
)

const maxJSONDepth = 128

// FlattenJSON calls set for each string, number and boolean in a JSON object,
// with the keys that lead to it joined by '_' and made label names. Arrays and
// nulls are passed over. key is valid during the call only; value may be kept.
//
// What precedes a syntax error has been set when it is returned.
func FlattenJSON(line string, set func(key []byte, value string)) error {
	i := skipBlank(line, 0)
	if i >= len(line) || line[i] != '{' {
		return ErrJSONObject
	}
	named := func(key []byte, value string) {
		if len(key) > 0 { // a member without a name has no label
			set(key, value)
		}
	}
	end, err := flattenObject(line, i, make([]byte, 0, 64), 0, named)
	if err != nil {
		return err
	}
	if skipBlank(line, end) != len(line) {
		return ErrJSON
	}
	return nil
}

func flattenObject(s string, i int, prefix []byte, depth int, set func([]byte, string)) (int, error) {
	if depth > maxJSONDepth {
		return i, ErrJSON
	}
	base := len(prefix)
	return walkObject(s, i, func(rawKey string, v int) (int, error) {
		key := prefix[:base]
		if base > 0 {
			key = append(key, '_')
		}
		key = appendLabelName(key, unescape(rawKey))
		switch {
		case v >= len(s):
			return v, ErrJSON
		case s[v] == '{':
			return flattenObject(s, v, key, depth+1, set)
		case s[v] == '[' || s[v] == 'n':
			return skipValue(s, v, depth)
		case s[v] == '"':
			end, err := skipString(s, v)
			if err == nil {
				set(key, unescape(s[v+1:end-1]))
			}
			return end, err
		}
		end, err := skipValue(s, v, depth)
		if err == nil {
			set(key, s[v:end])
		}
		return end, err
	})
}

// walkObject calls member for each member of the object at s[i], with the key
// as written and where the value begins; member returns where it ends.
func walkObject(s string, i int, member func(rawKey string, value int) (int, error)) (int, error) {
	i = skipBlank(s, i+1)
	if i < len(s) && s[i] == '}' {
		return i + 1, nil
	}
	for {
		if i >= len(s) || s[i] != '"' {
			return i, ErrJSON
		}
		end, err := skipString(s, i)
		if err != nil {
			return i, err
		}
		key := s[i+1 : end-1]
		i = skipBlank(s, end)
		if i >= len(s) || s[i] != ':' {
			return i, ErrJSON
		}
		if i, err = member(key, skipBlank(s, i+1)); err != nil {
			return i, err
		}
		i = skipBlank(s, i)
		switch {
		case i >= len(s):
			return i, ErrJSON
		case s[i] == '}':
			return i + 1, nil
		case s[i] != ',':
			return i, ErrJSON
		}
		i = skipBlank(s, i+1)
	}
}

func walkArray(s string, i int, element func(value int) (int, error)) (int, error) {
	i = skipBlank(s, i+1)
	if i < len(s) && s[i] == ']' {
		return i + 1, nil
	}
	for {
		var err error
		if i, err = element(i); err != nil {
			return i, err
		}
		i = skipBlank(s, i)
		switch {
		case i >= len(s):
			return i, ErrJSON
		case s[i] == ']':
			return i + 1, nil
		case s[i] != ',':
			return i, ErrJSON
		}
		i = skipBlank(s, i+1)
	}
}

func skipBlank(s string, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\t' || s[i] == '\n' || s[i] == '\r') {
		i++
	}
	return i
}

// skipString returns the position after the string at s[i] == '"'.
func skipString(s string, i int) (int, error) {
	for j := i + 1; ; {
		q := strings.IndexAny(s[j:], `"\`)
		if q < 0 {
			return len(s), ErrJSON
		}
		j += q
		if s[j] == '"' {
			return j + 1, nil
		}
		if j += 2; j > len(s) {
			return len(s), ErrJSON
		}
	}
}

func skipValue(s string, i, depth int) (int, error) {
	if i >= len(s) || depth > maxJSONDepth {
		return i, ErrJSON
	}
	switch c := s[i]; {
	case c == '"':
		return skipString(s, i)
	case c == '{':
		return walkObject(s, i, func(_ string, v int) (int, error) { return skipValue(s, v, depth+1) })
	case c == '[':
		return walkArray(s, i, func(v int) (int, error) { return skipValue(s, v, depth+1) })
	case c == '-' || '0' <= c && c <= '9':
		end := i + 1
		for end < len(s) && strings.IndexByte("0123456789+-.eE", s[end]) >= 0 {
			end++
		}
		if _, err := strconv.ParseFloat(s[i:end], 64); err != nil && !errors.Is(err, strconv.ErrRange) {
			return i, ErrJSON
		}
		return end, nil
	}
	for _, word := range [...]string{"true", "false", "null"} {
		if strings.HasPrefix(s[i:], word) {
			return i + len(word), nil
		}
	}
	return i, ErrJSON
}

// unescape returns the text of a JSON string's content.
func unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b = append(b, s[i])
			continue
		}
		i++
		switch s[i] {
		case 'n':
			b = append(b, '\n')
		case 't':
			b = append(b, '\t')
		case 'r':
			b = append(b, '\r')
		case 'b':
			b = append(b, '\b')
		case 'f':
			b = append(b, '\f')
		case 'u':
			r := hex4(s, i+1)
			i += 4
			if utf16.IsSurrogate(r) {
				if low := hex4(s, i+3); i+2 < len(s) && s[i+1] == '\\' && s[i+2] == 'u' && utf16.IsSurrogate(low) {
					r = utf16.DecodeRune(r, low)
					i += 6
				} else {
					r = utf8.RuneError
				}
			}
			b = utf8.AppendRune(b, r)
		default:
			b = append(b, s[i])
		}
	}
	return string(b)
}

func hex4(s string, i int) rune {
	if i < 0 || i+4 > len(s) {
		return utf8.RuneError
	}
	n, err := strconv.ParseUint(s[i:i+4], 16, 16)
	if err != nil {
		return utf8.RuneError
	}
	return rune(n)
}

// appendLabelName appends name as a label name or the continuation of one.
func appendLabelName(dst []byte, name string) []byte {
	if len(dst) == 0 && name != "" && '0' <= name[0] && name[0] <= '9' {
		dst = append(dst, '_')
	}
	for _, r := range name {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_' {
			dst = append(dst, byte(r))
		} else {
			dst = append(dst, '_')
		}
	}
	return dst
}

// Path is the way to a value in JSON: servers[0].name, headers["User-Agent"].
type Path []Step

// Step is one step of a Path: a key or, if Key is nil, an index.
type Step struct {
	Key   *string
	Index int
}

// CheckPath reports what is wrong with a path.
func CheckPath(s string) error { _, err := ParsePath(s); return err }

// ParsePath reads a path.
func ParsePath(s string) (Path, error) {
	var path Path
	for i := 0; i < len(s); {
		switch s[i] {
		case '[':
			end := i + 1
			if end < len(s) && s[end] == '"' {
				close, err := skipString(s, end)
				if err != nil || close >= len(s) || s[close] != ']' {
					return nil, errors.New("unexpected end of a quoted key")
				}
				key := unescape(s[end+1 : close-1])
				path = append(path, Step{Key: &key})
				i = close + 1
				break
			}
			close := strings.IndexByte(s[i:], ']')
			if close < 0 {
				return nil, errors.New("missing ]")
			}
			n, err := strconv.Atoi(s[i+1 : i+close])
			if err != nil || n < 0 {
				return nil, errors.New("an index must be a number")
			}
			path = append(path, Step{Index: n})
			i += close + 1
		case '.':
			if i++; len(path) == 0 || i == len(s) || s[i] == '.' || s[i] == '[' {
				return nil, errors.New("unexpected '.'")
			}
		default:
			end := i
			for end < len(s) && s[end] != '.' && s[end] != '[' {
				end++
			}
			key := s[i:end]
			if strings.ContainsAny(key, " \t\"]{}(),") || i > 0 && s[i-1] == ']' {
				return nil, errors.New("unexpected " + strconv.Quote(key))
			}
			path = append(path, Step{Key: &key})
			i = end
		}
	}
	if len(path) == 0 {
		return nil, errors.New("empty expression")
	}
	return path, nil
}

// Lookup returns the text of the value that the path leads to: strings without
// quotes, objects and arrays as written. The line must be one JSON value.
func (p Path) Lookup(line string) (value string, found bool, err error) {
	i := skipBlank(line, 0)
	end, err := skipValue(line, i, 0)
	if err != nil || skipBlank(line, end) != len(line) {
		return "", false, ErrJSON
	}
	for _, step := range p {
		at := -1
		switch {
		case step.Key != nil && line[i] == '{':
			_, err = walkObject(line, i, func(rawKey string, v int) (int, error) {
				if at < 0 && unescape(rawKey) == *step.Key {
					at = v
				}
				return skipValue(line, v, 0)
			})
		case step.Key == nil && line[i] == '[':
			n := 0
			_, err = walkArray(line, i, func(v int) (int, error) {
				if n == step.Index {
					at = v
				}
				n++
				return skipValue(line, v, 0)
			})
		}
		if err != nil || at < 0 {
			return "", false, err
		}
		i = at
	}
	end, err = skipValue(line, i, 0)
	if err != nil {
		return "", false, err
	}
	switch line[i] {
	case '"':
		return unescape(line[i+1 : end-1]), true, nil
	case 'n':
		return "", true, nil
	}
	return line[i:end], true, nil
}
