package fragment

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/schema"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"

	"belfry/tsdb/query/column"
)

// defaultBatch is how many series a worker takes at a time. Fragments of fewer
// series are evaluated without further goroutines.
const defaultBatch = 128

// where names the place in the error of a query over its limit, as Prometheus
// does.
const where = "query execution"

// Series is one series of a result. Steps without a value hold the stale
// marker, those with a histogram too.
type Series struct {
	Labels     labels.Labels
	Values     []float64
	Histograms []*histogram.FloatHistogram // nil where there is none, and as a whole if there are none

	order int    // in which the store had it
	group uint64 // its key, where the group needs all of its series
}

// Result is what a fragment evaluates to.
type Result struct {
	Grid     Grid
	Series   []Series
	Warnings annotations.Annotations

	// Samples is how many samples were looked at, in all windows together;
	// Read is how many were decoded, and Peak how many were held at a time.
	Samples, Read, Peak int64
}

// Limits bound an evaluation.
type Limits struct {
	MaxSamples int // in memory at a time
	Workers    int // goroutines; zero is one a CPU
	Batch      int // series that a worker takes at a time; zero is 128

	Tails *Tails // nil keeps no samples
}

// Evaluate computes a fragment over the series of a store. ErrFallback says
// that the data is not of the kind it handles.
func (f *Fragment) Evaluate(ctx context.Context, q storage.ChunkQueryable, l Limits) (*Result, error) {
	if l.Workers <= 0 {
		l.Workers = runtime.GOMAXPROCS(0)
	}
	if l.Batch <= 0 {
		l.Batch = defaultBatch
	}
	switch {
	case f.join != nil:
		return f.evaluateJoin(ctx, q, l)
	case f.sets != nil:
		return f.evaluateSets(ctx, q, l)
	case f.inner != nil:
		return f.evaluateInner(ctx, q, l)
	}
	if res, ok, err := l.Tails.evaluate(ctx, f, q, l); ok || err != nil {
		return res, err
	}
	return f.evaluate(ctx, q, l, nil)
}

// evaluate computes a fragment from the store, and captures its newest samples
// if that is asked for.
func (f *Fragment) evaluate(ctx context.Context, q storage.ChunkQueryable, l Limits, c *capture) (*Result, error) {
	hints := f.hints()
	if c != nil {
		hints.Start, hints.End = hints.Start-tailSlack, max(hints.End, c.newest)
	}
	querier, err := q.ChunkQuerier(hints.Start, hints.End)
	if err != nil {
		return nil, err
	}
	defer querier.Close() //nolint:errcheck // reading is done
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	e := &evaluation{f: f, limits: l, capture: c, cancel: cancel, unique: !f.dropName || f.namePinned()}
	e.mint, e.maxt = hints.Start, hints.End
	set := querier.Select(ctx, false, hints, f.matchers...)
	e.run(ctx, set)
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if err := set.Err(); err != nil {
		return nil, err
	}
	res, err := e.result(ctx)
	if err != nil {
		return nil, err
	}
	res.Warnings.Merge(set.Warnings())
	if c != nil {
		for _, w := range e.workers {
			c.workers = append(c.workers, w.captured)
		}
	}
	return res, nil
}

// evaluation is one run of a fragment.
type evaluation struct {
	f          *Fragment
	limits     Limits
	capture    *capture // nil keeps nothing
	cancel     context.CancelCauseFunc
	mint, maxt int64        // of the samples that are read
	held       atomic.Int64 // samples in memory
	peak       atomic.Int64

	// unique says that no two series can end with the same labels; if not,
	// their hashes are in seen.
	unique bool
	seen   labelSets

	yielded labelSets // by the function of histograms
	annos   annotations.Annotations

	workers []*worker
}

