package traceql

import (
	"slices"
	"strings"

	"github.com/grafana/regexp"

	"belfry/traces"
)

var (
	comparisons = []string{"=", "!=", "<", "<=", ">", ">=", "=~", "!~"}
	arithmetics = []string{"+", "-", "*", "/", "%", "^"}
	aggregates  = []string{"count", "avg", "min", "max", "sum"}
)

func isComparison(t token) bool { return t.kind == tokOp && slices.Contains(comparisons, t.text) }
func isArithmetic(t token) bool { return t.kind == tokOp && slices.Contains(arithmetics, t.text) }

// typeOf returns the type that an expression has whatever the span, or typeUnknown.
func typeOf(e Expr) Type {
	switch e := e.(type) {
	case Static:
		return e.Type
	case FieldRef:
		return e.fieldType()
	case Match:
		return TypeBool
	case Unary:
		if e.Op == "!" {
			return TypeBool
		}
		return typeOf(e.Of)
	case Binary:
		if !slices.Contains(arithmetics, e.Op) {
			return TypeBool
		}
		l, r := typeOf(e.Left), typeOf(e.Right)
		switch {
		case l == TypeDuration || r == TypeDuration:
			return TypeDuration
		case l == typeUnknown || r == typeUnknown:
			return TypeFloat
		}
		return l
	}
	return typeUnknown
}

// parseExpr reads an expression on a span: || under && under comparisons under
// + - under * / % under ^ under - !.
func (p *parser) parseExpr() (Expr, error) { return p.parseOr() }

func (p *parser) parseOr() (Expr, error) {
	return p.parseLogic("||", func() (Expr, error) {
		return p.parseLogic("&&", p.parseComparison)
	})
}

func (p *parser) parseLogic(op string, operand func() (Expr, error)) (Expr, error) {
	start := p.peek()
	left, err := operand()
	if err != nil {
		return nil, err
	}
	for p.isOp(op) {
		p.at++
		if left, err = p.condition(left, start); err != nil {
			return nil, err
		}
		start = p.peek()
		right, err := operand()
		if err != nil {
			return nil, err
		}
		if right, err = p.condition(right, start); err != nil {
			return nil, err
		}
		left = Binary{Op: op, Left: left, Right: right}
	}
	return left, nil
}

func (p *parser) parseComparison() (Expr, error) {
	left, err := p.parseSum()
	if err != nil || !isComparison(p.peek()) {
		return left, err
	}
	op := p.next()
	if op.text == "=~" || op.text == "!~" {
		return p.parseMatch(left, op)
	}
	right, err := p.parseSum()
	if err != nil {
		return nil, err
	}
	if isComparison(p.peek()) {
		return nil, p.errorf(p.peek(), "comparisons cannot be chained; use &&")
	}
	l, r := typeOf(left), typeOf(right)
	if !l.comparable(r) {
		return nil, p.errorf(op, "%s (%s) cannot be compared with %s (%s)", left, l, right, r)
	}
	ordered := op.text != "=" && op.text != "!="
	for _, t := range []Type{l, r} {
		if ordered && (t == TypeNil || t == TypeBool || t == TypeStatus || t == TypeKind) {
			return nil, p.errorf(op, "%q is not defined for a %s", op.text, t)
		}
	}
	if ordered {
		return Binary{Op: op.text, Left: left, Right: right}, nil
	}
	return Binary{Op: op.text, Left: fullID(left, right), Right: fullID(right, left)}, nil
}

// fullID returns e, with zeros in front if it is the text of an ID that field
// holds and that lacks some.
func fullID(e, field Expr) Expr {
	static, isStatic := e.(Static)
	ref, isRef := field.(FieldRef)
	if !isStatic || !isRef || static.Type != TypeString || ref.Field.Scope != traces.ScopeIntrinsic {
		return e
	}
	digits := 16
	switch ref.Field.Name {
	case traces.TraceIDField, traces.LinkTraceID:
		digits = 32
	case traces.SpanIDField, traces.ParentIDField, traces.LinkSpanID:
	default:
		return e
	}
	text := strings.ToLower(static.Value.Str())
	if len(text) < digits {
		text = strings.Repeat("0", digits-len(text)) + text
	}
	return Static{TypeString, traces.String(text)}
}

