package extract

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
	"text/template"
	"text/template/parse"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/grafana/regexp"
)

// Bounds on one execution of a template.
const (
	maxTemplateOutput = 1 << 20 // bytes written
	maxTemplateRounds = 100_000 // of all its loops together
)

// Template is the text of line_format and label_format. It is not safe for
// concurrent use; parse one per goroutine.
type Template struct {
	tmpl *template.Template
	line string
	time int64
	out  limitedBuilder

	rounds int
}

// ParseTemplate reads a template.
func ParseTemplate(text string) (*Template, error) {
	t := &Template{}
	fns := functions()
	fns["__line__"] = func() string { return t.line }
	fns["__timestamp__"] = func() time.Time { return time.Unix(0, t.time).UTC() }
	fns[tickFunction] = t.tick
	tmpl, err := template.New("template").Option("missingkey=zero").Funcs(fns).Parse(text)
	if err != nil {
		return nil, err
	}
	tick, err := template.New("tick").Funcs(fns).Parse("{{" + tickFunction + "}}")
	if err != nil {
		return nil, err
	}
	for _, part := range tmpl.Templates() {
		if part.Tree != nil {
			countRounds(part.Root, tick.Root.Nodes[0])
		}
	}
	t.tmpl = tmpl
	return t, nil
}

// tickFunction is called by every round of every loop: a template can count to
// any number, and nothing else would stop it.
const tickFunction = "__round__"

func (t *Template) tick() (string, error) {
	if t.rounds++; t.rounds > maxTemplateRounds {
		return "", fmt.Errorf("template loops more than %d times", maxTemplateRounds)
	}
	return "", nil
}

// countRounds puts a call of tick at the head of every loop's body.
func countRounds(list *parse.ListNode, tick parse.Node) {
	if list == nil {
		return
	}
	for _, n := range list.Nodes {
		switch n := n.(type) {
		case *parse.RangeNode:
			countRounds(n.List, tick)
			countRounds(n.ElseList, tick)
			n.List.Nodes = append([]parse.Node{tick}, n.List.Nodes...)
		case *parse.IfNode:
			countRounds(n.List, tick)
			countRounds(n.ElseList, tick)
		case *parse.WithNode:
			countRounds(n.List, tick)
			countRounds(n.ElseList, tick)
		}
	}
}

// Execute writes the template for an entry.
func (t *Template) Execute(labels map[string]string, line string, timestamp int64) (string, error) {
	t.line, t.time, t.rounds = line, timestamp, 0
	t.out.b.Reset()
	if err := t.tmpl.Execute(&t.out, labels); err != nil {
		return "", err
	}
	return t.out.b.String(), nil
}

type limitedBuilder struct{ b strings.Builder }

func (l *limitedBuilder) Write(p []byte) (int, error) {
	if l.b.Len()+len(p) > maxTemplateOutput {
		return 0, fmt.Errorf("template writes more than %d bytes", maxTemplateOutput)
	}
	return l.b.Write(p)
}