// run hands the series out. The store's set is walked by one goroutine; what a
// series needs beyond its labels is read by the workers.
func (e *evaluation) run(ctx context.Context, set storage.ChunkSeriesSet) {
	read := 0
	next := func() (b batch) {
		b.first = read
		for len(b.series) < e.limits.Batch && set.Next() {
			b.series = append(b.series, set.At())
		}
		read += len(b.series)
		return b
	}
	first := next()
	if len(first.series) < e.limits.Batch {
		e.newWorker().take(ctx, first)
		return
	}
	// Batches go round, so that the same series are added in the same order
	// whenever the query is repeated.
	var (
		wg     sync.WaitGroup
		queues []chan batch
	)
	for range e.limits.Workers {
		w, queue := e.newWorker(), make(chan batch, 2)
		queues = append(queues, queue)
		wg.Go(func() {
			for b := range queue {
				w.take(ctx, b)
			}
		})
	}
	for i, b := 0, first; len(b.series) > 0 && ctx.Err() == nil; i, b = i+1, next() {
		select {
		case queues[i%len(queues)] <- b:
		case <-ctx.Done():
		}
	}
	for _, queue := range queues {
		close(queue)
	}
	wg.Wait()
}

// spread calls f for all of n things that are there already, a batch at a time: one
// worker where there are few, always the same ones for the same things.
func (e *evaluation) spread(ctx context.Context, n int, f func(w *worker, from, to int) error) {
	workers, size := 1, e.limits.Batch
	if n >= size {
		workers = e.limits.Workers
	}
	var wg sync.WaitGroup
	for k := range workers {
		w := e.newWorker()
		wg.Go(func() {
			for from := k * size; from < n && ctx.Err() == nil; from += workers * size {
				w.guard(func() error { return f(w, from, min(from+size, n)) })
			}
		})
	}
	wg.Wait()
}

// batch is series that follow each other in the store's order.
type batch struct {
	first  int
	series []storage.ChunkSeries
}

// hold counts n more samples in memory, fewer if negative.
func (e *evaluation) hold(n int) error {
	held := e.held.Add(int64(n))
	if held > int64(e.limits.MaxSamples) {
		return promql.ErrTooManySamples(where)
	}
	for {
		peak := e.peak.Load()
		if held <= peak || e.peak.CompareAndSwap(peak, held) {
			return nil
		}
	}
}

// newcomer reports an error if a series with these labels was there before.
func (e *evaluation) newcomer(ls labels.Labels) error {
	if e.unique {
		return nil
	}
	return e.seen.add(ls.DropReserved(schema.IsMetadataLabel))
}

var errSameLabels = fmt.Errorf("%w: series differ by name only", ErrFallback)

// worker evaluates batches, one after the other.
type worker struct {
	e      *evaluation
	reader *column.Reader

	ranges  *rangeEvaluator // nil for an instant selector
	groups  *groups         // nil without an aggregation
	vals    []float64
	natives natives
	out     []Series
	remarks bool // something may be to say about a series' name
	annos   annotations.Annotations

	samples, decoded int64
	held             int // samples of the reader's buffer

	captured captured
	points   []promql.FPoint // of a series of a tail

	// Of a function of histograms.
	buckets      []bucket                        // that are kept
	nativeHashes []uint64                        // of the labels of native histograms
	column       promql.Buckets                  // of a step
	forced       map[int]annotations.Annotations // of steps
}

func (e *evaluation) newWorker() *worker {
	w := &worker{e: e, reader: column.NewReader()}
	w.natives.f = e.f
	if e.f.call != nil {
		w.ranges = newRangeEvaluator(e.f)
		w.remarks = e.f.call.wantsCounter() && !isCounterName(e.f.pinnedName())
	}
	if e.f.agg != nil {
		w.groups = newGroups(e.f)
	}
	e.workers = append(e.workers, w)
	return w
}

// take evaluates a batch. It cancels the evaluation when that fails.
func (w *worker) take(ctx context.Context, b batch) {
	w.guard(func() error {
		for i, s := range b.series {
			if ctx.Err() != nil {
				return nil //nolint:nilerr // the evaluation knows
			}
			if err := w.read(s, b.first+i); err != nil {
				return err
			}
		}
		return nil
	})
}

// guard cancels the evaluation when f fails.
func (w *worker) guard(f func() error) {
	defer func() {
		if r := recover(); r != nil { // of Prometheus' functions, which panic where its engine recovers
			w.e.cancel(fmt.Errorf("%w: %v", ErrFallback, r))
		}
	}()
	err := f()
	if errors.Is(err, column.ErrOverlap) {
		err = fmt.Errorf("%w: %w", ErrFallback, err)
	}
	if err != nil {
		w.e.cancel(err)
	}
}

