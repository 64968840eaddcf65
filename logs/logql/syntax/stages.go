package syntax

import (
	"strconv"
	"strings"

	"belfry/logs/logql/extract"

	"github.com/grafana/regexp"
	"github.com/prometheus/prometheus/model/labels"
)

// parseStages reads a pipeline up to what is not a stage. Unwrap, once, is a
// stage of windows only.
func (p *parser) parseStages(inRange bool) ([]Stage, error) {
	var stages []Stage
	unwrapped := false
	for {
		t := p.peek()
		if t.kind != tokOp {
			return stages, nil
		}
		switch t.text {
		case "|=", "!=", "|~", "!~", "|>", "!>":
			f, err := p.parseLineFilter()
			if err != nil {
				return nil, err
			}
			stages = append(stages, f)
		case "|":
			p.next()
			at := p.peek()
			s, err := p.parseStage()
			if err != nil {
				return nil, err
			}
			if _, ok := s.(*Unwrap); ok {
				if !inRange || unwrapped {
					return nil, p.errorf(at, "syntax error: unexpected unwrap")
				}
				unwrapped = true
			}
			stages = append(stages, s)
		default:
			return stages, nil
		}
	}
}

func (p *parser) parseLineFilter() (Stage, error) {
	f := &LineFilter{Op: p.next().text}
	for {
		term, err := p.parseLineTerm(f.Op)
		if err != nil {
			return nil, err
		}
		f.Terms = append(f.Terms, term)
		// An or that no string follows belongs to what is around the selector.
		if !p.isWord("or") || p.peekAt(1).kind != tokString && p.peekAt(1).text != "ip" {
			return f, nil
		}
		p.next()
	}
}

func (p *parser) parseLineTerm(op string) (LineTerm, error) {
	at := p.peek()
	if p.isWord("ip") {
		p.next()
		if op != "|=" && op != "!=" {
			return LineTerm{}, p.errorf(at, "ip: invalid operation %s, use |= or !=", op)
		}
		text, err := p.parseIPArg()
		return LineTerm{Text: text, IP: true}, err
	}
	text, err := p.expectString()
	if err != nil {
		return LineTerm{}, err
	}
	term := LineTerm{Text: text}
	switch op {
	case "|~", "!~":
		if term.Re, err = regexp.Compile(text); err != nil {
			return LineTerm{}, p.errorf(at, "%s", err)
		}
	case "|>", "!>":
		if _, err := extract.ParseLinePattern(text); err != nil {
			return LineTerm{}, p.errorf(at, "%s", err)
		}
	}
	return term, nil
}

func (p *parser) parseIPArg() (string, error) {
	if err := p.expectOp("("); err != nil {
		return "", err
	}
	at := p.peek()
	text, err := p.expectString()
	if err != nil {
		return "", err
	}
	if _, err := extract.ParseIP(text); err != nil {
		return "", p.errorf(at, "%s", err)
	}
	return text, p.expectOp(")")
}

func (p *parser) parseStage() (Stage, error) {
	t := p.peek()
	if t.kind == tokOp && t.text == "(" {
		c, err := p.parseConditions()
		return &LabelFilter{Cond: c}, err
	}
	if t.kind != tokIdent {
		return nil, p.unexpected()
	}
	// A name that an operator follows is a label, even if it is also a stage's.
	if n := p.peekAt(1); n.kind == tokOp && isFilterOp(n.text) && !p.stageFollows(t, n) {
		c, err := p.parseConditions()
		return &LabelFilter{Cond: c}, err
	}
	switch t.text {
	case "json":
		p.next()
		fields, err := p.parseExtractions(extract.CheckPath)
		return &JSON{Fields: fields}, err
	case "logfmt":
		return p.parseLogfmt()
	case "regexp":
		return p.parseRegexpStage()
	case "pattern":
		return p.parsePatternStage()
	case "unpack":
		p.next()
		return &Unpack{}, nil
	case "line_format":
		p.next()
		at := p.peek()
		text, err := p.expectString()
		if err == nil {
			err = p.checkTemplate(at, text)
		}
		return &LineFormat{Template: text}, err
	case "label_format":
		return p.parseLabelFormat()
	case "drop", "keep":
		p.next()
		list, err := p.parseNamesOrMatchers()
		if t.text == "drop" {
			return &Drop{Labels: list}, err
		}
		return &Keep{Labels: list}, err
	case "decolorize":
		p.next()
		return &Decolorize{}, nil
	case "unwrap":
		return p.parseUnwrap()
	}
	c, err := p.parseConditions()
	return &LabelFilter{Cond: c}, err
}

