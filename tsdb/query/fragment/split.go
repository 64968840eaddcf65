package fragment

import (
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/schema"
)

// Rules say how an expression is to be evaluated.
type Rules struct {
	Grid     Grid
	Lookback time.Duration

	// SubqueryStep is the resolution of a subquery that names none.
	SubqueryStep time.Duration

	// DelayedNames says that names are dropped at the end of the evaluation
	// (Prometheus' promql-delayed-name-removal).
	DelayedNames bool

	// StartTimestamps says that counters' start times are used.
	StartTimestamps bool

	// MinSteps is the number of steps from which on plain selectors at the
	// top are worth it.
	MinSteps int
}

// Plan is an expression with its fragments taken out.
type Plan struct {
	// Expr is what is left. It is nil if the whole expression is Root.
	Expr parser.Expr
	Root *Fragment

	fragments map[*labels.Matcher]*Fragment
}

// Empty reports whether there is nothing to evaluate here.
func (p *Plan) Empty() bool { return p.Root == nil && len(p.fragments) == 0 }

// placeholder is the label of the selectors that stand for fragments.
const placeholder = "__fragment__"

// Split takes the fragments out of an expression as it was parsed, which it
// modifies.
func Split(expr parser.Expr, r Rules) *Plan {
	s := splitter{rules: r, plan: &Plan{fragments: map[*labels.Matcher]*Fragment{}}}
	if f := s.fragment(expr, r.Grid, r.MinSteps); f != nil {
		s.plan.Root = f
		return s.plan
	}
	s.plan.Expr = s.walk(expr, r.Grid)
	return s.plan
}

type splitter struct {
	rules Rules
	plan  *Plan

	// What is around the expression at hand: functions that look at counts and sums
	// of histograms only, those that look at all of one, subqueries.
	statistics, whole, subqueries int
}

// walk returns expr with selectors in place of its fragments.
func (s *splitter) walk(expr parser.Expr, g Grid) parser.Expr {
	if e, ok := expr.(*parser.ParenExpr); ok { // which remarks count among the places they are about
		e.Expr = s.walk(e.Expr, g)
		return e
	}
	// The engine reads a plain selector faster than a copy of it.
	if f := s.fragment(expr, g, math.MaxInt); f != nil {
		return s.stand(f)
	}
	switch e := expr.(type) {
	case *parser.UnaryExpr:
		e.Expr = s.walk(e.Expr, g)
	case *parser.AggregateExpr:
		e.Expr = s.walk(e.Expr, g)
		if e.Param != nil {
			e.Param = s.walk(e.Param, g)
		}
	case *parser.BinaryExpr:
		if e.Op == parser.TRIM_UPPER || e.Op == parser.TRIM_LOWER {
			s.whole++
			defer func() { s.whole-- }()
		}
		e.LHS, e.RHS = s.walk(e.LHS, g), s.walk(e.RHS, g)
	case *parser.Call:
		switch e.Func.Name {
		case "timestamp", "start_timestamp", "info":
			return e // look at the selector itself
		case "histogram_count", "histogram_sum", "histogram_avg":
			// Prometheus' iterators of counts and sums would look for resets in what
			// a fragment yields. Without histograms there is nothing to compute.
			return e
		}
		defer s.enter(e.Func.Name)()
		for i := range e.Args {
			e.Args[i] = s.walk(e.Args[i], g)
		}
	case *parser.SubqueryExpr:
		if inner, ok := s.subqueryGrid(e, g); ok {
			s.subqueries++
			e.Expr = s.walk(e.Expr, inner)
			s.subqueries--
		}
	}
	return expr
}

// enter takes note of the function that the expressions to come are arguments of,
// until the function it returns is called.
func (s *splitter) enter(name string) (leave func()) {
	n := &s.whole
	switch name {
	case "histogram_count", "histogram_sum", "histogram_avg":
		n = &s.statistics
	case "histogram_quantile", "histogram_quantiles", "histogram_fraction":
	default:
		return func() {}
	}
	*n++
	return func() { *n-- }
}

// stand returns a selector that the engine reads the fragment's result by.
func (s *splitter) stand(f *Fragment) parser.Expr {
	// absent() takes labels from matchers for equality, so this is another.
	m := labels.MustNewMatcher(labels.MatchRegexp, placeholder, strconv.Itoa(len(s.plan.fragments)))
	s.plan.fragments[m] = f
	return &parser.VectorSelector{LabelMatchers: []*labels.Matcher{m}, PosRange: f.pos}
}

