package fragment

import (
	"context"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"

	"belfry/tsdb/query/column"
)

// natives are the native histograms of a series, step by step. They are read, and
// their memory is used again for the next series: nothing changes one in place,
// and what is kept is copied.
type natives struct {
	f  *Fragment
	at []*histogram.FloatHistogram // nil where there is none
	n  int                         // how many there are

	// loose says that there may be empty buckets which Prometheus has removed.
	loose bool

	scratch []*histogram.FloatHistogram // that operations write to
	used    int
	annos   annotations.Annotations
	err     error // of an operation
	remark  error // on an operation between series
}

// reset begins a series without histograms.
func (x *natives) reset() {
	if x.n > 0 {
		x.clear()
	}
	x.used, x.loose = 0, false
}

func (x *natives) clear() {
	clear(x.at)
	x.n = 0
}

// begin makes room for histograms at each step.
func (x *natives) begin(steps int) {
	if x.at == nil {
		x.at = make([]*histogram.FloatHistogram, steps)
	}
}

// count counts the histograms after they were written.
func (x *natives) count() {
	x.n = 0
	for _, h := range x.at {
		if h != nil {
			x.n++
		}
	}
}

// take returns a histogram to write to.
func (x *natives) take() *histogram.FloatHistogram {
	if x.used == len(x.scratch) {
		x.scratch = append(x.scratch, &histogram.FloatHistogram{})
	}
	x.used++
	return x.scratch[x.used-1]
}

// copied returns the histograms of all steps, to be kept.
func (x *natives) copied() []*histogram.FloatHistogram {
	out := make([]*histogram.FloatHistogram, len(x.at))
	for step, h := range x.at {
		switch {
		case h == nil:
		case step > 0 && h == x.at[step-1]:
			out[step] = out[step-1]
		default:
			out[step] = h.Copy()
			if x.loose {
				out[step].Compact(0)
			}
		}
	}
	return out
}

// apply changes each histogram, into a value or into another histogram.
func (x *natives) apply(op histogramOp, vals []float64, ls labels.Labels) {
	if op == nil {
		x.clear()
		return
	}
	for step, h := range x.at {
		if h != nil {
			vals[step], x.at[step] = op(x, h, ls)
		}
	}
	x.count()
}

// sampleSize is how many samples a histogram counts as in a query's limit.
func sampleSize(h *histogram.FloatHistogram) int { return (h.Size() + 8) / 16 }

func sizeOf(hs []*histogram.FloatHistogram) (n int) {
	for _, h := range hs {
		if h != nil {
			n += sampleSize(h)
		}
	}
	return n
}

func totalSize(points []promql.HPoint) (n int) {
	for i := range points {
		n += sampleSize(points[i].H)
	}
	return n
}

// evaluateInner evaluates what functions of histograms are of, then these.
func (f *Fragment) evaluateInner(ctx context.Context, q storage.ChunkQueryable, l Limits) (*Result, error) {
	of, err := f.inner.Evaluate(ctx, q, l)
	if err != nil {
		return nil, err
	}
	res, err := f.evaluateSeries(ctx, of.Series, l, of.held(), false)
	if err != nil {
		return nil, err
	}
	res.include(of)
	res.Peak = max(res.Peak, of.Peak)
	return res, nil
}

// evaluateNative is evaluate for a series that has native histograms.
func (w *worker) evaluateNative(s column.Samples, ls labels.Labels, group uint64, order int) error {
	f := w.e.f
	if f.stats {
		if err := w.strip(s.Histograms); err != nil {
			return err
		}
	}
	steps := f.grid.Steps()
	w.reset(steps)
	w.natives.begin(steps)
	if w.ranges != nil {
		w.natives.loose = w.ranges.evalNative(s, ls, w.vals, w.natives.at)
	} else {
		w.instantNative(s)
	}
	w.natives.count()
	if f.sub {
		for _, h := range w.natives.at {
			// Whether a step's histogram was reset since the step before, its hint
			// does not say, but Prometheus believes it.
			if h != nil && h.CounterResetHint != histogram.GaugeType {
				return ErrFallback
			}
		}
	}
	return w.finish(ls, group, order)
}

// instantNative is instant for a series that has native histograms.
func (w *worker) instantNative(s column.Samples) {
	f := w.e.f
	floats, histograms := 0, 0
	for step := range w.vals {
		at := f.grid.At(step) - f.offset
		for floats < len(s.Floats) && s.Floats[floats].T <= at {
			floats++
		}
		for histograms < len(s.Histograms) && s.Histograms[histograms].T <= at {
			histograms++
		}
		switch {
		case histograms > 0 && (floats == 0 || s.Histograms[histograms-1].T > s.Floats[floats-1].T):
			p := s.Histograms[histograms-1]
			if p.T > at-f.lookback && !value.IsStaleNaN(p.H.Sum) {
				w.natives.at[step] = p.H
			}
		case floats > 0 && s.Floats[floats-1].T > at-f.lookback:
			w.vals[step] = s.Floats[floats-1].F
		}
	}
}

// strip leaves what Prometheus reads where only counts and sums are wanted, with
// the counter resets that the buckets tell of.
func (w *worker) strip(points []promql.HPoint) error {
	call := w.e.f.call
	// Hints matter where histograms are added.
	hints := !w.e.f.direct
	if call != nil {
		hints = call.name == "sum_over_time" || call.name == "avg_over_time" || (hints && !call.isChange())
	}
	later := -1 // the histogram that is still to be stripped
	for i := range points {
		h := points[i].H
		if value.IsStaleNaN(h.Sum) {
			continue
		}
		if later >= 0 {
			before := points[later].H
			if h.CounterResetHint == histogram.UnknownCounterReset {
				h.CounterResetHint = histogram.NotCounterReset
				// DetectReset believes a hint.
				fresh := *h
				fresh.CounterResetHint = histogram.UnknownCounterReset
				if fresh.DetectReset(before) {
					if hints {
						return ErrFallback // which samples Prometheus compares depends on its iterators
					}
					h.CounterResetHint = histogram.CounterReset
				}
			}
			stripBuckets(before)
		}
		later = i
	}
	if later >= 0 {
		stripBuckets(points[later].H)
	}
	return nil
}

func stripBuckets(h *histogram.FloatHistogram) {
	h.ZeroThreshold, h.ZeroCount, h.CustomValues = 0, 0, nil
	h.PositiveSpans, h.NegativeSpans = h.PositiveSpans[:0], h.NegativeSpans[:0]
	h.PositiveBuckets, h.NegativeBuckets = h.PositiveBuckets[:0], h.NegativeBuckets[:0]
}

// withoutStaleHistograms removes stale markers in place.
func withoutStaleHistograms(points []promql.HPoint) []promql.HPoint {
	out := points[:0]
	for _, p := range points {
		if !value.IsStaleNaN(p.H.Sum) {
			out = append(out, p)
		}
	}
	return out
}
