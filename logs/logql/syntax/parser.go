package syntax

import (
	"strconv"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
)

// Bounds on queries, so that a query cannot exhaust the parser.
const (
	maxQueryBytes = 128 << 10
	maxDepth      = 200
)

// Parse reads a query. Errors are *ParseError.
func Parse(query string) (Expr, error) {
	p, err := newParser(query)
	if err != nil {
		return nil, err
	}
	e, err := p.parseExpr(0)
	if err != nil {
		return nil, err
	}
	if err := p.atEnd(); err != nil {
		return nil, err
	}
	return e, nil
}

// ParseSample reads a query that must be a metric query.
func ParseSample(query string) (SampleExpr, error) {
	e, err := Parse(query)
	if err != nil {
		return nil, err
	}
	s, ok := e.(SampleExpr)
	if !ok {
		return nil, &ParseError{Msg: "only metric queries are allowed here, this is a log query"}
	}
	return s, nil
}

// ParseMatchers reads a selector alone: {app="shop"}, or a bare name's
// matchers as in match[].
func ParseMatchers(selector string) ([]*labels.Matcher, error) {
	p, err := newParser(selector)
	if err != nil {
		return nil, err
	}
	ms, err := p.parseSelector()
	if err != nil {
		return nil, err
	}
	return ms, p.atEnd()
}

func newParser(query string) (*parser, error) {
	if len(query) > maxQueryBytes {
		return nil, &ParseError{Msg: "query is longer than " + strconv.Itoa(maxQueryBytes) + " bytes"}
	}
	tokens, err := lex(query)
	if err != nil {
		return nil, err
	}
	return &parser{src: query, tokens: tokens}, nil
}

type parser struct {
	src    string
	tokens []token
	pos    int
	depth  int
}

func (p *parser) peek() token { return p.tokens[p.pos] }

func (p *parser) peekAt(n int) token { return p.tokens[min(p.pos+n, len(p.tokens)-1)] }

func (p *parser) next() token {
	t := p.tokens[p.pos]
	if p.pos < len(p.tokens)-1 {
		p.pos++
	}
	return t
}

func (p *parser) isOp(op string) bool { t := p.peek(); return t.kind == tokOp && t.text == op }

func (p *parser) isWord(word string) bool { t := p.peek(); return t.kind == tokIdent && t.text == word }

func (p *parser) acceptOp(op string) bool {
	if p.isOp(op) {
		p.next()
		return true
	}
	return false
}

func (p *parser) errorf(t token, format string, args ...any) error {
	return errorAt(p.src, t.pos, format, args...)
}

func (p *parser) unexpected(expecting ...string) error {
	t := p.peek()
	msg := "syntax error: unexpected " + t.name()
	if len(expecting) > 0 {
		msg += ", expecting " + strings.Join(expecting, " or ")
	}
	return p.errorf(t, "%s", msg)
}

func (p *parser) expectOp(op string) error {
	if !p.acceptOp(op) {
		return p.unexpected(op)
	}
	return nil
}

func (p *parser) expectString() (string, error) {
	if p.peek().kind != tokString {
		return "", p.unexpected("STRING")
	}
	return p.next().text, nil
}

func (p *parser) expectIdent() (string, error) {
	if p.peek().kind != tokIdent {
		return "", p.unexpected("IDENTIFIER")
	}
	return p.next().text, nil
}

func (p *parser) atEnd() error {
	if p.peek().kind != tokEOF {
		return p.unexpected()
	}
	return nil
}

// enter bounds recursion; leave undoes it.
func (p *parser) enter() error {
	if p.depth++; p.depth > maxDepth {
		return p.errorf(p.peek(), "query is nested too deeply")
	}
	return nil
}

func (p *parser) leave() { p.depth-- }

// precedence of binary operators, as in PromQL.
func precedence(t token) int {
	if t.kind != tokOp && t.kind != tokIdent {
		return 0
	}
	switch t.text {
	case "or":
		return 1
	case "and", "unless":
		return 2
	case "==", "!=", ">", ">=", "<", "<=":
		return 3
	case "+", "-":
		return 4
	case "*", "/", "%":
		return 5
	case "^":
		return 6
	}
	return 0
}

// parseExpr reads an expression whose operators bind tighter than above.
func (p *parser) parseExpr(above int) (Expr, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	lhs, err := p.parseOperand()
	if err != nil {
		return nil, err
	}
	for {
		op := p.peek()
		prec := precedence(op)
		if prec <= above {
			return lhs, nil
		}
		left, ok := lhs.(SampleExpr)
		if !ok {
			return nil, p.unexpected()
		}
		p.next()
		b := &BinaryOperation{Op: op.text, LHS: left}
		if err := p.parseModifiers(b, op); err != nil {
			return nil, err
		}
		next := prec
		if op.text == "^" { // binds to the right
			next = prec - 1
		}
		at := p.peek()
		rhs, err := p.parseExpr(next)
		if err != nil {
			return nil, err
		}
		if b.RHS, ok = rhs.(SampleExpr); !ok {
			return nil, p.errorf(at, "unexpected type for right leg of binary operation (%s): log query", op.text)
		}
		if err := p.checkBinary(b, op); err != nil {
			return nil, err
		}
		lhs = fold(b)
	}
}

func (p *parser) parseModifiers(b *BinaryOperation, op token) error {
	if p.isWord("bool") {
		if prec := precedence(op); prec != 3 {
			return p.unexpected()
		}
		p.next()
		b.Bool = true
	}
	if !p.isWord("on") && !p.isWord("ignoring") {
		return nil
	}
	b.Matching.On = p.next().text == "on"
	var err error
	if b.Matching.Labels, err = p.parseLabelList(); err != nil {
		return err
	}
	if p.isWord("group_left") || p.isWord("group_right") {
		t := p.next()
		b.Matching.Card = ManyToOne
		if t.text == "group_right" {
			b.Matching.Card = OneToMany
		}
		if isSetOp(b.Op) {
			return p.errorf(t, "no grouping allowed for %q operation", b.Op)
		}
		if p.isOp("(") {
			b.Matching.Include, err = p.parseLabelList()
		}
	}
	return err
}

