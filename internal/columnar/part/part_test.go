package part

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"testing"

	"belfry/internal/columnar/column"
	"belfry/internal/columnar/encoding"
	"belfry/internal/columnar/slab"
	"belfry/internal/vfs"

	"github.com/stretchr/testify/require"
)

// write makes a part of blocks of 100 rows each, two streams to a block.
func write(t testing.TB, blocks int) (*vfs.Mem, *encoding.Codec) {
	t.Helper()
	mem := vfs.NewMem()
	codec, err := encoding.NewCodec(1)
	require.NoError(t, err)
	t.Cleanup(codec.Close)
	f, err := mem.Create("p")
	require.NoError(t, err)
	w := NewWriter(f, codec, encoding.Fast, column.DefaultPageBytes)
	id, text, num := w.Column("id", column.ID, FlagIndexed), w.Column("text", column.String, 0), w.Column("num", column.Int, 0)
	for b := range blocks {
		var times []uint64
		ids, texts, nums := &column.Builder{Kind: column.ID}, &column.Builder{Kind: column.String}, &column.Builder{Kind: column.Int}
		for i := range 100 {
			n := b*100 + i
			times = append(times, uint64(1000+n))
			ids.AppendBytes(uint32(i), testID(n/7))
			texts.AppendBytes(uint32(i), fmt.Appendf(nil, "row%d of many", n))
			if i%2 == 0 {
				nums.AppendNum(uint32(i), uint64(n))
			}
		}
		runs := []Run{{fmt.Sprintf("s%04d", b), 50}, {fmt.Sprintf("s%04d", b+1), 50}}
		require.NoError(t, w.WriteBlock(times, runs, []Values{{num, nums}, {id, ids}, {text, texts}}))
	}
	meta, err := w.Finish()
	require.NoError(t, err)
	require.EqualValues(t, blocks*100, meta.Rows)
	return mem, codec
}

// TestWriterIsUsedAgain: what a writer writes does not depend on what it wrote, or gave up, before, nor on where
// its memory is from.
func TestWriterIsUsedAgain(t *testing.T) {
	codec, err := encoding.NewCodec(1)
	require.NoError(t, err)
	t.Cleanup(codec.Close)
	mem := vfs.NewMem()
	create := func(name string) vfs.File {
		f, err := mem.Create(name)
		require.NoError(t, err)
		return f
	}
	fill := func(w *Writer, text string, finish bool) {
		id, body := w.Column("id", column.ID, FlagIndexed), w.Column(text, column.String, 0)
		ids, bodies := &column.Builder{Kind: column.ID}, &column.Builder{Kind: column.String}
		times := make([]uint64, 200)
		for i := range times {
			times[i] = uint64(i)
			ids.AppendBytes(uint32(i), testID(i/3))
			bodies.AppendBytes(uint32(i), fmt.Appendf(nil, "%s %d", text, i))
		}
		require.NoError(t, w.WriteBlock(times, []Run{{"s", 200}}, []Values{{id, ids}, {body, bodies}}))
		if finish {
			_, err := w.Finish()
			require.NoError(t, err)
		}
	}
	content := func(name string) []byte {
		f, err := mem.Open(name)
		require.NoError(t, err)
		size, err := mem.Size(name)
		require.NoError(t, err)
		b := make([]byte, size)
		_, err = f.ReadAt(b, 0)
		require.NoError(t, err)
		return b
	}
	fill(NewWriter(create("fresh"), codec, encoding.Fast, 1<<14), "words of one", true)
	w := NewWriter(create("other"), codec, encoding.Small, 1<<16)
	fill(w, "others", true)
	w.Reset(nil, 0, 0)
	pool := slab.NewPool(slab.Options{Guard: true})
	t.Cleanup(pool.Close)
	set := pool.NewSet()
	w.Reset(create("given up"), encoding.Fast, 1<<14)
	w.Use(set, 100)
	fill(w, "more", false)
	w.Reset(nil, 0, 0)
	set.Release()
	for _, rows := range []int{0, 100, 100_000} {
		w.Reset(create("again"), encoding.Fast, 1<<14)
		w.Use(set, rows)
		fill(w, "words of one", true)
		w.Reset(nil, 0, 0)
		set.Release()
		require.Equal(t, content("fresh"), content("again"))
	}
}

