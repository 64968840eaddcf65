package columnar

import (
	"slices"

	"belfry/internal/columnar/column"
)

// blockPatch replaces the values of some columns in some rows of a block that is merged.
type blockPatch struct {
	keys    []ColumnKey
	rows    []uint32        // ascending
	derived []derivedColumn // their values, row i being rows[i]; those that are missing have none

	vectors map[ColumnKey]*Vector // as far as asked
}

func newBuilder(kind Kind) *column.Builder { return &column.Builder{Kind: kind} }

// addColumns adds the columns that the block does not have yet.
func (p *blockPatch) addColumns(columns []ColumnKey) []ColumnKey {
	p.vectors = map[ColumnKey]*Vector{}
	for _, d := range p.derived {
		if !slices.Contains(columns, d.key) {
			columns = append(columns, d.key)
		}
	}
	return columns
}

// vector returns a column of a block of n rows; stored may return nil for none.
func (p *blockPatch) vector(key ColumnKey, n int, stored func() (*Vector, error)) (*Vector, error) {
	if v := p.vectors[key]; v != nil {
		return v, nil
	}
	old, err := stored()
	if err != nil || !slices.Contains(p.keys, key) {
		return old, err
	}
	var values *Vector
	for _, d := range p.derived {
		if d.key == key {
			values = d.b.Vector(len(p.rows), nil)
		}
	}
	out := newBuilder(key.Kind)
	next := 0
	keep := func(to int) {
		if old != nil && next < to {
			out.AppendVector(uint32(next), old, next, to)
		}
		next = to + 1
	}
	for i, row := range p.rows {
		keep(int(row))
		if values != nil && values.Has(i) {
			out.AppendVector(row, values, i, i+1)
		}
	}
	keep(n)
	v := out.Vector(n, nil)
	p.vectors[key] = v
	return v, nil
}
