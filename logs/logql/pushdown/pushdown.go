package pushdown

import (
	"strings"

	"belfry/internal/fault"
	"belfry/logs"
	"belfry/logs/logql/extract"
	"belfry/logs/logql/syntax"

	"github.com/grafana/regexp"
)

// Labels that mark entries that a stage could not read.
const (
	ErrorLabel        = "__error__"
	ErrorDetailsLabel = "__error_details__"
)

// Selection reads a log query that a store can evaluate on its own: a selector, line filters
// (but patterns and ip()), and label filters on text. Anything else is an Invalid fault.
func Selection(query string) ([]*logs.Matcher, logs.Filter, error) {
	e, err := syntax.Parse(query)
	if err != nil {
		return nil, nil, err
	}
	le, ok := e.(*syntax.LogExpr)
	if !ok {
		return nil, nil, fault.Invalidf("a log query is wanted here, not a metric query")
	}
	var filter logs.Filter
	for _, s := range le.Stages {
		var f logs.Filter
		exact := false
		switch s := s.(type) {
		case *syntax.LineFilter:
			f, exact = Line(s)
		case *syntax.LabelFilter:
			f, exact = Condition(s.Cond, false)
		}
		if !exact {
			return nil, nil, fault.Invalidf("only line filters and label filters on text can be used here, not %s", s)
		}
		filter = logs.All(filter, f)
	}
	return le.Matchers, filter, nil
}

// Line returns a filter that holds for every line that passes s, and
// whether it holds for no other.
func Line(s *syntax.LineFilter) (f logs.Filter, exact bool) {
	var any logs.Or
	for _, t := range s.Terms {
		switch {
		case t.IP:
			return nil, false
		case s.Op == "|>" || s.Op == "!>":
			return patternHint(s), false
		case t.Re != nil:
			any = append(any, regexpFilter(t.Re))
		case t.Text == "":
			any = append(any, logs.And{})
		default:
			any = append(any, logs.LineContains{Text: t.Text})
		}
	}
	f = any
	if len(any) == 1 {
		f = any[0]
	}
	if s.Op[0] == '!' {
		f = logs.Not{Of: f}
	}
	return f, true
}

func patternHint(s *syntax.LineFilter) logs.Filter {
	if s.Op != "|>" || len(s.Terms) != 1 {
		return nil
	}
	pat, err := extract.ParseLinePattern(s.Terms[0].Text)
	if err != nil {
		return nil
	}
	var all logs.And
	for _, lit := range pat.Literals() {
		all = append(all, logs.LineContains{Text: lit})
	}
	if len(all) == 0 {
		return nil
	}
	return all
}

// regexpFilter is the expression, or the text that it stands for.
func regexpFilter(re *regexp.Regexp) logs.Filter {
	text, fold := strings.CutPrefix(re.String(), "(?i)")
	if regexp.QuoteMeta(text) == text {
		if text == "" {
			return logs.And{}
		}
		return logs.LineContains{Text: text, Fold: fold}
	}
	return logs.LineMatches{Re: re}
}

// Condition returns the filter that a label filter's condition stands for; ok
// says that it is no more and no less. canFail says that a stage before it may
// mark entries with an error, which only a pipeline knows.
func Condition(c syntax.Condition, canFail bool) (f logs.Filter, ok bool) {
	switch c := c.(type) {
	case *syntax.StringCond:
		name := c.Matcher.Name
		if name == ErrorLabel || name == ErrorDetailsLabel {
			switch {
			case canFail:
				return nil, false
			case c.Matcher.Matches(""):
				return logs.And{}, true
			}
			return logs.Or{}, true
		}
		if strings.HasSuffix(name, logs.ExtractedSuffix) {
			return nil, false
		}
		return logs.FieldMatches{Matcher: c.Matcher}, true
	case *syntax.AndCond:
		l, ok1 := Condition(c.L, canFail)
		r, ok2 := Condition(c.R, canFail)
		return logs.And{l, r}, ok1 && ok2
	case *syntax.OrCond:
		l, ok1 := Condition(c.L, canFail)
		r, ok2 := Condition(c.R, canFail)
		return logs.Or{l, r}, ok1 && ok2
	}
	return nil, false
}
