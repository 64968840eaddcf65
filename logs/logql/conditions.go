package logql

import (
	"strconv"
	"strings"

	"belfry/logs/logql/extract"
	"belfry/logs/logql/syntax"
)

func lineFilter(s *syntax.LineFilter) (stage, error) {
	matchers := make([]func(string) bool, len(s.Terms))
	for i, t := range s.Terms {
		switch {
		case t.IP:
			ip, err := extract.ParseIP(t.Text)
			if err != nil {
				return nil, err
			}
			matchers[i] = ip.FindIn
		case t.Re != nil:
			matchers[i] = t.Re.MatchString
		case s.Op == "|>" || s.Op == "!>":
			pat, err := extract.ParseLinePattern(t.Text)
			if err != nil {
				return nil, err
			}
			matchers[i] = pat.Match
		default:
			matchers[i] = func(line string) bool { return strings.Contains(line, t.Text) }
		}
	}
	positive := s.Op[0] == '|'
	return func(r *row) bool {
		for _, m := range matchers {
			if m(r.line) {
				return positive
			}
		}
		return !positive
	}, nil
}

func condition(c syntax.Condition) (func(*row) bool, error) {
	switch c := c.(type) {
	case *syntax.AndCond:
		l, err := condition(c.L)
		if err != nil {
			return nil, err
		}
		r, err := condition(c.R)
		return func(x *row) bool { return l(x) && r(x) }, err
	case *syntax.OrCond:
		l, err := condition(c.L)
		if err != nil {
			return nil, err
		}
		r, err := condition(c.R)
		return func(x *row) bool { return l(x) || r(x) }, err
	case *syntax.StringCond:
		return func(r *row) bool {
			v, _ := r.get(c.Matcher.Name)
			return c.Matcher.Matches(v)
		}, nil
	case *syntax.IPCond:
		ip, err := extract.ParseIP(c.Text)
		return func(r *row) bool {
			v, ok := r.get(c.Name)
			return ok && ip.MatchText(v) != c.Negate
		}, err
	case *syntax.NumberCond:
		return numberCondition(c), nil
	}
	return nil, &syntax.ParseError{Msg: "unknown condition " + c.String()}
}

// numberCondition compares a label as a number. A missing label fails it; one
// that is no number marks the entry and lets it pass, as does an
// earlier error: only conditions on text can drop entries with errors.
func numberCondition(c *syntax.NumberCond) func(*row) bool {
	return func(r *row) bool {
		if r.err != "" {
			return true
		}
		text, ok := r.get(c.Name)
		if !ok {
			return false
		}
		v, err := parseNumber(text, c.Unit)
		if err != nil {
			r.fail(errLabelFilter, err.Error())
			return true
		}
		_, holds := syntax.Arithmetic(c.Op, v, c.Value)
		return holds
	}
}

func parseNumber(text string, unit syntax.Unit) (float64, error) {
	switch unit {
	case syntax.UnitDuration:
		d, err := extract.ParseDuration(text)
		return d.Seconds(), err
	case syntax.UnitBytes:
		n, err := extract.ParseBytes(text)
		return float64(n), err
	}
	return strconv.ParseFloat(text, 64)
}
