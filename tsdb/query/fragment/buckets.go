package fragment

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"sync"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/parser/posrange"
	"github.com/prometheus/prometheus/schema"
	"github.com/prometheus/prometheus/util/annotations"
)

// bucketFunction is histogram_quantile or histogram_fraction. Of a native histogram
// it is an operation like others; classic buckets are kept until all series that are
// a histogram together are there.
type bucketFunction struct {
	fraction     bool
	lower, upper float64 // of a fraction; upper is the quantile otherwise

	pos, of posrange.PositionRange // of the first argument, and of the histograms

	after []operation // that are done to what it yields
}

// newBucketFunction returns the function that a call is, nil for an argument that is
// no number or that Prometheus remarks on.
func newBucketFunction(e *parser.Call) *bucketFunction {
	b := &bucketFunction{pos: e.Args[0].PositionRange(), of: unwrap(e.Args[len(e.Args)-1]).PositionRange()}
	first, ok := constant(e.Args[0])
	if !ok {
		return nil
	}
	b.upper = first
	if e.Func.Name == "histogram_quantile" {
		if !(first >= 0 && first <= 1) {
			return nil
		}
		return b
	}
	b.fraction, b.lower = true, first
	if b.upper, ok = constant(e.Args[1]); !ok {
		return nil
	}
	return b
}

// native is the function of a native histogram.
func (b *bucketFunction) native(x *natives, h *histogram.FloatHistogram, ls labels.Labels) (float64, *histogram.FloatHistogram) {
	if x.loose { // an empty bucket makes a difference at zero
		out := x.take()
		h.CopyTo(out)
		x.used-- // for the next one
		h = out.Compact(0)
	}
	name := ""
	if x.f.delayed {
		name = ls.Get(model.MetricNameLabel)
	}
	var (
		v     float64
		annos annotations.Annotations
	)
	if b.fraction {
		v, annos = promql.HistogramFraction(b.lower, b.upper, h, name, b.pos)
	} else {
		v, annos = promql.HistogramQuantile(b.upper, h, name, b.pos)
	}
	x.annos.Merge(annos)
	return v, nil
}

// classic is the function of buckets at a time, which it may change.
func (b *bucketFunction) classic(buckets promql.Buckets, at int64, annos *annotations.Annotations) float64 {
	if b.fraction {
		return promql.BucketFraction(b.lower, b.upper, buckets)
	}
	v, forced, _, least, most, diff := promql.BucketQuantile(b.upper, buckets)
	if forced {
		annos.Add(annotations.NewHistogramQuantileForcedMonotonicityInfo("", b.of, at, least, most, diff))
	}
	return v
}

// bucket is the series of a bucket of a classic histogram.
type bucket struct {
	labels labels.Labels
	upper  float64
	values []float64
	order  int
}

// function computes the function of a series that has native histograms, and keeps
// one that is a bucket.
func (w *worker) function(ls labels.Labels, order int) error {
	f := w.e.f
	if f.dropName && !f.delayed {
		ls = ls.DropReserved(schema.IsMetadataLabel)
	}
	if n := present(w.vals); n > 0 {
		le := ls.Get(model.BucketLabel)
		if upper, err := strconv.ParseFloat(le, 64); err == nil {
			if err := w.e.hold(n); err != nil {
				return err
			}
			w.buckets = append(w.buckets, bucket{ls, upper, slices.Clone(w.vals), order})
		} else {
			name := ""
			if f.delayed {
				name = ls.Get(model.MetricNameLabel)
			}
			w.annos.Add(annotations.NewBadBucketLabelWarning(name, le, f.function.of))
		}
	}
	if w.natives.n == 0 {
		return nil
	}
	noFloats(w.vals)
	w.natives.apply(f.function.native, w.vals, ls)
	w.nativeHashes = append(w.nativeHashes, ls.Hash())
	return w.yield(ls.DropReserved(schema.IsMetadataLabel), order)
}

// yield adds what the function has yielded to the result, after what is done to it.
func (w *worker) yield(ls labels.Labels, order int) error {
	if present(w.vals) == 0 {
		return nil
	}
	if err := w.e.yielded.add(ls); err != nil {
		return err
	}
	for i := range w.e.f.function.after {
		w.e.f.function.after[i].floats(w.vals)
	}
	group := uint64(0)
	if w.groups != nil {
		group = w.groups.key(ls)
	}
	return w.keep(ls, group, order)
}

