package fragment

import (
	"fmt"
	"math"
	"slices"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/annotations"
)

// ignoresHistograms reports whether the aggregation is of floats only.
func (a *aggregation) ignoresHistograms() bool {
	switch a.op {
	case parser.SUM, parser.AVG, parser.COUNT, parser.GROUP, parser.COUNT_VALUES:
		return false
	}
	return true
}

// nativeSums are the sums of a group's native histograms, step by step. Those that
// have the same schema, zero bucket and custom bounds are added to one array, and these
// arrays by Prometheus' arithmetic at the end: clients choose the schema by what they
// have observed, so a group has a few of them. With more than that, the others are
// added by that arithmetic at once.
type nativeSums struct {
	steps []nativeStep
	flats []*flatSums
}

// maxFlats is how many arrays a group has.
const maxFlats = 8

// nativeStep is the sum of one step.
type nativeStep struct {
	n      uint32 // histograms
	kinds  uint8
	hint   histogram.CounterResetHint
	custom []float64 // the bounds of the first with custom buckets

	// rest is the sum of those that are in no array, and restComp what it has lost to
	// rounding. Both are nil if there are none.
	rest, restComp *histogram.FloatHistogram
	// Of these, the zero thresholds and the first bucket beside zero, in the
	// coarsest schema.
	leastZero, greatestZero float64
	lowest                  int32
}

// What kinds of histograms a step has.
const (
	exponentialKind = 1 << iota
	customKind
	boundsDiffer // of custom buckets
)

// addHistograms counts the histograms of a series. It returns how many more samples
// are in memory.
func (gr *group) addHistograms(op parser.ItemType, x *natives) (more int) {
	if op == parser.COUNT || op == parser.GROUP {
		for step, h := range x.at {
			if h != nil {
				gr.n[step]++
			}
		}
		return 0
	}
	if gr.natives == nil {
		gr.natives = &nativeSums{steps: make([]nativeStep, len(x.at))}
		more = len(x.at) * nativeStepSize
	}
	for step, h := range x.at {
		if h != nil {
			more += gr.natives.add(step, h)
		}
	}
	return more
}

// nativeStepSize is what a step takes beside its buckets, in samples.
const nativeStepSize = 5

// add adds a histogram at a step.
func (s *nativeSums) add(step int, h *histogram.FloatHistogram) (more int) {
	st := &s.steps[step]
	st.count(h)
	if st.mixed() {
		return 0 // there will be no result
	}
	if flat, more := s.flatOf(h); flat != nil {
		return more + flat.add(step, h)
	}
	if st.rest == nil {
		more = sampleSize(h)
		h = h.Copy()
	}
	st.addRest(h, nil)
	return more
}

// flatOf returns the array that a histogram is added to, nil if there is none, and how
// many more samples are in memory.
func (s *nativeSums) flatOf(h *histogram.FloatHistogram) (flat *flatSums, more int) {
	for _, flat := range s.flats {
		if flat.fits(h) {
			return flat, 0
		}
	}
	if len(s.flats) == maxFlats {
		return nil, 0
	}
	flat = newFlatSums(h, len(s.steps))
	s.flats = append(s.flats, flat)
	return flat, flatStepSize * len(s.steps)
}

// count takes note of a histogram that is added.
func (st *nativeStep) count(h *histogram.FloatHistogram) {
	if st.n == 0 {
		st.hint = h.CounterResetHint
	} else {
		st.hint = joinHints(st.hint, h.CounterResetHint)
	}
	st.n++
	if h.UsesCustomBuckets() {
		st.bounds(h.CustomValues)
	} else {
		st.kinds |= exponentialKind
	}
}

// bounds takes note of custom bounds.
func (st *nativeStep) bounds(custom []float64) {
	if st.kinds&customKind == 0 {
		st.custom = custom
		st.kinds |= customKind
	} else if !sameBounds(st.custom, custom) {
		st.kinds |= boundsDiffer
	}
}

// sameBounds reports whether two histograms have the same custom bounds, which those
// of one chunk share.
func sameBounds(a, b []float64) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0] || slices.Equal(a, b))
}

// mixed reports whether there are histograms that cannot be added.
func (st *nativeStep) mixed() bool { return st.kinds&exponentialKind != 0 && st.kinds&customKind != 0 }

// joinHints is the hint of a sum. Prometheus' store hands out no histogram that
// says that there was a reset.
func joinHints(a, b histogram.CounterResetHint) histogram.CounterResetHint {
	switch {
	case a == b:
		return a
	case a == histogram.GaugeType || b == histogram.GaugeType:
		return histogram.GaugeType
	}
	return histogram.UnknownCounterReset
}

// addRest adds a histogram, and what it has lost to rounding, nil for nothing, to
// those that are in no array. The first that is added is kept.
func (st *nativeStep) addRest(h, comp *histogram.FloatHistogram) {
	lowest := lowestBucket(h)
	if st.rest == nil {
		st.rest, st.restComp = h, comp
		st.leastZero, st.greatestZero, st.lowest = h.ZeroThreshold, h.ZeroThreshold, lowest
		return
	}
	st.leastZero, st.greatestZero = min(st.leastZero, h.ZeroThreshold), max(st.greatestZero, h.ZeroThreshold)
	st.lowest = min(st.lowest, lowest)
	for _, more := range []*histogram.FloatHistogram{h, comp} {
		if more == nil {
			continue
		}
		// It fails for kinds that do not mix, which do not get here.
		st.restComp, _, _, _ = st.rest.KahanAdd(more, st.restComp)
	}
}

