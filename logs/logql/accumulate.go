package logql

import (
	"cmp"
	"math"
	"slices"

	"belfry/logs/logql/syntax"

	"github.com/prometheus/prometheus/model/labels"
)

// accumulator holds the partial aggregates of series, by bucket.
type accumulator struct {
	spec  *rangeSpec
	byKey map[string]*accSeries
	list  []*accSeries
}

type accSeries struct {
	key   string
	lbls  labels.Labels
	parts []part
	index map[int64]int // bucket to parts, once there are several
	last  int
}

// part is the aggregate of one bucket.
type part struct {
	bucket int64
	n      int64
	sum    float64
	ext    *extPart // where count and sum are not enough
}

type extPart struct {
	min, max    float64
	mean, m2    float64
	first, last point
	points      []point
}

type point struct {
	t int64
	v float64
}

func newAccumulator(spec *rangeSpec) *accumulator {
	return &accumulator{spec: spec, byKey: map[string]*accSeries{}}
}

func (a *accumulator) seriesBytes(key []byte, lbls func() labels.Labels) (*accSeries, error) {
	if s, ok := a.byKey[string(key)]; ok {
		return s, nil
	}
	return a.series(string(key), lbls)
}

func (a *accumulator) series(key string, lbls func() labels.Labels) (*accSeries, error) {
	if s, ok := a.byKey[key]; ok {
		return s, nil
	}
	if err := a.spec.budget.addSeries(); err != nil {
		return nil, err
	}
	s := &accSeries{key: key, lbls: lbls()}
	a.byKey[key] = s
	a.list = append(a.list, s)
	return s, nil
}

// part returns the bucket's part of a series; it is valid until the next call.
func (a *accumulator) part(s *accSeries, bucket int64) (*part, error) {
	if len(s.parts) > 0 {
		if p := &s.parts[s.last]; p.bucket == bucket {
			return p, nil
		}
	}
	if s.index == nil {
		s.index = map[int64]int{}
	}
	i, ok := s.index[bucket]
	if !ok {
		if err := a.spec.budget.addPoints(1); err != nil {
			return nil, err
		}
		i = len(s.parts)
		s.parts = append(s.parts, part{bucket: bucket})
		s.index[bucket] = i
	}
	s.last = i
	return &s.parts[i], nil
}

func (a *accumulator) needsExt() bool {
	switch a.spec.expr.Op {
	case syntax.OpCountOverTime, syntax.OpRate, syntax.OpBytesOverTime, syntax.OpBytesRate, syntax.OpSumOverTime,
		syntax.OpAvgOverTime, syntax.OpAbsentOverTime:
		return false
	}
	return true
}

func (a *accumulator) needsPoints() bool {
	op := a.spec.expr.Op
	return op == syntax.OpQuantileOverTime || op == syntax.OpRateCounter
}

func (a *accumulator) add(p *part, t int64, v float64) error {
	p.n++
	p.sum += v
	if !a.needsExt() {
		return nil
	}
	if p.ext == nil {
		p.ext = &extPart{min: math.Inf(1), max: math.Inf(-1), first: point{t, v}, last: point{t, v}}
	}
	x := p.ext
	x.min, x.max = minNaN(x.min, v), maxNaN(x.max, v)
	delta := v - x.mean
	x.mean += delta / float64(p.n)
	x.m2 += delta * (v - x.mean)
	if t < x.first.t {
		x.first = point{t, v}
	}
	if t >= x.last.t {
		x.last = point{t, v}
	}
	if a.needsPoints() {
		x.points = append(x.points, point{t, v})
		return a.spec.budget.addPoints(1)
	}
	return nil
}

// minNaN and maxNaN prefer numbers to NaN.
func minNaN(a, b float64) float64 {
	if b < a || math.IsNaN(a) {
		return b
	}
	return a
}

func maxNaN(a, b float64) float64 {
	if b > a || math.IsNaN(a) {
		return b
	}
	return a
}

// combine adds o to p.
func (p *part) combine(o *part) {
	if o.ext != nil {
		if p.ext == nil {
			x := *o.ext
			x.points = slices.Clone(x.points)
			p.ext = &x
		} else {
			x, y := p.ext, o.ext
			x.min, x.max = minNaN(x.min, y.min), maxNaN(x.max, y.max)
			total := float64(p.n + o.n)
			delta := y.mean - x.mean
			x.m2 += y.m2 + delta*delta*float64(p.n)*float64(o.n)/total
			x.mean += delta * float64(o.n) / total
			if y.first.t < x.first.t {
				x.first = y.first
			}
			if y.last.t >= x.last.t {
				x.last = y.last
			}
			x.points = append(x.points, y.points...)
		}
	}
	p.n += o.n
	p.sum += o.sum
}

