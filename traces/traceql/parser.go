package traceql

import (
	"slices"

	"belfry/traces"
)

// maxQueryBytes and maxDepth keep a hostile query from exhausting the parser.
const (
	maxQueryBytes = 128 << 10
	maxDepth      = 200
)

type parser struct {
	src    string
	tokens []token
	at     int
	depth  int
	groups groups
}

// Parse reads a query. Errors are *ParseError, of kind fault.Invalid.
func Parse(src string) (*Query, error) {
	if len(src) > maxQueryBytes {
		return nil, errorAt(src, 0, "query of %d bytes is over the limit of %d", len(src), maxQueryBytes)
	}
	tokens, err := lex(src)
	if err != nil {
		return nil, err
	}
	p := &parser{src: src, tokens: tokens, groups: groupsOf(tokens)}
	q, err := p.parseRoot()
	if err != nil {
		return nil, err
	}
	if t := p.peek(); t.kind != tokEOF {
		return nil, p.errorf(t, "unexpected %s", t.describe())
	}
	return q, nil
}

func (p *parser) peek() token { return p.tokens[p.at] }

func (p *parser) next() token {
	t := p.tokens[p.at]
	if t.kind != tokEOF {
		p.at++
	}
	return t
}

func (p *parser) errorf(t token, format string, args ...any) error {
	return errorAt(p.src, t.pos, format, args...)
}

func (p *parser) isOp(op string) bool {
	t := p.peek()
	return t.kind == tokOp && t.text == op
}

func (p *parser) accept(op string) bool {
	if p.isOp(op) {
		p.at++
		return true
	}
	return false
}

func (p *parser) expect(op string) error {
	if !p.accept(op) {
		return p.errorf(p.peek(), "expected %q, found %s", op, p.peek().describe())
	}
	return nil
}

// acceptOneOf takes an operator of the list, and returns "" if there is none.
func (p *parser) acceptOneOf(ops ...string) string {
	if t := p.peek(); t.kind == tokOp && slices.Contains(ops, t.text) {
		p.at++
		return t.text
	}
	return ""
}

// enter guards recursion; the caller defers leave.
func (p *parser) enter() error {
	if p.depth++; p.depth > maxDepth {
		return p.errorf(p.peek(), "query is nested deeper than %d", maxDepth)
	}
	return nil
}

func (p *parser) leave() { p.depth-- }

// parseRoot reads a query with its hints. Parentheses at the beginning may be
// spansets or arithmetic on metrics; the first reading that works is taken.
func (p *parser) parseRoot() (*Query, error) {
	start := p.at
	q, err := p.parseQuery()
	if err == nil && !p.atMathEnd() {
		err = p.errorf(p.peek(), "unexpected %s", p.peek().describe())
	}
	if err != nil {
		furthest, arithmetic := p.at, isArithmetic(p.peek())
		p.at, p.depth = start, 0
		math, mathErr := p.parseMath()
		if mathErr != nil {
			if p.at > furthest || arithmetic {
				err = mathErr
			}
			return nil, err
		}
		q = math
	}
	if q.Hints, err = p.parseHints(); err != nil {
		return nil, err
	}
	return q, nil
}

func (p *parser) atMathEnd() bool {
	t := p.peek()
	return t.kind == tokEOF || t.kind == tokIdent && t.text == "with"
}

// parseQuery reads a pipeline, the metrics function that may end it, and what follows that.
func (p *parser) parseQuery() (*Query, error) {
	q := &Query{}
	for {
		if t := p.peek(); t.kind == tokIdent && slices.Contains(metricsFunctions, t.text) {
			m, err := p.parseMetrics()
			if err != nil {
				return nil, err
			}
			q.Metrics = m
			then := p.peek()
			q.Then, err = p.parseSecondStages()
			if err == nil && m.Compare != nil && len(q.Then) > 0 {
				err = p.errorf(then, "compare() takes no further stages")
			}
			return q, err
		}
		stage, err := p.parseStage()
		if err != nil {
			return nil, err
		}
		q.Pipeline = append(q.Pipeline, stage)
		if !p.accept("|") {
			return q, nil
		}
	}
}

func (p *parser) parseHints() ([]Hint, error) {
	if t := p.peek(); t.kind != tokIdent || t.text != "with" {
		return nil, nil
	}
	p.at++
	if err := p.expect("("); err != nil {
		return nil, err
	}
	var hints []Hint
	for {
		name := p.next()
		if name.kind != tokIdent {
			return nil, p.errorf(name, "expected the name of a hint, found %s", name.describe())
		}
		if err := p.expect("="); err != nil {
			return nil, err
		}
		value := p.next()
		if value.kind != tokLiteral {
			return nil, p.errorf(value, "expected a value, found %s", value.describe())
		}
		hints = append(hints, Hint{name.text, value.static})
		if !p.accept(",") {
			return hints, p.expect(")")
		}
	}
}

