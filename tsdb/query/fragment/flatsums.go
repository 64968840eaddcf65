package fragment

import (
	"math"
	"slices"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/util/kahansum"
)

// flatSums are sums of histograms with one schema, one zero bucket and the same
// custom bounds, a row of one array a step. The columns are the buckets that any of
// them has had.
type flatSums struct {
	schema   int32
	zero     float64 // threshold
	custom   []float64
	positive []int32 // indexes of the buckets that are columns, in order
	negative []int32

	sum, comp []float64 // rows of width(); comp is what is lost to rounding
	steps     []flatStep

	// runs say which buckets of a histogram with these spans go where.
	runs                        []flatRun
	positiveSpans, negativeSpan []histogram.Span
	known                       bool
}

// flatStep is what a sum has beside its buckets.
type flatStep struct {
	n                                              uint32 // histograms
	count, countComp, sum, sumComp, zero, zeroComp float64
}

// flatStepSize is what it takes, in samples.
const flatStepSize = 4

// flatRun is buckets that follow each other in a histogram and in the columns.
type flatRun struct{ from, to, column int }

func newFlatSums(h *histogram.FloatHistogram, steps int) *flatSums {
	return &flatSums{schema: h.Schema, zero: h.ZeroThreshold, custom: h.CustomValues, steps: make([]flatStep, steps)}
}

func (f *flatSums) width() int { return len(f.positive) + len(f.negative) }

// fits reports whether a histogram can be added.
func (f *flatSums) fits(h *histogram.FloatHistogram) bool {
	return h.Schema == f.schema && h.ZeroThreshold == f.zero && sameBounds(h.CustomValues, f.custom)
}

// add adds a histogram at a step. It returns how many more samples are in memory.
func (f *flatSums) add(step int, h *histogram.FloatHistogram) (more int) {
	if !f.known || !slices.Equal(f.positiveSpans, h.PositiveSpans) || !slices.Equal(f.negativeSpan, h.NegativeSpans) {
		more = f.locate(h)
	}
	s := &f.steps[step]
	s.n++
	s.count, s.countComp = kahansum.Inc(h.Count, s.count, s.countComp)
	s.sum, s.sumComp = kahansum.Inc(h.Sum, s.sum, s.sumComp)
	s.zero, s.zeroComp = kahansum.Inc(h.ZeroCount, s.zero, s.zeroComp)
	row := step * f.width()
	for _, r := range f.runs {
		values := h.PositiveBuckets
		from, to := r.from, r.to
		if from >= len(values) {
			values, from, to = h.NegativeBuckets, from-len(values), to-len(values)
		}
		at := row + r.column
		incAll(f.sum[at:at+to-from], f.comp[at:at+to-from], values[from:to])
	}
	return more
}

// incAll is kahansum.Inc for each of some values.
func incAll(sum, comp, values []float64) {
	sum, comp = sum[:len(values)], comp[:len(values)]
	for i, v := range values {
		s := sum[i]
		t := s + v
		switch {
		case t-t != 0: // infinite, or not a number
			sum[i], comp[i] = kahansum.Inc(v, s, comp[i])
			continue
		case math.Abs(s) >= math.Abs(v):
			comp[i] += (s - t) + v
		default:
			comp[i] += (v - t) + s
		}
		sum[i] = t
	}
}

// addComp adds what a sum that was added has lost to rounding.
func (f *flatSums) addComp(step int, comp *histogram.FloatHistogram) {
	s := &f.steps[step]
	for _, c := range []struct {
		sum  float64
		comp *float64
		more float64
	}{{s.count, &s.countComp, comp.Count}, {s.sum, &s.sumComp, comp.Sum}, {s.zero, &s.zeroComp, comp.ZeroCount}} {
		if !math.IsInf(c.sum, 0) {
			*c.comp += c.more
		}
	}
	row := step * f.width()
	for _, r := range f.runs {
		values, from := comp.PositiveBuckets, r.from
		if from >= len(values) {
			values, from = comp.NegativeBuckets, from-len(values)
		}
		for i := range r.to - r.from {
			if at := row + r.column + i; !math.IsInf(f.sum[at], 0) {
				f.comp[at] += values[from+i]
			}
		}
	}
}

