package fragment

import (
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/parser/posrange"
	"github.com/prometheus/prometheus/util/annotations"
)

// nativeJoin is an operation between two samples of which one is a native histogram at
// least.
type nativeJoin struct {
	op         parser.ItemType
	returnBool bool
	pos        posrange.PositionRange
}

// side is a sample of one side of an operation.
type side struct {
	value     float64 // absent for a histogram, and for nothing
	histogram *histogram.FloatHistogram
}

func (s *Series) at(step int) side {
	if s.Histograms == nil {
		return side{value: s.Values[step]}
	}
	return side{s.Values[step], s.Histograms[step]}
}

func (s side) nothing() bool { return s.histogram == nil && isAbsent(s.value) }

func (s side) kind() string {
	if s.histogram != nil {
		return "histogram"
	}
	return "float"
}

// apply writes what the operation makes of two series where there are histograms. It
// returns ErrFallback for what the order of samples decides.
func (n *nativeJoin) apply(x *natives, vals []float64, left, right *Series) error {
	for step := range vals {
		l, r := left.at(step), right.at(step)
		if l.nothing() || r.nothing() || (l.histogram == nil && r.histogram == nil) {
			continue
		}
		h, equal, remark := n.of(l, r)
		if remark != nil {
			if x.remark != nil && x.remark.Error() != remark.Error() {
				return ErrFallback // Prometheus tells the last of each step
			}
			x.remark = remark
		}
		switch {
		case n.comparison():
			if remark != nil {
				break
			}
			if n.returnBool {
				vals[step] = boolean(equal)
			} else if equal {
				x.at[step] = l.histogram
			}
		default:
			x.at[step] = h
		}
	}
	x.count()
	return nil
}

func (n *nativeJoin) comparison() bool { return n.op.IsComparisonOperator() }

// of is the operation on two samples: a histogram, nil if there is none, or whether a
// comparison holds, and what there is to say. An error that is no remark says that the
// general engine has to be asked.
func (n *nativeJoin) of(l, r side) (h *histogram.FloatHistogram, holds bool, remark error) {
	switch {
	case l.histogram != nil && r.histogram != nil:
		switch n.op {
		case parser.ADD, parser.SUB:
			return n.sum(l.histogram, r.histogram)
		case parser.EQLC:
			return nil, l.histogram.Equals(r.histogram), nil
		case parser.NEQ:
			return nil, !l.histogram.Equals(r.histogram), nil
		}
	case n.op == parser.MUL && r.histogram != nil:
		return r.histogram.Copy().Mul(l.value).Compact(0), false, nil
	case n.op == parser.MUL:
		return l.histogram.Copy().Mul(r.value).Compact(0), false, nil
	case n.op == parser.DIV && l.histogram != nil:
		return l.histogram.Copy().Div(r.value).Compact(0), false, nil
	}
	return nil, false, annotations.NewIncompatibleTypesInBinOpInfo(l.kind(), parser.ItemTypeStr[n.op], r.kind(), n.pos)
}

// sum adds or subtracts. Hints that contradict each other do not get here: no store
// hands out a histogram that says it was reset.
func (n *nativeJoin) sum(l, r *histogram.FloatHistogram) (h *histogram.FloatHistogram, _ bool, remark error) {
	var (
		reconciled bool
		err        error
		operation  = annotations.HistogramAdd
	)
	if n.op == parser.ADD {
		h, _, reconciled, err = l.Copy().Add(r)
	} else {
		operation = annotations.HistogramSub
		h, _, reconciled, err = l.Copy().Sub(r)
	}
	switch {
	case err != nil: // there is none but this
		return nil, false, annotations.NewIncompatibleBucketLayoutInBinOpWarning(parser.ItemTypeStr[n.op], n.pos)
	case reconciled:
		remark = annotations.NewMismatchedCustomBucketsHistogramsInfo(n.pos, operation)
	}
	if n.op == parser.SUB {
		h.CounterResetHint = histogram.GaugeType
	}
	return h.Compact(0), false, remark
}
