package column

import (
	"math"
	"math/bits"
)

// Vector holds one column of n rows. Some rows may have no value.
//
// Numbers (Int, Float, Bool) are one 64-bit word per row. Byte strings are
// either plain, one per row, or a dictionary with an ID per row; the accessors
// hide the difference, DictLen shows it to who can use it.
type Vector struct {
	kind Kind
	n    int

	// present has bit i set if row i has a value; nil if all rows do.
	present []uint64
	count   int // rows with a value

	nums []uint64 // numbers: a word per row, 0 where there is no value

	// Byte strings: value (or dictionary entry) j is data[offs[j]:offs[j+1]].
	ids  []uint32 // row to value; nil if they are the same
	dict bool     // the values are distinct
	offs []uint32
	data []byte
}

// Kind returns the kind of the values.
func (v *Vector) Kind() Kind { return v.kind }

// Len returns the number of rows, with or without value.
func (v *Vector) Len() int { return v.n }

// Count returns the number of rows that have a value.
func (v *Vector) Count() int { return v.count }

// AllPresent reports whether every row has a value.
func (v *Vector) AllPresent() bool { return v.present == nil }

// Has reports whether row i has a value.
func (v *Vector) Has(i int) bool {
	return v.present == nil || v.present[i>>6]>>(uint(i)&63)&1 != 0
}

// Int returns the Int of row i, 0 if it has none.
func (v *Vector) Int(i int) int64 { return int64(v.nums[i]) }

// Float returns the Float of row i, 0 if it has none.
func (v *Vector) Float(i int) float64 { return math.Float64frombits(v.nums[i]) }

// Bool returns the Bool of row i, false if it has none.
func (v *Vector) Bool(i int) bool { return v.nums[i] != 0 }

// Nums returns the words of all rows: Ints, Float bits, Bools as 0 and 1; 0
// where there is no value. It is nil for byte strings, and read-only.
func (v *Vector) Nums() []uint64 { return v.nums }

// Bytes returns the byte string of row i, empty if it has none. It is read-only
// and lives as long as the vector.
func (v *Vector) Bytes(i int) []byte {
	j := uint32(i)
	if v.ids != nil {
		if !v.Has(i) {
			return nil
		}
		j = v.ids[i]
	}
	return v.data[v.offs[j]:v.offs[j+1]:v.offs[j+1]]
}

// DictLen returns the number of dictionary entries, 0 if the vector has no
// dictionary. Entries are distinct; some may be used by no row.
func (v *Vector) DictLen() int {
	if !v.dict {
		return 0
	}
	return len(v.offs) - 1
}

// DictID returns the dictionary entry of row i; 0 if it has no value.
func (v *Vector) DictID(i int) int { return int(v.ids[i]) }

// DictBytes returns a dictionary entry.
func (v *Vector) DictBytes(id int) []byte {
	return v.data[v.offs[id]:v.offs[id+1]:v.offs[id+1]]
}

// Value returns the value of row i, the zero Value if it has none. It copies
// byte strings; loops over many rows use the typed accessors.
func (v *Vector) Value(i int) Value {
	if !v.Has(i) {
		return Value{}
	}
	if v.kind.VarWidth() {
		return Value{kind: v.kind, str: string(v.Bytes(i))}
	}
	return Value{kind: v.kind, num: v.nums[i]}
}

// AppendText appends the text form of row i's value, nothing if it has none.
func (v *Vector) AppendText(dst []byte, i int) []byte {
	if !v.Has(i) {
		return dst
	}
	switch v.kind {
	case String, JSON:
		return append(dst, v.Bytes(i)...)
	case Int, Float, Bool:
		return appendNumText(dst, v.kind, v.nums[i])
	}
	return v.Value(i).AppendText(dst)
}

// Gather returns the given rows of v, in that order, sharing v's memory.
func (v *Vector) Gather(sel []uint32, a *Arena) *Vector {
	out := &Vector{kind: v.kind, n: len(sel), count: len(sel), dict: v.dict, offs: v.offs, data: v.data}
	if v.present != nil {
		out.present = a.ZeroWords((len(sel) + 63) / 64)
		for i, r := range sel {
			out.present[i>>6] |= v.present[r>>6] >> (r & 63) & 1 << (uint(i) & 63)
		}
		out.count = countBits(out.present)
		if out.count == len(sel) {
			out.present = nil
		}
	}
	switch {
	case v.nums != nil:
		out.nums = a.Words(len(sel))
		for i, r := range sel {
			out.nums[i] = v.nums[r]
		}
	case v.ids != nil:
		out.ids = a.Uint32s(len(sel))
		for i, r := range sel {
			out.ids[i] = v.ids[r]
		}
	default:
		out.ids = sel
	}
	return out
}

// Present returns the bitmap of rows that have a value, nil if all have. It is read-only.
func (v *Vector) Present() []uint64 { return v.present }

func countBits(words []uint64) int {
	n := 0
	for _, w := range words {
		n += bits.OnesCount64(w)
	}
	return n
}

// Plain returns the values' bytes where they lie one behind the other, one per
// row: value i is data[offs[i]:offs[i+1]]. ok is false for other vectors.
func (v *Vector) Plain() (offs []uint32, data []byte, ok bool) {
	if v.present != nil || v.ids != nil || v.nums != nil || !v.kind.VarWidth() {
		return nil, nil, false
	}
	return v.offs, v.data, true
}
