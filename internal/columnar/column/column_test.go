package column

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"testing"

	"belfry/internal/columnar/automaton"
	"belfry/internal/columnar/encoding"

	"github.com/stretchr/testify/require"
)

// memPages reads pages from a chunk in memory.
type memPages struct {
	chunk  []byte
	verify bool
}

func (p memPages) ReadPage(off, n int, crc uint32) ([]byte, error) {
	if off < 0 || n < 0 || off+n > len(p.chunk) {
		return nil, encoding.ErrCorrupt
	}
	b := p.chunk[off : off+n]
	if p.verify && crc32.Checksum(b, encoding.Castagnoli) != crc {
		return nil, encoding.ErrCorrupt
	}
	return b, nil
}

func codec(t testing.TB) *encoding.Codec {
	t.Helper()
	c, err := encoding.NewCodec(1)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// build returns a builder with a value in about density of n rows.
func build(kind Kind, n int, density float64, value func(i int) Value) *Builder {
	rnd := rand.New(rand.NewPCG(7, uint64(n)))
	b := &Builder{Kind: kind}
	for i := range n {
		if rnd.Float64() < density || i == n/2 {
			b.AppendValue(uint32(i), value(i))
		}
	}
	return b
}

func TestChunks(t *testing.T) {
	c := codec(t)
	rnd := rand.New(rand.NewPCG(8, 8))
	kinds := map[string]struct {
		kind  Kind
		value func(i int) Value
	}{
		"ints":       {Int, func(i int) Value { return IntValue(int64(i * i)) }},
		"floats":     {Float, func(i int) Value { return FloatValue(float64(i) / 8) }},
		"noise":      {Int, func(int) Value { return IntValue(rnd.Int64N(1 << 40)) }},
		"prices":     {Float, func(int) Value { return FloatValue(float64(rnd.Int64N(1<<30)) / 100) }},
		"bools":      {Bool, func(i int) Value { return BoolValue(i%3 == 0) }},
		"const":      {String, func(int) Value { return StringValue("always") }},
		"empty":      {String, func(int) Value { return StringValue("") }},
		"wide":       {String, func(i int) Value { return StringValue(fmt.Sprint(string(bytes.Repeat([]byte{byte(i)}, 300)), i%401)) }},
		"dictionary": {String, func(i int) Value { return StringValue(fmt.Sprint("value-", i%17)) }},
		"text":       {String, func(i int) Value { return StringValue(fmt.Sprint("line ", i, " of text ", rnd.Uint64())) }},
		"long":       {String, func(i int) Value { return StringValue(string(bytes.Repeat([]byte{byte(i)}, i%3000))) }},
		"ids":        {ID, func(int) Value { return IDValue(fmt.Appendf(nil, "%016x", rnd.Uint64())) }},
		"json":       {JSON, func(i int) Value { return JSONValue(fmt.Sprintf(`{"n":%d}`, i)) }},
		"bytes":      {Bytes, func(i int) Value { return BytesValue([]byte{byte(i), 0}) }},
		"large":      {Bytes, func(i int) Value { return BytesValue(make([]byte, 200<<10*(i%2))) }},
	}
	for name, k := range kinds {
		for _, density := range []float64{1, 0.6, 0.01} {
			for _, n := range []int{1, 63, 64, 1000, 5000} {
				if name == "large" && n > 63 {
					continue
				}
				b := build(k.kind, n, density, k.value)
				what := fmt.Sprintf("%s, density %v, %d rows", name, density, n)
				want := b.Vector(n, nil)
				chunk, meta := NewEncoder(c).Append(nil, b, n, encoding.Fast)
				require.Equal(t, b.Count(), meta.Count, what)
				require.Len(t, chunk, meta.Len, what)
				sameColumn(t, c, chunk, meta, want, nil, what)
				var some []uint32
				for i := range n {
					if rnd.IntN(50) == 0 {
						some = append(some, uint32(i))
					}
				}
				sameColumn(t, c, chunk, meta, want, some, what)
			}
		}
	}
}

func sameColumn(t *testing.T, c *encoding.Codec, chunk []byte, meta ChunkMeta, want *Vector, sel []uint32, what string) {
	t.Helper()
	a := &Arena{}
	got, err := Open(chunk[:meta.HeadLen], want.Kind(), want.Len(), memPages{chunk, true}, c, a)
	require.NoError(t, err, what)
	if got.Paged() {
		_, err = got.Load(sel, memPages{chunk, true}, a)
		require.NoError(t, err, what)
	}
	v := got.Vector()
	require.Equal(t, want.Len(), v.Len(), what)
	require.Equal(t, want.Count(), v.Count(), what)
	rows := sel
	if sel == nil {
		for i := range want.Len() {
			rows = append(rows, uint32(i))
		}
	}
	g := v.Gather(rows, a)
	p, _, err := Pick(chunk[:meta.HeadLen], want.Kind(), want.Len(), rows, memPages{chunk, true}, c, a)
	require.NoError(t, err, what)
	picked := 0
	for i, r := range rows {
		if w := want.Value(int(r)); w != p.Value(i) || w.IsZero() == p.Has(i) {
			t.Fatalf("%s: row %d is %v, want %v", what, r, p.Value(i), w)
		}
		if p.Has(i) {
			picked++
		}
	}
	require.Equal(t, len(rows), p.Len(), what)
	require.Equal(t, picked, p.Count(), what)
	for i, r := range rows {
		if w := want.Value(int(r)); w != v.Value(int(r)) || w != g.Value(i) {
			t.Fatalf("%s: row %d is %v, gathered %v, want %v", what, r, v.Value(int(r)), g.Value(i), w)
		}
	}
}

func TestBuilderSnapshot(t *testing.T) {
	b := &Builder{Kind: String}
	b.AppendBytes(0, []byte("a"))
	b.AppendBytes(1, []byte("b"))
	snap := *b
	b.AppendBytes(5, []byte("f")) // becomes sparse
	require.Equal(t, "a", snap.Vector(2, nil).Value(0).Str())
	require.Equal(t, 2, snap.Vector(2, nil).Count())
	v := b.Vector(6, nil)
	require.False(t, v.Has(3))
	require.Equal(t, "f", v.Value(5).Str())
	b.DropLast()
	require.Equal(t, 1, b.LastRow())
}

func TestAppendBuilder(t *testing.T) {
	for _, density := range []float64{1, 0.5} {
		src := build(Int, 100, density, func(i int) Value { return IntValue(int64(i)) })
		want := src.Vector(100, nil)
		dst := &Builder{Kind: Int}
		for from := 0; from < 100; from += 30 {
			dst.AppendBuilder(uint32(from), src, from, min(from+30, 100))
		}
		got := dst.Vector(100, nil)
		for i := range 100 {
			require.Equal(t, want.Value(i), got.Value(i))
		}
	}
}

func TestText(t *testing.T) {
	for _, v := range []Value{
		StringValue("x"), IntValue(-7), FloatValue(1.5), FloatValue(math.Inf(1)), BoolValue(true), BytesValue([]byte{0, 1}),
		IDValue([]byte{0xab, 0xcd}), JSONValue(`[1]`),
	} {
		got, ok := ParseText(v.Kind(), v.Text())
		require.True(t, ok, v.Text())
		require.Equal(t, v, got)
	}
	for text, kind := range map[string]Kind{"007": Int, "1.50": Float, "TRUE": Bool, "ABCD": ID, "?": Bytes} {
		_, ok := ParseText(kind, text)
		require.False(t, ok, text)
	}
}

func FuzzOpen(f *testing.F) {
	c := codec(f)
	enc := NewEncoder(c)
	for kind := String; kind <= JSON; kind++ {
		for _, density := range []float64{1, 0.5, 0.01} {
			b := build(kind, 300, density, func(i int) Value {
				if kind.VarWidth() {
					return VarValue(kind, fmt.Sprint("value ", i*7919%1000))
				}
				return NumValue(kind, uint64(i%2))
			})
			chunk, m := enc.Append(nil, b, 300, encoding.Fast)
			f.Add(chunk, uint16(m.HeadLen), uint16(300), byte(kind))
		}
	}
	noise := build(Int, 3000, 1, func(i int) Value { return IntValue(int64(i*7919%104729) << 20) }) // in pages
	chunk, m := enc.Append(nil, noise, 3000, encoding.Fast)
	f.Add(chunk, uint16(m.HeadLen), uint16(3000), byte(Int-1))
	search := automaton.New(`e [0-9]+7|a.*b$`)
	f.Fuzz(func(_ *testing.T, b []byte, headLen, n uint16, kind byte) {
		k := Kind(kind%7 + 1)
		a := &Arena{}
		head := b[:min(int(headLen), len(b))]
		sel := []uint32{0, uint32(n / 3), uint32(n / 2), uint32(n) - 1}
		if n < 4 {
			sel = nil
		}
		picked, _, pickErr := Pick(head, k, int(n), sel, memPages{b, false}, c, a)
		if pickErr == nil {
			for i := range picked.Len() {
				_ = picked.Value(i)
			}
		}
		chunk, err := Open(b[:min(int(headLen), len(b))], k, int(n), memPages{b, false}, c, a)
		if err != nil {
			return
		}
		if chunk.Paged() {
			if chunk.tpl != nil && chunk.tpl.raw > 1<<20 || chunk.tpl == nil && chunk.pages[len(chunk.pages)-1].start > 1<<20 {
				return
			}
			if sel != nil && chunk.tpl != nil {
				_, _ = chunk.Load(sel, memPages{b, false}, a)
			}
			if chunk.tpl != nil {
				run := chunk.tpl.Run(search)
				for i := range chunk.tpl.n {
					_, _ = run.Match(i)
				}
			}
			if _, err := chunk.Load(nil, memPages{b, false}, a); err != nil {
				return
			}
		}
		v := chunk.Vector()
		for i := range v.Len() {
			_ = v.Value(i)
		}
	})
}
