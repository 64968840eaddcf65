package traceql

import (
	"math"

	"belfry/traces"
)

// onColumns reports whether all that the function reads of a span can be read from columns.
func (m *Metrics) onColumns() bool {
	for _, ref := range m.refs() {
		if !refOnColumns(ref) {
			return false
		}
	}
	return true
}

// refs are the fields that the function reads.
func (m *Metrics) refs() []FieldRef {
	refs := fieldsOf(m.Of, nil)
	for _, by := range m.By {
		refs = fieldsOf(by, refs)
	}
	if m.Compare != nil {
		refs = fieldsOf(m.Compare.Selection.Expr, refs)
	}
	return refs
}

// columnAggregator feeds an aggregator from columns. It is used by one goroutine.
type columnAggregator struct {
	a      *aggregator
	filter Expr
	eval   columnEval

	keys   []groupKeys
	values []float64
	skip   []bool // rows without a value
	steps  []int32

	groups  []*group // that the rows of the columns are in
	numbers []int32  // of each row's group in groups, from 1; 0: it does not count
	table   []int32  // the numbers by the combination of a row's keys
	buckets []int32  // of the values, for quantiles
	like    *sketch  // the first one: others are as wide from the beginning

	comparer comparer
}

// groupKeys are the values of one field of by(): a number for each row, below size.
type groupKeys struct {
	ids    []uint32
	values []traces.Value // by number
}

func newColumnAggregator(a *aggregator, filter Expr) *columnAggregator {
	return &columnAggregator{a: a, filter: filter, eval: *newColumnEval(fieldsOf(filter, nil))}
}

// visit aggregates the rows that meet the filter.
func (c *columnAggregator) visit(cols traces.Columns) error {
	c.eval.reset(cols)
	keep, err := c.eval.mask(c.filter)
	if err != nil {
		return err
	}
	if err := c.eval.load(c.a.metrics.refs()); err != nil {
		return err
	}
	if c.a.compare != nil {
		return c.compare(keep)
	}
	c.readValues()
	c.readKeys()
	if err := c.observe(cols, keep); err != nil {
		return err
	}
	if c.a.overflow {
		return traces.ErrStop
	}
	return nil
}

// readValues computes the numbers that are aggregated.
func (c *columnAggregator) readValues() {
	of := c.a.metrics.Of
	if of == nil {
		c.values = nil
		return
	}
	n := c.eval.n
	if cap(c.values) < n {
		c.values, c.skip = make([]float64, n), make([]bool, n)
	}
	c.values, c.skip = c.values[:n], c.skip[:n]
	if ref, ok := of.(FieldRef); ok && ref.fieldType() == TypeDuration {
		if col := c.eval.columns[ref.Field]; col != nil && col.Nums != nil && col.Present == nil && col.Kind == traces.KindInt {
			for i, d := range col.Nums {
				c.values[i], c.skip[i] = float64(int64(d))/1e9, false
			}
			return
		}
	}
	at := &rowAt{e: &c.eval}
	s := spanAt{row: at}
	for at.i = range n {
		v := s.eval(of)
		c.skip[at.i] = !v.Type.isNumber()
		if !c.skip[at.i] {
			c.values[at.i] = seconds(v)
			c.skip[at.i] = math.IsNaN(c.values[at.i])
		}
	}
}

// readKeys numbers the values of each field of by().
func (c *columnAggregator) readKeys() {
	by := c.a.metrics.By
	if len(c.keys) < len(by) {
		c.keys = make([]groupKeys, len(by))
	}
	for k, ref := range by {
		c.keys[k].read(c.eval.columns[ref.Field], c.eval.n)
	}
}

func (k *groupKeys) read(col *traces.Column, n int) {
	switch {
	case col == nil:
		k.values = make([]traces.Value, 1)
		k.ids = make([]uint32, n)
	case col.Nums == nil:
		k.values, k.ids = col.Dict, col.IDs
	default:
		k.values = make([]traces.Value, 1)
		k.ids = make([]uint32, n)
		known := map[uint64]uint32{}
		last, lastID := uint64(0), uint32(0)
		for i, word := range col.Nums {
			if !col.Has(i) {
				continue
			}
			if lastID == 0 || word != last {
				id := known[word]
				if id == 0 {
					id = uint32(len(k.values))
					known[word] = id
					k.values = append(k.values, traces.NumValue(col.Kind, word))
				}
				last, lastID = word, id
			}
			k.ids[i] = lastID
		}
	}
}

