package column

import (
	"unsafe"

	"belfry/internal/columnar/slab"
)

// Arena hands out slices that are all given back at once. A scan resets it after
// each block, so that decoding allocates nothing in the long run. It is not safe
// for concurrent use. A nil Arena allocates from the heap.
type Arena struct {
	mem *slab.Set // nil: the heap

	words region[uint64]
	halfs region[uint32]
	bytes region[byte]
	zeros []uint32
	vecs  []Vector
}

// NewArena returns an Arena that hands out the memory of a set, which nobody else uses.
func NewArena(mem *slab.Set) *Arena { return &Arena{mem: mem} }

// arenaKeep is how many bytes of each kind of slice are kept over a Reset.
const arenaKeep = 16 << 20

type region[T any] struct {
	buf  []T
	used int
	sum  int // elements handed out since the last reset
}

func (s *region[T]) take(n int) []T {
	s.sum += n
	if len(s.buf)-s.used < n {
		s.buf = make([]T, max(n, 16<<10, min(s.sum, s.keep())))
		s.used = 0
	}
	out := s.buf[s.used : s.used+n : s.used+n]
	s.used += n
	return out
}

func (s *region[T]) keep() int {
	var t T
	return arenaKeep / int(unsafe.Sizeof(t))
}

func (s *region[T]) reset() {
	if len(s.buf) > s.keep() {
		s.buf = nil
	}
	s.used, s.sum = 0, 0
}

// Words returns n words of undefined content.
func (a *Arena) Words(n int) []uint64 {
	switch {
	case a == nil:
		return make([]uint64, n)
	case a.mem != nil:
		return slab.Make[uint64](a.mem, n)[:n:n]
	}
	return a.words.take(n)
}

// ZeroWords returns n words of zero.
func (a *Arena) ZeroWords(n int) []uint64 {
	w := a.Words(n)
	clear(w)
	return w
}

// Uint32s returns n numbers of undefined content.
func (a *Arena) Uint32s(n int) []uint32 {
	switch {
	case a == nil:
		return make([]uint32, n)
	case a.mem != nil:
		return slab.Make[uint32](a.mem, n)[:n:n]
	}
	return a.halfs.take(n)
}

// Bytes returns n bytes of undefined content.
func (a *Arena) Bytes(n int) []byte {
	switch {
	case a == nil:
		return make([]byte, n)
	case a.mem != nil:
		return slab.Make[byte](a.mem, n)[:n:n]
	}
	return a.bytes.take(n)
}

// vector returns an empty vector.
func (a *Arena) vector() *Vector {
	if a == nil {
		return &Vector{}
	}
	if len(a.vecs) == cap(a.vecs) {
		a.vecs = make([]Vector, 0, 32)
	}
	a.vecs = a.vecs[:len(a.vecs)+1]
	v := &a.vecs[len(a.vecs)-1]
	*v = Vector{}
	return v
}

// zeroIDs returns n zeros that nobody may write to.
func (a *Arena) zeroIDs(n int) []uint32 {
	if a == nil {
		return make([]uint32, n)
	}
	if len(a.zeros) < n {
		a.zeros = make([]uint32, max(n, 32<<10))
	}
	return a.zeros[:n:n]
}

// Reset takes back everything.
func (a *Arena) Reset() {
	a.words.reset()
	a.halfs.reset()
	a.bytes.reset()
	a.vecs = a.vecs[:0]
	a.mem.Release()
}
