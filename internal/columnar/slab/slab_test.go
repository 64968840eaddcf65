package slab

import (
	"runtime/debug"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
)

func TestSizesAreARoundNumberOfPages(t *testing.T) {
	for _, n := range []int{1, 4095, 4096, 4097, minOwn, 131072, 131073, 1 << 20, 1<<20 + 1, 5_000_000, 64 << 20} {
		have := size(n)
		require.GreaterOrEqual(t, have, n)
		require.Zero(t, have%pageSize)
		require.LessOrEqual(t, have-n, max(n/sizeClasses, pageSize))
		require.Equal(t, have, size(have), "a slab fits the next of its kind")
	}
}

func TestSlicesGrowAndKeepTheirValues(t *testing.T) {
	for name, set := range map[string]*Set{"pool": NewPool(Options{MaxIdle: 1 << 30}).NewSet(), "heap": nil} {
		t.Run(name, func(t *testing.T) {
			var words []uint64
			var halfs []uint32
			var bytes []byte
			for i := range 300_000 {
				words = append(Grow(set, words, 1), uint64(i))
				halfs = append(Grow(set, halfs, 1), uint32(i))
				bytes = append(Grow(set, bytes, 3), byte(i), byte(i>>8), byte(i>>16))
			}
			for i := range 300_000 {
				if n := int(bytes[3*i]) | int(bytes[3*i+1])<<8 | int(bytes[3*i+2])<<16; words[i] != uint64(i) || halfs[i] != uint32(i) || n != i {
					t.Fatalf("element %d is %d, %d and %d", i, words[i], halfs[i], n)
				}
			}
			set.Release()
		})
	}
}

func TestPiecesDoNotOverlap(t *testing.T) {
	p := NewPool(Options{MaxIdle: 1 << 30})
	s := p.NewSet()
	var all [][]uint64
	for i := range 2000 {
		v := Make[uint64](s, 1+i*7%9000)
		require.Zero(t, uintptr(unsafe.Pointer(unsafe.SliceData(v)))%8)
		v = v[:cap(v)]
		for j := range v {
			v[j] = uint64(i)
		}
		all = append(all, v)
	}
	for i, v := range all {
		require.Equal(t, uint64(i), v[0])
		require.Equal(t, uint64(i), v[len(v)-1])
	}
	used, idle := p.Stats()
	require.Positive(t, used)
	require.Zero(t, idle)
	s.Release()
	used, idle = p.Stats()
	require.Zero(t, used)
	require.Positive(t, idle)
	p.Close()
	_, idle = p.Stats()
	require.Zero(t, idle)
}

func TestMemoryIsHandedOutAgain(t *testing.T) {
	p := NewPool(Options{MaxIdle: 1 << 30})
	defer p.Close()
	s := p.NewSet()
	first := unsafe.SliceData(Make[byte](s, 1<<20))
	s.Release()
	require.NotEqual(t, unsafe.Pointer(first), unsafe.Pointer(unsafe.SliceData(Make[byte](s, 1<<19))), "it is far too large")
	require.Equal(t, unsafe.Pointer(first), unsafe.Pointer(unsafe.SliceData(Make[uint32](s, 1<<18-5000))))
}

func TestOutgrownMemoryStaysWhereItIsShared(t *testing.T) {
	for _, shared := range []bool{false, true} {
		p := NewPool(Options{MaxIdle: 1 << 30})
		s := p.NewSet()
		v := append(Make[uint64](s, 1<<16), 1, 2, 3)
		s.Shared = shared
		Grow(s, v, 1<<17)
		_, idle := p.Stats()
		if shared {
			require.Zero(t, idle)
			require.Equal(t, []uint64{1, 2, 3}, v)
		} else {
			require.Equal(t, int64(8<<16), idle)
		}
		s.Release()
		p.Close()
	}
}

func TestIdleMemoryIsBounded(t *testing.T) {
	now := time.Unix(1000, 0)
	p := NewPool(Options{MaxIdle: 1 << 20, Now: func() time.Time { return now }})
	give := func(n int) {
		s := p.NewSet()
		Make[byte](s, n)
		s.Release()
	}
	idle := func() int64 {
		_, idle := p.Stats()
		return idle
	}
	for range 3 {
		s, u := p.NewSet(), p.NewSet()
		Make[byte](s, 384<<10)
		Make[byte](u, 576<<10)
		s.Release()
		u.Release()
		require.Equal(t, int64(960<<10), idle())
	}
	give(304 << 10)
	require.Equal(t, int64((576+304)<<10), idle(), "what was there first goes")
	give(2 << 20)
	require.Zero(t, idle(), "it is too large alone")

	give(304 << 10)
	now = now.Add(5 * time.Second)
	give(512 << 10)
	p.Trim(6 * time.Second)
	require.Equal(t, int64(816<<10), idle())
	now = now.Add(time.Second)
	p.Trim(6 * time.Second)
	require.Equal(t, int64(512<<10), idle())
}

// TestMemoryGivenBackIsInaccessible: with Guard, and not without. From the Go heap it is written over.
func TestMemoryGivenBackIsInaccessible(t *testing.T) {
	p := NewPool(Options{Guard: true, MaxIdle: 1 << 30})
	defer p.Close()
	s := p.NewSet()
	large, small := append(Make[byte](s, 1<<20), 'x'), append(Make[byte](s, 10), 'x')
	mapped := s.slabs[0].mapped
	s.Release()
	for _, v := range [][]byte{large, small} {
		if !mapped {
			require.Equal(t, byte(poison), v[0])
			continue
		}
		require.Panics(t, func() {
			defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
			_ = append([]byte(nil), v...)
		})
	}
	_, idle := p.Stats()
	require.Zero(t, idle)
}

// TestTypesWithPointersAreOnTheHeap, where the garbage collector sees them.
func TestTypesWithPointersAreOnTheHeap(t *testing.T) {
	p := NewPool(Options{MaxIdle: 1 << 30})
	defer p.Close()
	s := p.NewSet()
	type plain struct {
		id    [8]byte
		start int64
		at    [3]uint32
	}
	want := plain{id: [8]byte{5}, start: 7, at: [3]uint32{2: 9}}
	v := append(Make[plain](s, 100_000), want)
	require.Equal(t, want, v[0])
	used, _ := p.Stats()
	require.GreaterOrEqual(t, used, int64(100_000*unsafe.Sizeof(plain{})))
	Free(s, v)
	left, idle := p.Stats()
	require.Zero(t, left)
	require.Equal(t, used, idle)

	Make[string](s, 100_000)
	Make[struct{ p *int }](s, 100_000)
	Make[[2][]byte](s, 100_000)
	Make[uintptr](s, 100_000)
	used, _ = p.Stats()
	require.Zero(t, used)
	s.Release()
}
