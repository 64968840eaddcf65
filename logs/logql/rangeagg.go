package logql

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"belfry/internal/fault"
	"belfry/logs"
	"belfry/logs/logql/syntax"

	"github.com/prometheus/prometheus/model/labels"
)

// hint says that of an expression's series only the labels in by are looked at,
// and that series which are equal in them are then combined as the op of the
// aggregation combines them.
type hint struct {
	by []string // nil: no hint
	op string
}

// covers reports whether a range aggregation may group by the hint's labels at once:
// where combining samples and combining series is the same.
func (h hint) covers(op string) bool {
	if h.by == nil {
		return false
	}
	switch op {
	case syntax.OpCountOverTime, syntax.OpRate, syntax.OpBytesOverTime, syntax.OpBytesRate, syntax.OpSumOverTime:
		return h.op == syntax.OpSum
	case syntax.OpMinOverTime:
		return h.op == syntax.OpMin
	case syntax.OpMaxOverTime:
		return h.op == syntax.OpMax
	}
	return false
}

// windows divides time into buckets of which every step's window is a whole
// number: bucket b is (origin+b*width, origin+(b+1)*width].
type windows struct {
	origin, width int64
	perStep       int64 // buckets from one step to the next
	perWindow     int64
	steps         steps
}

func newWindows(s steps, length, offset int64) windows {
	w := windows{steps: s, width: length}
	if s.n > 1 {
		w.width = gcd(length, s.step)
		w.perStep = s.step / w.width
	}
	w.perWindow = length / w.width
	w.origin = s.start - offset - length
	return w
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func (w windows) buckets() int64 { return int64(w.steps.n-1)*w.perStep + w.perWindow }

func (w windows) bucket(t int64) int64 {
	if t <= w.origin {
		return -1
	}
	return (t - w.origin - 1) / w.width
}

// from and to are the entries' times, [from, to).
func (w windows) from() int64 { return w.origin + 1 }

func (w windows) to() int64 { return w.origin + w.buckets()*w.width + 1 }

// maxCountBuckets bounds the dense rows of the store's Count.
const maxCountBuckets = 20_000

func (ev *evaluation) rangeAggregation(ctx context.Context, e *syntax.RangeAggregation, h hint) ([]series, error) {
	if e.At != nil {
		return ev.fixedAt(ctx, e, h)
	}
	w := newWindows(ev.steps, int64(e.Range), int64(e.Offset))
	spec := &rangeSpec{expr: e, windows: w, budget: &ev.budget}
	switch {
	case e.Grouping != nil:
		spec.by, spec.without = e.Grouping.Labels, e.Grouping.Without
		spec.grouped = true
	case h.covers(e.Op):
		spec.by, spec.grouped = h.by, true
	case e.Op == syntax.OpAbsentOverTime:
		spec.grouped = true
	}
	bytes := e.Op == syntax.OpBytesOverTime || e.Op == syntax.OpBytesRate
	p := newPlan(e.Log, spec.by, !spec.grouped || spec.without, bytes)
	q := logs.Query{
		Tenant: ev.tenant, From: w.from(), To: w.to(), Streams: p.matchers, Filter: p.filter, Limits: ev.engine.scanLimits(),
	}
	counts := e.Op == syntax.OpCountOverTime || e.Op == syntax.OpRate || e.Op == syntax.OpAbsentOverTime || bytes
	var acc *accumulator
	var err error
	if spec.grouped && !spec.without && counts && w.buckets() <= maxCountBuckets && p.countable(spec.by) {
		acc, err = ev.countByStore(ctx, q, spec, bytes)
	} else {
		acc, err = ev.scan(ctx, q, p, spec)
	}
	if err != nil {
		return nil, err
	}
	if e.Op == syntax.OpAbsentOverTime {
		return ev.absent(e, acc), nil
	}
	return ev.finish(spec, acc)
}

// fixedAt evaluates a window whose end the @ modifier fixes once, for all steps.
func (ev *evaluation) fixedAt(ctx context.Context, e *syntax.RangeAggregation, h hint) ([]series, error) {
	at := e.At.Time.UnixNano()
	switch {
	case e.At.Start:
		at = ev.steps.start
	case e.At.End:
		at = ev.steps.end()
	}
	once := *ev
	once.steps = steps{start: at, n: 1}
	moving := *e
	moving.At = nil
	out, err := once.rangeAggregation(ctx, &moving, h)
	ev.stats, ev.budget = once.stats, once.budget
	if err != nil {
		return nil, err
	}
	for i := range out {
		out[i].vals = slices.Repeat(out[i].vals, ev.steps.n)
		out[i].has = slices.Repeat(out[i].has, ev.steps.n)
	}
	return out, nil
}

func (ev *evaluation) countByStore(ctx context.Context, q logs.Query, spec *rangeSpec, bytes bool) (*accumulator, error) {
	w := spec.windows
	by := slices.Clone(spec.by)
	slices.Sort(by)
	by = slices.Compact(by)
	// The store's rows are dense: series times buckets are bounded, too.
	maxGroups := max(1, min(ev.engine.limits.MaxInnerSeries, ev.engine.limits.MaxPoints/int(w.buckets())))
	groups, stats, err := ev.engine.querier.Count(ctx, logs.CountQuery{
		Query: q, By: by, Start: w.origin, Width: w.width, Buckets: int(w.buckets()), Bytes: bytes,
		MaxGroups: maxGroups,
	})
	ev.stats.Add(stats)
	if fault.KindOf(err) == fault.Unprocessable {
		return nil, fault.Invalidf("maximum of series (%d) reached for a single query; consider aggregating by fewer labels", maxGroups)
	}
	if err != nil {
		return nil, err
	}
	acc := newAccumulator(spec)
	for _, g := range groups {
		b := labels.NewScratchBuilder(len(by))
		for i, name := range by {
			if g.Values[i] != "" {
				b.Add(name, g.Values[i])
			}
		}
		lbls := b.Labels()
		s, err := acc.series(lbls.String(), func() labels.Labels { return lbls })
		if err != nil {
			return nil, err
		}
		for bucket, n := range g.Counts {
			if n == 0 {
				continue
			}
			part, err := acc.part(s, int64(bucket))
			if err != nil {
				return nil, err
			}
			part.n += int64(n)
			part.sum += n
		}
	}
	return acc, nil
}

func (ev *evaluation) scan(ctx context.Context, q logs.Query, p *plan, spec *rangeSpec) (*accumulator, error) {
	var workers []*rangeWorker
	var failed error
	stats, err := ev.engine.querier.Scan(ctx, logs.ScanQuery{Query: q, Want: p.want()}, func() logs.Worker {
		pl, err := newPipeline(p.rest, p.needed)
		if err != nil {
			failed = err
			pl = &pipeline{bases: map[*logs.Stream][]item{}}
		}
		w := &rangeWorker{pipeline: pl, spec: spec, acc: newAccumulator(spec)}
		workers = append(workers, w)
		return w
	})
	ev.stats.Add(stats)
	if failed != nil {
		return nil, failed
	}
	if err != nil {
		return nil, err
	}
	acc := newAccumulator(spec)
	for _, w := range workers {
		if err := acc.merge(w.acc); err != nil {
			return nil, err
		}
	}
	return acc, nil
}

// rangeSpec is what the workers of one range aggregation share.
type rangeSpec struct {
	expr    *syntax.RangeAggregation
	windows windows
	grouped bool
	by      []string // with grouped
	without bool
	budget  *budget
}

// budget bounds what an evaluation holds.
type budget struct {
	series, points       *atomic.Int64
	maxSeries, maxPoints int64
}

func (b *budget) addSeries() error {
	if b.series.Add(1) > b.maxSeries {
		return fault.Invalidf("maximum of series (%d) reached for a single query; consider aggregating by fewer labels", b.maxSeries)
	}
	return nil
}

func (b *budget) addPoints(n int) error {
	if b.points.Add(int64(n)) > b.maxPoints {
		return fault.Invalidf("the query holds more than %d samples; consider a shorter range, a larger step or fewer labels", b.maxPoints)
	}
	return nil
}

type rangeWorker struct {
	pipeline *pipeline
	spec     *rangeSpec
	acc      *accumulator
	key      []byte
	last     *accSeries
	lastKey  []byte
}

func (w *rangeWorker) Batch(b *logs.Batch) error {
	p := w.pipeline
	for i, t := range b.Times {
		line := ""
		if b.Lines != nil {
			line = b.Lines[i]
		}
		s := b.Streams[i]
		p.start(t, s, line)
		for c := range b.Fields {
			if v := b.Fields[c].Values[i]; v != "" {
				p.addMetadata(s, b.Fields[c].Name, v)
			}
		}
		if !p.run() {
			continue
		}
		if err := w.add(&p.row); err != nil {
			return err
		}
	}
	return nil
}

func (w *rangeWorker) add(r *row) error {
	if r.err != "" {
		return pipelineError(r)
	}
	bucket := w.spec.windows.bucket(r.time)
	if bucket < 0 || bucket >= w.spec.windows.buckets() {
		return nil
	}
	w.groupKey(r)
	s := w.last
	if s == nil || string(w.key) != string(w.lastKey) {
		var err error
		if s, err = w.acc.seriesBytes(w.key, func() labels.Labels { return w.groupLabels(r) }); err != nil {
			return err
		}
		w.last, w.lastKey = s, append(w.lastKey[:0], w.key...)
	}
	part, err := w.acc.part(s, bucket)
	if err != nil {
		return err
	}
	return w.acc.add(part, r.time, w.value(r))
}

func (w *rangeWorker) value(r *row) float64 {
	switch {
	case w.spec.expr.Unwrap != nil:
		return r.value
	case w.spec.expr.Op == syntax.OpBytesOverTime || w.spec.expr.Op == syntax.OpBytesRate:
		return float64(len(r.line))
	}
	return 1
}

// groupKey writes what tells the row's series from others.
func (w *rangeWorker) groupKey(r *row) {
	w.key = w.key[:0]
	if w.spec.grouped && !w.spec.without {
		for _, name := range w.spec.by {
			v, _ := r.get(name)
			w.key = append(append(w.key, v...), 0xff)
		}
		return
	}
	r.sort()
	for _, it := range r.items {
		if w.spec.without && slices.Contains(w.spec.by, it.name) {
			continue
		}
		w.key = append(append(append(append(w.key, it.name...), 0xfe), it.value...), 0xff)
	}
}

func (w *rangeWorker) groupLabels(r *row) labels.Labels {
	b := labels.NewScratchBuilder(len(r.items))
	for _, it := range r.items {
		if it.value != "" && (!w.spec.grouped || slices.Contains(w.spec.by, it.name) != w.spec.without) {
			b.Add(it.name, it.value)
		}
	}
	b.Sort()
	return b.Labels()
}

func pipelineError(r *row) error {
	r.sort()
	b := labels.NewScratchBuilder(len(r.items) + 2)
	for _, it := range r.items {
		b.Add(it.name, it.value)
	}
	b.Add(errorLabel, r.err)
	b.Add(errorDetailsLabel, r.detail)
	b.Sort()
	return fault.Invalidf("pipeline error: '%s' for series: '%s'.\nUse a label filter to intentionally skip this error. (e.g | __error__!=\"%s\").\nTo skip all potential errors you can match empty errors.(e.g __error__=\"\")\nThe label filter can also be specified after unwrap. (e.g | unwrap latency | __error__=\"\" )\n", r.err, b.Labels(), r.err)
}

func (ev *evaluation) absent(e *syntax.RangeAggregation, acc *accumulator) []series {
	w := newWindows(ev.steps, int64(e.Range), int64(e.Offset))
	present := make([]bool, ev.steps.n)
	for _, s := range acc.list {
		for _, part := range s.parts {
			for i := range present {
				first := int64(i) * w.perStep
				present[i] = present[i] || part.bucket >= first && part.bucket < first+w.perWindow
			}
		}
	}
	out := series{lbls: equalityLabels(e.Log.Matchers), vals: make([]float64, ev.steps.n), has: make([]bool, ev.steps.n)}
	any := false
	for i, p := range present {
		if !p {
			out.vals[i], out.has[i], any = 1, true, true
		}
	}
	if !any {
		return nil
	}
	return []series{out}
}

// equalityLabels are the labels that the result of absent_over_time has: those
// that exactly one equality matcher names.
func equalityLabels(ms []*labels.Matcher) labels.Labels {
	b := labels.NewBuilder(labels.EmptyLabels())
	seen := map[string]bool{}
	for _, m := range ms {
		if m.Type == labels.MatchEqual && !seen[m.Name] {
			b.Set(m.Name, m.Value)
		} else {
			b.Del(m.Name)
		}
		seen[m.Name] = true
	}
	return b.Labels()
}

func seconds(ns int64) float64 { return time.Duration(ns).Seconds() }
