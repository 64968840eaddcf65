package fragment

import (
	"context"
	"fmt"
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
)

// join is an operation between each series of one fragment and the one series of
// another that matches it.
type join struct {
	left, right *Fragment

	on       bool     // names are what has to be equal, not what need not
	names    []string // sorted
	dropName bool
	op       joinOp
	native   nativeJoin

	// many says that several series of a side may match one of the other, as with
	// group_left, or, if swapped, group_right. include are labels of the one.
	many, swapped bool
	include       []string
}

// joinOp writes what an operation makes of two series, step by step.
type joinOp func(out, left, right []float64)

// newJoin returns a join of yet no fragments, nil if the operation is none of that
// kind.
func newJoin(e *parser.BinaryExpr) *join {
	m := e.VectorMatching
	if m == nil || m.Card == parser.CardManyToMany || m.FillValues.LHS != nil || m.FillValues.RHS != nil {
		return nil
	}
	j := &join{
		on: m.On, names: slices.Clone(m.MatchingLabels),
		many: m.Card != parser.CardOneToOne, swapped: m.Card == parser.CardOneToMany, include: m.Include,
		native: nativeJoin{e.Op, e.ReturnBool, e.PositionRange()},
	}
	if !j.on {
		j.names = append(j.names, model.MetricNameLabel)
	}
	slices.Sort(j.names)
	j.names = slices.Compact(j.names)
	if f := arithmetic(e.Op); f != nil {
		j.dropName, j.op = true, paired(f)
		return j
	}
	c := comparison(e.Op)
	if c == nil {
		return nil
	}
	j.dropName = e.ReturnBool
	j.op = paired(func(l, r float64) float64 {
		switch {
		case e.ReturnBool:
			return boolean(c(l, r))
		case c(l, r):
			return l
		}
		return absent()
	})
	return j
}

func paired(f func(l, r float64) float64) joinOp {
	return func(out, left, right []float64) {
		for i, l := range left {
			if r := right[i]; isAbsent(l) || isAbsent(r) {
				out[i] = absent()
			} else {
				out[i] = f(l, r)
			}
		}
	}
}

// pair is two series that match. Without many, many is the one on the left.
type pair struct{ many, one *Series }

// pairs finds what matches. It returns ErrFallback where several series match alike
// and may be an error, which they are if they have a value at the same time.
func (j *join) pairs(left, right *Result) (pairs []pair, err error) {
	many, one := left.Series, right.Series
	if j.swapped {
		many, one = one, many
	}
	ones := make(map[uint64][]*Series, len(one))
	var buf []byte
	for i := range one {
		key := matchKey(&buf, one[i].Labels, j.on, j.names)
		for _, s := range ones[key] {
			if !j.many || overlap(s, &one[i]) {
				return nil, errAlike
			}
		}
		ones[key] = append(ones[key], &one[i])
	}
	seen := map[uint64]struct{}{}
	for i := range many {
		key := matchKey(&buf, many[i].Labels, j.on, j.names)
		if !j.many {
			if _, ok := seen[key]; ok {
				return nil, errAlike
			}
			seen[key] = struct{}{}
		}
		for _, s := range ones[key] {
			pairs = append(pairs, pair{&many[i], s})
		}
	}
	return pairs, nil
}

var errAlike = fmt.Errorf("%w: series that match alike", ErrFallback)

// matchKey is what series match by: these labels, or all but these.
func matchKey(buf *[]byte, ls labels.Labels, on bool, names []string) (key uint64) {
	if on {
		key, *buf = ls.HashForLabels(*buf, names...)
	} else {
		key, *buf = ls.HashWithoutLabels(*buf, names...)
	}
	return key
}

// overlap reports whether two series have a sample at the same time.
func overlap(a, b *Series) bool {
	native := a.Histograms != nil || b.Histograms != nil
	for i, v := range a.Values {
		if !isAbsent(v) && !isAbsent(b.Values[i]) || native && !a.at(i).nothing() && !b.at(i).nothing() {
			return true
		}
	}
	return false
}