// maxGroupTable bounds the combinations of a block's values that are looked up by number.
const maxGroupTable = 1 << 14

// observe counts the rows of keep (nil: all).
func (c *columnAggregator) observe(cols traces.Columns, keep []bool) error {
	a := c.a
	c.numberGroups(keep)
	if a.quantiles {
		c.buckets = bucketsOf(c.buckets[:0], c.values)
	}
	steps := c.stepsOf(cols.Starts())
	value := float64(1)
	for i, number := range c.numbers {
		if number == 0 {
			continue
		}
		g := c.groups[number-1]
		cell := &g.cells[steps[i]]
		if c.values != nil {
			value = c.values[i]
		}
		if cell.n == 0 {
			if err := c.first(cols, i, g, value); err != nil {
				return err
			}
			cell.low, cell.high = value, value
			if a.quantiles && cell.sketch == nil {
				cell.sketch = newSketch(c.like)
				if c.like == nil {
					c.like = cell.sketch
				}
			}
		}
		cell.n++
		if c.values == nil {
			cell.sum++
			continue
		}
		cell.sum += value
		cell.low, cell.high = min(cell.low, value), max(cell.high, value)
		if a.quantiles {
			cell.sketch.addTo(c.buckets[i], value)
		}
	}
	return nil
}

// first keeps the first row of a cell as an exemplar, if it is wanted.
func (c *columnAggregator) first(cols traces.Columns, row int, g *group, value float64) error {
	if !c.a.wantsExemplar(g) {
		return nil
	}
	trace, span, err := cols.IDs(row)
	if err != nil {
		return err
	}
	g.exemplars = append(g.exemplars, Exemplar{Time: cols.Starts()[row], Value: value, TraceID: trace, SpanID: span})
	return nil
}

// numberGroups finds the group of each row: its number in c.groups from 1, 0 for rows that do
// not count.
func (c *columnAggregator) numberGroups(keep []bool) {
	by := c.a.metrics.By
	combinations := 1
	for k := range by {
		if combinations *= len(c.keys[k].values); combinations > maxGroupTable {
			combinations = 0
			break
		}
	}
	if c.a.metrics.Func == "histogram_over_time" {
		combinations = 0 // the value is a part of the group
	}
	if cap(c.table) < combinations {
		c.table = make([]int32, combinations)
	}
	c.table = c.table[:combinations]
	clear(c.table)
	c.groups, c.numbers = c.groups[:0], c.numbers[:0]
	row := &keyRow{c: c}
	for i := range c.eval.n {
		if keep != nil && !keep[i] || c.values != nil && c.skip[i] {
			c.numbers = append(c.numbers, 0)
			continue
		}
		at := 0
		if combinations > 0 {
			for k := range by {
				at = at*len(c.keys[k].values) + int(c.keys[k].ids[i])
			}
			if number := c.table[at]; number != 0 {
				c.numbers = append(c.numbers, number)
				continue
			}
		}
		row.i = i
		value := float64(1)
		if c.values != nil {
			value = c.values[i]
		}
		number := int32(0)
		if g := c.a.group(spanAt{row: row}, value); g != nil {
			c.groups = append(c.groups, g)
			number = int32(len(c.groups))
		}
		c.numbers = append(c.numbers, number)
		if combinations > 0 {
			c.table[at] = number
		}
	}
}

// stepsOf returns the steps of starts. Neighbors are mostly of one.
func (c *columnAggregator) stepsOf(starts []int64) []int32 {
	c.steps = c.steps[:0]
	var step int
	var from, to int64 // of the step
	for _, start := range starts {
		if start < from || start >= to {
			step = c.a.step(start)
			from = c.a.req.From + int64(step)*c.a.req.Step
			to = from + c.a.req.Step
		}
		c.steps = append(c.steps, int32(step))
	}
	return c.steps
}

// keyRow gives the fields of by() of a row, by the numbers of their values.
type keyRow struct {
	c *columnAggregator
	i int
}

func (r *keyRow) value(wanted FieldRef) traces.Value {
	for k, ref := range r.c.a.metrics.By {
		if ref == wanted {
			return r.c.keys[k].values[r.c.keys[k].ids[r.i]]
		}
	}
	return traces.Value{}
}
