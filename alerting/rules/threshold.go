package rules

import "github.com/prometheus/prometheus/promql/parser"

// Thresholder is a Language that can tell the two sides of a threshold apart.
// With it, an alert that waits for its recover expression is let go when the
// series itself is gone; without, such an alert fires until its rule changes.
type Thresholder interface {
	// Operand returns what expr compares with a threshold: for `a < 70` it is
	// `a`. ok is false for an expression that is not such a comparison.
	Operand(expr string) (operand string, ok bool)
}

// Operand finds a comparison of a vector with a scalar.
func (l promQL) Operand(expr string) (string, bool) {
	e, err := l.parser.ParseExpr(expr)
	if err != nil {
		return "", false
	}
	for {
		p, ok := e.(*parser.ParenExpr)
		if !ok {
			break
		}
		e = p.Expr
	}
	b, ok := e.(*parser.BinaryExpr)
	if !ok || !b.Op.IsComparisonOperator() || b.ReturnBool {
		return "", false
	}
	left, right := b.LHS.Type() == parser.ValueTypeVector, b.RHS.Type() == parser.ValueTypeVector
	switch {
	case left && !right:
		return b.LHS.String(), true
	case right && !left:
		return b.RHS.String(), true
	}
	return "", false
}
