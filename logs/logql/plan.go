package logql

import (
	"slices"
	"strings"

	"belfry/logs"
	"belfry/logs/logql/pushdown"
	"belfry/logs/logql/syntax"
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
				f, exact := pushdown.Line(s)
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

// pushCondition pushes what it can of a condition and returns the rest.
func (p *plan) pushCondition(c syntax.Condition, canFail bool) syntax.Condition {
	if f, ok := pushdown.Condition(c, canFail); ok {
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
