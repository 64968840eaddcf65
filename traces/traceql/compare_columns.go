package traceql

import "belfry/traces"

// compare counts the values of all attributes of the rows of keep (nil: all), column by column.
func (c *columnAggregator) compare(keep []bool) error {
	def := c.a.metrics.Compare
	selected, err := c.eval.mask(def.Selection.Expr)
	if err != nil {
		return err
	}
	// The place of a row among the counts of a value: its step, behind those of the baseline if it is selected.
	steps := c.a.steps
	places := make([]int32, c.eval.n)
	for i, start := range c.eval.cols.Starts() {
		if keep != nil && !keep[i] {
			places[i] = -1
			continue
		}
		places[i] = int32(c.a.step(start))
		inWindow := def.From == 0 && def.To == 0 || start >= def.From && start < def.To
		if inWindow && (selected == nil || selected[i]) {
			places[i] += int32(steps)
		}
	}
	fields, err := c.eval.cols.Attributes()
	if err != nil {
		return err
	}
	for _, name := range []string{traces.Name, traces.StatusField, traces.SpanKindField} {
		fields = append(fields, traces.Intrinsic(name))
	}
	for _, f := range fields {
		col, err := c.eval.column(f)
		if err != nil {
			return err
		}
		if col != nil {
			c.compareColumn(FieldRef{Field: f}, col, places)
		}
	}
	return nil
}

// maxCompareTable bounds the counters of one column of a block.
const maxCompareTable = 1 << 16

func (c *columnAggregator) compareColumn(ref FieldRef, col *traces.Column, places []int32) {
	var keys groupKeys
	keys.read(col, c.eval.n)
	steps := c.a.steps
	field := ref.String()
	show := func(v traces.Value) traces.Value {
		if s := typed(ref, v); s.Type == TypeStatus || s.Type == TypeKind {
			return s.Output()
		}
		return v
	}
	if len(keys.values)*2*steps > maxCompareTable {
		for i, place := range places {
			if v := keys.values[keys.ids[i]]; place >= 0 && !v.IsNil() {
				c.a.compare.count(int(place)/steps, field, show(v), int(place)%steps)
			}
		}
		return
	}
	counts := make([]int64, len(keys.values)*2*steps)
	for i, place := range places {
		if place >= 0 {
			counts[int(keys.ids[i])*2*steps+int(place)]++
		}
	}
	for id, v := range keys.values {
		if v.IsNil() {
			continue
		}
		for place, n := range counts[id*2*steps : (id+1)*2*steps] {
			if n > 0 {
				c.a.compare.add(place/steps, field, show(v), place%steps, n)
			}
		}
	}
}
