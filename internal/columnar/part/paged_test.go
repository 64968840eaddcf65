package part

import (
	"math/rand/v2"
	"testing"

	"belfry/internal/columnar/column"
	"belfry/internal/columnar/encoding"
	"belfry/internal/vfs"

	"github.com/stretchr/testify/require"
)

const pagedRows = 20_000

// writePaged writes blocks of noise: one with columns of numbers, and one of times alone.
func writePaged(t *testing.T) (r *Reader, mem *vfs.Mem, times []uint64, nums map[string][]uint64) {
	t.Helper()
	mem = vfs.NewMem()
	codec, err := encoding.NewCodec(1)
	require.NoError(t, err)
	t.Cleanup(codec.Close)
	f, err := mem.Create("p")
	require.NoError(t, err)
	w := NewWriter(f, codec, encoding.Fast, column.DefaultPageBytes)
	rnd := rand.New(rand.NewPCG(1, 2))
	kinds := map[string]column.Kind{"int": column.Int, "float": column.Float, "sparse": column.Int}
	nums = map[string][]uint64{}
	builders := map[string]*column.Builder{}
	var values []Values
	for name, kind := range kinds {
		builders[name] = &column.Builder{Kind: kind}
		values = append(values, Values{w.Column(name, kind, 0), builders[name]})
		nums[name] = make([]uint64, pagedRows)
	}
	at := uint64(1_700_000_000_000_000_000)
	for i := range pagedRows {
		at += rnd.Uint64N(1e6)
		times = append(times, at)
		for name, b := range builders {
			if name == "sparse" && i%3 > 0 {
				continue
			}
			nums[name][i] = rnd.Uint64N(1 << 30)
			if name == "float" {
				nums[name][i] = column.FloatValue(float64(nums[name][i]) / 1000).Bits()
			}
			b.AppendNum(uint32(i), nums[name][i])
		}
	}
	require.NoError(t, w.WriteBlock(times, []Run{{"a", pagedRows}}, values))
	require.NoError(t, w.WriteBlock(times, []Run{{"a", 5}, {"b", pagedRows - 5}}, nil))
	_, err = w.Finish()
	require.NoError(t, err)
	return open(t, mem, codec), mem, times, nums
}

func TestNumbersAreReadByPages(t *testing.T) {
	r, _, times, nums := writePaged(t)
	a := &column.Arena{}
	whole := int64(0)
	for i := range r.Blocks {
		io := &IO{Arena: a}
		runs, got, err := r.ReadHead(io, &r.Blocks[i])
		require.NoError(t, err)
		require.Len(t, runs, i+1)
		require.Equal(t, times, got)
		whole = io.BytesRead
		io = &IO{Arena: a}
		_, got, err = r.PickHead(io, &r.Blocks[i], []uint32{7, 8, 9000})
		require.NoError(t, err)
		require.Equal(t, []uint64{times[7], times[8], times[9000]}, got)
		require.Less(t, io.BytesRead, whole/3)
	}
	b := &r.Blocks[0]
	for name, want := range nums {
		kind := column.Int
		if name == "float" {
			kind = column.Float
		}
		c := b.Column(r.FindColumn(name, kind))
		io := &IO{Arena: a}
		chunk, err := r.OpenColumn(io, b, c)
		require.NoError(t, err)
		require.Equal(t, want, chunk.Vector().Nums(), name)
		whole = io.BytesRead
		for _, sel := range [][]uint32{{0}, {6, 9, 300}, {3, 9000, pagedRows - 1}, {}} {
			io = &IO{Arena: a}
			v, _, err := r.PickColumn(io, b, c, sel)
			require.NoError(t, err)
			for i, row := range sel {
				require.Equal(t, want[row], v.Nums()[i], "%s of row %d", name, row)
			}
			require.Less(t, io.BytesRead, whole/2, name)
		}
	}
}

func TestDamageOfAPageIsNoticedByWhoReadsIt(t *testing.T) {
	r, mem, _, _ := writePaged(t)
	b := &r.Blocks[0]
	c := b.Column(r.FindColumn("int", column.Int))
	require.NoError(t, mem.Corrupt("p", func(raw []byte) []byte {
		raw[c.Off+int64(c.Len)-9]++
		raw[b.Columns[0].Off-9]++ // of the times
		return raw
	}))
	r = open(t, mem, r.codec)
	io := &IO{Arena: &column.Arena{}, Cache: NewCache(1<<20, cachePool(t))}
	for range 3 {
		_, _, err := r.PickColumn(io, b, c, []uint32{7})
		require.NoError(t, err)
		_, _, err = r.PickColumn(io, b, c, []uint32{7, pagedRows - 1})
		require.ErrorIs(t, err, ErrCorrupt)
		_, err = r.OpenColumn(io, b, c)
		require.ErrorIs(t, err, ErrCorrupt)
		_, _, err = r.PickHead(io, b, []uint32{7})
		require.NoError(t, err)
		_, _, err = r.PickHead(io, b, []uint32{pagedRows - 1})
		require.ErrorIs(t, err, ErrCorrupt)
		_, _, err = r.ReadHead(io, b)
		require.ErrorIs(t, err, ErrCorrupt)
	}
}
