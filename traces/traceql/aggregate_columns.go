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
	table  []*group

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
	combinations := 1
	for k := range a.metrics.By {
		if combinations *= len(c.keys[k].values); combinations > maxGroupTable {
			combinations = 0
			break
		}
	}
	if a.metrics.Func == "histogram_over_time" {
		combinations = 0
	}
	if cap(c.table) < combinations {
		c.table = make([]*group, combinations)
	}
	c.table = c.table[:combinations]
	clear(c.table)
	row := &keyRow{c: c}
	steps := c.stepsOf(cols.Starts())
	for i, start := range cols.Starts() {
		if keep != nil && !keep[i] || c.values != nil && c.skip[i] {
			continue
		}
		value := float64(1)
		if c.values != nil {
			value = c.values[i]
		}
		row.i = i
		var g *group
		at := 0
		if combinations > 0 {
			for k := range a.metrics.By {
				at = at*len(c.keys[k].values) + int(c.keys[k].ids[i])
			}
			g = c.table[at]
		}
		if g == nil {
			if g = a.group(spanAt{row: row}, value); g == nil {
				return nil
			}
			if combinations > 0 {
				c.table[at] = g
			}
		}
		cell := &g.cells[steps[i]]
		if cell.n == 0 && a.wantsExemplar(g) {
			trace, span, err := cols.IDs(i)
			if err != nil {
				return err
			}
			g.exemplars = append(g.exemplars, Exemplar{Time: start, Value: value, TraceID: trace, SpanID: span})
		}
		cell.add(value, a.quantiles)
	}
	return nil
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
