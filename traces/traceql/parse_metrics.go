package traceql

var metricsFunctions = []string{
	"rate", "count_over_time", "min_over_time", "max_over_time", "avg_over_time", "sum_over_time",
	"quantile_over_time", "histogram_over_time", "compare",
}

// seconds returns a number as metrics show it: durations in seconds.
func seconds(s Static) float64 {
	if s.Type == TypeDuration {
		return s.Value.Float() / 1e9
	}
	return s.Value.Float()
}

func (p *parser) parseMetrics() (*Metrics, error) {
	name := p.next()
	m := &Metrics{Func: name.text}
	if err := p.expect("("); err != nil {
		return nil, err
	}
	var err error
	switch m.Func {
	case "rate", "count_over_time":
	case "compare":
		m.Compare, err = p.parseCompare()
	default:
		err = p.parseMetricsArguments(m, name)
	}
	if err != nil {
		return nil, err
	}
	if err := p.expect(")"); err != nil {
		return nil, err
	}
	if t := p.peek(); t.kind == tokIdent && t.text == "by" {
		if m.Func == "compare" {
			return nil, p.errorf(t, "compare takes no by()")
		}
		p.at++
		if p.isOp("(") && p.tokens[p.at+1].kind == tokOp && p.tokens[p.at+1].text == ")" {
			p.at += 2
			return m, nil
		}
		m.By, err = p.parseFields()
	}
	return m, err
}

func (p *parser) parseMetricsArguments(m *Metrics, name token) error {
	start := p.peek()
	of, err := p.parseSum()
	if err != nil {
		return err
	}
	if t := typeOf(of); t != typeUnknown && !t.isNumber() {
		return p.errorf(start, "%s needs a number; %s is a %s", m.Func, of, t)
	}
	m.Of = of
	if m.Func != "quantile_over_time" {
		return nil
	}
	for p.accept(",") {
		t := p.next()
		if t.kind != tokLiteral || t.static.Type != TypeInt && t.static.Type != TypeFloat ||
			t.static.Value.Float() < 0 || t.static.Value.Float() > 1 {
			return p.errorf(t, "a quantile is a number from 0 to 1, found %s", t.describe())
		}
		m.Quantiles = append(m.Quantiles, t.static.Value.Float())
	}
	if len(m.Quantiles) == 0 {
		return p.errorf(name, "quantile_over_time needs a quantile: quantile_over_time(duration, 0.99)")
	}
	return nil
}

const defaultCompareTopN = 10

func (p *parser) parseCompare() (*Compare, error) {
	start := p.peek()
	selection, err := p.parseSpansetPrimary()
	if err != nil {
		return nil, err
	}
	filter, ok := selection.(Filter)
	if !ok {
		return nil, p.errorf(start, "compare needs one {…} as its selection")
	}
	c := &Compare{Selection: filter, TopN: defaultCompareTopN}
	var numbers []int64
	for p.accept(",") {
		t := p.next()
		if t.kind != tokLiteral || t.static.Type != TypeInt {
			return nil, p.errorf(t, "expected an integer, found %s", t.describe())
		}
		numbers = append(numbers, t.static.Value.Int())
	}
	switch len(numbers) {
	case 0:
		return c, nil
	case 3:
		c.From, c.To = numbers[1], numbers[2]
	case 1:
	default:
		return nil, p.errorf(start, "compare takes a selection, a top N, and a start with an end")
	}
	if numbers[0] <= 0 || numbers[0] > 1000 {
		return nil, p.errorf(start, "the top N of compare must be 1 to 1000")
	}
	c.TopN = int(numbers[0])
	return c, nil
}

// parseSecondStages reads | topk(n), | bottomk(n) and comparisons, which need no bar.
func (p *parser) parseSecondStages() ([]SecondStage, error) {
	var stages []SecondStage
	for {
		bar := p.accept("|")
		t := p.peek()
		switch {
		case t.kind == tokIdent && (t.text == "topk" || t.text == "bottomk") && bar:
			p.at++
			if err := p.expect("("); err != nil {
				return nil, err
			}
			k := p.next()
			if k.kind != tokLiteral || k.static.Type != TypeInt || k.static.Value.Int() <= 0 || k.static.Value.Int() > 1<<20 {
				return nil, p.errorf(k, "%s needs a positive integer, found %s", t.text, k.describe())
			}
			if err := p.expect(")"); err != nil {
				return nil, err
			}
			stages = append(stages, SecondStage{Op: t.text, K: int(k.static.Value.Int())})
		case isComparison(t) && t.text != "=~" && t.text != "!~":
			p.at++
			negative := p.accept("-")
			n := p.next()
			if n.kind != tokLiteral || !n.static.Type.isNumber() {
				return nil, p.errorf(n, "expected a number, found %s", n.describe())
			}
			value := seconds(n.static)
			if negative {
				value = -value
			}
			stages = append(stages, SecondStage{Op: t.text, Value: value})
		case bar:
			return nil, p.errorf(t, "after a metrics function only topk, bottomk or a comparison can follow, found %s", t.describe())
		default:
			return stages, nil
		}
	}
}
