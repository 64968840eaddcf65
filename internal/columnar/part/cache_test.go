package part

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"belfry/internal/columnar/column"
	"belfry/internal/columnar/encoding"
	"belfry/internal/columnar/slab"

	"github.com/stretchr/testify/require"
)

// pickAll reads one row of each column of each block, and asks an ID index and a filter.
func pickAll(r *Reader, io *IO) (values []string, err error) {
	for i := range r.Blocks {
		b := &r.Blocks[i]
		sel := []uint32{uint32(i % b.Rows)}
		_, times, err := r.PickHead(io, b, sel)
		if err != nil {
			return nil, err
		}
		values = append(values, fmt.Sprint(times))
		for c := range b.Columns {
			v, _, err := r.PickColumn(io, b, &b.Columns[c], sel)
			if err != nil {
				return nil, err
			}
			values = append(values, string(v.AppendText(nil, 0)))
		}
		may, err := r.MayContain(io, b.Column(r.FindColumn("text", column.String)), encoding.HashWord([]byte("row5")))
		if err != nil {
			return nil, err
		}
		places, err := r.FindID(io, r.FindColumn("id", column.ID), testID(i), nil)
		if err != nil {
			return nil, err
		}
		values = append(values, fmt.Sprint(may, places))
	}
	return values, nil
}

func nothing([]byte) {}

func cachePool(t *testing.T) *slab.Pool {
	pool := slab.NewPool(slab.Options{})
	t.Cleanup(pool.Close)
	return pool
}

func TestWhatIsCachedIsNotReadAgain(t *testing.T) {
	mem, codec := write(t, 20)
	r := open(t, mem, codec)
	want, err := pickAll(r, &IO{Arena: &column.Arena{}})
	require.NoError(t, err)
	cache, first := NewCache(4<<20, cachePool(t)), int64(0)
	for n := range 4 {
		io := &IO{Arena: &column.Arena{}, Cache: cache}
		got, err := pickAll(r, io)
		require.NoError(t, err)
		require.Equal(t, want, got)
		switch n {
		case 0:
			require.Positive(t, io.BytesRead)
			first = cache.Size()
		case 1:
			require.Positive(t, io.BytesRead)
			require.Greater(t, cache.Size(), 2*first, "of most nobody knew whether it would be read again")
		default:
			require.Zero(t, io.BytesRead)
		}
	}
	hits, misses := cache.Counts()
	require.Positive(t, misses)
	require.GreaterOrEqual(t, hits, misses/2)
	require.Positive(t, cache.Size())
	cache.Forget(r)
	require.Zero(t, cache.Size())
}

func TestWholeBlocksPassTheCacheBy(t *testing.T) {
	mem, codec := write(t, 3)
	r := open(t, mem, codec)
	cache := NewCache(4<<20, cachePool(t))
	io := &IO{Arena: &column.Arena{}, Cache: cache}
	for i := range r.Blocks {
		b := &r.Blocks[i]
		_, _, err := r.ReadHead(io, b)
		require.NoError(t, err)
		for c := range b.Columns {
			_, err := r.OpenColumn(io, b, &b.Columns[c])
			require.NoError(t, err)
		}
	}
	require.Zero(t, cache.Size())
}

func TestDamageIsNotCached(t *testing.T) {
	mem, codec := write(t, 1)
	r := open(t, mem, codec)
	b := &r.Blocks[0]
	num := b.Column(r.FindColumn("num", column.Int))
	text := b.Column(r.FindColumn("text", column.String))
	require.NoError(t, mem.Corrupt("p", func(raw []byte) []byte {
		raw[num.Off+1]++
		raw[text.Off+int64(text.Len)]++
		raw[b.off+1]++
		return raw
	}))
	r = open(t, mem, codec)
	cache := NewCache(4<<20, cachePool(t))
	io := &IO{Arena: &column.Arena{}, Cache: cache}
	b = &r.Blocks[0]
	for range 3 {
		_, _, err := r.PickColumn(io, b, num, []uint32{0})
		require.ErrorIs(t, err, ErrCorrupt)
		_, _, err = r.PickHead(io, b, []uint32{0})
		require.ErrorIs(t, err, ErrCorrupt)
		_, err = r.MayContain(io, text, 1)
		require.ErrorIs(t, err, ErrCorrupt)
	}
	require.Zero(t, cache.Size())
}

func TestCacheKeepsWhatIsAskedFor(t *testing.T) {
	r := &Reader{}
	const size, n = 1 << 10, 4000 // many times what fits
	limit := int64(cacheShards * 8 * (size + pieceOverhead))
	pool := cachePool(t)
	cache := NewCache(limit, pool)
	hot := 0
	for i := range n {
		cache.put(pieceKey{r: r, off: int64(i) * size}, make([]byte, size))
		if found, _ := cache.get(pieceKey{r: r}, size, nothing); found {
			hot++
		}
		require.LessOrEqual(t, cache.Size(), limit)
	}
	require.Equal(t, n, hot, "what is asked for again and again stays")
	for _, not := range []struct {
		key  pieceKey
		size int
	}{{pieceKey{r: r, off: size}, size}, {pieceKey{r: r}, size - 1}, {pieceKey{r: &Reader{}}, size}, {pieceKey{r: r, unpacked: true}, size}} {
		found, _ := cache.get(not.key, not.size, nothing)
		require.False(t, found)
	}
	require.Nil(t, NewCache(0, pool))
	require.Zero(t, (*Cache)(nil).Size())
}

func TestCacheGivesWhatWasPut(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	const limit = 4 << 20
	pool := cachePool(t)
	cache := NewCache(limit, pool)
	readers := []*Reader{{}, {}}
	put := map[pieceKey][]byte{}
	found := 0
	for range 40_000 {
		key := pieceKey{r: readers[rnd.IntN(2)], off: int64(rnd.IntN(1500)), unpacked: rnd.IntN(2) == 0}
		switch rnd.IntN(2000) {
		case 0:
			cache.Forget(key.r)
			maps.DeleteFunc(put, func(k pieceKey, _ []byte) bool { return k.r == key.r })
		default:
			b, have := put[key], false
			have, _ = cache.get(key, len(b), func(got []byte) {
				require.True(t, bytes.Equal(b, got))
			})
			if have {
				found++
				continue
			}
			b = make([]byte, rnd.IntN(3000))
			for i := range b {
				b[i] = byte(rnd.Uint32())
			}
			put[key] = b
			cache.put(key, b)
		}
		require.LessOrEqual(t, cache.Size(), int64(limit+limit/4))
	}
	require.Greater(t, found, 5000)
	used, _ := pool.Stats()
	require.LessOrEqual(t, used, int64(limit))
	cache.Close()
	used, _ = pool.Stats()
	require.Zero(t, used)
	cache.put(pieceKey{r: readers[0]}, []byte("late"))
	cache.Forget(readers[0])
	require.Zero(t, cache.Size())
}

func TestCacheIsShared(t *testing.T) {
	mem, codec := write(t, 10)
	r := open(t, mem, codec)
	want, err := pickAll(r, &IO{Arena: &column.Arena{}})
	require.NoError(t, err)
	cache := NewCache(32<<10, cachePool(t)) // not enough for all
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			io := &IO{Arena: &column.Arena{}, Cache: cache}
			for range 10 {
				if got, err := pickAll(r, io); err != nil || !slices.Equal(want, got) {
					t.Error("other values", err)
				}
			}
		})
	}
	wg.Wait()
}
