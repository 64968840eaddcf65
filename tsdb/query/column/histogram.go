package column

import (
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// histogramPool hands out histograms that keep the memory of their buckets for
// the next series.
type histogramPool struct {
	all     []*histogram.FloatHistogram
	next    int
	buckets int // that all of them have room for
}

// histogramBytes is the size of a histogram without its buckets.
const histogramBytes = 168

// reset takes all histograms back.
func (p *histogramPool) reset() { p.next = 0 }

// size is how much memory they take, in samples of 16 bytes.
func (p *histogramPool) size() int { return (len(p.all)*histogramBytes + 8*p.buckets) / 16 }

func (p *histogramPool) get() *histogram.FloatHistogram {
	if p.next == len(p.all) {
		p.all = append(p.all, &histogram.FloatHistogram{})
	}
	p.next++
	return p.all[p.next-1]
}

// read returns the histogram that an iterator is at.
func (p *histogramPool) read(it chunkenc.Iterator) (int64, *histogram.FloatHistogram) {
	h := p.get()
	had := room(h)
	t, got := it.AtFloatHistogram(h)
	if value.IsStaleNaN(got.Sum) { // which iterators do not copy
		clearHistogram(h)
		h.Sum = got.Sum
	}
	p.buckets += room(h) - had
	return t, h
}

// room is how many buckets, and spans, which are as large, fit.
func room(h *histogram.FloatHistogram) int {
	return cap(h.PositiveBuckets) + cap(h.NegativeBuckets) + cap(h.PositiveSpans) + cap(h.NegativeSpans)
}

// clearHistogram makes h empty. Its memory stays.
func clearHistogram(h *histogram.FloatHistogram) {
	*h = histogram.FloatHistogram{
		PositiveSpans: h.PositiveSpans[:0], NegativeSpans: h.NegativeSpans[:0],
		PositiveBuckets: h.PositiveBuckets[:0], NegativeBuckets: h.NegativeBuckets[:0],
	}
}
