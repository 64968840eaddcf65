package columnar

import "math/bits"

// bitmap is a set of rows of a block.
type bitmap []uint64

func (m bitmap) set(i int)      { m[i>>6] |= 1 << (uint(i) & 63) }
func (m bitmap) has(i int) bool { return m[i>>6]>>(uint(i)&63)&1 != 0 }

func (m bitmap) setRange(from, to int) {
	for from < to && from&63 != 0 {
		m.set(from)
		from++
	}
	for ; from+64 <= to; from += 64 {
		m[from>>6] = ^uint64(0)
	}
	for ; from < to; from++ {
		m.set(from)
	}
}

func (m bitmap) empty() bool {
	for _, w := range m {
		if w != 0 {
			return false
		}
	}
	return true
}

func (m bitmap) count() int {
	n := 0
	for _, w := range m {
		n += bits.OnesCount64(w)
	}
	return n
}

func (m bitmap) or(o bitmap) {
	for i, w := range o {
		m[i] |= w
	}
}

func (m bitmap) andNot(o bitmap) {
	for i, w := range o {
		m[i] &^= w
	}
}

// each calls f with the rows in m, ascending.
func (m bitmap) each(f func(i int)) {
	for w, word := range m {
		for ; word != 0; word &= word - 1 {
			f(w<<6 + bits.TrailingZeros64(word))
		}
	}
}

// rows appends the rows in m to dst.
func (m bitmap) rows(dst []uint32) []uint32 {
	for w, word := range m {
		for ; word != 0; word &= word - 1 {
			dst = append(dst, uint32(w<<6+bits.TrailingZeros64(word)))
		}
	}
	return dst
}
