package fragment

import (
	"math"

	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql/parser"
)

// absent marks a step without a value. It is the stale marker: no evaluation
// has it as its result.
func absent() float64 { return math.Float64frombits(value.StaleNaN) }

func isAbsent(v float64) bool { return math.Float64bits(v) == value.StaleNaN }

// valueOp changes the values of a series, one by one, in place. Steps that are
// absent stay absent.
type valueOp func(vals []float64)

func mapped(f func(float64) float64) valueOp {
	return func(vals []float64) {
		for i, v := range vals {
			if !isAbsent(v) {
				vals[i] = f(v)
			}
		}
	}
}

func filtered(keep func(float64) bool) valueOp {
	return func(vals []float64) {
		for i, v := range vals {
			if !isAbsent(v) && !keep(v) {
				vals[i] = absent()
			}
		}
	}
}

// constant returns the value of a scalar expression that is made of numbers
// only.
func constant(e parser.Expr) (float64, bool) {
	switch e := unwrap(e).(type) {
	case *parser.NumberLiteral:
		return e.Val, true
	case *parser.UnaryExpr:
		v, ok := constant(e.Expr)
		if e.Op == parser.SUB {
			v = -v
		}
		return v, ok
	case *parser.BinaryExpr:
		l, okLeft := constant(e.LHS)
		r, okRight := constant(e.RHS)
		if !okLeft || !okRight {
			return 0, false
		}
		if f := arithmetic(e.Op); f != nil {
			return f(l, r), true
		}
		if f := comparison(e.Op); f != nil {
			return boolean(f(l, r)), true
		}
	}
	return 0, false
}

func arithmetic(op parser.ItemType) func(l, r float64) float64 {
	switch op {
	case parser.ADD:
		return func(l, r float64) float64 { return l + r }
	case parser.SUB:
		return func(l, r float64) float64 { return l - r }
	case parser.MUL:
		return func(l, r float64) float64 { return l * r }
	case parser.DIV:
		return func(l, r float64) float64 { return l / r }
	case parser.POW:
		return math.Pow
	case parser.MOD:
		return math.Mod
	case parser.ATAN2:
		return math.Atan2
	}
	return nil
}

func comparison(op parser.ItemType) func(l, r float64) bool {
	switch op {
	case parser.EQLC:
		return func(l, r float64) bool { return l == r }
	case parser.NEQ:
		return func(l, r float64) bool { return l != r }
	case parser.GTR:
		return func(l, r float64) bool { return l > r }
	case parser.LSS:
		return func(l, r float64) bool { return l < r }
	case parser.GTE:
		return func(l, r float64) bool { return l >= r }
	case parser.LTE:
		return func(l, r float64) bool { return l <= r }
	}
	return nil
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// scalarOp is an operation between each value and a number, which is on the
// left if swapped. drops says whether the metric's name goes. The operation is
// nil if there is none of that kind.
func scalarOp(op parser.ItemType, n float64, swapped, returnBool bool) (f valueOp, drops bool) {
	if a := arithmetic(op); a != nil {
		if swapped {
			return mapped(func(v float64) float64 { return a(n, v) }), true
		}
		return mapped(func(v float64) float64 { return a(v, n) }), true
	}
	c := comparison(op)
	if c == nil {
		return nil, false
	}
	holds := func(v float64) bool { return c(v, n) }
	if swapped {
		holds = func(v float64) bool { return c(n, v) }
	}
	if returnBool {
		return mapped(func(v float64) float64 { return boolean(holds(v)) }), true
	}
	return filtered(holds), false
}

// valueFunction is the function that a call applies to each value of its first
// argument, nil if it is not of that kind.
func valueFunction(e *parser.Call) valueOp {
	if len(e.Args) == 1 {
		if f := mathFunction(e.Func.Name); f != nil {
			return mapped(f)
		}
		if e.Func.Name != "round" {
			return nil
		}
	}
	var args []float64
	if len(e.Args) > 1 {
		for _, a := range e.Args[1:] {
			n, ok := constant(a)
			if !ok {
				return nil
			}
			args = append(args, n)
		}
	}
	switch e.Func.Name {
	case "round":
		nearest := 1.0
		if len(args) > 0 {
			nearest = args[0]
		}
		inverse := 1.0 / nearest
		return mapped(func(v float64) float64 { return math.Floor(v*inverse+0.5) / inverse })
	case "clamp":
		return clamp(args[0], args[1])
	case "clamp_min":
		return clamp(args[0], math.Inf(1))
	case "clamp_max":
		return clamp(math.Inf(-1), args[0])
	}
	return nil
}

func clamp(low, high float64) valueOp {
	if high < low {
		return filtered(func(float64) bool { return false })
	}
	return mapped(func(v float64) float64 { return math.Max(low, math.Min(high, v)) })
}

func mathFunction(name string) func(float64) float64 {
	switch name {
	case "abs":
		return math.Abs
	case "ceil":
		return math.Ceil
	case "floor":
		return math.Floor
	case "exp":
		return math.Exp
	case "sqrt":
		return math.Sqrt
	case "ln":
		return math.Log
	case "log2":
		return math.Log2
	case "log10":
		return math.Log10
	case "sgn":
		return sign
	case "deg":
		return func(v float64) float64 { return v * 180 / math.Pi }
	case "rad":
		return func(v float64) float64 { return v * math.Pi / 180 }
	}
	return nil
}

func sign(v float64) float64 {
	switch {
	case v < 0:
		return -1
	case v > 0:
		return 1
	}
	return v
}
