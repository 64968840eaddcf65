package traceql

import (
	"encoding/binary"
	"math"

	"belfry/traces"
)

// aggregator turns spans into series. It is used by one goroutine.
type aggregator struct {
	metrics  *Metrics
	req      *RangeRequest
	steps    int
	groups   map[string]*group
	only     *group // the one group where there is no by()
	scratch  []byte
	limit    int
	overflow bool
	compare  *comparison

	quantiles bool // numbers are kept for quantiles
	histogram bool // a value's bucket tells groups apart
	sketches  sketchPool
}

// group is the series of one combination of labels (several of quantiles).
type group struct {
	labels    Labels
	cells     []cell
	exemplars []Exemplar
}

// cell is one step of a group.
type cell struct {
	n         int64
	sum       float64
	low, high float64
	sketch    *sketch
}

func newAggregator(m *Metrics, req *RangeRequest, limits Limits) *aggregator {
	a := &aggregator{
		metrics: m, req: req, steps: int((req.To - req.From + req.Step - 1) / req.Step),
		groups: map[string]*group{}, limit: limits.Series,
		quantiles: m.Func == "quantile_over_time", histogram: m.Func == "histogram_over_time",
	}
	if m.Func == "compare" {
		a.compare = newComparison(a.steps)
	}
	return a
}

func (a *aggregator) step(t int64) int { return int((t - a.req.From) / a.req.Step) }

// observe counts a span; its start lies within the range.
func (a *aggregator) observe(s spanAt) {
	step := a.step(s.span.Start)
	if a.compare != nil {
		a.compare.observe(a.metrics.Compare, s, step)
		return
	}
	value := float64(1)
	if a.metrics.Of != nil {
		v := s.eval(a.metrics.Of)
		if !v.Type.isNumber() {
			return
		}
		if value = seconds(v); math.IsNaN(value) {
			return
		}
	}
	g := a.group(s, value)
	if g == nil {
		return
	}
	c := &g.cells[step]
	if c.n == 0 && a.wantsExemplar(g) {
		g.exemplars = append(g.exemplars, Exemplar{Time: s.span.Start, Value: value, TraceID: s.span.TraceID, SpanID: s.span.ID})
	}
	c.add(value, a)
}

// wantsExemplar reports whether a group has room for an exemplar.
func (a *aggregator) wantsExemplar(g *group) bool {
	return a.req.Exemplars > 0 && len(g.exemplars) < a.req.Exemplars
}

// add counts a value, for quantiles too if they are asked for.
func (c *cell) add(value float64, a *aggregator) {
	if c.n == 0 {
		c.low, c.high = value, value
	}
	c.n++
	c.sum += value
	c.low, c.high = min(c.low, value), max(c.high, value)
	if a.quantiles {
		if c.sketch == nil {
			c.sketch = a.sketches.sketch()
		}
		c.sketch.add(value)
	}
}

// group finds the group of a span; nil if there are too many.
func (a *aggregator) group(s spanAt, value float64) *group {
	if len(a.metrics.By) == 0 && !a.histogram {
		if a.only == nil {
			a.only = a.add("", nil)
		}
		return a.only
	}
	a.scratch = a.scratch[:0]
	for _, by := range a.metrics.By {
		v := s.field(by)
		a.scratch = append(a.scratch, byte(v.Type))
		a.scratch = append(append(a.scratch, v.Value.Text()...), 0)
	}
	if a.histogram {
		a.scratch = binary.LittleEndian.AppendUint16(a.scratch, uint16(histogramExponent(value)))
	}
	if g, known := a.groups[string(a.scratch)]; known {
		return g
	}
	if len(a.groups) >= a.limit {
		a.overflow = true
		return nil
	}
	labels := make(Labels, 0, len(a.metrics.By)+1)
	for _, by := range a.metrics.By {
		labels = append(labels, Label{by.String(), groupValue(s.field(by))})
	}
	if a.histogram {
		labels = append(labels, Label{"__bucket", traces.Float(histogramBucket(value))})
	}
	return a.add(string(a.scratch), labels)
}

func (a *aggregator) add(key string, labels Labels) *group {
	g := &group{labels: labels, cells: make([]cell, a.steps)}
	a.groups[key] = g
	return g
}

