package syntax

import (
	"slices"
	"time"

	"belfry/logs/logql/extract"

	"github.com/grafana/regexp"
)

// parseVector reads vector(number).
func (p *parser) parseVector() (Expr, error) {
	p.next()
	if err := p.expectOp("("); err != nil {
		return nil, err
	}
	v, err := p.parseNumber()
	if err != nil {
		return nil, err
	}
	return &Vector{Value: v}, p.expectOp(")")
}

func (p *parser) parseLabelReplace() (Expr, error) {
	p.next()
	if err := p.expectOp("("); err != nil {
		return nil, err
	}
	inner, err := p.parseSampleArg()
	if err != nil {
		return nil, err
	}
	var args [4]string
	for i := range args {
		if err := p.expectOp(","); err != nil {
			return nil, err
		}
		if args[i], err = p.expectString(); err != nil {
			return nil, err
		}
	}
	e := &LabelReplace{Expr: inner, Dst: args[0], Replacement: args[1], Src: args[2], Source: args[3]}
	end := p.peek()
	if e.Regex, err = regexp.Compile("^(?s:" + e.Source + ")$"); err != nil {
		return nil, p.errorf(end, "invalid regex in label_replace: %s", err)
	}
	if !labelNamePattern(e.Dst) {
		return nil, p.errorf(end, "invalid destination label name in label_replace: %s", e.Dst)
	}
	return e, p.expectOp(")")
}

func labelNamePattern(s string) bool {
	for i := 0; i < len(s); i++ {
		if !isIdentStart(s[i]) && (i == 0 || !isDigit(s[i])) {
			return false
		}
	}
	return s != ""
}

func (p *parser) parseSampleArg() (SampleExpr, error) {
	at := p.peek()
	e, err := p.parseExpr(0)
	if err != nil {
		return nil, err
	}
	s, ok := e.(SampleExpr)
	if !ok {
		return nil, p.errorf(at, "syntax error: unexpected log query, expecting a metric query")
	}
	return s, nil
}

func (p *parser) parseVectorAggregation() (Expr, error) {
	op := p.next()
	e := &VectorAggregation{Op: op.text}
	var err error
	if e.Grouping, err = p.parseGrouping(); err != nil {
		return nil, err
	}
	if err := p.expectOp("("); err != nil {
		return nil, err
	}
	if hasParam(e.Op) {
		t := p.peek()
		v, err := p.parseNumber()
		if err != nil {
			return nil, p.errorf(t, "parameter required for operation %s", e.Op)
		}
		if v != float64(int32(v)) || v <= 0 {
			return nil, p.errorf(t, "invalid parameter (must be greater than 0) %s(%s", e.Op, t.text)
		}
		e.Param = int(v)
		if err := p.expectOp(","); err != nil {
			return nil, err
		}
	} else if t := p.peek(); t.kind == tokWord && p.peekAt(1).text == "," {
		return nil, p.errorf(t, "unsupported parameter for operation %s(%s,", e.Op, t.text)
	}
	if e.Expr, err = p.parseSampleArg(); err != nil {
		return nil, err
	}
	if err := p.expectOp(")"); err != nil {
		return nil, err
	}
	if p.isWord("by") || p.isWord("without") {
		if e.Grouping != nil {
			return nil, p.unexpected()
		}
		if e.Grouping, err = p.parseGrouping(); err != nil {
			return nil, err
		}
	}
	if e.Grouping != nil && (e.Op == OpSort || e.Op == OpSortDesc) {
		return nil, p.errorf(op, "syntax error: unexpected grouping for %s", e.Op)
	}
	return e, nil
}

func (p *parser) parseRangeAggregation() (Expr, error) {
	op := p.next()
	e := &RangeAggregation{Op: op.text}
	if err := p.expectOp("("); err != nil {
		return nil, err
	}
	if e.Op == OpQuantileOverTime {
		t := p.peek()
		v, err := p.parseNumber()
		if err != nil {
			return nil, p.errorf(t, "parameter required for operation %s", e.Op)
		}
		e.Param = v
		if err := p.expectOp(","); err != nil {
			return nil, err
		}
	}
	if err := p.parseLogRange(e); err != nil {
		return nil, err
	}
	if err := p.expectOp(")"); err != nil {
		return nil, err
	}
	var err error
	if e.Grouping, err = p.parseGrouping(); err != nil {
		return nil, err
	}
	return e, p.checkRange(e, op)
}

