package traceql

import (
	"slices"

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

	keys []groupKeys // of by(), and of a histogram's buckets
	rowValues
	buckets []uint64 // of the values, for a histogram
	steps   []int32

	groups  []*group // that the rows of the columns are in
	numbers []int32  // of each row's group in groups, from 1; 0: it does not count
	table   []int32  // the numbers by the combination of a row's keys

	comparer comparer
}

// groupKeys are the values of one field of by(): a number for each row, below size.
type groupKeys struct {
	ids    []uint32
	values []traces.Value // by number

	room  []uint32 // for ids
	small []uint32 // the numbers of integers near each other
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

// readKeys numbers what tells groups apart: the values of each field of by(), and a histogram's buckets.
func (c *columnAggregator) readKeys() {
	by := c.a.metrics.By
	if c.keys == nil {
		c.keys = make([]groupKeys, len(by), len(by)+1)
		if c.a.histogram {
			c.keys = c.keys[:len(by)+1]
		}
	}
	for k, ref := range by {
		c.keys[k].read(c.eval.columns[ref.Field], c.eval.n)
	}
	if c.a.histogram {
		c.buckets = c.buckets[:0]
		for _, v := range c.values {
			c.buckets = append(c.buckets, uint64(histogramExponent(v)))
		}
		c.keys[len(by)].read(&traces.Column{Kind: traces.KindInt, Nums: c.buckets}, c.eval.n)
	}
}

func (k *groupKeys) read(col *traces.Column, n int) {
	if col != nil && col.Nums == nil {
		k.values, k.ids = col.Dict, col.IDs
		return
	}
	k.room = slices.Grow(k.room[:0], n)[:n]
	clear(k.room)
	k.ids, k.values = k.room, make([]traces.Value, 1)
	if col != nil && !k.readSmall(col) {
		k.readNums(col)
	}
}

// mostSmall is how far apart integers may be for readSmall.
const mostSmall = 1 << 12

// readSmall numbers integers that are near each other; false if they are not.
func (k *groupKeys) readSmall(col *traces.Column) bool {
	if col.Kind == traces.KindFloat || len(col.Nums) == 0 || col.Present != nil {
		return false
	}
	low, high := int64(col.Nums[0]), int64(col.Nums[0])
	for _, word := range col.Nums {
		low, high = min(low, int64(word)), max(high, int64(word))
	}
	if span := uint64(high) - uint64(low); span >= mostSmall {
		return false
	}
	k.small = slices.Grow(k.small[:0], mostSmall)[:mostSmall]
	clear(k.small)
	for i, word := range col.Nums {
		id := &k.small[(word-uint64(low))%mostSmall]
		if *id == 0 {
			*id = uint32(len(k.values))
			k.values = append(k.values, traces.NumValue(col.Kind, word))
		}
		k.ids[i] = *id
	}
	return true
}

func (k *groupKeys) readNums(col *traces.Column) {
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

// maxGroupTable bounds the combinations of a block's values that are looked up by number.
const maxGroupTable = 1 << 14

// observe counts the rows of keep (nil: all).
func (c *columnAggregator) observe(cols traces.Columns, keep []bool) error {
	c.numberGroups(keep)
	starts, groups, values := cols.Starts(), c.groups, c.values
	valued, quantiles := c.a.metrics.Of != nil, c.a.quantiles
	at := stepCursor{a: c.a}
	for i, number := range c.numbers {
		if number == 0 {
			continue
		}
		g := groups[number-1]
		cell := &g.cells[at.step(starts[i])]
		if cell.n == 0 {
			if err := c.first(cols, i, g, cell); err != nil {
				return err
			}
		}
		cell.n++
		if !valued {
			continue
		}
		value := values[i]
		if value < cell.low {
			cell.low = value
		}
		if value > cell.high {
			cell.high = value
		}
		if !quantiles {
			cell.sum += value
		} else if count := cell.sketch.counter(value); count != nil {
			*count++
		} else {
			cell.sketch.addSlowly(value)
		}
	}
	return nil
}

// first makes a row the first of a cell, and an exemplar if one is wanted.
func (c *columnAggregator) first(cols traces.Columns, row int, g *group, cell *cell) error {
	value := c.value(row)
	cell.low, cell.high = value, value
	if c.a.quantiles {
		cell.sketch = c.a.sketches.sketch()
	}
	return c.exemplar(cols, row, g)
}

// value returns the number of a row that is aggregated.
func (c *columnAggregator) value(row int) float64 {
	if c.a.metrics.Of == nil {
		return 1
	}
	return c.values[row]
}

// stepCursor finds the steps of rows. Neighbors are mostly of one.
type stepCursor struct {
	a        *aggregator
	from, to int64 // of the step
	at       int
}

func (s *stepCursor) step(start int64) int {
	if start < s.from || start >= s.to {
		s.move(start)
	}
	return s.at
}

func (s *stepCursor) move(start int64) {
	s.at = s.a.step(start)
	s.from = s.a.req.From + int64(s.at)*s.a.req.Step
	s.to = s.from + s.a.req.Step
}

// exemplar keeps a row as an exemplar, if one is wanted.
func (c *columnAggregator) exemplar(cols traces.Columns, row int, g *group) error {
	if !c.a.wantsExemplar(g) {
		return nil
	}
	trace, span, err := cols.IDs(row)
	if err != nil {
		return err
	}
	g.exemplars = append(g.exemplars, Exemplar{Time: cols.Starts()[row], Value: c.value(row), TraceID: trace, SpanID: span})
	return nil
}

// numberGroups finds the group of each row: its number in c.groups from 1, 0 for rows that do
// not count.
func (c *columnAggregator) numberGroups(keep []bool) {
	combinations := 1
	for k := range c.keys {
		if combinations *= len(c.keys[k].values); combinations > maxGroupTable {
			combinations = 0
			break
		}
	}
	if cap(c.table) < combinations {
		c.table = make([]int32, combinations)
	}
	c.table = c.table[:combinations]
	clear(c.table)
	c.groups, c.numbers = c.groups[:0], slices.Grow(c.numbers[:0], c.eval.n)[:c.eval.n]
	if len(c.keys) == 1 && combinations > 0 && keep == nil && c.skip == nil {
		for i, id := range c.keys[0].ids {
			number := c.table[id]
			if number == 0 {
				number = c.findGroup(i)
				c.table[id] = number
			}
			c.numbers[i] = number
		}
		return
	}
	for i := range c.numbers {
		if keep != nil && !keep[i] || c.skip != nil && c.skip[i] {
			c.numbers[i] = 0
			continue
		}
		if combinations == 0 {
			c.numbers[i] = c.findGroup(i)
			continue
		}
		at := 0
		for k := range c.keys {
			at = at*len(c.keys[k].values) + int(c.keys[k].ids[i])
		}
		number := c.table[at]
		if number == 0 {
			number = c.findGroup(i)
			c.table[at] = number
		}
		c.numbers[i] = number
	}
}

// findGroup returns the number of a row's group, 0 if there are too many groups.
func (c *columnAggregator) findGroup(row int) int32 {
	g := c.a.group(spanAt{row: &keyRow{c: c, i: row}}, c.value(row))
	if g == nil {
		return 0
	}
	c.groups = append(c.groups, g)
	return int32(len(c.groups))
}

// stepsOf returns the steps of starts.
func (c *columnAggregator) stepsOf(starts []int64) []int32 {
	c.steps = c.steps[:0]
	at := stepCursor{a: c.a}
	for _, start := range starts {
		c.steps = append(c.steps, int32(at.step(start)))
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
