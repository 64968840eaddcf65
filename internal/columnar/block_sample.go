package columnar

// Has reports whether the block has a column of its own of that key: values may have
// overflowed where there are more columns than a part may have.
func (b *Block) Has(key ColumnKey) bool { return b.view.find(key) >= 0 }

// Sample returns the given rows of a column of byte strings, ascending, and which of all selected rows
// have a value (nil: all), if the column is stored as a value for each row: most of them are
// distinct then. The vector is nil if it is not, or if values may have overflowed.
func (b *Block) Sample(key ColumnKey, rows []uint32) (present []uint64, v *Vector, err error) {
	slot := b.view.find(key)
	if slot < 0 || b.view.blk == nil || !key.Kind.VarWidth() || b.view.find(overflowKey) >= 0 {
		return nil, nil, nil
	}
	c := &b.view.columns()[slot]
	before := b.view.io.BytesRead
	err = b.view.openColumn(c)
	b.view.stats.BytesRead += b.view.io.BytesRead - before
	if err != nil || !c.chunk.Paged() {
		return nil, nil, err
	}
	all := c.vec
	if b.sel != nil {
		at := make([]uint32, len(rows))
		for i, row := range rows {
			at[i] = b.sel[row]
		}
		rows = at
	}
	if v, err = b.view.vector(slot, rows); err != nil {
		return nil, nil, err
	}
	return b.presence(all), v.Gather(rows, b.view.io.Arena), nil
}

// presence returns which of the selected rows have a value, nil if all have.
func (b *Block) presence(v *Vector) []uint64 {
	if b.sel == nil || v.AllPresent() {
		return v.Present()
	}
	out := bitmap(b.view.io.Arena.ZeroWords((len(b.sel) + 63) / 64))
	for i, row := range b.sel {
		if v.Has(int(row)) {
			out.set(i)
		}
	}
	return out
}
