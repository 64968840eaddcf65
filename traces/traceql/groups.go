package traceql

import "slices"

// groups knows of each opening parenthesis what stands in it, so that the parser
// need not try: ({ } | count() > 1) is a spanset, ({ } | count()) a number.
type groups struct {
	end  []int32 // of the closing parenthesis, by position of the opening one; 0 if it is missing
	bar  []int32 // of the last | that is in no parentheses within
	kind []groupKind
}

type groupKind uint8

const (
	groupUnknown groupKind = iota
	groupScalar
	groupOther
)

func groupsOf(tokens []token) groups {
	n := len(tokens)
	g := groups{end: make([]int32, n), bar: make([]int32, n), kind: make([]groupKind, n)}
	var open []int
	for i, t := range tokens {
		if t.kind != tokOp {
			continue
		}
		switch t.text {
		case "(":
			open = append(open, i)
		case ")":
			if len(open) > 0 {
				g.end[open[len(open)-1]] = int32(i)
				open = open[:len(open)-1]
			}
		case "|":
			if len(open) > 0 {
				g.bar[open[len(open)-1]] = int32(i)
			}
		}
	}
	// Inner parentheses come behind outer ones, so that these find theirs decided.
	for i := n - 1; i >= 0; i-- {
		if g.end[i] > 0 {
			g.kind[i] = g.decide(tokens, i)
		}
	}
	return g
}

// hasBar reports whether the parentheses at a position hold a pipeline of several stages.
func (g *groups) hasBar(open int) bool { return g.bar[open] > 0 }

// isScalar reports whether the parentheses at a position hold a number.
func (g *groups) isScalar(open int) bool { return g.kind[open] == groupScalar }

// decide looks at the last stage of what is in the parentheses: it is a number if it
// begins like one and is not compared with anything.
func (g *groups) decide(tokens []token, open int) groupKind {
	first := max(open, int(g.bar[open])) + 1
	for first < int(g.end[open]) && tokens[first].kind == tokOp && tokens[first].text == "-" {
		first++
	}
	switch t := tokens[first]; {
	case t.kind == tokLiteral && t.static.Type.isNumber():
	case t.kind == tokIdent && slices.Contains(aggregates, t.text):
	case t.kind == tokOp && t.text == "(" && g.kind[first] == groupScalar:
	default:
		return groupOther
	}
	for i := first; i < int(g.end[open]); i++ {
		t := tokens[i]
		if t.kind == tokOp && t.text == "(" {
			i = int(g.end[i])
			continue
		}
		if isComparison(t) || t.kind == tokOp && (t.text == "&&" || t.text == "||" || slices.Contains(structuralOps, t.text)) {
			return groupOther
		}
	}
	return groupScalar
}
