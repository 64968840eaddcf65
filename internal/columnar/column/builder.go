package column

import (
	"cmp"
	"slices"

	"belfry/internal/columnar/slab"
)

// Builder collects the values of one column, row by row, in ascending rows. Its
// slices only grow: a copy of the struct is a snapshot that stays good while the
// Builder is appended to.
type Builder struct {
	Kind Kind

	sparse bool
	rows   []uint32 // rows with a value; unused until a row is missing
	count  int

	nums []uint64
	offs []uint32 // count+1 offsets into data once there is a value
	data []byte

	codes *codes // nil: values are not coded

	mem *slab.Set // what the slices grow in; nil: the heap
}

// Count returns the number of values.
func (b *Builder) Count() int { return b.count }

// LastRow returns the row of the last value, -1 if there is none.
func (b *Builder) LastRow() int {
	if b.sparse {
		return int(b.rows[b.count-1])
	}
	return b.count - 1
}

// Size returns the bytes held, about.
func (b *Builder) Size() int {
	if b.isCoded() {
		return b.codes.raw + 4*(b.count+1) + 4*len(b.rows) // as much as it would be without
	}
	return len(b.data) + 4*len(b.offs) + 8*len(b.nums) + 4*len(b.rows)
}

func (b *Builder) addRow(row uint32) {
	if !b.sparse {
		if row == uint32(b.count) {
			b.count++
			return
		}
		b.makeSparse()
	}
	b.rows = append(slab.Grow(b.mem, b.rows, 1), row)
	b.count++
}

func (b *Builder) makeSparse() {
	b.sparse = true
	b.rows = slab.Grow(b.mem, b.rows[:0], 2*b.count+8)[:b.count]
	for i := range b.rows {
		b.rows[i] = uint32(i)
	}
}

// AppendNum appends a number's word.
func (b *Builder) AppendNum(row uint32, v uint64) {
	b.addRow(row)
	b.nums = append(slab.Grow(b.mem, b.nums, 1), v)
}

// AppendBytes appends a byte string.
func (b *Builder) AppendBytes(row uint32, v []byte) {
	if b.codes != nil {
		b.expand()
	}
	b.addRow(row)
	b.offs = slab.Grow(b.mem, b.offs, 2)
	if len(b.offs) == 0 {
		b.offs = append(b.offs, 0)
	}
	b.data = append(slab.Grow(b.mem, b.data, len(v)), v...)
	b.offs = append(b.offs, uint32(len(b.data)))
}

// AppendValue appends a value of the builder's kind.
func (b *Builder) AppendValue(row uint32, v Value) {
	if b.Kind.VarWidth() {
		b.AppendBytes(row, []byte(v.str))
		return
	}
	b.AppendNum(row, v.num)
}

// DropLast takes back the last value.
func (b *Builder) DropLast() {
	b.expand()
	b.count--
	if b.sparse {
		b.rows = b.rows[:b.count]
	}
	if !b.Kind.VarWidth() {
		b.nums = b.nums[:b.count]
		return
	}
	b.offs = b.offs[:b.count+1]
	b.data = b.data[:b.offs[b.count]]
}

// Reset empties the builder and keeps its memory. Snapshots become invalid.
func (b *Builder) Reset() {
	b.sparse, b.count = false, 0
	b.rows, b.nums, b.offs, b.data = b.rows[:0], b.nums[:0], b.offs[:0], b.data[:0]
	if b.codes != nil {
		b.codes.on = false
	}
}

// AppendBuilder appends the values that src has in rows [from, to), as rows
// that begin at row at.
func (b *Builder) AppendBuilder(at uint32, src *Builder, from, to int) {
	b.expand()
	lo, hi := src.search(from), src.search(to)
	if lo == hi {
		return
	}
	n := hi - lo
	dense := !src.sparse
	switch {
	case dense && !b.sparse && int(at) == b.count:
		b.count += n
	default:
		if !b.sparse {
			b.makeSparse()
		}
		b.rows = slab.Grow(b.mem, b.rows, n)
		shift := at - uint32(from)
		if dense {
			for i := lo; i < hi; i++ {
				b.rows = append(b.rows, uint32(i)+shift)
			}
		} else {
			for _, r := range src.rows[lo:hi] {
				b.rows = append(b.rows, r+shift)
			}
		}
		b.count += n
	}
	if !b.Kind.VarWidth() {
		b.nums = append(slab.Grow(b.mem, b.nums, n), src.nums[lo:hi]...)
		return
	}
	b.appendOffs(src.offs[lo:hi+1], src.data)
}

// appendDense appends byte strings of rows that all have one, to a builder that
// has a value for every row.
func (b *Builder) appendDense(v *Vector, from, to int) {
	b.count += to - from
	if v.ids == nil {
		b.appendOffs(v.offs[from:to+1], v.data)
		return
	}
	b.offs = slab.Grow(b.mem, b.offs, to-from+1)
	if len(b.offs) == 0 {
		b.offs = append(b.offs, 0)
	}
	for _, j := range v.ids[from:to] {
		value := v.data[v.offs[j]:v.offs[j+1]]
		b.data = append(slab.Grow(b.mem, b.data, len(value)), value...)
		b.offs = append(b.offs, uint32(len(b.data)))
	}
}