// read evaluates a series of the store.
func (w *worker) read(s storage.ChunkSeries, order int) error {
	samples, err := w.reader.Read(s, w.e.mint, w.e.maxt)
	if err != nil {
		return err
	}
	w.decoded += int64(len(samples.Floats)) + int64(totalSize(samples.Histograms))
	if more := w.reader.Size() - w.held; more > 0 {
		if err := w.e.hold(more); err != nil {
			return err
		}
		w.held += more
	}
	if w.ranges != nil {
		samples.Floats, samples.Histograms = withoutStale(samples.Floats), withoutStaleHistograms(samples.Histograms)
	}
	ls, group := s.Labels(), uint64(0)
	if w.groups != nil {
		group = w.groups.key(ls)
	}
	if c := w.e.capture; c != nil {
		c.keep(w, samples, ls, group, order)
	}
	if len(samples.Histograms) > 0 {
		return w.evaluateNative(samples, ls, group, order)
	}
	return w.evaluate(samples.Floats, ls, group, order)
}

// evaluate evaluates a series of a group. There are no stale markers among the
// points of a range.
func (w *worker) evaluate(points []promql.FPoint, ls labels.Labels, group uint64, order int) error {
	w.reset(w.e.f.grid.Steps())
	if w.ranges != nil {
		w.ranges.eval(points, ls, w.vals)
	} else {
		w.instant(points)
	}
	return w.finish(ls, group, order)
}

// finish makes a series' part of the result from what its samples come to.
func (w *worker) finish(ls labels.Labels, group uint64, order int) error {
	if w.remarks {
		w.remark(ls)
	}
	if !w.e.unique && present(w.vals)+w.natives.n > 0 {
		if err := w.e.newcomer(ls); err != nil {
			return err
		}
	}
	return w.operate(ls, group, order)
}

// operate does the operations on each value, and adds what comes of them to the
// result.
func (w *worker) operate(ls labels.Labels, group uint64, order int) error {
	for i := range w.e.f.values {
		op := &w.e.f.values[i]
		op.floats(w.vals)
		if w.natives.n > 0 {
			w.natives.apply(op.histograms, w.vals, ls)
		}
	}
	if w.natives.err != nil {
		return w.natives.err
	}
	if w.e.f.function != nil {
		return w.function(ls, order)
	}
	return w.keep(ls, group, order)
}

func (w *worker) reset(steps int) {
	if w.vals == nil {
		w.vals = make([]float64, steps)
	}
	none := absent()
	for i := range w.vals {
		w.vals[i] = none
	}
	w.natives.reset()
}

// remark adds what Prometheus says about rates of what is no counter.
func (w *worker) remark(ls labels.Labels) {
	if present(w.vals) == 0 {
		return
	}
	if name := ls.Get(model.MetricNameLabel); name != "" && !isCounterName(name) {
		w.annos.Add(annotations.NewPossibleNonCounterInfo(name, w.e.f.call.pos))
	}
}

func isCounterName(name string) bool {
	for _, suffix := range []string{"_total", "_sum", "_count", "_bucket"} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}

// instant writes what an instant selector sees at each step: the newest sample
// that is not older than the lookback, nothing after a stale marker.
func (w *worker) instant(points []promql.FPoint) {
	f := w.e.f
	i := 0
	for step := range w.vals {
		at := f.grid.At(step) - f.offset
		for i < len(points) && points[i].T <= at {
			i++
		}
		if i > 0 && points[i-1].T > at-f.lookback {
			w.vals[step] = points[i-1].F // a stale marker is how absence is written
		}
	}
}

// keep adds the values to the series' group or to the result.
func (w *worker) keep(ls labels.Labels, group uint64, order int) error {
	if w.groups != nil && w.natives.n > 0 && w.groups.agg.ignoresHistograms() {
		w.annos.Add(annotations.NewHistogramIgnoredInAggregationInfo(parser.ItemTypeStr[w.groups.agg.op], w.groups.agg.pos))
		w.natives.clear()
	}
	n := present(w.vals)
	if n+w.natives.n == 0 {
		return nil
	}
	w.samples += int64(n + w.natives.n)
	if w.groups != nil && !w.groups.agg.collects() {
		g, created := w.groups.at(group, ls)
		if created {
			g.order = order
			if err := w.e.hold(len(w.vals)); err != nil {
				return err
			}
		}
		return w.aggregate(g, order)
	}
	var histograms []*histogram.FloatHistogram
	if w.natives.n > 0 {
		histograms = w.natives.copied()
	}
	if err := w.e.hold(n + sizeOf(histograms)); err != nil {
		return err
	}
	if w.e.f.dropName {
		ls = ls.DropReserved(schema.IsMetadataLabel)
	}
	w.out = append(w.out, Series{ls, slices.Clone(w.vals), histograms, order, group})
	return nil
}

