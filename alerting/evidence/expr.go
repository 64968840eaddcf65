package evidence

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// FromGenerator returns the signal and the expression of the rule behind an
// alert's generator URL: the page of the signal, as Belfry's rules and Prometheus
// write it. Both are empty where it says none.
func FromGenerator(link string) (signal, expr string) {
	u, err := url.Parse(link)
	if err != nil {
		return "", ""
	}
	q := u.Query()
	switch {
	case strings.HasSuffix(u.Path, "/logs"):
		signal, expr = Logs, q.Get("q")
	case strings.HasSuffix(u.Path, "/traces"):
		signal, expr = Traces, q.Get("q")
	default:
		signal, expr = Metrics, q.Get("g0.expr")
	}
	if expr == "" {
		return "", ""
	}
	return signal, expr
}

var threshold = regexp.MustCompile(`(==|!=|>=|<=|>|<)\s*(?:bool\s+)?(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)\s*\)*\s*$`)

// thresholdOf returns the comparison with a number at the end of an expression.
func thresholdOf(expr string) string {
	m := threshold.FindStringSubmatch(expr)
	if m == nil {
		return ""
	}
	return m[1] + " " + m[2]
}

// WithoutThreshold returns what an expression compares with a number at its end,
// for languages that have no better way to tell; false where it does not.
func WithoutThreshold(expr string) (operand string, ok bool) {
	at := threshold.FindStringIndex(expr)
	if at == nil || strings.HasSuffix(strings.TrimSpace(expr), ")") {
		return "", false
	}
	return strings.TrimSpace(expr[:at[0]]), true
}

// limit returns the number of a threshold.
func (e *Evidence) limit() (float64, bool) {
	_, number, ok := strings.Cut(e.Threshold, " ")
	if !ok {
		return 0, false
	}
	v, err := strconv.ParseFloat(number, 64)
	return v, err == nil
}

// LinesBehind returns the query of the lines that a LogQL metric query counts: its
// first selector with the stages up to the range. Empty where there is none.
func LinesBehind(expr string) string {
	open := indexOutside(expr, 0, '{')
	if open < 0 {
		return ""
	}
	end := indexOutside(expr, open, '[')
	if end < 0 {
		if end = closing(expr, open); end < 0 {
			return ""
		}
	}
	return strings.TrimSpace(unwrap.ReplaceAllString(expr[open:end], ""))
}

var unwrap = regexp.MustCompile(`\|\s*unwrap\b[^|]*`)

// SpansBehind returns the first filter of a TraceQL metric query, empty where
// there is none.
func SpansBehind(expr string) string {
	open := indexOutside(expr, 0, '{')
	if open < 0 {
		return ""
	}
	end := closing(expr, open)
	if end < 0 {
		return ""
	}
	return expr[open:end]
}

// indexOutside returns the place of a byte outside of strings, -1 for none.
func indexOutside(text string, from int, wanted byte) int {
	for i := from; i < len(text); i++ {
		switch c := text[i]; c {
		case wanted:
			return i
		case '"', '`':
			i = stringEnd(text, i)
		}
	}
	return -1
}

// closing returns the place after the brace that closes the one at open.
func closing(text string, open int) int {
	depth := 0
	for i := open; i < len(text); i++ {
		switch c := text[i]; c {
		case '"', '`':
			i = stringEnd(text, i)
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return -1
}

// stringEnd returns the place of the quote that ends the string begun at i, or the
// last byte.
func stringEnd(text string, i int) int {
	quote := text[i]
	for i++; i < len(text); i++ {
		switch {
		case text[i] == '\\' && quote == '"':
			i++
		case text[i] == quote:
			return i
		}
	}
	return len(text) - 1
}

func quote(text string) string { return strconv.Quote(text) }
