package fragment

import (
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/util/annotations"

	"belfry/tsdb/query/column"
)

// isChange reports whether the function is of the difference between histograms,
// whose hints do not matter any more then.
func (c *rangeCall) isChange() bool {
	switch c.name {
	case "rate", "increase", "delta", "irate", "idelta":
		return true
	}
	return false
}

// evalNative is eval for a series that has native histograms. What it writes to
// hists is valid until the next series. It returns true if these may have empty
// buckets that Prometheus would remove.
func (e *rangeEvaluator) evalNative(s column.Samples, ls labels.Labels, out []float64, hists []*histogram.FloatHistogram) (loose bool) {
	if len(s.Floats) > 0 {
		e.generalNative(s, ls, out, hists)
		return false
	}
	points := s.Histograms
	switch e.call.name {
	case "rate", "increase", "delta":
		e.native.rates(e, points, ls, hists)
		return true
	case "last_over_time":
		e.windows.eachHistogram(points, func(step, _, hi int) { hists[step] = points[hi-1].H })
	case "first_over_time":
		e.windows.eachHistogram(points, func(step, lo, _ int) { hists[step] = points[lo].H })
	case "count_over_time":
		e.windows.eachHistogram(points, func(step, lo, hi int) { out[step] = float64(hi - lo) })
	case "present_over_time":
		e.windows.eachHistogram(points, func(step, _, _ int) { out[step] = 1 })
	default:
		e.generalNative(s, ls, out, hists)
	}
	return false
}

// eachHistogram is each for histograms.
func (w windows) eachHistogram(points []promql.HPoint, f func(step, lo, hi int)) {
	lo, hi := 0, 0
	for step := range w.grid.Steps() {
		at := w.grid.At(step) - w.offset
		for hi < len(points) && points[hi].T <= at {
			hi++
		}
		for lo < hi && points[lo].T <= at-w.span {
			lo++
		}
		if lo < hi {
			f(step, lo, hi)
		}
	}
}

// generalNative is general for floats and histograms.
func (e *rangeEvaluator) generalNative(s column.Samples, ls labels.Labels, out []float64, hists []*histogram.FloatHistogram) {
	lo, hi := [2]int{}, [2]int{} // of floats, of histograms
	for step := range e.windows.grid.Steps() {
		at := e.windows.grid.At(step) - e.windows.offset
		for hi[0] < len(s.Floats) && s.Floats[hi[0]].T <= at {
			hi[0]++
		}
		for lo[0] < hi[0] && s.Floats[lo[0]].T <= at-e.windows.span {
			lo[0]++
		}
		for hi[1] < len(s.Histograms) && s.Histograms[hi[1]].T <= at {
			hi[1]++
		}
		for lo[1] < hi[1] && s.Histograms[lo[1]].T <= at-e.windows.span {
			lo[1]++
		}
		if lo[0] < hi[0] || lo[1] < hi[1] {
			e.callNative(step, s.Floats[lo[0]:hi[0]:hi[0]], s.Histograms[lo[1]:hi[1]:hi[1]], ls, out, hists)
		}
	}
}

// callNative calls Prometheus' implementation for a step.
func (e *rangeEvaluator) callNative(step int, floats []promql.FPoint, histograms []promql.HPoint, ls labels.Labels, out []float64, hists []*histogram.FloatHistogram) {
	e.matrix[0] = promql.Series{Metric: ls, Floats: floats, Histograms: histograms}
	e.helper.Ts = e.windows.grid.At(step)
	vec, annos := promql.FunctionCalls[e.call.name](e.call.scalars, e.matrix, e.call.args, &e.helper)
	e.annos.Merge(annos)
	e.matrix[0] = promql.Series{}
	if len(vec) > 0 {
		if hists[step] = vec[0].H; vec[0].H == nil {
			out[step] = vec[0].F
		}
	}
	e.helper.Out = vec[:0]
}

// nativeRates computes rate, increase and delta of native histograms. Where all of
// a window have the same buckets, these are subtracted one by one; where not,
// Prometheus does it.
type nativeRates struct {
	since   []int // the first histogram from which on all have the buckets of this one
	resets  []int // indexes of histograms that are a counter's after a reset
	gauges  []int // how many gauges there are before each
	results []histogram.FloatHistogram
	aligner aligner
}