// subqueryGrid is the times at which the engine evaluates what a subquery is
// over: multiples of its step within its range.
func (s *splitter) subqueryGrid(e *parser.SubqueryExpr, outer Grid) (Grid, bool) {
	if e.Timestamp != nil || e.StartOrEnd != 0 || e.RangeExpr != nil || e.StepExpr != nil || e.OriginalOffsetExpr != nil {
		return Grid{}, false
	}
	step := e.Step.Milliseconds()
	if step == 0 {
		step = s.rules.SubqueryStep.Milliseconds()
	}
	offset := e.OriginalOffset.Milliseconds()
	first := outer.Start - offset - e.Range.Milliseconds()
	start := step * (first / step)
	if start <= first {
		start += step
	}
	g := Grid{Start: start, End: outer.At(outer.Steps()-1) - offset, Step: step}
	return g, g.Steps() > 0
}

// fragment returns the fragment that expr is, or nil. A plain selector is one from
// some number of steps on.
func (s *splitter) fragment(expr parser.Expr, g Grid, minSteps int) *Fragment {
	expr = unwrap(expr)
	f := &Fragment{
		grid: g, lookback: s.rules.Lookback.Milliseconds(), pos: expr.PositionRange(), text: expr.String(),
		delayed: s.rules.DelayedNames, sub: s.subqueries > 0,
	}
	if a, ok := expr.(*parser.AggregateExpr); ok {
		if !s.aggregation(f, a) || !s.chain(f, a.Expr) {
			return nil
		}
		return f
	}
	// A name that is dropped late is one that a later operation may want.
	if s.rules.DelayedNames || !s.chain(f, expr) {
		return nil
	}
	if f.plain() && g.Steps() < minSteps {
		return nil
	}
	return f
}

// plain reports whether a fragment is of series as they are, each by itself.
func (f *Fragment) plain() bool {
	return f.call == nil && f.join == nil && f.sets == nil && f.inner == nil && f.function == nil
}

func (s *splitter) aggregation(f *Fragment, a *parser.AggregateExpr) bool {
	f.agg = &aggregation{op: a.Op, without: a.Without, grouping: slices.Sorted(slices.Values(a.Grouping)), pos: unwrap(a.Expr).PositionRange()}
	switch a.Op {
	case parser.SUM, parser.AVG, parser.MIN, parser.MAX, parser.COUNT, parser.GROUP, parser.STDDEV, parser.STDVAR:
	case parser.QUANTILE: // what is out of range is remarked on
		if !f.agg.number(a.Param, 0, 1) {
			return false
		}
	case parser.COUNT_VALUES:
		if !f.agg.countValues(a.Param) {
			return false
		}
	case parser.TOPK, parser.BOTTOMK: // the series are in the result, with their names
		if s.rules.DelayedNames || !f.agg.number(a.Param, 1, maxTop) {
			return false
		}
		f.agg.pos = a.PosRange
	default:
		return false
	}
	return !s.rules.DelayedNames || !slices.ContainsFunc(a.Grouping, schema.IsMetadataLabel)
}

// maxTop is the greatest k of topk that is evaluated here.
const maxTop = 1 << 20

// number takes a parameter that is a number from least to most, and reports
// whether it is.
func (a *aggregation) number(param parser.Expr, least, most float64) (ok bool) {
	a.param, ok = constant(param)
	return ok && a.param >= least && a.param <= most
}

// chain fills in what a fragment selects and does to each series, and reports
// whether that is all that expr is.
func (s *splitter) chain(f *Fragment, expr parser.Expr) bool {
	switch e := unwrap(expr).(type) {
	case *parser.VectorSelector:
		return s.selector(f, e)
	case *parser.UnaryExpr:
		if e.Type() != parser.ValueTypeVector || !s.chain(f, e.Expr) {
			return false
		}
		if e.Op == parser.SUB {
			f.add(operation{mapped(func(v float64) float64 { return -v }), negated}, true)
		}
		return true
	case *parser.BinaryExpr:
		return s.binary(f, e)
	case *parser.Call:
		return s.call(f, e)
	}
	return false
}

func (s *splitter) binary(f *Fragment, e *parser.BinaryExpr) bool {
	if e.LHS.Type() == parser.ValueTypeVector && e.RHS.Type() == parser.ValueTypeVector {
		return s.join(f, e)
	}
	vector, number, swapped := e.LHS, e.RHS, false
	if e.LHS.Type() == parser.ValueTypeScalar {
		vector, number, swapped = e.RHS, e.LHS, true
	}
	if vector.Type() != parser.ValueTypeVector || number.Type() != parser.ValueTypeScalar {
		return false
	}
	n, ok := constant(number)
	if !ok {
		return false
	}
	op, drops := scalarOp(e.Op, n, swapped, e.ReturnBool)
	if op == nil || !s.chain(f, vector) {
		return false
	}
	f.add(operation{op, histogramScalarOp(e, n, swapped)}, drops)
	return true
}

