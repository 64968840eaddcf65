package traceql

import (
	"math"
	"slices"

	"belfry/traces"
)

// rowValues are the numbers of rows that are aggregated.
type rowValues struct {
	values []float64
	skip   []bool // rows without a value; nil if all have one

	room    []bool // for skip
	ofDict  []float64
	noValue []bool // of ofDict
}

// start makes room for n rows.
func (v *rowValues) start(n int) {
	v.values, v.skip = slices.Grow(v.values[:0], n)[:n], nil
}

// mayLack makes room for which rows have no value.
func (v *rowValues) mayLack() {
	v.room = slices.Grow(v.room[:0], len(v.values))[:len(v.values)]
	v.skip = v.room
}

// set sets the value of a row.
func (v *rowValues) set(i int, s Static) {
	v.values[i], v.skip[i] = numberOf(s)
}

// numberOf returns the number that a value counts as; none says that it is not one.
func numberOf(s Static) (value float64, none bool) {
	if !s.Type.isNumber() {
		return 0, true
	}
	value = seconds(s)
	return value, math.IsNaN(value)
}

// readValues computes the numbers that are aggregated.
func (c *columnAggregator) readValues() {
	of := c.a.metrics.Of
	if of == nil {
		return
	}
	c.start(c.eval.n)
	if ref, ok := of.(FieldRef); ok {
		c.readField(ref, c.eval.columns[ref.Field])
		return
	}
	c.mayLack()
	at := &rowAt{e: &c.eval}
	s := spanAt{row: at}
	for at.i = range c.eval.n {
		c.set(at.i, s.eval(of))
	}
}

// readField takes the numbers from a column, nil if no row has one.
func (v *rowValues) readField(ref FieldRef, col *traces.Column) {
	switch {
	case col == nil:
		v.mayLack()
		for i := range v.skip {
			v.set(i, Static{})
		}
	case col.Nums == nil:
		v.readDict(ref, col)
	default:
		v.readNums(ref, col)
	}
}

// readDict looks at each of the distinct values once.
func (v *rowValues) readDict(ref FieldRef, col *traces.Column) {
	v.mayLack()
	v.ofDict, v.noValue = v.ofDict[:0], v.noValue[:0]
	for _, value := range col.Dict {
		n, none := numberOf(typed(ref, value))
		v.ofDict, v.noValue = append(v.ofDict, n), append(v.noValue, none)
	}
	for i, id := range col.IDs {
		v.values[i], v.skip[i] = v.ofDict[id], v.noValue[id]
	}
}

func (v *rowValues) readNums(ref FieldRef, col *traces.Column) {
	kind := typed(ref, traces.NumValue(col.Kind, 0)).Type
	if kind == TypeDuration && col.Kind == traces.KindInt && col.Present == nil {
		for i, d := range col.Nums {
			v.values[i] = float64(int64(d)) / 1e9
		}
		return
	}
	if kind == TypeInt && col.Kind == traces.KindInt && col.Present == nil {
		for i, n := range col.Nums {
			v.values[i] = float64(int64(n))
		}
		return
	}
	v.mayLack()
	for i := range v.values {
		v.set(i, typed(ref, col.Value(i)))
	}
}
