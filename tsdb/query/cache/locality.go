package cache

import (
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// Locality is how far from its own time a step of a query looks, milliseconds.
type Locality struct {
	Back  int64 // into the past, exclusive
	Ahead int64 // into the future
}

// LocalityOf returns the locality of an expression as it was parsed. It returns
// false if the value of a step depends on which steps are asked for, or on data
// at a fixed time.
func LocalityOf(expr parser.Expr, lookback, subqueryStep time.Duration) (Locality, bool) {
	var (
		l  Locality
		ok = true
	)
	parser.Inspect(expr, func(node parser.Node, path []parser.Node) error {
		switch n := node.(type) {
		case *parser.VectorSelector:
			if n.Timestamp != nil || n.StartOrEnd != 0 || n.OriginalOffsetExpr != nil {
				ok = false
				return nil
			}
			l.include(n, path, lookback, subqueryStep)
		case *parser.MatrixSelector:
			// Series that differ by name only are an error, also where they
			// are not there at the same time.
			ok = ok && n.RangeExpr == nil && pinned(n.VectorSelector.(*parser.VectorSelector))
		case *parser.SubqueryExpr:
			ok = ok && n.Timestamp == nil && n.StartOrEnd == 0 && n.RangeExpr == nil && n.StepExpr == nil && n.OriginalOffsetExpr == nil
		case *parser.Call:
			ok = ok && localFunction(n.Func.Name)
		case *parser.AggregateExpr:
			ok = ok && n.Op != parser.LIMITK && n.Op != parser.LIMIT_RATIO
		}
		return nil
	})
	return l, ok
}

// include widens the locality by what a selector at the end of path reads.
func (l *Locality) include(n *parser.VectorSelector, path []parser.Node, lookback, subqueryStep time.Duration) {
	back, ahead := n.OriginalOffset+lookback, -n.OriginalOffset
	if n.Smoothed {
		ahead += lookback
	}
	for _, p := range path {
		switch p := p.(type) {
		case *parser.MatrixSelector:
			back += p.Range
		case *parser.SubqueryExpr:
			back += p.Range + p.OriginalOffset + max(p.Step, subqueryStep)
			ahead -= p.OriginalOffset
		}
	}
	l.Back, l.Ahead = max(l.Back, back.Milliseconds()), max(l.Ahead, ahead.Milliseconds())
}

func localFunction(name string) bool {
	switch name {
	case "start", "end", "range", "step", "info", "sort", "sort_desc", "sort_by_label", "sort_by_label_desc":
		return false
	}
	return true
}

func pinned(n *parser.VectorSelector) bool {
	for _, m := range n.LabelMatchers {
		if m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual && m.Value != "" {
			return true
		}
	}
	return false
}
