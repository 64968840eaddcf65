package fragment

import (
	"context"
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
)

// setOperation is `and`, `or` or `unless` of two fragments.
type setOperation struct {
	left, right *Fragment

	op    parser.ItemType
	on    bool     // names are what has to be equal, not what need not
	names []string // sorted
}

func newSetOperation(e *parser.BinaryExpr) *setOperation {
	m := e.VectorMatching
	s := &setOperation{op: e.Op, on: m.On, names: slices.Clone(m.MatchingLabels)}
	if !s.on {
		s.names = append(s.names, model.MetricNameLabel)
	}
	slices.Sort(s.names)
	s.names = slices.Compact(s.names)
	return s
}

// times are the steps at which any of the series that match alike has a value, a bit
// each.
type times []uint64

func (t times) add(s *Series) {
	for step, v := range s.Values {
		if !isAbsent(v) || (s.Histograms != nil && s.Histograms[step] != nil) {
			t[step/64] |= 1 << (step % 64)
		}
	}
}

// leave takes away what a series has at other times, or, if not during, at these.
func (t times) leave(s *Series, during bool) {
	for step := range s.Values {
		if (t != nil && t[step/64]>>(step%64)&1 == 1) != during {
			s.Values[step] = absent()
			if s.Histograms != nil {
				s.Histograms[step] = nil
			}
		}
	}
}

// apply returns the series that are left, and changes those it is given.
func (s *setOperation) apply(left, right *Result) []Series {
	from, to := right, left
	if s.op == parser.LOR {
		from, to = left, right
	}
	var buf []byte
	byKey := map[uint64]times{}
	for i := range from.Series {
		key := matchKey(&buf, from.Series[i].Labels, s.on, s.names)
		if byKey[key] == nil {
			byKey[key] = make(times, (from.Grid.Steps()+63)/64)
		}
		byKey[key].add(&from.Series[i])
	}
	for i := range to.Series {
		key := matchKey(&buf, to.Series[i].Labels, s.on, s.names)
		byKey[key].leave(&to.Series[i], s.op == parser.LAND)
	}
	if s.op == parser.LOR {
		return together(left.Series, right.Series)
	}
	return left.Series
}

// together returns the series of both sides, those of the left first. One that both
// have is one: where the left has a value, the right has none any more.
func together(left, right []Series) []Series {
	byLabels := make(map[uint64]int, len(left))
	after := 0
	for i := range left {
		byLabels[left[i].Labels.Hash()] = i
		after = max(after, left[i].order+1)
	}
	for _, s := range right {
		i, ok := byLabels[s.Labels.Hash()]
		if !ok || !labels.Equal(left[i].Labels, s.Labels) {
			s.order += after
			left = append(left, s)
			continue
		}
		left[i].fill(&s)
	}
	return left
}

// fill takes the values of another series where there are none.
func (s *Series) fill(from *Series) {
	if from.Histograms != nil && s.Histograms == nil {
		s.Histograms = from.Histograms
		from.Histograms = nil
	}
	for step, v := range from.Values {
		if !isAbsent(v) {
			s.Values[step] = v
		}
		if from.Histograms != nil && from.Histograms[step] != nil {
			s.Histograms[step] = from.Histograms[step]
		}
	}
}

// evaluateSets evaluates both sides, one after the other, then what is left of them.
func (f *Fragment) evaluateSets(ctx context.Context, q storage.ChunkQueryable, l Limits) (*Result, error) {
	left, right, err := evaluateBoth(ctx, q, l, f.sets.left, f.sets.right)
	if err != nil {
		return nil, err
	}
	held := left.held() + right.held()
	series := f.sets.apply(left, right)
	res, err := f.evaluateSeries(ctx, series, l, held, !f.dropName)
	if err != nil {
		return nil, err
	}
	res.include(left, right)
	res.Peak = max(res.Peak, left.Peak, int64(left.held())+right.Peak)
	return res, nil
}

// evaluateSeries evaluates what is done to the series of other fragments, which hold
// so many samples. unique says that what it takes from their labels makes no two the
// same.
func (f *Fragment) evaluateSeries(ctx context.Context, series []Series, l Limits, held int, unique bool) (*Result, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	e := &evaluation{f: f, limits: l, cancel: cancel, unique: unique}
	if err := e.hold(held); err != nil {
		return nil, err
	}
	e.spread(ctx, len(series), func(w *worker, from, to int) error { return w.fromSeries(series[from:to]) })
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return e.result(ctx)
}

// fromSeries evaluates the series of other fragments.
func (w *worker) fromSeries(series []Series) error {
	steps := w.e.f.grid.Steps()
	w.natives.begin(steps)
	for i := range series {
		s, group := &series[i], uint64(0)
		w.reset(steps)
		copy(w.vals, s.Values)
		if s.Histograms != nil {
			copy(w.natives.at, s.Histograms)
			w.natives.count()
		}
		if w.groups != nil {
			group = w.groups.key(s.Labels)
		}
		if err := w.finish(s.Labels, group, s.order); err != nil {
			return err
		}
	}
	return nil
}