func testID(n int) []byte { return fmt.Appendf(nil, "%016d", n) }

func open(t testing.TB, mem *vfs.Mem, codec *encoding.Codec) *Reader {
	t.Helper()
	f, err := mem.Open("p")
	require.NoError(t, err)
	r, err := Open(f, codec)
	require.NoError(t, err)
	return r
}

func TestPart(t *testing.T) {
	mem, codec := write(t, 60)
	r := open(t, mem, codec)
	require.EqualValues(t, 6000, r.Meta.Rows)
	require.EqualValues(t, 1000, r.Meta.MinTime)
	require.EqualValues(t, 6999, r.Meta.MaxTime)
	require.Len(t, r.Streams, 61, "a stream goes on in the next block")
	require.EqualValues(t, 100, r.Streams[1].Rows)
	require.Len(t, r.Blocks, 60)
	io := &IO{Arena: &column.Arena{}}
	for i := range r.Blocks {
		b := &r.Blocks[i]
		runs, times, err := r.ReadHead(io, b)
		require.NoError(t, err)
		require.Equal(t, []uint64{50, 50}, runs)
		require.EqualValues(t, 1000+100*i, times[0])
		num := b.Column(r.FindColumn("num", column.Int))
		require.EqualValues(t, 100*i, num.Min)
		require.EqualValues(t, 100*i+98, num.Max)
		chunk, err := r.OpenColumn(io, b, num)
		require.NoError(t, err)
		require.Equal(t, 50, chunk.Vector().Count())
		text := b.Column(r.FindColumn("text", column.String))
		ok, err := r.MayContain(io, text, encoding.HashWord(fmt.Appendf(nil, "ROW%d", 100*i+5)))
		require.NoError(t, err)
		require.True(t, ok)
	}
	require.Equal(t, -1, r.FindColumn("num", column.Float))
}

func TestFindID(t *testing.T) {
	mem, codec := write(t, 60)
	r := open(t, mem, codec)
	col := r.FindColumn("id", column.ID)
	io := &IO{}
	for n := range 6000 / 7 {
		places, err := r.FindID(io, col, testID(n), nil)
		require.NoError(t, err)
		var want []Place
		for i := n * 7; i < n*7+7; i++ {
			want = append(want, Place{i / 100, i % 100})
		}
		require.Equal(t, want, places)
	}
	var hashes []uint64
	for n := range 2000 {
		hashes = append(hashes, encoding.HashValue(testID(n)))
	}
	slices.Sort(hashes)
	got := make([][]Place, len(hashes))
	require.NoError(t, r.FindHashes(io, col, hashes, func(hash int, p Place) { got[hash] = append(got[hash], p) }))
	for i, h := range hashes {
		want, err := r.FindHash(io, col, h, nil)
		require.NoError(t, err)
		require.Equal(t, want, got[i])
	}
	places, err := r.FindID(io, col, testID(1_000_000), nil)
	require.NoError(t, err)
	require.Empty(t, places)
}

