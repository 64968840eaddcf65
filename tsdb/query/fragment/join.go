package fragment

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
)

// join is an operation between each series of one fragment and the one series of
// another that matches it.
type join struct {
	left, right *Fragment

	on       bool     // names are what has to be equal, not what need not
	names    []string // sorted
	dropName bool
	op       joinOp
}

// joinOp writes what an operation makes of two series, step by step.
type joinOp func(out, left, right []float64)

// newJoin returns a join of yet no fragments, nil if the operation is not of one
// series with one.
func newJoin(e *parser.BinaryExpr) *join {
	m := e.VectorMatching
	if m == nil || m.Card != parser.CardOneToOne || m.FillValues.LHS != nil || m.FillValues.RHS != nil {
		return nil
	}
	j := &join{on: m.On, names: slices.Clone(m.MatchingLabels)}
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

// pair is two series that match.
type pair struct{ left, right *Series }

// pairs finds what matches. Where several series of a side do, ErrFallback: it is
// an error if they have a value at the same time.
func (j *join) pairs(left, right *Result) ([]pair, error) {
	var (
		buf     []byte
		byKey   = make(map[uint64]*Series, len(right.Series))
		matched = make(map[uint64]struct{}, len(left.Series))
		key     uint64
	)
	keyOf := func(ls labels.Labels) uint64 {
		if j.on {
			key, buf = ls.HashForLabels(buf, j.names...)
		} else {
			key, buf = ls.HashWithoutLabels(buf, j.names...)
		}
		return key
	}
	for i := range right.Series {
		s := &right.Series[i]
		if _, ok := byKey[keyOf(s.Labels)]; ok {
			return nil, fmt.Errorf("%w: series that match alike", ErrFallback)
		}
		byKey[key] = s
	}
	var pairs []pair
	for i := range left.Series {
		s := &left.Series[i]
		if _, ok := matched[keyOf(s.Labels)]; ok {
			return nil, fmt.Errorf("%w: series that match alike", ErrFallback)
		}
		matched[key] = struct{}{}
		if r := byKey[key]; r != nil {
			pairs = append(pairs, pair{s, r})
		}
	}
	return pairs, nil
}

// labels are those of what a series on the left becomes.
func (j *join) labels(b *labels.Builder, ls labels.Labels) labels.Labels {
	b.Reset(ls)
	if j.dropName {
		b.Del(model.MetricNameLabel, model.MetricTypeLabel, model.MetricUnitLabel)
	}
	switch {
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

// evaluateJoin evaluates both sides, one after the other, then what is made of
// them.
func (f *Fragment) evaluateJoin(ctx context.Context, q storage.ChunkQueryable, l Limits) (*Result, error) {
	left, err := f.join.left.Evaluate(ctx, q, l)
	if err != nil {
		return nil, err
	}
	rest := l
	rest.MaxSamples -= left.held()
	right, err := f.join.right.Evaluate(ctx, q, rest)
	if err != nil {
		return nil, err
	}
	pairs, err := f.join.pairs(left, right)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	e := &evaluation{f: f, limits: l, cancel: cancel, unique: f.join.dropName || !f.dropName, seen: map[uint64]struct{}{}}
	if err := e.hold(left.held() + right.held()); err != nil {
		return nil, err
	}
	e.join(ctx, pairs)
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	res, err := e.result(ctx)
	if err != nil {
		return nil, err
	}
	for _, side := range []*Result{left, right} {
		res.Samples += side.Samples
		res.Read += side.Read
		res.Warnings.Merge(side.Warnings)
	}
	res.Peak = max(res.Peak, left.Peak, int64(left.held())+right.Peak)
	return res, nil
}

// join evaluates the pairs, which many workers share.
func (e *evaluation) join(ctx context.Context, pairs []pair) {
	workers := 1
	if len(pairs) >= e.limits.Batch {
		workers = e.limits.Workers
	}
	var wg sync.WaitGroup
	for k := range workers {
		w := e.newWorker()
		wg.Go(func() {
			builder := labels.NewBuilder(labels.EmptyLabels())
			for from := k * e.limits.Batch; from < len(pairs) && ctx.Err() == nil; from += workers * e.limits.Batch {
				w.guard(func() error { return w.join(pairs[from:min(from+e.limits.Batch, len(pairs))], builder) })
			}
		})
	}
	wg.Wait()
}

func (w *worker) join(pairs []pair, b *labels.Builder) error {
	w.reset(w.e.f.grid.Steps())
	for _, p := range pairs {
		w.e.f.join.op(w.vals, p.left.Values, p.right.Values)
		if present(w.vals) == 0 {
			continue
		}
		ls, group := w.e.f.join.labels(b, p.left.Labels), uint64(0)
		if w.groups != nil {
			group = w.groups.key(ls)
		}
		if err := w.finish(ls, group, p.left.order); err != nil {
			return err
		}
	}
	return nil
}

// held is how many samples the result is.
func (r *Result) held() (n int) {
	for i := range r.Series {
		n += present(r.Series[i].Values)
	}
	return n
}
