package traceql

import (
	"strconv"
	"strings"

	"github.com/grafana/regexp"
)

// Query is a parsed query: a pipeline, which a metrics function may end, or
// arithmetic on such queries.
type Query struct {
	Pipeline Pipeline
	Metrics  *Metrics      // nil for a search
	Then     []SecondStage // what happens to the metrics' series
	Math     *Math         // instead of all above
	Hints    []Hint
}

// Math combines the series of two queries with equal labels.
type Math struct {
	Op          string // + - * /
	Left, Right Operand
}

// Operand is a query or a number.
type Operand struct {
	Query  *Query // nil: Number
	Number Static
}

// Hint is one entry of a with(…).
type Hint struct {
	Name  string
	Value Static
}

// Pipeline is a chain of stages; each gets the spansets that the one before it gave.
type Pipeline []Stage

// Stage is one of: Filter, SpansetOp, Sub, ScalarFilter, GroupBy, Select, Coalesce.
type Stage interface {
	isStage()
	String() string
}

// Spanset is a stage that selects spans: Filter, SpansetOp or Sub.
type Spanset interface {
	Stage
	isSpanset()
}

type (
	// Filter is {…}.
	Filter struct{ Expr Expr } // nil: every span
	// SpansetOp combines two spansets, logically or by structure.
	SpansetOp struct {
		Op          string // && || or [!&](> >> < << ~)
		Left, Right Spanset
	}
	// Sub is a pipeline in parentheses.
	Sub struct{ Pipeline Pipeline }
	// ScalarFilter keeps the spansets for which a comparison holds.
	ScalarFilter struct {
		Op          string
		Left, Right Scalar
	}
	// GroupBy splits spansets by the values of expressions.
	GroupBy struct{ By []Expr }
	// Select adds fields to the answer.
	Select struct{ Fields []FieldRef }
	// Coalesce joins the spansets of a trace into one.
	Coalesce struct{}
)

func (Filter) isStage()       {}
func (SpansetOp) isStage()    {}
func (Sub) isStage()          {}
func (ScalarFilter) isStage() {}
func (GroupBy) isStage()      {}
func (Select) isStage()       {}
func (Coalesce) isStage()     {}

func (Filter) isSpanset()    {}
func (SpansetOp) isSpanset() {}
func (Sub) isSpanset()       {}

// Scalar is a number of a spanset: Aggregate, Static, Piped, or ScalarOp of these.
type Scalar interface {
	isScalar()
	String() string
}

type (
	// Aggregate is count(), or avg, min, max, sum of an expression.
	Aggregate struct {
		Func string
		Of   Expr // nil for count
	}
	// ScalarOp is arithmetic on scalars.
	ScalarOp struct {
		Op          string
		Left, Right Scalar
	}
	// Piped is the number of what a pipeline of its own gives, all its spansets
	// taken as one: ({ status = error } | count()).
	Piped struct {
		Pipeline Pipeline
		Of       Scalar
	}
)

func (Aggregate) isScalar() {}
func (ScalarOp) isScalar()  {}
func (Static) isScalar()    {}
func (Piped) isScalar()     {}

// Expr is an expression on one span: Static, FieldRef, Unary, Binary or Match.
type Expr interface {
	isExpr()
	String() string
}

type (
	// Unary is -x or !x.
	Unary struct {
		Op string
		Of Expr
	}
	// Binary is logic, a comparison, or arithmetic.
	Binary struct {
		Op          string
		Left, Right Expr
	}
	// Match compares with a regular expression, which matches all of the text.
	Match struct {
		Of     Expr
		Re     *regexp.Regexp
		Source string
		Negate bool
	}
)

func (Static) isExpr()   {}
func (FieldRef) isExpr() {}
func (Unary) isExpr()    {}
func (Binary) isExpr()   {}
func (Match) isExpr()    {}

// Metrics is a metrics function at the end of a pipeline.
type Metrics struct {
	Func      string
	Of        Expr      // the number that is aggregated; nil for rate, count_over_time, compare
	Quantiles []float64 // of quantile_over_time
	By        []FieldRef
	Compare   *Compare // of compare
}

// Compare are the arguments of compare().
type Compare struct {
	Selection Filter
	TopN      int
	From, To  int64 // of the selection; both 0: no bound
}

// SecondStage works on series: topk, bottomk, or a comparison that keeps points.
type SecondStage struct {
	Op    string // topk, bottomk or a comparison
	K     int
	Value float64
}

func join[T interface{ String() string }](items []T, sep string) string {
	parts := make([]string, len(items))
	for i, item := range items {
		parts[i] = item.String()
	}
	return strings.Join(parts, sep)
}

