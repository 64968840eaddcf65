package fragment

import (
	"math"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/parser/posrange"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/prometheus/prometheus/util/kahansum"
)

// rangeCall is a function over a range of samples.
type rangeCall struct {
	name string
	span int64   // of the range, milliseconds
	per  float64 // the range in seconds for a rate, 1 for others
	pos  posrange.PositionRange

	// args and scalars are what Prometheus' implementation is given.
	args    parser.Expressions
	scalars []promql.Vector
}

func newRangeCall(e *parser.Call) *rangeCall {
	args := make(parser.Expressions, len(e.Args))
	for i := range e.Args {
		args[i] = unwrap(e.Args[i])
	}
	return &rangeCall{name: e.Func.Name, args: args}
}

func (c *rangeCall) addScalar(v float64) {
	c.scalars = append(c.scalars, promql.Vector{{F: v}})
}

// dropsName: these two work like an offset.
func (c *rangeCall) dropsName() bool {
	return c.name != "last_over_time" && c.name != "first_over_time"
}

func isRangeFunction(name string) bool {
	switch name {
	case "rate", "increase", "delta", "irate", "idelta", "deriv", "predict_linear", "changes", "resets",
		"sum_over_time", "avg_over_time", "min_over_time", "max_over_time", "count_over_time", "last_over_time",
		"first_over_time", "present_over_time", "stddev_over_time", "stdvar_over_time", "quantile_over_time", "mad_over_time",
		"ts_of_first_over_time", "ts_of_last_over_time", "ts_of_min_over_time", "ts_of_max_over_time":
		return true
	}
	return false
}

func usesStartTimestamps(name string) bool {
	return name == "rate" || name == "irate" || name == "increase" || name == "resets"
}

// wantsCounter reports whether the function remarks on a metric that does not
// look like a counter.
func (c *rangeCall) wantsCounter() bool { return c.name == "rate" || c.name == "increase" }

// windows evaluates one series: the samples in (at-span, at] for each step.
type windows struct {
	grid   Grid
	offset int64
	span   int64
}

// each calls f with every step's window that has samples.
func (w windows) each(points []promql.FPoint, f func(step int, at int64, lo, hi int)) {
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
			f(step, at, lo, hi)
		}
	}
}

// rangeEvaluator evaluates a call for one series after the other. It is used
// by one goroutine.
type rangeEvaluator struct {
	call    *rangeCall
	windows windows

	resets []int   // indexes of samples below the one before
	marks  []int32 // how many changes or resets there are up to each sample
	queue  []int   // indexes of the candidates for an extreme
	helper promql.EvalNodeHelper
	matrix promql.Matrix
	annos  annotations.Annotations
	native nativeRates
}

func newRangeEvaluator(f *Fragment) *rangeEvaluator {
	return &rangeEvaluator{
		call:    f.call,
		windows: windows{f.grid, f.offset, f.call.span},
		helper:  promql.EvalNodeHelper{Out: make(promql.Vector, 0, 1)},
		matrix:  make(promql.Matrix, 1),
	}
}

// eval writes the value of each step to out, which is absent all over. The
// points have no stale markers.
func (e *rangeEvaluator) eval(points []promql.FPoint, ls labels.Labels, out []float64) {
	if len(points) == 0 {
		return
	}
	each := func(f func(step, lo, hi int)) {
		e.windows.each(points, func(step int, _ int64, lo, hi int) { f(step, lo, hi) })
	}
	switch e.call.name {
	case "rate", "increase":
		e.findResets(points)
		e.extrapolated(points, out)
	case "delta":
		e.resets = e.resets[:0]
		e.extrapolated(points, out)
	case "irate", "idelta":
		each(func(step, lo, hi int) {
			if hi-lo > 1 {
				out[step] = e.instant(points[hi-2], points[hi-1])
			}
		})
	case "sum_over_time":
		each(func(step, lo, hi int) { out[step] = sum(points[lo:hi]) })
	case "min_over_time":
		e.extreme(points, out, func(a, b float64) bool { return a < b })
	case "max_over_time":
		e.extreme(points, out, func(a, b float64) bool { return a > b })
	case "count_over_time":
		each(func(step, lo, hi int) { out[step] = float64(hi - lo) })
	case "present_over_time":
		each(func(step, _, _ int) { out[step] = 1 })
	case "last_over_time":
		each(func(step, _, hi int) { out[step] = points[hi-1].F })
	case "first_over_time":
		each(func(step, lo, _ int) { out[step] = points[lo].F })
	case "changes":
		e.count(points, func(a, b float64) bool { return a != b && !(math.IsNaN(a) && math.IsNaN(b)) })
		each(func(step, lo, hi int) { out[step] = float64(e.marks[hi-1] - e.marks[lo]) })
	case "resets":
		e.count(points, func(a, b float64) bool { return b < a })
		each(func(step, lo, hi int) { out[step] = float64(e.marks[hi-1] - e.marks[lo]) })
	default:
		e.general(points, ls, out)
	}
}

// general calls Prometheus' implementation with the window as it lies.
func (e *rangeEvaluator) general(points []promql.FPoint, ls labels.Labels, out []float64) {
	call := promql.FunctionCalls[e.call.name]
	e.matrix[0] = promql.Series{Metric: ls}
	e.windows.each(points, func(step int, _ int64, lo, hi int) {
		e.matrix[0].Floats = points[lo:hi:hi]
		e.helper.Ts = e.windows.grid.At(step)
		vec, annos := call(e.call.scalars, e.matrix, e.call.args, &e.helper)
		e.annos.Merge(annos)
		if len(vec) > 0 {
			out[step] = vec[0].F
		}
		e.helper.Out = vec[:0]
	})
}

