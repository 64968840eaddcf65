package seriescache

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func testCache(maxBytes int) (*Cache, *clock) {
	c := &clock{t: time.Unix(1e9, 0)}
	return newCache(maxBytes, c.now), c
}

// TestAgainstMap does random things to a cache and to a map. The cache may
// forget; what it does know must be what the map knows.
func TestAgainstMap(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	cache, clock := testCache(256 << 10)
	want := map[string][]uint64{}
	known := 0
	for range 200_000 {
		key := fmt.Appendf(nil, "series-%d", rng.IntN(5000))
		switch {
		case rng.IntN(3) == 0:
			refs := make([]uint64, rng.IntN(4))
			for i := range refs {
				refs[i] = rng.Uint64() >> 24
			}
			want[string(key)] = refs
			cache.Put(key, refs)
		case rng.IntN(1000) == 0:
			clock.t = clock.t.Add(time.Minute)
		default:
			got, ok := cache.Get(key, nil)
			if !ok {
				continue
			}
			known++
			require.True(t, slices.Equal(want[string(key)], got), "%s: %v, not %v", key, got, want[string(key)])
		}
	}
	require.Greater(t, known, 50_000)
	require.LessOrEqual(t, cache.Stats().Bytes, 512<<10)
}

func TestKeepsWhatIsUsedAndForgetsTheRest(t *testing.T) {
	cache, clock := testCache(1 << 20)
	key := func(i int) []byte {
		return binary.LittleEndian.AppendUint64([]byte("a key of some length "), uint64(i))
	}
	for i := range 20_000 { // far more than there is room for
		cache.Put(key(i), []uint64{uint64(i)})
		for hot := range 100 {
			if i%10 == 0 {
				cache.Get(key(hot), nil)
			}
		}
		if i%1000 == 0 {
			clock.t = clock.t.Add(idle)
		}
	}
	for hot := range 100 {
		refs, ok := cache.Get(key(hot), nil)
		require.True(t, ok)
		require.Equal(t, []uint64{uint64(hot)}, refs)
	}
	_, ok := cache.Get(key(200), nil)
	require.False(t, ok, "an entry that nobody used for hours")
	require.Less(t, cache.Stats().Entries, 18_000)
}

func TestBound(t *testing.T) {
	cache, _ := testCache(256 << 10)
	for i := range 100_000 {
		cache.Put(fmt.Appendf(nil, "key %d", i), []uint64{uint64(i)})
		refs, ok := cache.Get(fmt.Appendf(nil, "key %d", i), nil)
		require.True(t, ok && refs[0] == uint64(i), "the newest is always there")
	}
	require.LessOrEqual(t, cache.Stats().Bytes, 512<<10)
	long := make([]byte, 1<<20)
	cache.Put(long, []uint64{1 << 40, 1<<40 - 1})
	refs, ok := cache.Get(long, nil)
	require.True(t, ok)
	require.Equal(t, []uint64{0, 1<<40 - 1}, refs, "a reference of more than five bytes is not known")
	cache.Put([]byte("too many"), make([]uint64, MaxRefs+1))
	_, ok = cache.Get([]byte("too many"), nil)
	require.False(t, ok)
	cache.Put([]byte("many"), make([]uint64, MaxRefs))
	refs, ok = cache.Get([]byte("many"), nil)
	require.True(t, ok && len(refs) == MaxRefs)
}

func TestConcurrentUse(t *testing.T) {
	cache, _ := testCache(64 << 10)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 5000 {
				n := uint64((i*7 + g) % 1500)
				key := binary.LittleEndian.AppendUint64(nil, n)
				cache.Put(key, []uint64{n, n})
				if refs, ok := cache.Get(key, nil); ok && (refs[0] != n || refs[1] != n) {
					t.Errorf("references of %d are %v", n, refs)
				}
			}
		})
	}
	wg.Wait()
	first := cache.NextID()
	require.NotEqual(t, first, cache.NextID())
}

func BenchmarkGet(b *testing.B) {
	cache := New(64 << 20)
	const n = 100_000
	keys := make([][]byte, n)
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "%d http.route /api/v1/things http.request.method GET shard %d", i/600, i)
		cache.Put(keys[i], []uint64{uint64(i)})
	}
	stats := cache.Stats()
	var refs [4]uint64
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, ok := cache.Get(keys[i%n], refs[:0]); !ok {
			b.Fatal("forgotten")
		}
	}
	b.ReportMetric(float64(stats.Bytes)/n, "bytes/entry")
}