// merge adds the sums of another worker.
func (s *nativeSums) merge(other *nativeSums) {
	for step := range s.steps {
		st, o := &s.steps[step], &other.steps[step]
		switch {
		case o.n == 0:
			continue
		case st.n == 0:
			st.hint = o.hint
		default:
			st.hint = joinHints(st.hint, o.hint)
		}
		st.n += o.n
		if o.kinds&customKind != 0 {
			st.bounds(o.custom)
		}
		st.kinds |= o.kinds
		if st.mixed() {
			continue
		}
		if o.rest != nil {
			st.addRest(o.rest, o.restComp)
			// Sums may have other thresholds than what they are of.
			st.leastZero, st.greatestZero = min(st.leastZero, o.leastZero), max(st.greatestZero, o.greatestZero)
			st.lowest = min(st.lowest, o.lowest)
		}
		for _, flat := range other.flats {
			if flat.steps[step].n > 0 {
				s.mergeFlat(step, flat)
			}
		}
	}
}

// mergeFlat adds a sum of an array of another worker.
func (s *nativeSums) mergeFlat(step int, other *flatSums) {
	sum, comp := other.histograms(step)
	flat, _ := s.flatOf(sum)
	if flat == nil {
		s.steps[step].addRest(sum, comp)
		return
	}
	flat.add(step, sum)
	flat.addComp(step, comp)
}

// finish returns the result at each step, given how many floats there are, and
// takes those away that cannot be added to histograms. What depends on the order in
// which Prometheus adds falls back.
func (s *nativeSums) finish(f *Fragment, floats []uint32, annos *annotations.Annotations) ([]*histogram.FloatHistogram, error) {
	var out []*histogram.FloatHistogram
	for step := range s.steps {
		st := &s.steps[step]
		if st.n == 0 {
			continue
		}
		switch differ := st.kinds&boundsDiffer != 0; {
		case st.mixed():
			name, ok := f.aggregatedName()
			if floats[step] > 0 || differ || !ok {
				return nil, errOrder
			}
			annos.Add(annotations.NewMixedExponentialCustomHistogramsWarning(name, f.agg.pos))
		case floats[step] > 0:
			if differ {
				return nil, errOrder
			}
			annos.Add(annotations.NewMixedFloatsHistogramsAggWarning(f.agg.pos))
			floats[step] = 0
		default:
			if differ {
				annos.Add(annotations.NewMismatchedCustomBucketsHistogramsInfo(f.agg.pos, annotations.HistogramAgg))
			}
			h, err := s.sum(step, f.agg.op == parser.AVG)
			if err != nil {
				return nil, err
			}
			if out == nil {
				out = make([]*histogram.FloatHistogram, len(s.steps))
			}
			out[step] = h
		}
	}
	return out, nil
}

var errOrder = fmt.Errorf("%w: the order of histograms matters", ErrFallback)

// sum is the sum at a step, or the mean.
func (s *nativeSums) sum(step int, mean bool) (*histogram.FloatHistogram, error) {
	st := s.steps[step] // the others are added to a copy
	for _, flat := range s.flats {
		if flat.steps[step].n > 0 {
			st.addRest(flat.histograms(step))
		}
	}
	sum, comp := st.rest, st.restComp
	// A zero bucket that grows into others takes these in as a whole, and which they
	// are depends on what was added before.
	if st.leastZero != st.greatestZero && boundOf(st.lowest) < st.greatestZero {
		return nil, errOrder
	}
	if mean {
		if st.n > 1 && !finite(sum) {
			return nil, fmt.Errorf("%w: the sum of a mean is too large", ErrFallback)
		}
		sum.Div(float64(st.n))
		if comp != nil {
			comp.Div(float64(st.n))
		}
	}
	if comp != nil {
		sum, _, _, _ = sum.Add(comp)
	}
	sum.CounterResetHint = st.hint
	return sum.Compact(0), nil
}

// finite reports whether the running sum of a mean has never been infinite, which
// Prometheus goes on from in another way.
func finite(h *histogram.FloatHistogram) bool {
	nan := func(v float64) bool { return math.IsNaN(v) }
	return !h.HasOverflow() && !nan(h.Count) && !nan(h.ZeroCount) && !slices.ContainsFunc(h.PositiveBuckets, nan) && !slices.ContainsFunc(h.NegativeBuckets, nan)
}

// lowestBucket is the bucket of the coarsest schema that the first bucket beside
// zero falls into.
func lowestBucket(h *histogram.FloatHistogram) int32 {
	lowest := int32(math.MaxInt32)
	if h.UsesCustomBuckets() {
		return lowest
	}
	for _, spans := range [][]histogram.Span{h.PositiveSpans, h.NegativeSpans} {
		if len(spans) > 0 {
			lowest = min(lowest, (spans[0].Offset-1)>>(h.Schema-histogram.ExponentialSchemaMin)+1)
		}
	}
	return lowest
}

// boundOf is the least absolute value that such a bucket holds.
func boundOf(index int32) float64 { return math.Ldexp(1, 16*(int(index)-1)) }

// aggregatedName is the name of the metrics that are aggregated, as Prometheus has
// it in remarks. It returns false if they may have several.
func (f *Fragment) aggregatedName() (string, bool) {
	if f.dropName && !f.delayed {
		return "", true
	}
	name := f.pinnedName()
	return name, name != ""
}
