package traceql

import (
	"slices"

	"belfry/traces"
)

// compareEvery is how few of the values are looked at of an attribute of which there are more
// than are told apart, where most are distinct; each stands for so many.
const compareEvery = 32

// comparer counts from columns. It is used by one goroutine.
type comparer struct {
	places  []int32 // the counter of each row, or noPlace
	run     []int64 // counts of a run of rows by place, zero between runs
	touched []int32 // the places in run that are not zero
	table   []*valueCounts
	keys    groupKeys
	all     []uint32 // how many rows are in each place
	dense   []uint32 // counts by the number of a value, then by place
}

// maxDense bounds the counts of a block's values that are kept one beside the other.
const maxDense = 1 << 16

// compare counts the values of all attributes of the rows of keep (nil: all), column by column.
func (c *columnAggregator) compare(keep []bool) error {
	if err := c.comparePlaces(keep); err != nil {
		return err
	}
	c.compareResources()
	fields, err := c.eval.cols.Attributes()
	if err != nil {
		return err
	}
	for _, f := range fields {
		if err := c.compareField(f); err != nil {
			return err
		}
	}
	for _, name := range []string{traces.Name, traces.StatusField, traces.SpanKindField} {
		if err := c.compareField(traces.Intrinsic(name)); err != nil {
			return err
		}
	}
	return nil
}

// comparePlaces finds the rows' counters.
func (c *columnAggregator) comparePlaces(keep []bool) error {
	def := c.a.metrics.Compare
	selected, err := c.eval.mask(def.Selection.Expr)
	if err != nil {
		return err
	}
	places := c.comparer.places[:0]
	steps := c.stepsOf(c.eval.cols.Starts())
	for i, start := range c.eval.cols.Starts() {
		if keep != nil && !keep[i] {
			places = append(places, noPlace)
			continue
		}
		places = append(places, int32(c.a.compare.place(def, start, int(steps[i]), selected == nil || selected[i])))
	}
	c.comparer.places = places
	all := slices.Grow(c.comparer.all[:0], 2*c.a.steps)[:2*c.a.steps]
	clear(all)
	for _, place := range places {
		if place != noPlace {
			all[place]++
		}
	}
	c.comparer.all = all
	return nil
}

// compareResources counts the attributes of resources, run by run.
func (c *columnAggregator) compareResources() {
	m := &c.comparer
	if m.run == nil {
		m.run = make([]int64, 2*c.a.steps)
	}
	for resource, run := range c.eval.cols.Resources() {
		m.touched = m.touched[:0]
		for _, place := range m.places[run[0]:run[1]] {
			if place == noPlace {
				continue
			}
			if m.run[place] == 0 {
				m.touched = append(m.touched, place)
			}
			m.run[place]++
		}
		for _, a := range resource.Attributes {
			if a.Value.IsNil() || len(m.touched) == 0 {
				continue
			}
			f := c.a.compare.field(traces.Field{Scope: traces.ScopeResource, Name: a.Key})
			counts := f.value(a.Value)
			for _, place := range m.touched {
				f.totals[place] += m.run[place]
				if counts != nil {
					counts.add(place, m.run[place])
				}
			}
		}
		for _, place := range m.touched {
			m.run[place] = 0
		}
	}
}

// compareField counts the values of a field of spans.
func (c *columnAggregator) compareField(field traces.Field) error {
	f := c.a.compare.field(field)
	f.makeRoom()
	if f.over && field.Scope == traces.ScopeSpan {
		sample, err := c.eval.cols.Sample(field, compareEvery)
		if err != nil {
			return err
		}
		if sample != nil {
			c.compareSample(f, sample)
			return nil
		}
	}
	col, err := c.eval.column(field)
	if err != nil || col == nil {
		return err
	}
	keys, ref := &c.comparer.keys, FieldRef{Field: field}
	keys.read(col, c.eval.n)
	switch n := len(keys.values); {
	case n == 2 && !slices.Contains(keys.ids, 0):
		f.addRow(outputValue(ref, keys.values[1]), c.comparer.all)
		return nil
	case n*len(f.totals) <= maxDense:
		c.comparer.countDense(f, ref)
		return nil
	}
	c.comparer.start(len(keys.values))
	for i, place := range c.comparer.places {
		id := keys.ids[i]
		if place == noPlace || id == 0 {
			continue
		}
		counts := c.comparer.table[id]
		if counts == nil {
			counts = c.comparer.resolve(f, id, outputValue(ref, keys.values[id]))
		}
		f.totals[place]++
		counts.add(place, 1)
	}
	return nil
}

// outputValue is how a value is shown.
func outputValue(ref FieldRef, v traces.Value) traces.Value {
	if s := typed(ref, v); s.Type == TypeStatus || s.Type == TypeKind {
		return s.Output()
	}
	return v
}

// countDense counts the values of keys, of which there are few.
func (m *comparer) countDense(f *comparedField, ref FieldRef) {
	places := len(f.totals)
	m.dense = slices.Grow(m.dense[:0], maxDense)[:len(m.keys.values)*places]
	clear(m.dense)
	for i, place := range m.places {
		if place != noPlace {
			m.dense[int(m.keys.ids[i])*places+int(place)]++
		}
	}
	for id := 1; id < len(m.keys.values); id++ {
		f.addRow(outputValue(ref, m.keys.values[id]), m.dense[id*places:(id+1)*places])
	}
}

// addRow adds a value's counts by place.
func (f *comparedField) addRow(v traces.Value, counts []uint32) {
	var into *valueCounts
	for place, n := range counts {
		if n == 0 {
			continue
		}
		if into == nil {
			if into = f.value(v); into == nil {
				into = &f.of.rest
			}
		}
		f.totals[place] += int64(n)
		into.add(int32(place), int64(n))
	}
}

// start begins a column of so many values.
func (m *comparer) start(values int) {
	if cap(m.table) < values {
		m.table = make([]*valueCounts, values)
	}
	m.table = m.table[:values]
	clear(m.table)
}

// resolve finds the counters of a value. Those of values too many are never looked at.
func (m *comparer) resolve(f *comparedField, id uint32, v traces.Value) *valueCounts {
	counts := f.value(v)
	if counts == nil {
		counts = &f.of.rest
	}
	m.table[id] = counts
	return counts
}

// compareSample counts a field by some of its values.
func (c *columnAggregator) compareSample(f *comparedField, s *traces.Sample) {
	for i, place := range c.comparer.places {
		if place != noPlace && (s.Present == nil || s.Present[i>>6]>>(uint(i)&63)&1 != 0) {
			f.totals[place]++
		}
	}
	for i := 0; i < c.eval.n; i += compareEvery {
		place := c.comparer.places[i]
		if v := s.Column.Value(i / compareEvery); place != noPlace && !v.IsNil() {
			if counts := f.value(v); counts != nil {
				counts.add(place, compareEvery)
			}
		}
	}
}