func (e *rangeEvaluator) findResets(points []promql.FPoint) {
	e.resets = e.resets[:0]
	for i := 1; i < len(points); i++ {
		if points[i].F < points[i-1].F {
			e.resets = append(e.resets, i)
		}
	}
}

// extrapolated is rate, increase and delta: the change within the window,
// extended to its ends where samples are near them.
func (e *rangeEvaluator) extrapolated(points []promql.FPoint, out []float64) {
	next := 0 // the first reset that may be in the window
	e.windows.each(points, func(step int, at int64, lo, hi int) {
		if hi-lo < 2 {
			return
		}
		first, last := points[lo], points[hi-1]
		change := last.F - first.F
		for next < len(e.resets) && e.resets[next] <= lo {
			next++
		}
		for _, i := range e.resets[next:] {
			if i >= hi {
				break
			}
			change += points[i-1].F
		}
		out[step] = e.extrapolate(change, first, last, hi-lo, at)
	})
}

// maxDirectSteps is how many steps are evaluated one by one over columns: for more,
// what the windows have in common is worth finding once.
const maxDirectSteps = 4

// direct reports whether extrapolatedOf may be used.
func (e *rangeEvaluator) direct() bool {
	switch e.call.name {
	case "rate", "increase", "delta":
		return e.windows.grid.Steps() <= maxDirectSteps
	}
	return false
}

// extrapolatedOf is extrapolated for samples that lie in columns; the times are
// relative to base.
func (e *rangeEvaluator) extrapolatedOf(times []int32, values []float64, base int64, out []float64) {
	counter := e.call.name != "delta"
	for step := range out {
		at := e.windows.grid.At(step) - e.windows.offset
		hi := upTo(times, at-base)
		lo := upTo(times[:hi], at-e.call.span-base)
		if hi-lo < 2 {
			continue
		}
		window := values[lo:hi]
		change, before := window[len(window)-1]-window[0], window[0]
		if counter {
			for _, v := range window[1:] {
				if v < before {
					change += before
				}
				before = v
			}
		}
		first := promql.FPoint{T: base + int64(times[lo]), F: window[0]}
		last := promql.FPoint{T: base + int64(times[hi-1]), F: window[len(window)-1]}
		out[step] = e.extrapolate(change, first, last, hi-lo, at)
	}
}

// upTo returns how many of the times, in order, are not after t.
func upTo(times []int32, t int64) int {
	lo, hi := 0, len(times)
	for lo < hi {
		if mid := (lo + hi) / 2; int64(times[mid]) <= t {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// extrapolate extends a change over n samples to the ends of the window that ends
// at a time.
func (e *rangeEvaluator) extrapolate(change float64, first, last promql.FPoint, n int, at int64) float64 {
	return change * (e.factor(change, first, last, n, at) / e.call.per)
}

// factor is what a change over n samples is extended by. The rules are those of
// Prometheus' extrapolatedRate, and so is the order of operations.
func (e *rangeEvaluator) factor(change float64, first, last promql.FPoint, n int, at int64) float64 {
	toStart := float64(first.T-(at-e.call.span)) / 1000
	toEnd := float64(at-last.T) / 1000
	sampled := float64(last.T-first.T) / 1000
	between := sampled / float64(n-1)
	threshold := between * 1.1
	if toStart >= threshold {
		toStart = between / 2
	}
	if e.call.name != "delta" && change > 0 && first.F >= 0 {
		// A counter was at zero no later than its slope says.
		if toZero := sampled * (first.F / change); toZero < toStart {
			toStart = toZero
		}
	}
	if toEnd >= threshold {
		toEnd = between / 2
	}
	if sampled == 0 {
		return 1
	}
	return (sampled + toStart + toEnd) / sampled
}

// instant is irate and idelta: of the last two samples.
func (e *rangeEvaluator) instant(a, b promql.FPoint) float64 {
	v := b.F
	isRate := e.call.name == "irate"
	if !isRate || !(b.F < a.F) {
		v = b.F - a.F
	}
	if isRate {
		v /= float64(b.T-a.T) / 1000
	}
	return v
}

func sum(points []promql.FPoint) float64 {
	var s, c float64
	for _, p := range points {
		s, c = kahansum.Inc(p.F, s, c)
	}
	if math.IsInf(s, 0) {
		return s
	}
	return s + c
}

// extreme is min_over_time and max_over_time: a queue holds the samples of the
// window that are ahead of all later ones, the best first. NaN counts only
// where there is nothing else.
func (e *rangeEvaluator) extreme(points []promql.FPoint, out []float64, ahead func(a, b float64) bool) {
	e.queue = e.queue[:0]
	head, seen := 0, 0
	e.windows.each(points, func(step int, _ int64, lo, hi int) {
		for ; seen < hi; seen++ {
			v := points[seen].F
			if math.IsNaN(v) {
				continue
			}
			for len(e.queue) > head && ahead(v, points[e.queue[len(e.queue)-1]].F) {
				e.queue = e.queue[:len(e.queue)-1]
			}
			e.queue = append(e.queue, seen)
		}
		for head < len(e.queue) && e.queue[head] < lo {
			head++
		}
		if head == len(e.queue) {
			out[step] = math.NaN()
			return
		}
		out[step] = points[e.queue[head]].F
	})
}

// count marks, for each sample, how many up to it differ from the one before.
func (e *rangeEvaluator) count(points []promql.FPoint, differ func(before, now float64) bool) {
	e.marks = append(e.marks[:0], 0)
	n := int32(0)
	for i := 1; i < len(points); i++ {
		if differ(points[i-1].F, points[i].F) {
			n++
		}
		e.marks = append(e.marks, n)
	}
}
