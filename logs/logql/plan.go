package logql

import (
	"slices"
	"strings"

	"belfry/logs"
	"belfry/logs/logql/extract"
	"belfry/logs/logql/syntax"

	"github.com/grafana/regexp"
)

// plan is a log expression divided between store and pipeline.
type plan struct {
	matchers []*logs.Matcher
	filter   logs.Filter
	rest     []syntax.Stage  // what the store does not do
	needed   map[string]bool // labels that anything looks at; nil: all
	line     bool            // the rest looks at lines
}

// newPlan plans an expression of whose result only the given labels are looked
// at; nil means all.
func newPlan(e *syntax.LogExpr, outputs []string, all, line bool) *plan {
	p := &plan{matchers: e.Matchers, line: line}
	p.pushDown(e.Stages)
	if !all {
		p.needed = map[string]bool{}
		for _, name := range outputs {
			p.needed[name] = true
		}
		p.addNeeds()
	}
	for _, s := range p.rest {
		switch s.(type) {
		case *syntax.LabelFilter, *syntax.LabelFormat, *syntax.Drop, *syntax.Keep, *syntax.Unwrap:
		default:
			p.line = true
		}
	}
	for _, s := range p.rest { // templates may use __line__
		if _, ok := s.(*syntax.LabelFormat); ok {
			p.line = true
		}
	}
	return p
}

// pushDown moves to the store each filter that no stage before it can change the
// outcome of.
func (p *plan) pushDown(stages []syntax.Stage) {
	lineChanged, labelsChanged, canFail := false, false, false
	for _, s := range stages {
		switch s := s.(type) {
		case *syntax.LineFilter:
			if !lineChanged {
				f, exact := lineFilterOf(s)
				p.filter = logs.All(p.filter, f)
				if exact {
					continue
				}
			}
		case *syntax.LabelFilter:
			if !labelsChanged {
				left := p.pushCondition(s.Cond, canFail)
				if left == nil {
					continue
				}
				canFail = true // a number may not be one
				s = &syntax.LabelFilter{Cond: left}
				p.rest = append(p.rest, s)
				continue
			}
		case *syntax.Drop:
			if !canFail && dropsOnlyErrors(s) {
				continue
			}
			labelsChanged = labelsChanged || !dropsOnlyErrors(s)
		case *syntax.LineFormat:
			lineChanged, canFail = true, true
		case *syntax.Decolorize:
			lineChanged = true
		case *syntax.Unpack:
			lineChanged, labelsChanged, canFail = true, true, true
		default:
			labelsChanged, canFail = true, true
		}
		p.rest = append(p.rest, s)
	}
}

func dropsOnlyErrors(s *syntax.Drop) bool {
	for _, l := range s.Labels {
		if l.Name != errorLabel && l.Name != errorDetailsLabel {
			return false
		}
	}
	return true
}

// lineFilterOf returns a filter that holds for every line that passes s, and
// whether it holds for no other.
func lineFilterOf(s *syntax.LineFilter) (f logs.Filter, exact bool) {
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

// pushCondition pushes what it can of a condition and returns the rest.
func (p *plan) pushCondition(c syntax.Condition, canFail bool) syntax.Condition {
	if f, ok := conditionFilter(c, canFail); ok {
		p.filter = logs.All(p.filter, f)
		return nil
	}
	and, ok := c.(*syntax.AndCond)
	if !ok {
		return c
	}
	l := p.pushCondition(and.L, canFail)
	// What a number on the left marks as an error, the right side sees.
	r := p.pushCondition(and.R, canFail || l != nil)
	switch {
	case l == nil:
		return r
	case r == nil:
		return l
	}
	return &syntax.AndCond{L: l, R: r}
}

func conditionFilter(c syntax.Condition, canFail bool) (logs.Filter, bool) {
	switch c := c.(type) {
	case *syntax.StringCond:
		name := c.Matcher.Name
		if name == errorLabel || name == errorDetailsLabel {
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
		l, ok1 := conditionFilter(c.L, canFail)
		r, ok2 := conditionFilter(c.R, canFail)
		return logs.And{l, r}, ok1 && ok2
	case *syntax.OrCond:
		l, ok1 := conditionFilter(c.L, canFail)
		r, ok2 := conditionFilter(c.R, canFail)
		return logs.Or{l, r}, ok1 && ok2
	}
	return nil, false
}

// addNeeds adds the labels that the rest looks at, or gives up and needs all.
func (p *plan) addNeeds() {
	for _, s := range p.rest {
		switch s := s.(type) {
		case *syntax.LineFormat:
			p.needed = nil
			return
		case *syntax.LabelFilter:
			p.needCondition(s.Cond)
		case *syntax.Unwrap:
			p.needed[s.Label] = true
		case *syntax.LabelFormat:
			for _, l := range s.Labels {
				if !l.IsRename {
					p.needed = nil
					return
				}
				p.needed[l.Value], p.needed[l.Name] = true, true
			}
		case *syntax.Drop:
			p.needNames(s.Labels)
		case *syntax.Keep:
			p.needNames(s.Labels)
		}
	}
}

func (p *plan) needNames(list []syntax.NameOrMatcher) {
	for _, l := range list {
		p.needed[l.Name] = true
	}
}

func (p *plan) needCondition(c syntax.Condition) {
	switch c := c.(type) {
	case *syntax.AndCond:
		p.needCondition(c.L)
		p.needCondition(c.R)
	case *syntax.OrCond:
		p.needCondition(c.L)
		p.needCondition(c.R)
	case *syntax.StringCond:
		p.needed[c.Matcher.Name] = true
	case *syntax.NumberCond:
		p.needed[c.Name] = true
	case *syntax.IPCond:
		p.needed[c.Name] = true
	}
}

func (p *plan) want() logs.Want {
	w := logs.Want{Line: p.line, AllFields: p.needed == nil}
	for name := range p.needed {
		w.Fields = append(w.Fields, name)
		if base, ok := strings.CutSuffix(name, logs.ExtractedSuffix); ok {
			w.Fields = append(w.Fields, base)
		}
	}
	slices.Sort(w.Fields)
	w.Fields = slices.Compact(w.Fields)
	return w
}

// countable reports whether counting needs no more than the store's Count.
func (p *plan) countable(by []string) bool {
	if len(p.rest) > 0 {
		return false
	}
	for _, name := range by {
		if strings.HasSuffix(name, logs.ExtractedSuffix) || strings.HasPrefix(name, "__") {
			return false
		}
	}
	return true
}