// parseStage reads one stage of a pipeline.
func (p *parser) parseStage() (Stage, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	t := p.peek()
	switch {
	case p.isOp("{"):
		return p.parseSpanset(0)
	case p.isOp("("):
		if p.groups.isScalar(p.at) {
			return p.parseScalarFilter()
		}
		return p.parseSpanset(0)
	case t.kind == tokIdent && t.text == "by":
		p.at++
		var g GroupBy
		err := p.parseList(func() error {
			e, err := p.parseExpr()
			g.By = append(g.By, e)
			return err
		})
		return g, err
	case t.kind == tokIdent && t.text == "select":
		p.at++
		fields, err := p.parseFields()
		return Select{fields}, err
	case t.kind == tokIdent && t.text == "coalesce":
		p.at++
		if err := p.expect("("); err != nil {
			return nil, err
		}
		return Coalesce{}, p.expect(")")
	case t.kind == tokIdent && !slices.Contains(aggregates, t.text):
		return nil, p.errorf(t, "unknown function %q", t.text)
	}
	return p.parseScalarFilter()
}

// parseList reads ( item, item, … ), with at least one item.
func (p *parser) parseList(item func() error) error {
	if err := p.expect("("); err != nil {
		return err
	}
	for {
		if err := item(); err != nil {
			return err
		}
		if !p.accept(",") {
			return p.expect(")")
		}
	}
}

func (p *parser) parseFields() (fields []FieldRef, err error) {
	err = p.parseList(func() error {
		t := p.next()
		if t.kind != tokField {
			return p.errorf(t, "expected a field such as span.http.route, found %s", t.describe())
		}
		fields = append(fields, t.field)
		return nil
	})
	return fields, err
}

var structuralOps = []string{
	">", ">>", "<", "<<", "~",
	"!>", "!>>", "!<", "!<<", "!~",
	"&>", "&>>", "&<", "&<<", "&~",
}

// spansetLevels are the binary operators on spansets, the weakest first.
var spansetLevels = [][]string{{"||"}, {"&&"}, structuralOps}

func (p *parser) parseSpanset(level int) (Spanset, error) {
	if level == len(spansetLevels) {
		return p.parseSpansetPrimary()
	}
	left, err := p.parseSpanset(level + 1)
	if err != nil {
		return nil, err
	}
	for {
		t := p.peek()
		if t.kind != tokOp || !slices.Contains(spansetLevels[level], t.text) || !p.spansetFollows() {
			return left, nil
		}
		p.at++
		right, err := p.parseSpanset(level + 1)
		if err != nil {
			return nil, err
		}
		left = SpansetOp{Op: t.text, Left: left, Right: right}
	}
}

// spansetFollows tells { } > { } from ({ } | count()) > 2 and { } | rate() > 2.
func (p *parser) spansetFollows() bool {
	t := p.tokens[min(p.at+1, len(p.tokens)-1)]
	return !isComparison(p.peek()) || t.kind == tokOp && (t.text == "{" || t.text == "(") || t.kind == tokEOF
}

func (p *parser) parseSpansetPrimary() (Spanset, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	if p.accept("(") {
		pipeline, err := p.parsePipeline()
		if err != nil {
			return nil, err
		}
		if err := p.expect(")"); err != nil {
			return nil, err
		}
		if len(pipeline) == 1 {
			if spanset, ok := pipeline[0].(Spanset); ok {
				return spanset, nil
			}
		}
		return Sub{pipeline}, nil
	}
	if err := p.expect("{"); err != nil {
		return nil, err
	}
	if p.accept("}") {
		return Filter{}, nil
	}
	start := p.peek()
	e, err := p.parseExpr()
	if err != nil {
		return nil, err
	}
	if err := p.expect("}"); err != nil {
		return nil, err
	}
	e, err = p.condition(e, start)
	return Filter{e}, err
}

func (p *parser) parsePipeline() (Pipeline, error) {
	var pipeline Pipeline
	for {
		stage, err := p.parseStage()
		if err != nil {
			return nil, err
		}
		pipeline = append(pipeline, stage)
		if !p.accept("|") {
			return pipeline, nil
		}
	}
}

// condition makes a condition of what stands between braces: a boolean, or an
// attribute, which means that it is true.
func (p *parser) condition(e Expr, at token) (Expr, error) {
	switch typeOf(e) {
	case TypeBool:
		return e, nil
	case typeUnknown:
		return Binary{Op: "=", Left: e, Right: Static{TypeBool, traces.Bool(true)}}, nil
	}
	return nil, p.errorf(at, "%s is a %s, not a condition", e, typeOf(e))
}