// functions are the documented template functions; text/template has its own besides.
func functions() template.FuncMap {
	fns := template.FuncMap{
		"ToLower": strings.ToLower, "ToUpper": strings.ToUpper,
		"Replace": strings.Replace, "Trim": strings.Trim, "TrimLeft": strings.TrimLeft, "TrimRight": strings.TrimRight,
		"TrimPrefix": strings.TrimPrefix, "TrimSuffix": strings.TrimSuffix, "TrimSpace": strings.TrimSpace,

		"lower": strings.ToLower, "upper": strings.ToUpper, "title": title,
		"trunc": trunc, "substr": substr,
		"contains":   func(sub, s string) bool { return strings.Contains(s, sub) },
		"hasPrefix":  func(p, s string) bool { return strings.HasPrefix(s, p) },
		"hasSuffix":  func(p, s string) bool { return strings.HasSuffix(s, p) },
		"indent":     indent,
		"nindent":    func(n int, s string) (string, error) { r, err := indent(n, s); return "\n" + r, err },
		"replace":    func(old, now, s string) string { return strings.ReplaceAll(s, old, now) },
		"repeat":     repeat,
		"trim":       strings.TrimSpace,
		"trimAll":    func(cut, s string) string { return strings.Trim(s, cut) },
		"trimPrefix": func(p, s string) string { return strings.TrimPrefix(s, p) },
		"trimSuffix": func(p, s string) string { return strings.TrimSuffix(s, p) },
		"alignLeft":  alignLeft, "alignRight": alignRight,
		"default": func(d, v any) any {
			if v == nil || v == "" || v == 0 || v == false {
				return d
			}
			return v
		},

		"regexReplaceAll":        regexReplaceAll,
		"regexReplaceAllLiteral": regexReplaceAllLiteral,
		"count":                  countMatches,

		"urldecode": url.QueryUnescape, "urlencode": url.QueryEscape,
		"b64enc":   func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
		"b64dec":   func(s string) (string, error) { b, err := base64.StdEncoding.DecodeString(s); return string(b), err },
		"fromJson": fromJSON,

		"int":     func(v any) int64 { return int64(number(v)) },
		"float64": number,
		"add":     func(v ...any) int64 { return foldInt(v, func(a, b int64) int64 { return a + b }) },
		"sub":     func(a, b any) int64 { return integer(a) - integer(b) },
		"mul":     func(v ...any) int64 { return foldInt(v, func(a, b int64) int64 { return a * b }) },
		"div":     func(a, b any) (int64, error) { return divide(integer(a), integer(b), false) },
		"mod":     func(a, b any) (int64, error) { return divide(integer(a), integer(b), true) },
		"addf":    func(v ...any) float64 { return foldFloat(v, func(a, b float64) float64 { return a + b }) },
		"subf":    func(v ...any) float64 { return foldFloat(v, func(a, b float64) float64 { return a - b }) },
		"mulf":    func(v ...any) float64 { return foldFloat(v, func(a, b float64) float64 { return a * b }) },
		"divf":    func(v ...any) float64 { return foldFloat(v, func(a, b float64) float64 { return a / b }) },
		"max":     func(v ...any) int64 { return foldInt(v, func(a, b int64) int64 { return max(a, b) }) },
		"min":     func(v ...any) int64 { return foldInt(v, func(a, b int64) int64 { return min(a, b) }) },
		"maxf":    func(v ...any) float64 { return foldFloat(v, math.Max) },
		"minf":    func(v ...any) float64 { return foldFloat(v, math.Min) },
		"ceil":    func(v any) float64 { return math.Ceil(number(v)) },
		"floor":   func(v any) float64 { return math.Floor(number(v)) },
		"round":   roundTo,

		"bytes":            func(s string) (float64, error) { n, err := ParseBytes(s); return float64(n), err },
		"duration":         seconds,
		"duration_seconds": seconds,

		"now":             time.Now,
		"date":            func(layout string, t time.Time) string { return t.Format(layout) },
		"toDate":          func(layout, s string) (time.Time, error) { return time.ParseInLocation(layout, s, time.UTC) },
		"toDateInZone":    toDateInZone,
		"unixToTime":      unixToTime,
		"unixEpoch":       func(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) },
		"unixEpochMillis": func(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) },
		"unixEpochNanos":  func(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) },
	}
	return fns
}

func title(s string) string {
	prev := ' '
	return strings.Map(func(r rune) rune {
		start := !unicode.IsLetter(prev) && !unicode.IsDigit(prev) && prev != '\'' && prev != '_'
		prev = r
		if start {
			return unicode.ToTitle(r)
		}
		return r
	}, s)
}

func trunc(n int, s string) string {
	if n < 0 {
		return s[max(0, len(s)+n):]
	}
	return s[:min(n, len(s))]
}

func substr(start, end int, s string) string {
	if start < 0 {
		start = 0
	}
	if end < 0 || end > len(s) {
		end = len(s)
	}
	if start > end {
		return ""
	}
	return s[start:end]
}

func indent(n int, s string) (string, error) {
	pad, err := repeat(n, " ")
	return pad + strings.ReplaceAll(s, "\n", "\n"+pad), err
}

