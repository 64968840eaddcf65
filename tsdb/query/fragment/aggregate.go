package fragment

import (
	"math"
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/schema"
	"github.com/prometheus/prometheus/util/kahansum"
)

// group accumulates the series of one group, step by step.
type group struct {
	labels labels.Labels
	n      []uint32  // values seen
	sum    []float64 // or the extreme
	comp   []float64 // what sum has lost to rounding
	inf    bool      // an infinite value was seen
	order  int       // of the first series

	natives *nativeSums // nil without histograms

	values map[uint64]*counted // of count_values, by their bits
}

// groups are the groups that one worker has seen.
type groups struct {
	agg      *aggregation
	dropName bool
	steps    int
	byKey    map[uint64]*group
	values   int // that are counted, in all groups

	excluded []string // sorted, for the key of without
	buf      []byte
	builder  *labels.Builder
}

func newGroups(f *Fragment) *groups {
	g := &groups{
		agg: f.agg, dropName: f.dropName, steps: f.grid.Steps(),
		byKey: map[uint64]*group{}, builder: labels.NewBuilder(labels.EmptyLabels()),
	}
	if f.agg.without {
		g.excluded = append(g.excluded, f.agg.grouping...)
		if f.dropName {
			g.excluded = append(g.excluded, model.MetricNameLabel, model.MetricTypeLabel, model.MetricUnitLabel)
		}
		slices.Sort(g.excluded)
		g.excluded = slices.Compact(g.excluded)
	}
	return g
}

// key is what the group of a series is found by.
func (g *groups) key(ls labels.Labels) (key uint64) {
	if g.dropName && !g.agg.without {
		ls = ls.DropReserved(schema.IsMetadataLabel)
	}
	switch {
	case g.agg.without:
		key, g.buf = ls.HashWithoutLabels(g.buf, g.excluded...)
	case len(g.agg.grouping) > 0:
		key, g.buf = ls.HashForLabels(g.buf, g.agg.grouping...)
	}
	return key
}

// at returns the group of a key, made for a series that has it if it is new.
func (g *groups) at(key uint64, ls labels.Labels) (gr *group, created bool) {
	if gr = g.byKey[key]; gr != nil {
		return gr, false
	}
	gr = &group{labels: g.labelsOf(ls), n: make([]uint32, g.steps)}
	switch g.agg.op {
	case parser.SUM, parser.AVG:
		gr.sum, gr.comp = make([]float64, g.steps), make([]float64, g.steps)
	case parser.MIN, parser.MAX:
		gr.sum = make([]float64, g.steps)
	}
	g.byKey[key] = gr
	return gr, true
}

// labelsOf are the labels of the group of a series.
func (g *groups) labelsOf(ls labels.Labels) labels.Labels {
	if g.dropName && !g.agg.without {
		ls = ls.DropReserved(schema.IsMetadataLabel)
	}
	g.builder.Reset(ls)
	switch {
	case g.agg.without:
		g.builder.Del(g.excluded...)
		g.builder.Del(model.MetricNameLabel)
	case len(g.agg.grouping) > 0:
		g.builder.Keep(g.agg.grouping...)
	default:
		return labels.EmptyLabels()
	}
	return g.builder.Labels()
}

// add counts the values of a series.
func (gr *group) add(op parser.ItemType, vals []float64) {
	switch op {
	case parser.SUM, parser.AVG:
		gr.addSum(vals)
	case parser.MIN:
		gr.addExtreme(vals, func(a, b float64) bool { return a < b })
	case parser.MAX:
		gr.addExtreme(vals, func(a, b float64) bool { return a > b })
	default:
		for i, v := range vals {
			if !isAbsent(v) {
				gr.n[i]++
			}
		}
	}
}

// addSum is Kahan's summation in Neumaier's variant, as kahansum.Inc.
func (gr *group) addSum(vals []float64) {
	n, sum, comp := gr.n[:len(vals)], gr.sum[:len(vals)], gr.comp[:len(vals)]
	for i, v := range vals {
		if isAbsent(v) {
			continue
		}
		if math.IsInf(v, 0) {
			gr.inf = true
		}
		n[i]++
		if n[i] == 1 {
			sum[i] = v
			continue
		}
		s := sum[i]
		t := s + v
		switch {
		case math.IsInf(t, 0):
			comp[i] = 0
		case math.Abs(s) >= math.Abs(v):
			comp[i] += (s - t) + v
		default:
			comp[i] += (v - t) + s
		}
		sum[i] = t
	}
}

func (gr *group) addExtreme(vals []float64, ahead func(a, b float64) bool) {
	for i, v := range vals {
		if isAbsent(v) {
			continue
		}
		if gr.n[i] == 0 || ahead(v, gr.sum[i]) || math.IsNaN(gr.sum[i]) {
			gr.sum[i] = v
		}
		gr.n[i]++
	}
}

// merge counts what another worker has counted of the same group.
func (gr *group) merge(op parser.ItemType, other *group) {
	gr.inf = gr.inf || other.inf
	if op == parser.COUNT_VALUES {
		gr.mergeValues(other)
		return
	}
	if other.natives != nil {
		if gr.natives == nil {
			gr.natives = other.natives
		} else {
			gr.natives.merge(other.natives)
		}
	}
	for i, n := range other.n {
		switch {
		case n == 0:
			continue
		case op == parser.SUM || op == parser.AVG:
			if gr.n[i] == 0 {
				gr.sum[i], gr.comp[i] = other.sum[i], other.comp[i]
				break
			}
			gr.sum[i], gr.comp[i] = kahansum.Inc(other.sum[i], gr.sum[i], gr.comp[i])
			if !math.IsInf(gr.sum[i], 0) {
				gr.comp[i] += other.comp[i]
			}
		case op == parser.MIN || op == parser.MAX:
			v := other.sum[i]
			if gr.n[i] == 0 || math.IsNaN(gr.sum[i]) || (op == parser.MIN && v < gr.sum[i]) || (op == parser.MAX && v > gr.sum[i]) {
				gr.sum[i] = v
			}
		}
		gr.n[i] += n
	}
}

// finish returns the group's values. A mean whose sum is too large for a float
// falls back: the engine goes on with the mean itself.
func (gr *group) finish(op parser.ItemType) ([]float64, error) {
	out := gr.sum
	if out == nil {
		out = make([]float64, len(gr.n))
	}
	for i, n := range gr.n {
		if n == 0 {
			out[i] = absent()
			continue
		}
		switch op {
		case parser.SUM:
			out[i] += gr.comp[i]
		case parser.AVG:
			if math.IsInf(out[i], 0) && !gr.inf {
				return nil, ErrFallback
			}
			out[i] = out[i]/float64(n) + gr.comp[i]/float64(n)
		case parser.COUNT:
			out[i] = float64(n)
		case parser.GROUP:
			out[i] = 1
		}
	}
	return out, nil
}