// appendOffs appends byte strings that lie one behind the other.
func (b *Builder) appendOffs(offs []uint32, data []byte) {
	start, end := offs[0], offs[len(offs)-1]
	b.offs = slab.Grow(b.mem, b.offs, len(offs))
	if len(b.offs) == 0 {
		b.offs = append(b.offs, 0)
	}
	shift := uint32(len(b.data)) - start
	b.data = append(slab.Grow(b.mem, b.data, int(end-start)), data[start:end]...)
	for _, o := range offs[1:] {
		b.offs = append(b.offs, o+shift)
	}
}

// search returns the number of values in rows before row.
func (b *Builder) search(row int) int {
	if !b.sparse {
		return min(row, b.count)
	}
	lo, hi := 0, b.count
	for lo < hi {
		mid := (lo + hi) / 2
		if int(b.rows[mid]) < row {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// AppendVector appends the values that v has in rows [from, to), as rows that
// begin at row at.
func (b *Builder) AppendVector(at uint32, v *Vector, from, to int) {
	b.expand()
	num := !b.Kind.VarWidth()
	if num && v.present == nil && !b.sparse && int(at) == b.count {
		b.nums = append(slab.Grow(b.mem, b.nums, to-from), v.nums[from:to]...)
		b.count += to - from
		return
	}
	if v.present == nil && !b.sparse && int(at) == b.count {
		b.appendDense(v, from, to)
		return
	}
	for i := from; i < to; i++ {
		if !v.Has(i) {
			continue
		}
		if num {
			b.AppendNum(at+uint32(i-from), v.nums[i])
		} else {
			b.AppendBytes(at+uint32(i-from), v.Bytes(i))
		}
	}
}

// Vector returns the builder's values as a vector of n rows, which must be above
// the last row. It shares the builder's memory.
func (b *Builder) Vector(n int, a *Arena) *Vector {
	b.expand()
	v := &Vector{kind: b.Kind, n: n, count: b.count}
	rows := b.rows
	full := !b.sparse && b.count == n
	if !b.sparse && !full {
		rows = a.Uint32s(b.count)
		for i := range rows {
			rows[i] = uint32(i)
		}
	}
	if full {
		v.nums, v.offs, v.data = b.nums[:len(b.nums):len(b.nums)], b.offs, b.data
		return v
	}
	v.present = a.ZeroWords((n + 63) / 64)
	for _, r := range rows[:b.count] {
		v.present[r>>6] |= 1 << (r & 63)
	}
	if !b.Kind.VarWidth() {
		v.nums = a.ZeroWords(n)
		for i, r := range rows[:b.count] {
			v.nums[r] = b.nums[i]
		}
		return v
	}
	v.ids = a.Uint32s(n)
	clear(v.ids)
	for i, r := range rows[:b.count] {
		v.ids[r] = uint32(i)
	}
	v.offs, v.data = b.offs, b.data
	return v
}

// EachBytes calls f with each value of a byte-string column, in order.
func (b *Builder) EachBytes(f func(row uint32, v []byte)) {
	for i := range b.count {
		row := uint32(i)
		if b.sparse {
			row = b.rows[i]
		}
		id := uint32(i)
		if b.isCoded() {
			id = b.codes.ids[i]
		}
		f(row, b.entry(id))
	}
}

// EachNum calls f with each value of a column of numbers, in order.
func (b *Builder) EachNum(f func(row uint32, v uint64)) {
	for i := range b.count {
		row := uint32(i)
		if b.sparse {
			row = b.rows[i]
		}
		f(row, b.nums[i])
	}
}

// Shape is what the values of a builder take.
type Shape struct {
	Count  int
	Bytes  int // of byte strings
	Sparse bool
}

// Shape returns what the builder's values take.
func (b *Builder) Shape() Shape { return Shape{b.count, len(b.data), b.sparse} }

// NewBuilder returns an empty builder with room in mem (nil: the heap) for values of a shape and a few more.
func NewBuilder(k Kind, s Shape, mem *slab.Set) *Builder {
	n, more := &Builder{Kind: k, mem: mem}, s.Count+s.Count/roomShare
	if k.VarWidth() {
		n.offs = slab.Make[uint32](mem, more+1)
		n.data = slab.Make[byte](mem, s.Bytes+s.Bytes/roomShare)
	} else {
		n.nums = slab.Make[uint64](mem, more)
	}
	if s.Sparse {
		n.rows = slab.Make[uint32](mem, more)
	}
	return n
}

// roomShare of what a builder held is how much more one like it has room for: to grow by a little
// costs a copy of all.
const roomShare = 32

// Sparse reports whether so few of n rows have a value that a word for each row
// would be most of what the column takes.
func (b *Builder) Sparse(n int) bool { return b.sparse && b.count*sparseShare < n }

const sparseShare = 8

// Permuted returns the values in a new order: those of row r become those of row to[r]-1,
// or of none where to[r] is 0.
func (b *Builder) Permuted(to []uint32) *Builder {
	type move struct{ row, value uint32 }
	moves := make([]move, 0, b.count)
	for i := range b.count {
		row := uint32(i)
		if b.sparse {
			row = b.rows[i]
		}
		if to[row] > 0 {
			moves = append(moves, move{to[row] - 1, uint32(i)})
		}
	}
	slices.SortFunc(moves, func(x, y move) int { return cmp.Compare(x.row, y.row) })
	out := &Builder{Kind: b.Kind}
	for _, m := range moves {
		if b.Kind.VarWidth() {
			out.AppendBytes(m.row, b.data[b.offs[m.value]:b.offs[m.value+1]])
		} else {
			out.AppendNum(m.row, b.nums[m.value])
		}
	}
	return out
}
