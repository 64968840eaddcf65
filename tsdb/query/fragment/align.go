package fragment

import (
	"slices"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/promql"
)

// aligner gives the histograms of a series buckets in the same places, empty ones
// where they have none. A series has other buckets whenever it has observed what it
// never did before, and its histograms change their layout from chunk to chunk.
type aligner struct {
	positive, negative           []int32 // indexes of all buckets, in order
	positiveSpans, negativeSpans []histogram.Span
	positiveMoves, negativeMoves moves
}

// align changes histograms in place. Those that have the same schema, zero bucket and
// custom bounds and follow each other have the same buckets afterwards.
func (a *aligner) align(points []promql.HPoint) {
	for from := 0; from < len(points); {
		to, same := from+1, true
		for to < len(points) && sameScale(points[to].H, points[to-1].H) {
			same = same && sameSpans(points[to].H, points[to-1].H)
			to++
		}
		if !same {
			a.widen(points[from:to])
		}
		from = to
	}
}

// sameScale reports whether two histograms differ in the buckets they have only.
func sameScale(a, b *histogram.FloatHistogram) bool {
	return a.Schema == b.Schema && a.ZeroThreshold == b.ZeroThreshold && sameBounds(a.CustomValues, b.CustomValues)
}

func sameSpans(a, b *histogram.FloatHistogram) bool {
	return slices.Equal(a.PositiveSpans, b.PositiveSpans) && slices.Equal(a.NegativeSpans, b.NegativeSpans)
}

// widen gives all histograms the buckets of each.
func (a *aligner) widen(points []promql.HPoint) {
	a.positive, a.negative = a.positive[:0], a.negative[:0]
	for i := range points {
		if h := points[i].H; i == 0 || !sameSpans(h, points[i-1].H) {
			a.positive, a.negative = union(a.positive, h.PositiveSpans), union(a.negative, h.NegativeSpans)
		}
	}
	a.positiveSpans, a.negativeSpans = spansOf(a.positiveSpans[:0], a.positive), spansOf(a.negativeSpans[:0], a.negative)
	for i := range points {
		h := points[i].H
		h.PositiveSpans, h.PositiveBuckets = a.positiveMoves.spread(h.PositiveSpans, h.PositiveBuckets, a.positiveSpans, a.positive)
		h.NegativeSpans, h.NegativeBuckets = a.negativeMoves.spread(h.NegativeSpans, h.NegativeBuckets, a.negativeSpans, a.negative)
	}
	a.positiveMoves.known, a.negativeMoves.known = false, false
}

// moves say where the buckets of some spans go. Histograms of one chunk have the same.
type moves struct {
	known   bool
	spans   []histogram.Span
	runs    []flatRun
	scratch []float64
}

// spread returns buckets that lie where all have to be, in the memory of those that
// they are made of.
func (m *moves) spread(spans []histogram.Span, buckets []float64, all []histogram.Span, columns []int32) ([]histogram.Span, []float64) {
	if slices.Equal(spans, all) {
		return spans, buckets
	}
	if !m.known || !slices.Equal(m.spans, spans) {
		m.known, m.spans = true, append(m.spans[:0], spans...)
		m.runs = runsOf(m.runs[:0], columns, spans, 0, 0)
	}
	m.scratch = append(m.scratch[:0], buckets...)
	buckets = slices.Grow(buckets[:0], len(columns))[:len(columns)]
	clear(buckets)
	for _, r := range m.runs {
		copy(buckets[r.column:], m.scratch[r.from:r.to])
	}
	return append(spans[:0], all...), buckets
}
