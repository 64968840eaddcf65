package column

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"belfry/internal/columnar/encoding"
	"belfry/internal/columnar/slab"

	"github.com/stretchr/testify/require"
)

// TestCodedValues: a builder that is filled from dictionaries makes the same chunk, and holds the
// same values, as one that is given each value.
func TestCodedValues(t *testing.T) {
	c := codec(t)
	rnd := rand.New(rand.NewPCG(3, 4))
	const n = 500
	values := map[string]func(source, i int) Value{
		"few":        func(source, i int) Value { return StringValue(fmt.Sprint("value-", (i+source)%7)) },
		"const":      func(source, _ int) Value { return StringValue(fmt.Sprint("of source ", source)) },
		"same":       func(int, int) Value { return StringValue("always") },
		"empty":      func(_, i int) Value { return StringValue([]string{"", "x"}[i%2]) },
		"then plain": func(source, i int) Value { return StringValue(fmt.Sprint(source, "/", i%(1+source*source*100))) },
		"many":       func(source, i int) Value { return StringValue(fmt.Sprint(source, "/", i/2)) },
	}
	for name, value := range values {
		for _, density := range []float64{1, 0.5, 0.02} {
			var sources []*Vector
			codes := make([]Codes, 4)
			for source := range codes {
				b := build(String, n, density, func(i int) Value { return value(source, i) })
				e := NewEncoder(c)
				head, meta := e.Append(nil, b, n, encoding.Fast)
				chunk, err := Open(head[:meta.HeadLen], String, n, memPages{head, true}, c, nil)
				require.NoError(t, err)
				_, err = chunk.Load(nil, memPages{chunk: head}, nil)
				require.NoError(t, err)
				sources = append(sources, chunk.Vector())
			}
			coded, plain := NewBuilder(String, Shape{}, guarded(t)), &Builder{Kind: String}
			for round := range 2 { // the second in memory of the first
				coded.Reset()
				plain.Reset()
				next, at := make([]int, len(sources)), 0
				for at < 2*n {
					s := rnd.IntN(len(sources))
					to := min(next[s]+1+rnd.IntN(60), n)
					coded.AppendCoded(uint32(at), sources[s], next[s], to, &codes[s])
					plain.AppendVector(uint32(at), sources[s], next[s], to)
					at += to - next[s]
					next[s] = to % n
				}
				require.Equal(t, plain.Count(), coded.Count())
				require.Equal(t, plain.Size(), coded.Size())
				var want, got []string
				plain.EachBytes(func(row uint32, v []byte) { want = append(want, fmt.Sprint(row, string(v))) })
				coded.EachBytes(func(row uint32, v []byte) { got = append(got, fmt.Sprint(row, string(v))) })
				require.Equal(t, want, got, "%s %g %d", name, density, round)
				if plain.Count() == 0 {
					continue
				}
				chunk := func(b *Builder) []byte {
					e := NewEncoder(c)
					out, _ := e.Append(nil, b, at, encoding.Fast)
					out, _ = e.AppendFilter(out, b, WordFilter)
					return out
				}
				require.Equal(t, chunk(plain), chunk(coded), "%s %g %d", name, density, round)
			}
		}
	}
}

// guarded returns memory that is inaccessible where it was outgrown.
func guarded(t *testing.T) *slab.Set {
	p := slab.NewPool(slab.Options{Guard: true})
	t.Cleanup(p.Close)
	return p.NewSet()
}

// TestBuildersInSlabs: a builder in memory of a slab.Set holds what one on the heap holds, however it is
// appended to and moves as it grows.
func TestBuildersInSlabs(t *testing.T) {
	const n = 20_000
	word := func(i int) Value { return StringValue(fmt.Sprint("the value of row ", i)) }
	number := func(i int) Value { return IntValue(int64(i * i)) }
	for _, density := range []float64{1, 0.5} {
		for kind, value := range map[Kind]func(int) Value{String: word, Int: number} {
			src := build(kind, n, density, value)
			v := src.Vector(n, nil)
			all := make([]uint32, n)
			for i := range all {
				all[i] = uint32(i)
			}
			gathered := v.Gather(all, nil)
			fill := func(b *Builder) *Builder {
				for from := 0; from < n; from += 1000 {
					b.AppendBuilder(uint32(from), src, from, from+1000)
				}
				b.AppendVector(n, v, 0, n)
				b.AppendVector(2*n, gathered, 0, n)
				for i := range n {
					b.AppendValue(uint32(3*n+i), value(i))
				}
				b.AppendValue(4*n, value(1))
				b.DropLast()
				return b
			}
			want, in := fill(&Builder{Kind: kind}), NewBuilder(kind, Shape{Count: 10, Bytes: 10}, guarded(t))
			for range 2 { // the second time in memory of the first
				in.Reset()
				got := fill(in).Vector(4*n, nil)
				for i, w := 0, want.Vector(4*n, nil); i < 4*n; i++ {
					if w.Value(i) != got.Value(i) {
						t.Fatalf("%s %g: row %d is %v, not %v", kind, density, i, got.Value(i), w.Value(i))
					}
				}
			}
		}
	}
}
