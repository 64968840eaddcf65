package rules

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/parser/posrange"
	promrules "github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"
)

// Type says which signal a rule is about, and so which language its
// expressions are in.
type Type string

// The types, in PromQL, LogQL and TraceQL.
const (
	Metrics Type = "metrics"
	Logs    Type = "logs"
	Traces  Type = "traces"
)

// Types are all types, in the order in which they are documented.
func Types() []Type { return []Type{Metrics, Logs, Traces} }

// Language checks and evaluates expressions of one language. The context of
// Query carries the tenant. Implementations are safe for concurrent use, bound
// what a query may cost, and stop soon after ctx is done.
type Language interface {
	// Validate returns why expr cannot be the expression of a rule: it does not
	// parse, or its result is not an instant vector or scalar.
	Validate(expr string) error
	// Query evaluates expr at one instant. The caller may change the result.
	Query(ctx context.Context, expr string, at time.Time) (promql.Vector, error)
}

type promQL struct {
	parser parser.Parser
	query  promrules.QueryFunc
}

// PromQL returns the language of metrics rules, evaluated by engine over q.
func PromQL(p parser.Parser, engine promql.QueryEngine, q storage.Queryable) Language {
	return promQL{parser: p, query: promrules.EngineQueryFunc(engine, q)}
}

func (l promQL) Validate(expr string) error {
	e, err := l.parser.ParseExpr(expr)
	if err != nil {
		return err
	}
	if t := e.Type(); t != parser.ValueTypeVector && t != parser.ValueTypeScalar {
		return fmt.Errorf("the expression is a %s; a rule needs an instant vector or a scalar", parser.DocumentedType(t))
	}
	return nil
}

func (l promQL) Query(ctx context.Context, expr string, at time.Time) (promql.Vector, error) {
	return l.query(ctx, expr, at)
}

// Expression is an expression of a language other than PromQL, in the place
// where Prometheus' rules hold a syntax tree. It must not be given to
// parser.Inspect, which knows PromQL's nodes only.
type Expression struct {
	Language Type
	Text     string // as written in the rule file
}

var _ parser.Expr = (*Expression)(nil)

// String returns the text as written.
func (e *Expression) String() string { return e.Text }

// Pretty returns the text as written.
func (e *Expression) Pretty(int) string { return e.Text }

// PositionRange spans the whole text.
func (e *Expression) PositionRange() posrange.PositionRange {
	return posrange.PositionRange{End: posrange.Pos(len(e.Text))}
}

// Type says that rules get an instant vector from every language.
func (e *Expression) Type() parser.ValueType { return parser.ValueTypeVector }

// PromQLExpr is the mark of parser.Expr.
func (e *Expression) PromQLExpr() {}