func (p *parser) parseMatch(left Expr, op token) (Expr, error) {
	t := p.next()
	if t.kind != tokLiteral || t.static.Type != TypeString {
		return nil, p.errorf(t, "%s needs a regular expression in quotes, found %s", op.text, t.describe())
	}
	if lt := typeOf(left); !lt.comparable(TypeString) {
		return nil, p.errorf(op, "%s is a %s: a regular expression needs text", left, lt)
	}
	source := t.static.Value.Str()
	re, err := regexp.Compile("^(?s:" + source + ")$")
	if err != nil {
		return nil, p.errorf(t, "%s", err)
	}
	return Match{Of: left, Re: re, Source: source, Negate: op.text == "!~"}, nil
}

func (p *parser) parseSum() (Expr, error) { return p.parseArithmetic(p.parseProduct, "+", "-") }

func (p *parser) parseProduct() (Expr, error) { return p.parseArithmetic(p.parsePower, "*", "/", "%") }

func (p *parser) parseArithmetic(operand func() (Expr, error), ops ...string) (Expr, error) {
	left, err := operand()
	if err != nil {
		return nil, err
	}
	for {
		t := p.peek()
		op := p.acceptOneOf(ops...)
		if op == "" {
			return left, nil
		}
		right, err := operand()
		if err != nil {
			return nil, err
		}
		if left, err = p.arithmetic(t, left, right); err != nil {
			return nil, err
		}
	}
}

func (p *parser) parsePower() (Expr, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	base, err := p.parseUnary()
	if err != nil || !p.isOp("^") {
		return base, err
	}
	t := p.next()
	exponent, err := p.parsePower()
	if err != nil {
		return nil, err
	}
	return p.arithmetic(t, base, exponent)
}

// arithmetic checks the operands' types, and computes what is constant.
func (p *parser) arithmetic(op token, left, right Expr) (Expr, error) {
	for _, e := range []Expr{left, right} {
		if t := typeOf(e); t != typeUnknown && !t.isNumber() {
			return nil, p.errorf(op, "%q needs numbers; %s is a %s", op.text, e, t)
		}
	}
	if l, ok := left.(Static); ok {
		if r, ok := right.(Static); ok {
			result := arithmetic(op.text, l, r)
			if result.Type == TypeNil {
				return nil, p.errorf(op, "%s %s %s has no value", l, op.text, r)
			}
			return result, nil
		}
	}
	return Binary{Op: op.text, Left: left, Right: right}, nil
}

func (p *parser) parseUnary() (Expr, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	t := p.peek()
	switch op := p.acceptOneOf("-", "!"); op {
	case "-":
		of, err := p.parseUnary()
		if err != nil {
			return nil, err
		}
		if s, ok := of.(Static); ok && s.Type.isNumber() {
			return arithmetic("-", Static{TypeInt, traces.Int(0)}, s), nil
		}
		if ot := typeOf(of); ot != typeUnknown && !ot.isNumber() {
			return nil, p.errorf(t, "\"-\" needs a number; %s is a %s", of, ot)
		}
		return Unary{Op: "-", Of: of}, nil
	case "!":
		start := p.peek()
		of, err := p.parseUnary()
		if err != nil {
			return nil, err
		}
		of, err = p.condition(of, start)
		return Unary{Op: "!", Of: of}, err
	}
	return p.parsePrimary()
}

func (p *parser) parsePrimary() (Expr, error) {
	t := p.next()
	switch {
	case t.kind == tokLiteral:
		return t.static, nil
	case t.kind == tokField:
		return t.field, nil
	case t.kind == tokOp && t.text == "(":
		e, err := p.parseExpr()
		if err != nil {
			return nil, err
		}
		return e, p.expect(")")
	case t.kind == tokIdent:
		return nil, p.errorf(t, "unknown word %q; an attribute is written span.%s, resource.%s or .%s", t.text, t.text, t.text, t.text)
	}
	return nil, p.errorf(t, "expected a field or a value, found %s", t.describe())
}