// aggregate adds the values to a group.
func (w *worker) aggregate(g *group, order int) error {
	op := w.groups.agg.op
	if op == parser.COUNT_VALUES {
		if w.natives.n > 0 {
			return ErrFallback // of histograms, it counts what they are written like
		}
		more, err := w.groups.count(g, w.vals, order)
		if err != nil {
			return err
		}
		return w.e.hold(more)
	}
	g.add(op, w.vals)
	if w.natives.n > 0 {
		return w.e.hold(g.addHistograms(op, &w.natives))
	}
	return nil
}

func present(vals []float64) int {
	n := 0
	for _, v := range vals {
		if !isAbsent(v) {
			n++
		}
	}
	return n
}

// withoutStale removes stale markers in place.
func withoutStale(points []promql.FPoint) []promql.FPoint {
	n := 0
	for n < len(points) && !value.IsStaleNaN(points[n].F) {
		n++
	}
	out := points[:n]
	for _, p := range points[n:] {
		if !value.IsStaleNaN(p.F) {
			out = append(out, p)
		}
	}
	return out
}

// result joins what the workers have.
func (e *evaluation) result(ctx context.Context) (res *Result, err error) {
	defer func() {
		if r := recover(); r != nil { // of arithmetic on histograms that are none
			res, err = nil, fmt.Errorf("%w: %v", ErrFallback, r)
		}
	}()
	if e.f.function != nil {
		if err := e.classic(ctx); err != nil {
			return nil, err
		}
	}
	res = &Result{Grid: e.f.grid, Warnings: e.annos}
	for _, w := range e.workers {
		res.Samples += w.samples
		res.Read += w.decoded
		// In the order of the operations: of two alike Prometheus has the later.
		if w.ranges != nil {
			res.Warnings.Merge(w.ranges.annos)
		}
		res.Warnings.Merge(w.natives.annos)
		res.Warnings.Merge(w.annos)
		res.Series = append(res.Series, w.out...)
	}
	switch {
	case e.f.agg == nil:
	case e.f.agg.collects():
		res.Series, err = e.collect(ctx, res.Series)
	default:
		res.Series, err = e.merge(&res.Warnings)
	}
	if err != nil {
		return nil, err
	}
	res.inOrder()
	res.Peak = e.peak.Load()
	return res, nil
}

// merge joins the groups of the workers.
func (e *evaluation) merge(annos *annotations.Annotations) (out []Series, err error) {
	all := e.workers[0].groups
	for _, w := range e.workers[1:] {
		for key, g := range w.groups.byKey {
			if mine := all.byKey[key]; mine != nil {
				mine.merge(e.f.agg.op, g)
				mine.order = min(mine.order, g.order)
			} else {
				all.byKey[key] = g
			}
		}
	}
	for _, g := range all.byKey {
		if e.f.agg.op == parser.COUNT_VALUES {
			series, err := e.countedValues(g)
			if err != nil {
				return nil, err
			}
			out = append(out, series...)
			continue
		}
		s := Series{Labels: g.labels, order: g.order}
		if g.natives != nil {
			if s.Histograms, err = g.natives.finish(e.f, g.n, annos); err != nil {
				return nil, err
			}
			if err := e.hold(sizeOf(s.Histograms)); err != nil {
				return nil, err
			}
		}
		if s.Values, err = g.finish(e.f.agg.op); err != nil {
			return nil, err
		}
		if !s.empty() {
			out = append(out, s)
		}
	}
	return out, nil
}

// inOrder puts the series in the order in which the store had the first of what
// each is made of, as Prometheus does.
func (r *Result) inOrder() {
	slices.SortFunc(r.Series, func(a, b Series) int { return a.order - b.order })
}