// locate finds the columns of a histogram's buckets, and adds those that are not
// there.
func (f *flatSums) locate(h *histogram.FloatHistogram) (more int) {
	positive, negative := union(f.positive, h.PositiveSpans), union(f.negative, h.NegativeSpans)
	if len(positive) > len(f.positive) || len(negative) > len(f.negative) {
		had := f.width()
		f.widen(positive, negative)
		more = (f.width() - had) * len(f.steps)
	}
	f.positiveSpans, f.negativeSpan = append(f.positiveSpans[:0], h.PositiveSpans...), append(f.negativeSpan[:0], h.NegativeSpans...)
	f.runs = runsOf(f.runs[:0], f.positive, h.PositiveSpans, 0, 0)
	f.runs = runsOf(f.runs, f.negative, h.NegativeSpans, len(h.PositiveBuckets), len(f.positive))
	f.known = true
	return more
}

// each calls f with the indexes of the buckets of spans.
func each(spans []histogram.Span, f func(index int32)) {
	index := int32(0)
	for _, s := range spans {
		index += s.Offset
		for range s.Length {
			f(index)
			index++
		}
	}
}

// union returns the columns with those of spans among them, the same if they are
// there.
func union(columns []int32, spans []histogram.Span) []int32 {
	missing, i := 0, 0
	each(spans, func(index int32) {
		for i < len(columns) && columns[i] < index {
			i++
		}
		if i == len(columns) || columns[i] != index {
			missing++
		}
	})
	if missing == 0 {
		return columns
	}
	out := make([]int32, 0, len(columns)+missing)
	i = 0
	each(spans, func(index int32) {
		for i < len(columns) && columns[i] < index {
			out = append(out, columns[i])
			i++
		}
		if i < len(columns) && columns[i] == index {
			i++
		}
		out = append(out, index)
	})
	return append(out, columns[i:]...)
}

// runsOf appends where the buckets of spans, of which the first has a number in its
// histogram, are among columns, of which the first has a place in the row.
func runsOf(runs []flatRun, columns []int32, spans []histogram.Span, number, place int) []flatRun {
	first, column := len(runs), 0
	each(spans, func(index int32) {
		for columns[column] < index {
			column++
		}
		if n := len(runs); n > first && runs[n-1].column+runs[n-1].to-runs[n-1].from == place+column {
			runs[n-1].to++
		} else {
			runs = append(runs, flatRun{number, number + 1, place + column})
		}
		number++
	})
	return runs
}

// widen makes these the columns.
func (f *flatSums) widen(positive, negative []int32) {
	// Where each column that there is goes.
	places := make([]int, 0, f.width())
	for _, side := range []struct {
		old, all []int32
		place    int
	}{{f.positive, positive, 0}, {f.negative, negative, len(positive)}} {
		column := 0
		for _, index := range side.old {
			for side.all[column] < index {
				column++
			}
			places = append(places, side.place+column)
		}
	}
	width := len(positive) + len(negative)
	sum, comp := make([]float64, width*len(f.steps)), make([]float64, width*len(f.steps))
	for step := range f.steps {
		from, to := step*len(places), step*width
		for i, place := range places {
			sum[to+place], comp[to+place] = f.sum[from+i], f.comp[from+i]
		}
	}
	f.sum, f.comp, f.positive, f.negative = sum, comp, positive, negative
}

// histograms returns the sum at a step, and what it has lost to rounding. Both are
// the caller's.
func (f *flatSums) histograms(step int) (sum, comp *histogram.FloatHistogram) {
	s := &f.steps[step]
	row := step * f.width()
	make1 := func(values []float64, count, total, zero float64) *histogram.FloatHistogram {
		values = slices.Clone(values[row : row+f.width()])
		h := &histogram.FloatHistogram{
			Schema: f.schema, ZeroThreshold: f.zero, CustomValues: f.custom, Count: count, Sum: total, ZeroCount: zero,
			PositiveSpans: spansOf(nil, f.positive), NegativeSpans: spansOf(nil, f.negative),
		}
		n := len(f.positive)
		if n > 0 {
			h.PositiveBuckets = values[:n:n]
		}
		if n < len(values) {
			h.NegativeBuckets = values[n:]
		}
		return h
	}
	return make1(f.sum, s.count, s.sum, s.zero), make1(f.comp, s.countComp, s.sumComp, s.zeroComp)
}

// spansOf appends the spans of buckets.
func spansOf(spans []histogram.Span, columns []int32) []histogram.Span {
	next := int32(0)
	for _, index := range columns {
		if n := len(spans); n > 0 && index == next {
			spans[n-1].Length++
		} else {
			spans = append(spans, histogram.Span{Offset: index - next, Length: 1})
		}
		next = index + 1
	}
	return spans
}