// rates writes the rate at each step to hists. A result shares its spans with a
// sample.
func (n *nativeRates) rates(e *rangeEvaluator, points []promql.HPoint, ls labels.Labels, hists []*histogram.FloatHistogram) {
	counter := e.call.name != "delta"
	n.look(points, counter)
	if n.results == nil {
		n.results = make([]histogram.FloatHistogram, len(hists))
	}
	next, remarked := 0, false // the first reset that may be in the window
	e.windows.eachHistogram(points, func(step, lo, hi int) {
		if hi-lo < 2 {
			return
		}
		if n.since[hi-1] > lo {
			e.callNative(step, nil, points[lo:hi:hi], ls, nil, hists)
			return
		}
		for next < len(n.resets) && n.resets[next] <= lo {
			next++
		}
		h := &n.results[step]
		n.change(h, points[:hi], lo, n.resets[next:])
		first := promql.FPoint{T: points[lo].T, F: points[lo].H.Count}
		last := promql.FPoint{T: points[hi-1].T}
		at := e.windows.grid.At(step) - e.windows.offset
		h.Mul(e.factor(h.Count, first, last, hi-lo, at) / e.call.per)
		h.CounterResetHint = histogram.GaugeType
		hists[step] = h
		if !remarked {
			remarked = n.remark(e, points, lo, hi, ls)
		}
	})
}

// look finds what the windows have in common.
func (n *nativeRates) look(points []promql.HPoint, counter bool) {
	n.aligner.align(points)
	n.since, n.resets, n.gauges = n.since[:0], n.resets[:0], append(n.gauges[:0], 0)
	plain := false // the layout can be subtracted bucket by bucket
	for i := range points {
		h := points[i].H
		if i == 0 || !sameScale(h, points[i-1].H) || !sameSpans(h, points[i-1].H) {
			plain = bucketsOutsideZero(h)
			n.since = append(n.since, i)
		} else {
			n.since = append(n.since, n.since[i-1])
		}
		if !plain {
			n.since[i] = i
		}
		gauges := n.gauges[i]
		if h.CounterResetHint == histogram.GaugeType {
			gauges++
		}
		n.gauges = append(n.gauges, gauges)
		if counter && i > 0 && h.CounterResetHint != histogram.NotCounterReset && h.DetectReset(points[i-1].H) {
			n.resets = append(n.resets, i)
		}
	}
}

// bucketsOutsideZero reports whether no bucket lies within the zero bucket, where
// Prometheus would not subtract it.
func bucketsOutsideZero(h *histogram.FloatHistogram) bool {
	if h.UsesCustomBuckets() {
		return true
	}
	positive, negative := h.PositiveBucketIterator(), h.NegativeBucketIterator()
	return (!positive.Next() || positive.At().Upper > h.ZeroThreshold) &&
		(!negative.Next() || negative.At().Lower < -h.ZeroThreshold)
}

// change writes to h how much the histograms from lo on have grown, given the
// resets after lo. What was before a reset right at the beginning does not count.
func (n *nativeRates) change(h *histogram.FloatHistogram, points []promql.HPoint, lo int, resets []int) {
	last, first := points[len(points)-1].H, points[lo].H
	h.Schema, h.ZeroThreshold, h.CustomValues = last.Schema, last.ZeroThreshold, last.CustomValues
	h.PositiveSpans, h.NegativeSpans = last.PositiveSpans, last.NegativeSpans
	h.Count, h.Sum, h.ZeroCount = last.Count, last.Sum, last.ZeroCount
	h.PositiveBuckets = append(h.PositiveBuckets[:0], last.PositiveBuckets...)
	h.NegativeBuckets = append(h.NegativeBuckets[:0], last.NegativeBuckets...)
	if len(resets) > 0 && resets[0] == lo+1 {
		resets = resets[1:]
	} else {
		h.Count, h.Sum, h.ZeroCount = h.Count-first.Count, h.Sum-first.Sum, h.ZeroCount-first.ZeroCount
		subtract(h.PositiveBuckets, first.PositiveBuckets)
		subtract(h.NegativeBuckets, first.NegativeBuckets)
	}
	for _, i := range resets {
		if i >= len(points) {
			return
		}
		before := points[i-1].H
		h.Count, h.Sum, h.ZeroCount = h.Count+before.Count, h.Sum+before.Sum, h.ZeroCount+before.ZeroCount
		add(h.PositiveBuckets, before.PositiveBuckets)
		add(h.NegativeBuckets, before.NegativeBuckets)
	}
}

func subtract(from, what []float64) {
	from = from[:len(what)]
	for i, v := range what {
		from[i] -= v
	}
}

func add(to, what []float64) {
	to = to[:len(what)]
	for i, v := range what {
		to[i] += v
	}
}

// remark says what Prometheus does about gauges and counters that are taken for
// each other. It reports whether there was something to say.
func (n *nativeRates) remark(e *rangeEvaluator, points []promql.HPoint, lo, hi int, ls labels.Labels) bool {
	name := ls.Get(model.MetricNameLabel)
	switch {
	case e.call.name != "delta":
		if n.gauges[hi] == n.gauges[lo] {
			return false
		}
		e.annos.Add(annotations.NewNativeHistogramNotCounterWarning(name, e.call.pos))
	case points[lo].H.CounterResetHint == histogram.GaugeType && points[hi-1].H.CounterResetHint == histogram.GaugeType:
		return false
	default:
		e.annos.Add(annotations.NewNativeHistogramNotGaugeWarning(name, e.call.pos))
	}
	return true
}
