package traceql

import "belfry/traces"

// mathLevels are the operators on metrics queries, the weakest first.
var mathLevels = [][]string{{"+", "-"}, {"*", "/"}}

// parseMath reads arithmetic on metrics queries in parentheses and numbers, and
// the stages that follow it.
func (p *parser) parseMath() (*Query, error) {
	start := p.peek()
	o, err := p.parseMathLevel(0)
	if err != nil {
		return nil, err
	}
	if o.Query == nil || o.Query.Math == nil {
		return nil, p.errorf(start, "expected arithmetic on metrics queries, such as ({ } | rate()) * 2")
	}
	o.Query.Then, err = p.parseSecondStages()
	return o.Query, err
}

func (p *parser) parseMathLevel(level int) (Operand, error) {
	if level == len(mathLevels) {
		return p.parseOperand()
	}
	left, err := p.parseMathLevel(level + 1)
	if err != nil {
		return left, err
	}
	for {
		t := p.peek()
		op := p.acceptOneOf(mathLevels[level]...)
		if op == "" {
			return left, nil
		}
		right, err := p.parseMathLevel(level + 1)
		if err != nil {
			return left, err
		}
		if left, err = p.combine(t, left, right); err != nil {
			return left, err
		}
	}
}

// combine applies an operator; numbers are computed at once, integers as integers.
func (p *parser) combine(op token, left, right Operand) (Operand, error) {
	if left.Query != nil || right.Query != nil {
		return Operand{Query: &Query{Math: &Math{Op: op.text, Left: left, Right: right}}}, nil
	}
	a, b := left.Number, right.Number
	if a.Type == TypeInt && b.Type == TypeInt && op.text == "/" && b.Value.Int() != 0 {
		return Operand{Number: Static{TypeInt, traces.Int(a.Value.Int() / b.Value.Int())}}, nil
	}
	n := arithmetic(op.text, a, b)
	if n.Type == TypeNil {
		return Operand{}, p.errorf(op, "%s %s %s has no value", a, op.text, b)
	}
	return Operand{Number: n}, nil
}

func (p *parser) parseOperand() (Operand, error) {
	if err := p.enter(); err != nil {
		return Operand{}, err
	}
	defer p.leave()
	t := p.peek()
	switch {
	case p.accept("-"):
		o, err := p.parseOperand()
		if err != nil {
			return o, err
		}
		if o.Query != nil {
			return o, p.errorf(t, "\"-\" needs a number; multiply the query by -1")
		}
		return Operand{Number: arithmetic("-", Static{TypeInt, traces.Int(0)}, o.Number)}, nil
	case t.kind == tokLiteral && (t.static.Type == TypeInt || t.static.Type == TypeFloat):
		p.at++
		return Operand{Number: t.static}, nil
	case t.kind == tokLiteral && t.static.Type == TypeDuration:
		return Operand{}, p.errorf(t, "%s is a duration: arithmetic on metrics takes plain numbers; durations count as seconds", t.static)
	case !p.accept("("):
		return Operand{}, p.errorf(t, "expected a number or a metrics query in parentheses, found %s", t.describe())
	}
	o, err := p.parseMathGroup(t)
	if err != nil {
		return o, err
	}
	return o, p.expect(")")
}

// parseMathGroup reads what stands in parentheses: a metrics query, or
// arithmetic. The reading that comes further is taken.
func (p *parser) parseMathGroup(open token) (Operand, error) {
	start, depth := p.at, p.depth
	q, err := p.parseQuery()
	if err == nil && p.isOp(")") {
		switch {
		case q.Metrics == nil:
			return Operand{}, p.errorf(open, "arithmetic needs metrics queries on both sides, such as ({ } | rate())")
		case q.Metrics.Compare != nil:
			return Operand{}, p.errorf(open, "compare() cannot be a part of arithmetic")
		}
		return Operand{Query: q}, nil
	}
	furthest := p.at
	p.at, p.depth = start, depth
	o, mathErr := p.parseMathLevel(0)
	if mathErr == nil && o.Query != nil && o.Query.Math != nil && len(o.Query.Then) == 0 {
		o.Query.Then, mathErr = p.parseSecondStages()
	}
	if mathErr != nil && err != nil && furthest >= p.at {
		return o, err
	}
	return o, mathErr
}