// String returns the query in canonical form; parsing it gives the same query.
func (q *Query) String() string {
	var out strings.Builder
	if q.Math != nil {
		out.WriteString(q.Math.Left.String() + " " + q.Math.Op + " " + q.Math.Right.String())
	} else {
		out.WriteString(q.Pipeline.String())
		if q.Metrics != nil {
			if len(q.Pipeline) > 0 {
				out.WriteString(" | ")
			}
			out.WriteString(q.Metrics.String())
		}
	}
	for _, s := range q.Then {
		out.WriteString(" | " + s.String())
	}
	if len(q.Hints) > 0 {
		out.WriteString(" with (" + join(q.Hints, ", ") + ")")
	}
	return out.String()
}

// String returns the operand in canonical form.
func (o Operand) String() string {
	if o.Query == nil {
		return o.Number.String()
	}
	return "(" + o.Query.String() + ")"
}

// String returns the hint in canonical form.
func (h Hint) String() string { return h.Name + "=" + h.Value.String() }

// String returns the pipeline in canonical form.
func (p Pipeline) String() string { return join(p, " | ") }

// String returns the filter in canonical form.
func (f Filter) String() string {
	if f.Expr == nil {
		return "{ }"
	}
	return "{ " + f.Expr.String() + " }"
}

// String returns the operation in canonical form.
func (o SpansetOp) String() string {
	return spansetOperand(o.Left) + " " + o.Op + " " + spansetOperand(o.Right)
}

func spansetOperand(s Spanset) string {
	if op, ok := s.(SpansetOp); ok {
		return "(" + op.String() + ")"
	}
	return s.String()
}

// String returns the pipeline in parentheses.
func (s Sub) String() string { return "(" + s.Pipeline.String() + ")" }

// String returns the filter in canonical form.
func (f ScalarFilter) String() string { return f.Left.String() + " " + f.Op + " " + f.Right.String() }

// String returns the stage in canonical form.
func (g GroupBy) String() string { return "by(" + join(g.By, ", ") + ")" }

// String returns the stage in canonical form.
func (s Select) String() string { return "select(" + join(s.Fields, ", ") + ")" }

// String returns the stage in canonical form.
func (Coalesce) String() string { return "coalesce()" }

// String returns the aggregate in canonical form.
func (a Aggregate) String() string {
	if a.Of == nil {
		return a.Func + "()"
	}
	return a.Func + "(" + a.Of.String() + ")"
}

// String returns the operation in canonical form.
func (o ScalarOp) String() string {
	return "(" + o.Left.String() + " " + o.Op + " " + o.Right.String() + ")"
}

// String returns the pipeline in parentheses.
func (p Piped) String() string { return "(" + p.Pipeline.String() + " | " + p.Of.String() + ")" }

// String returns the expression in canonical form.
func (u Unary) String() string { return u.Op + exprOperand(u.Of) }

// String returns the expression in canonical form.
func (b Binary) String() string { return exprOperand(b.Left) + " " + b.Op + " " + exprOperand(b.Right) }

func exprOperand(e Expr) string {
	switch e.(type) {
	case Binary, Match, Unary:
		return "(" + e.String() + ")"
	}
	return e.String()
}

// String returns the expression in canonical form.
func (m Match) String() string {
	op := " =~ "
	if m.Negate {
		op = " !~ "
	}
	return exprOperand(m.Of) + op + strconv.Quote(m.Source)
}

// String returns the function in canonical form.
func (m *Metrics) String() string {
	var args []string
	if m.Of != nil {
		args = append(args, m.Of.String())
	}
	for _, q := range m.Quantiles {
		args = append(args, strconv.FormatFloat(q, 'g', -1, 64))
	}
	if c := m.Compare; c != nil {
		args = append(args, c.Selection.String(), strconv.Itoa(c.TopN))
		if c.From != 0 || c.To != 0 {
			args = append(args, strconv.FormatInt(c.From, 10), strconv.FormatInt(c.To, 10))
		}
	}
	text := m.Func + "(" + strings.Join(args, ", ") + ")"
	if len(m.By) > 0 {
		text += " by(" + join(m.By, ", ") + ")"
	}
	return text
}

// String returns the stage in canonical form.
func (s SecondStage) String() string {
	if s.Op == "topk" || s.Op == "bottomk" {
		return s.Op + "(" + strconv.Itoa(s.K) + ")"
	}
	return s.Op + " " + strconv.FormatFloat(s.Value, 'g', -1, 64)
}
