package fragment

import (
	"math"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/prometheus/prometheus/util/kahansum"
)

// operation is what is done to each step of a series.
type operation struct {
	floats     valueOp
	histograms histogramOp // nil drops them
}

// histogramOp returns what becomes of a histogram: a value, absent if there is
// none, or another histogram. It does not change the one it is given.
type histogramOp func(x *natives, h *histogram.FloatHistogram, ls labels.Labels) (float64, *histogram.FloatHistogram)

// noFloats drops all values.
func noFloats(vals []float64) {
	for i := range vals {
		vals[i] = absent()
	}
}

// negated is a histogram with the sign of all of it changed.
func negated(x *natives, h *histogram.FloatHistogram, _ labels.Labels) (float64, *histogram.FloatHistogram) {
	out := x.take()
	h.CopyTo(out)
	return absent(), out.Mul(-1)
}

// histogramScalarOp is an operation between each histogram and a number, which is
// on the left if swapped. Most there are not, which Prometheus remarks on.
func histogramScalarOp(e *parser.BinaryExpr, n float64, swapped bool) histogramOp {
	scale := (*histogram.FloatHistogram).Mul
	switch {
	case e.Op == parser.MUL:
	case e.Op == parser.DIV && !swapped:
		scale = (*histogram.FloatHistogram).Div
	default:
		left, right := "histogram", "float"
		if swapped {
			left, right = right, left
		}
		remark := annotations.NewIncompatibleTypesInBinOpInfo(left, parser.ItemTypeStr[e.Op], right, e.PositionRange())
		return func(x *natives, _ *histogram.FloatHistogram, _ labels.Labels) (float64, *histogram.FloatHistogram) {
			x.annos.Add(remark)
			return absent(), nil
		}
	}
	return func(x *natives, h *histogram.FloatHistogram, _ labels.Labels) (float64, *histogram.FloatHistogram) {
		out := x.take()
		h.CopyTo(out)
		if x.loose && n-n != 0 {
			out.Compact(0) // of nothing it makes something
		}
		return absent(), scale(out, n).Compact(0)
	}
}

// statistic is a function of histograms by themselves, nil if there is none of
// that name.
func statistic(name string) func(h *histogram.FloatHistogram) float64 {
	switch name {
	case "histogram_count":
		return func(h *histogram.FloatHistogram) float64 { return h.Count }
	case "histogram_sum":
		return func(h *histogram.FloatHistogram) float64 { return h.Sum }
	case "histogram_avg":
		return func(h *histogram.FloatHistogram) float64 { return h.Sum / h.Count }
	case "histogram_stdvar":
		return histogramVariance
	case "histogram_stddev":
		return func(h *histogram.FloatHistogram) float64 { return math.Sqrt(histogramVariance(h)) }
	}
	return nil
}

// statisticOp is a function of histograms, which takes the metric's name away and,
// unlike all others, no other label that describes the metric. bare says that these
// may be there.
func statisticOp(of func(h *histogram.FloatHistogram) float64, bare bool) operation {
	return operation{noFloats, func(x *natives, h *histogram.FloatHistogram, ls labels.Labels) (float64, *histogram.FloatHistogram) {
		if bare && (ls.Has(model.MetricTypeLabel) || ls.Has(model.MetricUnitLabel)) {
			x.err = ErrFallback
		}
		return of(h), nil
	}}
}

// histogramVariance takes all observations of a bucket to be at its middle, as
// Prometheus does: the geometric one of exponential buckets.
func histogramVariance(h *histogram.FloatHistogram) float64 {
	mean := h.Sum / h.Count
	var sum, comp float64
	for it := h.AllBucketIterator(); it.Next(); {
		b := it.At()
		if b.Count == 0 {
			continue
		}
		middle := 0.0
		switch {
		case h.UsesCustomBuckets():
			middle = (b.Upper + b.Lower) / 2
		case b.Lower <= 0 && b.Upper >= 0:
		case b.Upper < 0:
			middle = -math.Sqrt(b.Upper * b.Lower)
		default:
			middle = math.Sqrt(b.Upper * b.Lower)
		}
		delta := middle - mean
		sum, comp = kahansum.Inc(b.Count*delta*delta, sum, comp)
	}
	return (sum + comp) / h.Count
}