// histogramBucket returns the power of two that bounds a value from above.
func histogramBucket(v float64) float64 {
	if v <= 0 {
		return 0
	}
	return math.Ldexp(1, histogramExponent(v))
}

// noExponent stands for the bucket of zero and below.
const noExponent = -2000

// histogramExponent returns the exponent of the power of two that bounds a value from above.
func histogramExponent(v float64) int {
	if v <= 0 {
		return noExponent
	}
	const fractionBits, bias = 52, 1023
	bits := math.Float64bits(v)
	exponent := int(bits>>fractionBits) - bias
	if exponent == -bias { // too small to have its first bit left out
		fraction, e := math.Frexp(v)
		bits, exponent = math.Float64bits(fraction), e-1
	}
	if bits<<(64-fractionBits) != 0 {
		exponent++
	}
	return exponent
}

func (a *aggregator) merge(o *aggregator) {
	a.overflow = a.overflow || o.overflow
	if a.compare != nil {
		a.compare.merge(o.compare)
		return
	}
	for key, from := range o.groups {
		into, known := a.groups[key]
		if !known {
			a.groups[key] = from
			a.overflow = a.overflow || len(a.groups) > a.limit
			continue
		}
		into.exemplars = append(into.exemplars, from.exemplars...)
		for i := range from.cells {
			into.cells[i].merge(&from.cells[i])
		}
	}
}

// quantile returns the value that a share q of the cell's numbers does not exceed: the least and the
// greatest one as they are.
func (c *cell) quantile(q float64) float64 {
	switch rank := rankOf(q, c.n); {
	case rank == 1:
		return c.low
	case rank >= c.n:
		return c.high
	default:
		return min(max(c.sketch.ranked(rank), c.low), c.high)
	}
}

func (c *cell) merge(o *cell) {
	switch {
	case o.n == 0:
		return
	case c.n == 0:
		*c = *o
		return
	}
	c.n += o.n
	c.sum += o.sum
	c.low, c.high = min(c.low, o.low), max(c.high, o.high)
	if c.sketch != nil && o.sketch != nil {
		c.sketch.merge(o.sketch)
	}
}

// series returns the result. A query without by() that matches nothing still
// has its one series where zero is an answer.
func (a *aggregator) series() []Series {
	if a.compare != nil {
		return a.compare.series(a.metrics.Compare, a.end)
	}
	counts := a.metrics.Func == "rate" || a.metrics.Func == "count_over_time"
	if counts && len(a.metrics.By) == 0 && len(a.groups) == 0 {
		a.add("", nil)
	}
	a.trimExemplars()
	var out []Series
	for _, g := range a.groups {
		if a.metrics.Func != "quantile_over_time" {
			labels := g.labels
			if len(labels) == 0 {
				labels = Labels{{nameLabel, traces.String(a.metrics.Func)}}
			}
			out = append(out, Series{Labels: labels, Points: a.points(g, 0), Exemplars: g.exemplars})
			continue
		}
		for _, q := range a.metrics.Quantiles {
			labels := append(append(Labels(nil), g.labels...), Label{"p", traces.Float(q)})
			out = append(out, Series{Labels: labels, Points: a.points(g, q), Exemplars: g.exemplars})
		}
	}
	return out
}

// end returns the time at which a step ends.
func (a *aggregator) end(step int) int64 { return a.req.From + int64(step+1)*a.req.Step }

func (a *aggregator) points(g *group, quantile float64) []Point {
	points := make([]Point, 0, len(g.cells))
	for step := range g.cells {
		if v, ok := a.value(&g.cells[step], step, quantile); ok {
			points = append(points, Point{Time: a.end(step), Value: v})
		}
	}
	return points
}

func (a *aggregator) value(c *cell, step int, quantile float64) (v float64, ok bool) {
	switch a.metrics.Func {
	case "rate":
		length := min(a.req.Step, a.req.To-a.req.From-int64(step)*a.req.Step) // the last step may be cut short
		return float64(c.n) / (float64(length) / 1e9), true
	case "count_over_time", "histogram_over_time":
		return float64(c.n), true
	}
	if c.n == 0 {
		return 0, false
	}
	switch a.metrics.Func {
	case "sum_over_time":
		return c.sum, true
	case "avg_over_time":
		return c.sum / float64(c.n), true
	case "min_over_time":
		return c.low, true
	case "max_over_time":
		return c.high, true
	}
	return c.quantile(quantile), true
}
