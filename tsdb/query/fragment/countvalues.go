package fragment

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/schema"
)

// maxCountedValues is how many values count_values tells apart, of all groups that one
// worker has. With more, most are there at few steps, and an array for each is a waste.
const maxCountedValues = 10_000

// counted is a value of a group, and how many series have it at each step.
type counted struct {
	n     []uint32
	order int // of the first series
}

// countValues takes the label that values are counted by, which groups do not have, and
// reports whether that is one.
func (a *aggregation) countValues(param parser.Expr) bool {
	s, ok := unwrap(param).(*parser.StringLiteral)
	if !ok || !model.UTF8Validation.IsValidLabelName(s.Val) || schema.IsMetadataLabel(s.Val) {
		return false
	}
	a.label = s.Val
	if a.without {
		if slices.Contains(a.grouping, a.label) {
			return false // values are not told apart then
		}
		a.grouping = append(a.grouping, a.label)
		slices.Sort(a.grouping)
		return true
	}
	a.grouping = slices.DeleteFunc(a.grouping, func(name string) bool { return name == a.label })
	return true
}

// count counts the values of a series. It returns how many more samples are in memory.
func (g *groups) count(gr *group, vals []float64, order int) (more int, err error) {
	if gr.values == nil {
		gr.values = map[uint64]*counted{}
	}
	var (
		last uint64
		at   *counted
	)
	for step, v := range vals {
		if isAbsent(v) {
			continue
		}
		if math.IsNaN(v) {
			v = math.NaN() // all of them are written alike
		}
		if bits := math.Float64bits(v); at == nil || bits != last {
			if at = gr.values[bits]; at == nil {
				if g.values++; g.values > maxCountedValues {
					return 0, fmt.Errorf("%w: too many values to count", ErrFallback)
				}
				at = &counted{n: make([]uint32, len(vals)), order: order}
				gr.values[bits] = at
				more += len(vals)/4 + 4
			}
			last = bits
		}
		at.n[step]++
	}
	return more, nil
}

// mergeValues counts what another worker has counted of the same group.
func (gr *group) mergeValues(other *group) {
	for bits, o := range other.values {
		mine := gr.values[bits]
		if mine == nil {
			gr.values[bits] = o
			continue
		}
		mine.order = min(mine.order, o.order)
		for step, n := range o.n {
			mine.n[step] += n
		}
	}
}

// countedValues returns a series for each value of a group.
func (e *evaluation) countedValues(gr *group) (out []Series, err error) {
	b := e.workers[0].groups.builder
	for bits, c := range gr.values {
		b.Reset(gr.labels)
		b.Set(e.f.agg.label, strconv.FormatFloat(math.Float64frombits(bits), 'f', -1, 64))
		s := Series{Labels: b.Labels(), Values: make([]float64, len(c.n)), order: c.order}
		for step, n := range c.n {
			if s.Values[step] = float64(n); n == 0 {
				s.Values[step] = absent()
			}
		}
		if err := e.hold(present(s.Values)); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}