func (a *accumulator) merge(o *accumulator) error {
	for _, os := range o.list {
		s, ok := a.byKey[os.key]
		if !ok {
			a.byKey[os.key] = os
			a.list = append(a.list, os)
			continue
		}
		for i := range os.parts {
			p, err := a.part(s, os.parts[i].bucket)
			if err != nil {
				return err
			}
			p.combine(&os.parts[i])
		}
	}
	return nil
}

// finish turns parts into the values of steps.
func (ev *evaluation) finish(spec *rangeSpec, acc *accumulator) ([]series, error) {
	if err := ev.budget.addPoints(len(acc.list) * ev.steps.n); err != nil {
		return nil, err
	}
	w := spec.windows
	out := make([]series, 0, len(acc.list))
	for _, s := range acc.list {
		slices.SortFunc(s.parts, func(a, b part) int { return cmp.Compare(a.bucket, b.bucket) })
		r := series{lbls: s.lbls, vals: make([]float64, ev.steps.n), has: make([]bool, ev.steps.n)}
		lo, hi := 0, 0
		for i := range ev.steps.n {
			first := int64(i) * w.perStep
			for lo < len(s.parts) && s.parts[lo].bucket < first {
				lo++
			}
			hi = max(hi, lo)
			for hi < len(s.parts) && s.parts[hi].bucket < first+w.perWindow {
				hi++
			}
			if lo == hi {
				continue
			}
			window := s.parts[lo]
			if hi-lo > 1 {
				window = part{}
				for j := lo; j < hi; j++ {
					window.combine(&s.parts[j])
				}
			}
			r.vals[i], r.has[i] = aggregate(spec.expr, &window), true
		}
		out = append(out, r)
	}
	return out, nil
}

// aggregate computes a window's value.
func aggregate(e *syntax.RangeAggregation, p *part) float64 {
	switch e.Op {
	case syntax.OpCountOverTime:
		return float64(p.n)
	case syntax.OpRate, syntax.OpBytesRate:
		return p.sum / seconds(int64(e.Range))
	case syntax.OpBytesOverTime, syntax.OpSumOverTime:
		return p.sum
	case syntax.OpAvgOverTime:
		return p.sum / float64(p.n)
	case syntax.OpMinOverTime:
		return p.ext.min
	case syntax.OpMaxOverTime:
		return p.ext.max
	case syntax.OpStdvarOverTime:
		return p.ext.m2 / float64(p.n)
	case syntax.OpStddevOverTime:
		return math.Sqrt(p.ext.m2 / float64(p.n))
	case syntax.OpFirstOverTime:
		return p.ext.first.v
	case syntax.OpLastOverTime:
		return p.ext.last.v
	case syntax.OpQuantileOverTime:
		return quantile(e.Param, p.ext.points)
	case syntax.OpRateCounter:
		return counterRate(p.ext.points, seconds(int64(e.Range)))
	}
	return math.NaN()
}

// quantile interpolates between the two nearest ranks, as PromQL does.
func quantile(q float64, points []point) float64 {
	switch {
	case len(points) == 0 || math.IsNaN(q):
		return math.NaN()
	case q < 0:
		return math.Inf(-1)
	case q > 1:
		return math.Inf(1)
	}
	vals := make([]float64, len(points))
	for i, p := range points {
		vals[i] = p.v
	}
	slices.Sort(vals)
	rank := q * float64(len(vals)-1)
	lo := int(math.Floor(rank))
	hi := min(lo+1, len(vals)-1)
	weight := rank - math.Floor(rank)
	return vals[lo]*(1-weight) + vals[hi]*weight
}

// counterRate is the increase per second of a counter that may reset. Like
// Loki's it is the increase between the samples of the window, divided by the window's length.
func counterRate(points []point, window float64) float64 {
	points = slices.Clone(points)
	slices.SortStableFunc(points, func(a, b point) int { return cmp.Compare(a.t, b.t) })
	increase := 0.0
	for i := 1; i < len(points); i++ {
		if d := points[i].v - points[i-1].v; d >= 0 {
			increase += d
		} else {
			increase += points[i].v
		}
	}
	return increase / window
}