func (s *splitter) join(f *Fragment, e *parser.BinaryExpr) bool {
	if s.rules.DelayedNames {
		return false
	}
	if e.Op.IsSetOperator() {
		f.sets = newSetOperation(e)
		f.sets.left, f.sets.right = s.sides(f, e)
		return f.sets.right != nil
	}
	if f.join = newJoin(e); f.join == nil {
		return false
	}
	f.join.left, f.join.right = s.sides(f, e)
	return f.join.right != nil
}

// sides are the fragments on both sides of an operation, nil if one is none.
func (s *splitter) sides(f *Fragment, e *parser.BinaryExpr) (left, right *Fragment) {
	if left = s.fragment(e.LHS, f.grid, 1); left == nil {
		return nil, nil
	}
	return left, s.fragment(e.RHS, f.grid, 1)
}

func (s *splitter) call(f *Fragment, e *parser.Call) bool {
	if isRangeFunction(e.Func.Name) {
		return s.rangeFunction(f, e)
	}
	if of := statistic(e.Func.Name); of != nil {
		return s.statistic(f, e, of)
	}
	switch e.Func.Name {
	case "histogram_quantile", "histogram_fraction":
		return s.bucketFunction(f, e)
	}
	op := valueFunction(e)
	if op == nil || !s.chain(f, e.Args[0]) {
		return false
	}
	f.add(operation{floats: op}, true)
	return true
}

// statistic takes a function of each histogram by itself. It may be of an
// aggregation, too: of that nothing but counts and sums may be needed.
func (s *splitter) statistic(f *Fragment, e *parser.Call, of func(*histogram.FloatHistogram) float64) bool {
	if !s.histograms(f, e) {
		return false
	}
	f.direct = f.direct || f.function == nil
	f.add(statisticOp(of, !f.dropName), true)
	return true
}

// bucketFunction takes a function of classic or native histograms.
func (s *splitter) bucketFunction(f *Fragment, e *parser.Call) bool {
	function := newBucketFunction(e)
	if function == nil || !s.histograms(f, e) || f.function != nil {
		return false
	}
	f.function = function
	return true
}

// histograms takes what a function of histograms is of: its last argument.
func (s *splitter) histograms(f *Fragment, e *parser.Call) bool {
	defer s.enter(e.Func.Name)()
	of := e.Args[len(e.Args)-1]
	if _, ok := unwrap(of).(*parser.AggregateExpr); ok {
		f.inner = s.fragment(of, f.grid, 1)
		return f.inner != nil
	}
	return s.chain(f, of)
}

// add adds an operation on each value. Where a function of histograms has been, there
// is no name any more.
func (f *Fragment) add(op operation, dropsName bool) {
	if f.function != nil {
		f.function.after = append(f.function.after, op)
		return
	}
	f.values = append(f.values, op)
	f.dropName = f.dropName || dropsName
}

func (s *splitter) selector(f *Fragment, e *parser.VectorSelector) bool {
	if e.Timestamp != nil || e.StartOrEnd != 0 || e.OriginalOffsetExpr != nil || e.Anchored || e.Smoothed {
		return false
	}
	e.Offset = e.OriginalOffset
	f.matchers, f.offset = e.LabelMatchers, e.OriginalOffset.Milliseconds()
	f.stats = s.statistics > 0 && s.whole == 0 && s.subqueries == 0
	return true
}

func (s *splitter) rangeFunction(f *Fragment, e *parser.Call) bool {
	if s.rules.StartTimestamps && usesStartTimestamps(e.Func.Name) {
		return false
	}
	call := newRangeCall(e)
	for i := range e.Args {
		arg := unwrap(e.Args[i])
		if m, ok := arg.(*parser.MatrixSelector); ok {
			if m.RangeExpr != nil || m.Range <= 0 || !s.selector(f, m.VectorSelector.(*parser.VectorSelector)) {
				return false
			}
			call.span, call.per = m.Range.Milliseconds(), 1
			if call.name == "rate" {
				call.per = m.Range.Seconds()
			}
			call.pos = m.PositionRange()
			continue
		}
		n, ok := constant(arg)
		if !ok {
			return false
		}
		call.addScalar(n)
	}
	if call.span == 0 {
		return false
	}
	f.call = call
	f.dropName = call.dropsName()
	return true
}

func unwrap(e parser.Expr) parser.Expr {
	for {
		p, ok := e.(*parser.ParenExpr)
		if !ok {
			return e
		}
		e = p.Expr
	}
}
