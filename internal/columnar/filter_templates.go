package columnar

import (
	"math/bits"

	"belfry/internal/columnar/column"
)

// byTemplates decides what it can of the rows of in by the templates that a column's values
// are made from: it adds rows to out, and returns those that remain to be looked at.
func (e *evaluator) byTemplates(l *leaf, slot int, in, out bitmap) (bitmap, error) {
	c := &e.view.columns()[slot]
	equal := l.onlyBytes[c.key.Kind]
	if c.disk == nil || !isText(c.key.Kind) || len(l.require) == 0 && equal == nil && l.automaton == nil {
		return in, nil
	}
	tpl, err := e.view.templates(slot)
	if err != nil || tpl == nil {
		return in, err
	}
	var of func(value int) column.Match
	var failed error
	switch {
	case equal != nil:
		if c.vec.Present() == nil { // a value for each row
			rows, ok, err := tpl.EqualAt(equal)
			if err != nil {
				return in, err
			}
			if ok {
				for _, row := range rows {
					if in.has(int(row)) {
						out.set(int(row))
					}
				}
				return bitmap(e.view.io.Arena.ZeroWords(len(in))), nil
			}
		}
		values, err := tpl.Equal(equal)
		if err != nil {
			return in, err
		}
		rest := bitmap(e.view.io.Arena.ZeroWords(len(in)))
		if values == nil {
			return rest, nil
		}
		if c.vec.Present() == nil {
			addMatches(values, in, out, rest)
			return rest, nil
		}
		of = func(value int) column.Match { return values[value] }
	case l.automaton != nil:
		verdicts, run := l.onTemplates(tpl), tpl.Run(l.automaton)
		of = func(value int) column.Match {
			m, err := run.Match(value)
			if err != nil {
				failed = err
			}
			if m == column.Maybe {
				m = verdicts[tpl.Of(value)]
			}
			return m
		}
	default:
		verdicts := l.onTemplates(tpl)
		of = func(value int) column.Match { return verdicts[tpl.Of(value)] }
	}
	a := e.view.io.Arena
	rest := bitmap(a.ZeroWords(len(in)))
	present := c.vec.Present()
	value := 0
	for w, word := range in {
		have := ^uint64(0)
		if present != nil {
			have = present[w]
		}
		for bit := word & have; bit != 0; bit &= bit - 1 {
			low := bit & -bit
			switch of(value + bits.OnesCount64(have&(low-1))) {
			case column.Always:
				out[w] |= low
			case column.Maybe:
				rest[w] |= low
			}
		}
		value += bits.OnesCount64(have)
	}
	return rest, failed
}

// addMatches adds to out and to rest the rows of in whose values, one for each row, match or may.
func addMatches(values []column.Match, in, out, rest bitmap) {
	for i, m := range values {
		switch {
		case m == column.Never || !in.has(i):
		case m == column.Always:
			out.set(i)
		default:
			rest.set(i)
		}
	}
}

// onTemplates returns what onTemplate says of each template.
func (l *leaf) onTemplates(tpl *column.Templates) []column.Match {
	verdicts := make([]column.Match, tpl.Len())
	for id := range verdicts {
		verdicts[id] = l.onTemplate(tpl, id)
	}
	return verdicts
}

// onTemplate decides the condition for all values made from a template.
func (l *leaf) onTemplate(tpl *column.Templates, id int) column.Match {
	all := column.Always
	for _, lits := range l.require {
		any := column.Never
		for i := range lits {
			m := column.Maybe
			if lits[i].ascii || !lits[i].fold {
				m = tpl.Find(id, lits[i].text, lits[i].fold)
			}
			any = max(any, m)
		}
		if all = min(all, any); all == column.Never {
			return column.Never
		}
	}
	if !l.exact {
		return column.Maybe
	}
	return all
}