// apply writes what a pair becomes.
func (j *join) apply(w *worker, p pair) error {
	left, right := p.many, p.one
	if j.swapped {
		left, right = right, left
	}
	j.op(w.vals, left.Values, right.Values)
	w.natives.reset()
	if left.Histograms == nil && right.Histograms == nil {
		return nil
	}
	w.natives.begin(len(w.vals))
	return j.native.apply(&w.natives, w.vals, left, right)
}

// labels are those of what a pair becomes.
func (j *join) labels(b *labels.Builder, p pair) labels.Labels {
	b.Reset(p.many.Labels)
	if j.dropName {
		b.Del(model.MetricNameLabel, model.MetricTypeLabel, model.MetricUnitLabel)
	}
	switch {
	case j.many:
		for _, name := range j.include {
			b.Set(name, p.one.Labels.Get(name))
		}
	case j.on:
		b.Keep(j.names...)
	default:
		for _, name := range j.names {
			if name != model.MetricNameLabel {
				b.Del(name)
			}
		}
	}
	return b.Labels()
}

// evaluateBoth evaluates two fragments, one after the other; what the first holds counts against the limit of the second.
func evaluateBoth(ctx context.Context, q storage.ChunkQueryable, l Limits, a, b *Fragment) (left, right *Result, err error) {
	if left, err = a.Evaluate(ctx, q, l); err != nil {
		return nil, nil, err
	}
	l.MaxSamples -= left.held()
	right, err = b.Evaluate(ctx, q, l)
	return left, right, err
}

// evaluateJoin evaluates both sides, one after the other, then what is made of
// them.
func (f *Fragment) evaluateJoin(ctx context.Context, q storage.ChunkQueryable, l Limits) (*Result, error) {
	left, right, err := evaluateBoth(ctx, q, l, f.join.left, f.join.right)
	if err != nil {
		return nil, err
	}
	pairs, err := f.join.pairs(left, right)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	e := &evaluation{f: f, limits: l, cancel: cancel, unique: f.join.unique(f)}
	if err := e.hold(left.held() + right.held()); err != nil {
		return nil, err
	}
	e.join(ctx, pairs)
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	remark, err := e.joinRemark()
	if err != nil {
		return nil, err
	}
	res, err := e.result(ctx)
	if err != nil {
		return nil, err
	}
	if remark != nil {
		own := annotations.New().Add(remark)
		res.Warnings = own.Merge(res.Warnings)
	}
	res.include(left, right)
	res.Peak = max(res.Peak, left.Peak, int64(left.held())+right.Peak)
	return res, nil
}

// joinRemark is what all workers have to say, if that is one thing.
func (e *evaluation) joinRemark() (remark error, err error) {
	for _, w := range e.workers {
		switch r := w.natives.remark; {
		case r == nil:
		case remark != nil && remark.Error() != r.Error():
			return nil, ErrFallback // Prometheus tells the last of each step
		default:
			remark = r
		}
	}
	return remark, nil
}

// unique reports whether no two series of the result can have the same labels.
func (j *join) unique(f *Fragment) bool { return !j.many && (j.dropName || !f.dropName) }

// join evaluates the pairs, which many workers share.
func (e *evaluation) join(ctx context.Context, pairs []pair) {
	e.spread(ctx, len(pairs), func(w *worker, from, to int) error {
		return w.join(pairs[from:to], labels.NewBuilder(labels.EmptyLabels()))
	})
}

func (w *worker) join(pairs []pair, b *labels.Builder) error {
	w.reset(w.e.f.grid.Steps())
	for _, p := range pairs {
		if !overlap(p.many, p.one) {
			continue
		}
		ls, group := w.e.f.join.labels(b, p), uint64(0)
		// Prometheus compares labels before values: what a comparison leaves out
		// counts.
		if err := w.e.newcomer(ls); err != nil {
			return err
		}
		if err := w.e.f.join.apply(w, p); err != nil {
			return err
		}
		if w.groups != nil {
			group = w.groups.key(ls)
		}
		if err := w.operate(ls, group, p.many.order); err != nil {
			return err
		}
	}
	return nil
}

// held is how many samples the result is.
func (r *Result) held() (n int) {
	for i := range r.Series {
		n += present(r.Series[i].Values) + sizeOf(r.Series[i].Histograms)
	}
	return n
}