func (p *parser) checkRange(e *RangeAggregation, op token) error {
	if e.Grouping != nil && !slices.Contains(groupingOps, e.Op) {
		return p.errorf(op, "grouping not allowed for %s aggregation", e.Op)
	}
	switch {
	case e.Unwrap == nil && slices.Contains(unwrapOnlyOps, e.Op):
		return p.errorf(op, "invalid aggregation %s without unwrap", e.Op)
	case e.Unwrap != nil && slices.Contains(logOnlyOps, e.Op):
		return p.errorf(op, "invalid aggregation %s with unwrap", e.Op)
	}
	return nil
}

// parseLogRange reads a selector, its stages, and the window, which may also
// stand directly behind the selector.
func (p *parser) parseLogRange(e *RangeAggregation) error {
	if p.acceptOp("(") {
		if err := p.enter(); err != nil {
			return err
		}
		defer p.leave()
		if err := p.parseLogRange(e); err != nil {
			return err
		}
		if err := p.expectOp(")"); err != nil {
			return err
		}
		if e.Range == 0 {
			return p.parseWindow(e)
		}
		return p.parseOffset(e)
	}
	ms, err := p.parseSelector()
	if err != nil {
		return err
	}
	e.Log = &LogExpr{Matchers: ms}
	if p.isOp("[") {
		if err := p.parseWindow(e); err != nil {
			return err
		}
	}
	if e.Log.Stages, err = p.parseStages(true); err != nil {
		return err
	}
	for _, s := range e.Log.Stages {
		if u, ok := s.(*Unwrap); ok {
			e.Unwrap = u
		}
	}
	if e.Range == 0 && p.isOp("[") {
		return p.parseWindow(e)
	}
	if e.Range == 0 && !p.isOp(")") {
		return p.unexpected()
	}
	if e.Range == 0 && p.peekAt(1).text != "[" {
		return p.unexpected("[")
	}
	return nil
}

func (p *parser) parseWindow(e *RangeAggregation) error {
	if err := p.expectOp("["); err != nil {
		return err
	}
	t := p.peek()
	d, err := extract.ParseDuration(t.text)
	if t.kind != tokWord || err != nil {
		return p.errorf(t, "%q: %s", t.text, err)
	}
	if d <= 0 {
		return p.errorf(t, "duration must be greater than 0")
	}
	p.next()
	e.Range = d
	if err := p.expectOp("]"); err != nil {
		return err
	}
	return p.parseOffset(e)
}

func (p *parser) parseOffset(e *RangeAggregation) error {
	for {
		switch {
		case p.isWord("offset") && e.Offset == 0:
			p.next()
			sign := time.Duration(1)
			if p.acceptOp("-") {
				sign = -1
			}
			t := p.peek()
			d, err := extract.ParseDuration(t.text)
			if t.kind != tokWord || err != nil {
				return p.unexpected("DURATION")
			}
			p.next()
			e.Offset = sign * d
		case p.isOp("@") && e.At == nil:
			p.next()
			if err := p.parseAt(e); err != nil {
				return err
			}
		default:
			return nil
		}
	}
}

func (p *parser) parseAt(e *RangeAggregation) error {
	if p.isWord("start") || p.isWord("end") {
		e.At = &At{Start: p.peek().text == "start"}
		e.At.End = !e.At.Start
		p.next()
		if err := p.expectOp("("); err != nil {
			return err
		}
		return p.expectOp(")")
	}
	t := p.peek()
	v, err := p.parseNumber()
	if err != nil {
		return err
	}
	if v != v || v > 9e9 || v < -9e9 {
		return p.errorf(t, "timestamp out of bounds for @ modifier: %s", t.text)
	}
	e.At = &At{Time: time.UnixMilli(int64(v * 1000)).UTC()}
	return nil
}