// stageFollows tells {} | json != "x", a parser with a line filter behind it,
// from a label named like a parser. Loki reserves the names, so the parser wins.
func (p *parser) stageFollows(t, op token) bool {
	switch t.text {
	case "json", "logfmt", "unpack", "decolorize":
		return (op.text == "!=" || op.text == "!~") && p.peekAt(2).kind == tokString
	}
	return false
}

func isFilterOp(op string) bool {
	switch op {
	case "=", "!=", "=~", "!~", "==", ">", ">=", "<", "<=":
		return true
	}
	return false
}

func (p *parser) parseExtractions(check func(string) error) ([]Extraction, error) {
	var fields []Extraction
	for p.peek().kind == tokIdent || p.peek().kind == tokString {
		at := p.peek()
		name, err := p.expectIdent()
		if err != nil {
			return nil, err
		}
		x := Extraction{Label: name, From: name}
		if p.acceptOp("=") {
			at = p.peek()
			if x.From, err = p.expectString(); err != nil {
				return nil, err
			}
		}
		if check != nil {
			if err := check(x.From); err != nil {
				return nil, p.errorf(at, "cannot parse expression [%s]: %s", x.From, err)
			}
		}
		fields = append(fields, x)
		if !p.acceptOp(",") {
			return fields, nil
		}
		if p.peek().kind != tokIdent {
			return nil, p.unexpected("IDENTIFIER")
		}
	}
	return fields, nil
}

func (p *parser) parseLogfmt() (Stage, error) {
	p.next()
	s := &Logfmt{}
	for p.peek().kind == tokFlag {
		switch t := p.next(); t.text {
		case "--strict":
			s.Strict = true
		case "--keep-empty":
			s.KeepEmpty = true
		default:
			return nil, p.errorf(t, "unknown parser flag %s", t.text)
		}
	}
	var err error
	s.Fields, err = p.parseExtractions(nil)
	return s, err
}

func (p *parser) parseRegexpStage() (Stage, error) {
	p.next()
	at := p.peek()
	text, err := p.expectString()
	if err != nil {
		return nil, err
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, p.errorf(at, "%s", err)
	}
	seen := map[string]bool{}
	for _, name := range re.SubexpNames() {
		switch {
		case name == "":
			continue
		case !labelNamePattern(name):
			return nil, p.errorf(at, "invalid extracted label name '%s'", name)
		case seen[name]:
			return nil, p.errorf(at, "duplicate extracted label name '%s'", name)
		}
		seen[name] = true
	}
	if len(seen) == 0 {
		return nil, p.errorf(at, "at least one named capture must be supplied")
	}
	return &Regexp{Source: text, Re: re}, nil
}

func (p *parser) parsePatternStage() (Stage, error) {
	p.next()
	at := p.peek()
	text, err := p.expectString()
	if err != nil {
		return nil, err
	}
	if err := extract.CheckPattern(text); err != nil {
		return nil, p.errorf(at, "%s", err)
	}
	return &Pattern{Source: text}, nil
}

func (p *parser) parseLabelFormat() (Stage, error) {
	p.next()
	s := &LabelFormat{}
	seen := map[string]bool{}
	for {
		at := p.peek()
		name, err := p.expectIdent()
		if err != nil {
			return nil, err
		}
		if name == "__error__" {
			return nil, p.errorf(at, "%s cannot be formatted", name)
		}
		if seen[name] {
			return nil, p.errorf(at, "multiple label name '%s' not allowed in a single format operation", name)
		}
		seen[name] = true
		if err := p.expectOp("="); err != nil {
			return nil, err
		}
		f := LabelFmt{Name: name}
		switch t := p.peek(); t.kind {
		case tokIdent:
			f.IsRename, f.Value = true, p.next().text
		case tokString:
			f.Value = p.next().text
			if err := p.checkTemplate(t, f.Value); err != nil {
				return nil, err
			}
		default:
			return nil, p.unexpected("IDENTIFIER", "STRING")
		}
		s.Labels = append(s.Labels, f)
		if !p.acceptOp(",") {
			return s, nil
		}
	}
}

func (p *parser) checkTemplate(at token, text string) error {
	if _, err := extract.ParseTemplate(text); err != nil {
		return p.errorf(at, "invalid template: %s", err)
	}
	return nil
}

func (p *parser) parseNamesOrMatchers() ([]NameOrMatcher, error) {
	var list []NameOrMatcher
	for {
		var n NameOrMatcher
		if op := p.peekAt(1); op.kind == tokOp && matchTypeKnown(op.text) {
			m, err := p.parseMatcher()
			if err != nil {
				return nil, err
			}
			n = NameOrMatcher{Name: m.Name, Matcher: m}
		} else {
			name, err := p.expectIdent()
			if err != nil {
				return nil, err
			}
			n.Name = name
		}
		list = append(list, n)
		if !p.acceptOp(",") {
			return list, nil
		}
	}
}

