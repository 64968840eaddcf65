package column

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"belfry/internal/columnar/encoding"

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
				chunk, err := Open(head[:meta.HeadLen], String, n, c, nil)
				require.NoError(t, err)
				_, err = chunk.Load(nil, memPages{chunk: head}, nil)
				require.NoError(t, err)
				sources = append(sources, chunk.Vector())
			}
			coded, plain := &Builder{Kind: String}, &Builder{Kind: String}
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