// classicHistogram is the buckets of one, the least first.
type classicHistogram struct {
	labels  labels.Labels
	buckets []bucket
}

// classic computes the function of the buckets that the workers have kept.
func (e *evaluation) classic(ctx context.Context) error {
	all, err := e.classicHistograms()
	if err != nil || len(all) == 0 {
		return err
	}
	var wg sync.WaitGroup
	workers := len(e.workers)
	if len(all) < workers {
		workers = 1
	}
	for k, w := range e.workers[:workers] {
		wg.Go(func() {
			w.guard(func() error {
				for i := k; i < len(all) && ctx.Err() == nil; i += workers {
					if err := w.classic(all[i]); err != nil {
						return err
					}
				}
				return nil
			})
		})
	}
	wg.Wait()
	e.annos.Merge(e.forcedInTurn())
	return context.Cause(ctx)
}

// forcedInTurn is what there is to say about buckets that had to be made monotonic.
// Prometheus adds up, at each step, what it has said at all steps before, and so the
// number of samples in the remark.
func (e *evaluation) forcedInTurn() (all annotations.Annotations) {
	var sofar annotations.Annotations
	for step := range e.f.grid.Steps() {
		for _, w := range e.workers {
			sofar.Merge(w.forced[step])
		}
		all.Merge(sofar)
	}
	return all
}

// classicHistograms puts buckets together. It falls back where one is a native
// histogram, too, of which Prometheus makes something only at times when there is
// one of both.
func (e *evaluation) classicHistograms() (all []*classicHistogram, err error) {
	var buckets []bucket
	natives := map[uint64]struct{}{}
	for _, w := range e.workers {
		buckets = append(buckets, w.buckets...)
		for _, hash := range w.nativeHashes {
			natives[hash] = struct{}{}
		}
	}
	slices.SortFunc(buckets, func(a, b bucket) int { return cmp.Compare(a.order, b.order) })
	var (
		byKey   = map[string]*classicHistogram{}
		buf     []byte
		builder = labels.NewBuilder(labels.EmptyLabels())
	)
	for _, b := range buckets {
		buf = b.labels.BytesWithoutLabels(buf, model.BucketLabel)
		h := byKey[string(buf)]
		if h == nil {
			builder.Reset(b.labels)
			ls := builder.Del(model.BucketLabel).Labels()
			if _, ok := natives[ls.Hash()]; ok {
				return nil, ErrFallback
			}
			h = &classicHistogram{labels: ls.DropReserved(schema.IsMetadataLabel)}
			byKey[string(buf)] = h
			all = append(all, h)
		}
		h.buckets = append(h.buckets, b)
	}
	return all, nil
}

// classic computes the function of one histogram.
func (w *worker) classic(h *classicHistogram) error {
	order := h.buckets[0].order
	slices.SortStableFunc(h.buckets, func(a, b bucket) int { return cmp.Compare(a.upper, b.upper) })
	f := w.e.f
	w.reset(f.grid.Steps())
	for step := range w.vals {
		w.column = w.column[:0]
		for i := range h.buckets {
			if v := h.buckets[i].values[step]; !isAbsent(v) {
				w.column = append(w.column, promql.Bucket{UpperBound: h.buckets[i].upper, Count: v})
			}
		}
		if len(w.column) > 0 {
			var annos annotations.Annotations
			w.vals[step] = f.function.classic(w.column, f.grid.At(step), &annos)
			if len(annos) > 0 {
				if w.forced == nil {
					w.forced = map[int]annotations.Annotations{}
				}
				at := w.forced[step]
				w.forced[step] = at.Merge(annos)
			}
		}
	}
	return w.yield(h.labels, order)
}

// labelSets are sets of labels that may not come twice.
type labelSets struct {
	mu   sync.Mutex
	seen map[uint64]struct{}
}

// add returns ErrFallback if the set was there before.
func (s *labelSets) add(ls labels.Labels) error {
	hash := ls.Hash()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil {
		s.seen = map[uint64]struct{}{}
	}
	if _, ok := s.seen[hash]; ok {
		return errSameLabels
	}
	s.seen[hash] = struct{}{}
	return nil
}