func repeat(n int, s string) (string, error) {
	if n < 0 || n*len(s) > maxTemplateOutput {
		return "", fmt.Errorf("cannot repeat %d times", n)
	}
	return strings.Repeat(s, n), nil
}

func alignLeft(n int, s string) (string, error) { return align(n, s, true) }

func alignRight(n int, s string) (string, error) { return align(n, s, false) }

func align(n int, s string, left bool) (string, error) {
	if n < 0 {
		return s, nil
	}
	count := utf8.RuneCountInString(s)
	if count > n {
		r := []rune(s)
		if left {
			return string(r[:n]), nil
		}
		return string(r[count-n:]), nil
	}
	pad, err := repeat(n-count, " ")
	if left {
		return s + pad, err
	}
	return pad + s, err
}

func regexReplaceAll(re, s, repl string) (string, error) {
	r, err := regexp.Compile(re)
	if err != nil {
		return "", err
	}
	return r.ReplaceAllString(s, repl), nil
}

func regexReplaceAllLiteral(re, s, repl string) (string, error) {
	r, err := regexp.Compile(re)
	if err != nil {
		return "", err
	}
	return r.ReplaceAllLiteralString(s, repl), nil
}

func countMatches(re, s string) (int, error) {
	r, err := regexp.Compile(re)
	if err != nil {
		return 0, err
	}
	return len(r.FindAllStringIndex(s, -1)), nil
}

func fromJSON(s string) any {
	var v any
	if json.Unmarshal([]byte(s), &v) != nil {
		return nil
	}
	return v
}

func number(v any) float64 {
	switch v := v.(type) {
	case float64:
		return v
	case int:
		return float64(v)
	case int64:
		return float64(v)
	case bool:
		if v {
			return 1
		}
	case string:
		f, _ := strconv.ParseFloat(strings.TrimSpace(v), 64)
		return f
	}
	return 0
}

func integer(v any) int64 {
	switch v := v.(type) {
	case int:
		return int64(v)
	case int64:
		return v
	case string:
		if n, err := strconv.ParseInt(strings.TrimSpace(v), 0, 64); err == nil {
			return n
		}
	}
	return int64(number(v))
}

func foldInt(v []any, f func(a, b int64) int64) int64 {
	if len(v) == 0 {
		return 0
	}
	n := integer(v[0])
	for _, x := range v[1:] {
		n = f(n, integer(x))
	}
	return n
}

func foldFloat(v []any, f func(a, b float64) float64) float64 {
	if len(v) == 0 {
		return 0
	}
	n := number(v[0])
	for _, x := range v[1:] {
		n = f(n, number(x))
	}
	return n
}

func divide(a, b int64, mod bool) (int64, error) {
	switch {
	case b == 0:
		return 0, fmt.Errorf("division of %d by zero", a)
	case mod:
		return a % b, nil
	}
	return a / b, nil
}

func roundTo(v any, digits int, up ...float64) float64 {
	half := 0.5
	if len(up) > 0 {
		half = up[0]
	}
	pow := math.Pow(10, float64(digits))
	whole, frac := math.Modf(number(v) * pow)
	if frac >= half {
		whole++
	}
	return whole / pow
}

func seconds(s string) (float64, error) {
	d, err := ParseDuration(s)
	return d.Seconds(), err
}

func toDateInZone(layout, zone, s string) (time.Time, error) {
	loc, err := time.LoadLocation(zone)
	if err != nil {
		return time.Time{}, err
	}
	return time.ParseInLocation(layout, s, loc)
}

// unixToTime reads days, seconds, milli-, micro- or nanoseconds since the epoch,
// told apart by the number of digits.
func unixToTime(s string) (time.Time, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return time.Time{}, err
	}
	switch len(s) {
	case 5:
		return time.Unix(n*86400, 0).UTC(), nil
	case 10:
		return time.Unix(n, 0).UTC(), nil
	case 13:
		return time.UnixMilli(n).UTC(), nil
	case 16:
		return time.UnixMicro(n).UTC(), nil
	case 19:
		return time.Unix(0, n).UTC(), nil
	}
	return time.Time{}, fmt.Errorf("unable to parse time %q", s)
}