func TestIDFilter(t *testing.T) {
	mem, codec := write(t, 60)
	check := func(r *Reader) (read int64) {
		col := r.FindColumn("id", column.ID)
		io := &IO{}
		for n := range 6000 / 7 {
			may, err := r.MayHaveID(io, col, testID(n))
			require.NoError(t, err)
			require.True(t, may)
		}
		wrong := 0
		for n := range 10_000 {
			may, err := r.MayHaveID(io, col, testID(n+10_000))
			require.NoError(t, err)
			if may {
				wrong++
			}
		}
		require.Less(t, wrong, 100, "one percent of false positives")
		may, err := r.MayHaveID(io, r.FindColumn("text", column.String), testID(1))
		require.NoError(t, err)
		require.True(t, may, "nothing is known of a column without an index")
		return io.BytesRead
	}
	r := open(t, mem, codec)
	require.NotZero(t, check(r), "from the file")
	require.NoError(t, r.LoadIDFilters())
	require.Zero(t, check(r), "from memory")
	at := r.ids[r.FindColumn("id", column.ID)].filter.off
	require.NoError(t, mem.Corrupt("p", func(b []byte) []byte { b[at+5]++; return b }))
	damaged := open(t, mem, codec)
	_, err := damaged.MayHaveID(&IO{}, damaged.FindColumn("id", column.ID), testID(1))
	require.ErrorIs(t, err, ErrCorrupt)
	require.ErrorIs(t, damaged.LoadIDFilters(), ErrCorrupt)
}

func TestVersion(t *testing.T) {
	mem, codec := write(t, 1)
	reopen := func(change func(b []byte)) error {
		require.NoError(t, mem.Corrupt("p", func(b []byte) []byte { change(b); return b }))
		f, err := mem.Open("p")
		require.NoError(t, err)
		_, err = Open(f, codec)
		return err
	}
	err := reopen(func(b []byte) { b[len(b)-20]++ })
	require.ErrorIs(t, err, ErrCorrupt, "not a version, but damage")
	err = reopen(func(b []byte) {
		t := b[len(b)-trailerLen:]
		footer := b[len(b)-trailerLen-int(binary.LittleEndian.Uint32(t[4:])) : len(b)-trailerLen+8]
		binary.LittleEndian.PutUint32(t[8:], crc32.Checksum(footer, encoding.Castagnoli))
	})
	require.ErrorContains(t, err, fmt.Sprint("version ", version+1))
}

func TestWriterRefusals(t *testing.T) {
	mem, codec := write(t, 1)
	f, err := mem.Create("q")
	require.NoError(t, err)
	w := NewWriter(f, codec, encoding.Fast, column.DefaultPageBytes)
	require.Error(t, w.WriteBlock(nil, nil, nil))
	require.Error(t, w.WriteBlock([]uint64{1}, []Run{{"a", 2}}, nil))
	require.Error(t, w.WriteBlock([]uint64{1, 2}, []Run{{"b", 1}, {"a", 1}}, nil))
}

// FuzzDirectories reads directories from bytes as if their checksums were right,
// and everything that they refer to.
func FuzzDirectories(f *testing.F) {
	mem, codec := write(f, 3)
	good := open(f, mem, codec)
	w := &Writer{meta: good.Meta, columns: good.Columns, streams: good.Streams, blocks: good.Blocks}
	f.Add(w.appendColumns(nil), w.appendStreams(nil), w.appendBlocks(nil))
	f.Fuzz(func(_ *testing.T, columns, streams, blocks []byte) {
		r := &Reader{Meta: good.Meta, f: good.f, codec: codec, index: map[columnKey]int{}}
		for _, p := range []struct {
			raw   []byte
			parse func(*encoding.Reader)
		}{{columns, r.parseColumns}, {streams, r.parseStreams}, {blocks, r.parseBlocks}} {
			d := encoding.Reader{B: p.raw}
			if p.parse(&d); d.Bad() {
				return
			}
		}
		io := &IO{Arena: &column.Arena{}}
		for i := range min(len(r.Blocks), 10) {
			b := &r.Blocks[i]
			if _, _, err := r.ReadHead(io, b); err != nil {
				continue
			}
			for j := range b.Columns {
				c := &b.Columns[j]
				_, _ = r.MayContain(io, c, 12345)
				lit, _ := encoding.NewLiteral("many")
				_, _ = r.MayHold(io, c, &lit)
				chunk, err := r.OpenColumn(io, b, c)
				if err == nil && chunk.Paged() {
					_, _ = chunk.Load(nil, r.Pages(io, c), io.Arena)
				}
			}
		}
	})
}