func matchTypeKnown(op string) bool { _, ok := matchTypes[op]; return ok }

func (p *parser) parseUnwrap() (Stage, error) {
	p.next()
	name, err := p.expectIdent()
	if err != nil {
		return nil, err
	}
	if !p.isOp("(") {
		return &Unwrap{Label: name}, nil
	}
	switch name {
	case "duration", "duration_seconds", "bytes":
	default:
		return nil, p.unexpected()
	}
	p.next()
	u := &Unwrap{Convert: name}
	if u.Label, err = p.expectIdent(); err != nil {
		return nil, err
	}
	return u, p.expectOp(")")
}

// parseConditions reads label conditions joined by and, or, a comma or nothing.
// As documented they bind alike, from left to right.
func (p *parser) parseConditions() (Condition, error) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer p.leave()
	left, err := p.parseCondition()
	if err != nil {
		return nil, err
	}
	for {
		or := false
		switch t := p.peek(); {
		case t.kind == tokIdent && t.text == "or" && p.conditionAt(1):
			or = true
			p.next()
		case t.kind == tokIdent && t.text == "and" && p.conditionAt(1), t.kind == tokOp && t.text == ",":
			p.next()
		case p.conditionAt(0) && t.kind == tokIdent:
		default:
			return left, nil
		}
		right, err := p.parseCondition()
		if err != nil {
			return nil, err
		}
		if or {
			left = &OrCond{left, right}
		} else {
			left = &AndCond{left, right}
		}
	}
}

// conditionAt reports whether a condition begins n tokens ahead: and/or may also
// join whole metric expressions.
func (p *parser) conditionAt(n int) bool {
	for p.peekAt(n).kind == tokOp && p.peekAt(n).text == "(" {
		n++
	}
	op := p.peekAt(n + 1)
	return p.peekAt(n).kind == tokIdent && op.kind == tokOp && isFilterOp(op.text)
}

func (p *parser) parseCondition() (Condition, error) {
	if p.acceptOp("(") {
		c, err := p.parseConditions()
		if err != nil {
			return nil, err
		}
		return c, p.expectOp(")")
	}
	name, err := p.expectIdent()
	if err != nil {
		return nil, err
	}
	op := p.peek()
	if op.kind != tokOp || !isFilterOp(op.text) {
		return nil, p.unexpected("=", "!=", "=~", "!~", "==", ">", ">=", "<", "<=")
	}
	p.next()
	value := p.peek()
	switch {
	case value.kind == tokIdent && value.text == "ip":
		if op.text != "=" && op.text != "!=" && op.text != "==" {
			return nil, p.errorf(value, "ip: invalid operation %s, use = or !=", op.text)
		}
		p.next()
		text, err := p.parseIPArg()
		return &IPCond{Name: name, Negate: op.text == "!=", Text: text}, err
	case value.kind == tokString:
		mt, ok := matchTypes[op.text]
		if !ok {
			return nil, p.unexpected("NUMBER", "DURATION", "BYTES")
		}
		p.next()
		m, err := labels.NewMatcher(mt, name, value.text)
		if err != nil {
			return nil, p.errorf(value, "%s", err)
		}
		return &StringCond{Matcher: m}, nil
	}
	return p.parseNumberCond(name, op)
}

func (p *parser) parseNumberCond(name string, op token) (Condition, error) {
	if op.text == "=~" || op.text == "!~" {
		return nil, p.unexpected("STRING")
	}
	c := &NumberCond{Name: name, Op: op.text}
	if c.Op == "=" {
		c.Op = "=="
	}
	sign := ""
	if p.acceptOp("-") {
		sign = "-"
	} else {
		p.acceptOp("+")
	}
	t := p.peek()
	if t.kind != tokWord {
		return nil, p.unexpected("STRING", "NUMBER", "DURATION", "BYTES")
	}
	c.Text = sign + t.text
	if v, err := strconv.ParseFloat(c.Text, 64); err == nil {
		c.Value = v
	} else if d, err := extract.ParseDuration(c.Text); err == nil && !strings.ContainsAny(t.text, "bB") {
		c.Unit, c.Value = UnitDuration, d.Seconds()
	} else if n, err := extract.ParseBytes(t.text); err == nil && sign == "" {
		c.Unit, c.Value = UnitBytes, float64(n)
	} else {
		return nil, p.errorf(t, "%q is not a number, duration or size", c.Text)
	}
	p.next()
	return c, nil
}
