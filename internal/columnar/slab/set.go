package slab

import (
	"reflect"
	"slices"
	"unsafe"
)

// Set is the memory of one owner. It is not safe for concurrent use. A nil Set is the Go heap.
type Set struct {
	// Shared says that others read slices that are grown: what these had before stays as it is
	// until Release.
	Shared bool

	pool  *Pool
	slabs []slab
	rest  []byte // of the slab that small pieces share
}

// Make returns a slice without elements that has room for n, of undefined content. Types with pointers
// get it from the Go heap.
func Make[T any](s *Set, n int) []T {
	if n == 0 {
		return nil
	}
	var t T
	if s == nil || !plain(reflect.TypeFor[T]()) {
		return make([]T, 0, n)
	}
	b := s.piece(n * int(unsafe.Sizeof(t)))
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/int(unsafe.Sizeof(t)))[:0]
}

// Grow returns v with room for n more elements. v is not to be used any more, by others than those
// that Shared speaks of.
func Grow[T any](s *Set, v []T, n int) []T {
	if cap(v)-len(v) >= n {
		return v
	}
	return grow(s, v, n) // apart, so that the above is inlined
}

func grow[T any](s *Set, v []T, n int) []T {
	if s == nil {
		return slices.Grow(v, n)
	}
	out := append(Make[T](s, max(len(v)+n, 2*len(v), minPiece)), v...)
	Free(s, v)
	return out
}

// minPiece is how many elements the first growth makes room for.
const minPiece = 64

// Free gives back the memory of a slice that is not used any more, if it has a slab of its own and the
// set is not Shared.
func Free[T any](s *Set, v []T) {
	if s == nil || s.Shared || cap(v) == 0 {
		return
	}
	var t T
	at := unsafe.Pointer(unsafe.SliceData(v))
	for i, own := range s.slabs {
		if unsafe.Pointer(unsafe.SliceData(own.b)) == at && len(own.b)/int(unsafe.Sizeof(t)) == cap(v) {
			s.slabs = slices.Delete(s.slabs, i, i+1)
			s.pool.give(own)
			return
		}
	}
}

// plain reports whether values of a type have no pointers.
func plain(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Array:
		return plain(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if !plain(t.Field(i).Type) {
				return false
			}
		}
		return t.Size() > 0
	default:
		return t.Kind() >= reflect.Bool && t.Kind() <= reflect.Complex128 && t.Kind() != reflect.Uintptr
	}
}

// Release gives back all memory. The set may be used again.
func (s *Set) Release() {
	if s == nil {
		return
	}
	s.pool.give(s.slabs...)
	s.slabs, s.rest = nil, nil
}

// piece returns n bytes or more, aligned for words.
func (s *Set) piece(n int) []byte {
	if n >= minOwn {
		own := s.pool.take(n)
		s.slabs = append(s.slabs, own)
		return own.b
	}
	n = (n + 7) &^ 7
	if len(s.rest) < n {
		shared := s.pool.take(minSlab)
		s.slabs = append(s.slabs, shared)
		s.rest = shared.b
	}
	b := s.rest[:n:n]
	s.rest = s.rest[n:]
	return b
}