func isSetOp(op string) bool { return op == "and" || op == "or" || op == "unless" }

func (p *parser) checkBinary(b *BinaryOperation, op token) error {
	_, lnum := b.LHS.(*Literal)
	_, rnum := b.RHS.(*Literal)
	if !isSetOp(b.Op) || !lnum && !rnum {
		return nil
	}
	side := "left"
	lit := b.LHS
	if !lnum {
		side, lit = "right", b.RHS
	}
	return p.errorf(op, "unexpected literal for %s leg of logical/set binary operation (%s): %s", side, b.Op, lit)
}

// fold computes an operation on two numbers.
func fold(b *BinaryOperation) SampleExpr {
	l, lok := b.LHS.(*Literal)
	r, rok := b.RHS.(*Literal)
	if !lok || !rok {
		return b
	}
	v, keep := Arithmetic(b.Op, l.Value, r.Value)
	if isComparison(b.Op) {
		v = 0
		if keep {
			v = 1
		}
	}
	return &Literal{Value: v}
}

func isComparison(op string) bool {
	switch op {
	case "==", "!=", ">", ">=", "<", "<=":
		return true
	}
	return false
}

func (p *parser) parseOperand() (Expr, error) {
	t := p.peek()
	switch {
	case t.kind == tokOp && t.text == "(":
		p.next()
		e, err := p.parseExpr(0)
		if err != nil {
			return nil, err
		}
		return e, p.expectOp(")")
	case t.kind == tokOp && t.text == "{":
		return p.parseLogExpr()
	case t.kind == tokOp && (t.text == "-" || t.text == "+"), t.kind == tokWord:
		v, err := p.parseNumber()
		return &Literal{Value: v}, err
	case t.kind == tokIdent:
		switch {
		case isRangeOp(t.text):
			return p.parseRangeAggregation()
		case isVectorOp(t.text):
			return p.parseVectorAggregation()
		case t.text == "vector":
			return p.parseVector()
		case t.text == "label_replace":
			return p.parseLabelReplace()
		}
	}
	return nil, p.unexpected()
}

// parseNumber reads a number with or without sign.
func (p *parser) parseNumber() (float64, error) {
	sign := 1.0
	for p.isOp("-") || p.isOp("+") {
		if p.next().text == "-" {
			sign = -sign
		}
	}
	t := p.peek()
	if t.kind == tokIdent && (strings.EqualFold(t.text, "inf") || strings.EqualFold(t.text, "nan")) {
		p.next()
		v, _ := strconv.ParseFloat(t.text, 64)
		return sign * v, nil
	}
	if t.kind != tokWord {
		return 0, p.unexpected("NUMBER")
	}
	v, err := strconv.ParseFloat(t.text, 64)
	if err != nil {
		return 0, p.unexpected("NUMBER")
	}
	p.next()
	return sign * v, nil
}

func (p *parser) parseLabelList() ([]string, error) {
	if err := p.expectOp("("); err != nil {
		return nil, err
	}
	names := []string{}
	for !p.acceptOp(")") {
		name, err := p.expectIdent()
		if err != nil {
			return nil, err
		}
		names = append(names, name)
		if !p.acceptOp(",") && !p.isOp(")") {
			return nil, p.unexpected(",", ")")
		}
	}
	return names, nil
}

// parseGrouping reads by (…) or without (…) if it is there.
func (p *parser) parseGrouping() (*Grouping, error) {
	if !p.isWord("by") && !p.isWord("without") {
		return nil, nil //nolint:nilnil // no grouping is a value of the grammar
	}
	g := &Grouping{Without: p.next().text == "without"}
	var err error
	g.Labels, err = p.parseLabelList()
	return g, err
}

func (p *parser) parseLogExpr() (Expr, error) {
	ms, err := p.parseSelector()
	if err != nil {
		return nil, err
	}
	stages, err := p.parseStages(false)
	if err != nil {
		return nil, err
	}
	return &LogExpr{Matchers: ms, Stages: stages}, nil
}

func (p *parser) parseSelector() ([]*labels.Matcher, error) {
	if err := p.expectOp("{"); err != nil {
		return nil, err
	}
	var ms []*labels.Matcher
	for !p.acceptOp("}") {
		m, err := p.parseMatcher()
		if err != nil {
			return nil, err
		}
		ms = append(ms, m)
		if !p.acceptOp(",") && !p.isOp("}") {
			return nil, p.unexpected(",", "}")
		}
	}
	return ms, nil
}

var matchTypes = map[string]labels.MatchType{
	"=": labels.MatchEqual, "!=": labels.MatchNotEqual, "=~": labels.MatchRegexp, "!~": labels.MatchNotRegexp,
}

func (p *parser) parseMatcher() (*labels.Matcher, error) {
	name, err := p.expectIdent()
	if err != nil {
		if p.peek().kind == tokOp && p.isOp("{") {
			return nil, p.unexpected()
		}
		return nil, err
	}
	op := p.peek()
	mt, ok := matchTypes[op.text]
	if op.kind != tokOp || !ok {
		return nil, p.unexpected("=", "!=", "=~", "!~")
	}
	p.next()
	at := p.peek()
	value, err := p.expectString()
	if err != nil {
		return nil, err
	}
	m, err := labels.NewMatcher(mt, name, value)
	if err != nil {
		return nil, p.errorf(at, "%s", err)
	}
	return m, nil
}
