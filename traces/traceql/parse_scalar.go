package traceql

import (
	"slices"

	"belfry/traces"
)

// parseScalarFilter reads a comparison of numbers of a spanset.
func (p *parser) parseScalarFilter() (Stage, error) {
	start := p.peek()
	left, err := p.parseScalar(0)
	if err != nil {
		return nil, err
	}
	op := p.next()
	if !isComparison(op) || op.text == "=~" || op.text == "!~" {
		return nil, p.errorf(op, "expected a comparison, found %s", op.describe())
	}
	right, err := p.parseScalar(0)
	if err != nil {
		return nil, err
	}
	l, r := scalarType(left), scalarType(right)
	if !l.comparable(r) {
		return nil, p.errorf(op, "%s (%s) cannot be compared with %s (%s)", left, l, right, r)
	}
	if !hasAggregate(left) && !hasAggregate(right) {
		return nil, p.errorf(start, "expected {…}, or an aggregate such as count()")
	}
	return ScalarFilter{Op: op.text, Left: left, Right: right}, nil
}

var scalarLevels = [][]string{{"+", "-"}, {"*", "/", "%"}, {"^"}}

func (p *parser) parseScalar(level int) (Scalar, error) {
	if level == len(scalarLevels) {
		return p.parseScalarPrimary()
	}
	left, err := p.parseScalar(level + 1)
	if err != nil {
		return nil, err
	}
	for {
		t := p.peek()
		op := p.acceptOneOf(scalarLevels[level]...)
		if op == "" {
			return left, nil
		}
		right, err := p.parseScalar(level + 1)
		if err != nil {
			return nil, err
		}
		l, lok := left.(Static)
		r, rok := right.(Static)
		if lok && rok {
			result := arithmetic(op, l, r)
			if result.Type == TypeNil {
				return nil, p.errorf(t, "%s %s %s has no value", l, op, r)
			}
			left = result
			continue
		}
		left = ScalarOp{Op: op, Left: left, Right: right}
	}
}

func (p *parser) parseScalarPrimary() (Scalar, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	t := p.next()
	switch {
	case t.kind == tokOp && t.text == "-":
		of, err := p.parseScalarPrimary()
		if err != nil {
			return nil, err
		}
		zero := Static{TypeInt, traces.Int(0)}
		if s, ok := of.(Static); ok {
			return arithmetic("-", zero, s), nil
		}
		return ScalarOp{Op: "-", Left: zero, Right: of}, nil
	case t.kind == tokOp && t.text == "(":
		s, err := p.parseScalarGroup()
		if err != nil {
			return nil, err
		}
		return s, p.expect(")")
	case t.kind == tokLiteral && t.static.Type.isNumber():
		return t.static, nil
	case t.kind == tokIdent && slices.Contains(aggregates, t.text):
		return p.parseAggregate(t)
	}
	return nil, p.errorf(t, "expected {…}, an aggregate such as count(), or a number, found %s", t.describe())
}

// parseScalarGroup reads what stands in parentheses: a scalar, or a pipeline that ends in one.
func (p *parser) parseScalarGroup() (Scalar, error) {
	open := p.at - 1
	if !p.groups.hasBar(open) {
		return p.parseScalar(0)
	}
	var out Piped
	for {
		stage, err := p.parseStage()
		if err != nil {
			return nil, err
		}
		out.Pipeline = append(out.Pipeline, stage)
		if err := p.expect("|"); err != nil {
			return nil, err
		}
		if p.at == int(p.groups.bar[open])+1 {
			start := p.peek()
			if out.Of, err = p.parseScalar(0); err == nil && !hasAggregate(out.Of) {
				err = p.errorf(start, "expected an aggregate such as count()")
			}
			return out, err
		}
	}
}

func (p *parser) parseAggregate(name token) (Scalar, error) {
	if err := p.expect("("); err != nil {
		return nil, err
	}
	a := Aggregate{Func: name.text}
	if name.text != "count" {
		start := p.peek()
		of, err := p.parseSum()
		if err != nil {
			return nil, err
		}
		if t := typeOf(of); t != typeUnknown && !t.isNumber() {
			return nil, p.errorf(start, "%s needs a number; %s is a %s", name.text, of, t)
		}
		a.Of = of
	}
	return a, p.expect(")")
}

func hasAggregate(s Scalar) bool {
	switch s := s.(type) {
	case Aggregate:
		return true
	case ScalarOp:
		return hasAggregate(s.Left) || hasAggregate(s.Right)
	case Piped:
		return true
	}
	return false
}

func scalarType(s Scalar) Type {
	switch s := s.(type) {
	case Static:
		return s.Type
	case Aggregate:
		if s.Of == nil {
			return TypeInt
		}
		return typeOf(s.Of)
	case Piped:
		return scalarType(s.Of)
	case ScalarOp:
		if l := scalarType(s.Left); l != TypeInt {
			return l
		}
		return scalarType(s.Right)
	}
	return typeUnknown
}
