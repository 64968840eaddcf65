package column

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"belfry/internal/columnar/encoding"

	"github.com/stretchr/testify/require"
)

// textMakers print lines as programs do, each with another trap for templates.
func textMakers() map[string]func(rnd *rand.Rand, i int) string {
	return map[string]func(*rand.Rand, int) string{
		"numbers": func(rnd *rand.Rand, i int) string {
			return fmt.Sprintf("request %d took %d.%03d ms, user_%d sent %dKB", i, rnd.IntN(20), rnd.IntN(1000), rnd.IntN(1e6), rnd.IntN(100))
		},
		"padded": func(rnd *rand.Rand, i int) string {
			return fmt.Sprintf("%04d-%02d-%02dT%02d:%02d:%02dZ u%06d %0*d", 2026, rnd.IntN(12), rnd.IntN(30), rnd.IntN(24), i%60, rnd.IntN(60), i, 1+rnd.IntN(20), i)
		},
		"ids": func(rnd *rand.Rand, _ int) string {
			return fmt.Sprintf("span %016x of trace %016x%016x ended: v1a2b %s", rnd.Uint64(), rnd.Uint64(), rnd.Uint64(), strings.Repeat("9", rnd.IntN(30)))
		},
		"long numbers with letters": func(rnd *rand.Rand, _ int) string {
			return fmt.Sprintf("id%d%dms and %d%dab", 1+rnd.Uint64N(9), uint64(1e17)+rnd.Uint64N(1e17), rnd.Uint64(), rnd.Uint64())
		},
		"some without": func(rnd *rand.Rand, i int) string {
			if rnd.IntN(4) == 0 {
				return strings.Repeat(string(rune('a'+rnd.IntN(26))), rnd.IntN(30)) + strconv.FormatUint(rnd.Uint64(), 16)
			}
			return fmt.Sprintf("GET /api/v%d/items/%d -> %d", i%3, rnd.IntN(1e9), 200+i%4)
		},
		"unicode": func(rnd *rand.Rand, i int) string {
			return fmt.Sprintf("größe %d µs für \u212aELVIN%d, ſtatus=%dΣ", rnd.IntN(1e5), i, rnd.IntN(900))
		},
		"edges": func(rnd *rand.Rand, i int) string {
			return []string{strconv.Itoa(i), fmt.Sprintf("%d a", i), fmt.Sprintf("a %d", i), "", fmt.Sprintf("%d%s", i, "x1y2"), fmt.Sprintf("-%d-%d-", i, rnd.IntN(9))}[i%6]
		},
	}
}

func templated(t *testing.T, c *encoding.Codec, lines []string) (*Encoder, *Builder, []byte, ChunkMeta) {
	t.Helper()
	b := &Builder{Kind: String}
	for i, l := range lines {
		b.AppendBytes(uint32(i), []byte(l))
	}
	e := NewEncoder(c)
	chunk, m := e.Append(nil, b, len(lines), encoding.Fast)
	require.Equal(t, byte(chunkTpl), chunk[0]&15, "not stored as templates")
	return e, b, chunk, m
}

func makeLines(rnd *rand.Rand, n int, f func(*rand.Rand, int) string) []string {
	lines := make([]string, n)
	for i := range lines {
		lines[i] = f(rnd, i)
	}
	return lines
}

func TestTemplates(t *testing.T) {
	c := codec(t)
	for name, f := range textMakers() {
		t.Run(name, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(3, 3))
			lines := makeLines(rnd, 3000, f)
			_, b, chunk, m := templated(t, c, lines)
			want := b.Vector(len(lines), nil)
			sameColumn(t, c, chunk, m, want, nil, name)
			for range 20 {
				var sel []uint32
				for i := range lines {
					if rnd.IntN(40) == 0 {
						sel = append(sel, uint32(i))
					}
				}
				sameColumn(t, c, chunk, m, want, sel, name)
			}
			// Rows may be asked for in several goes, then all.
			a := &Arena{}
			got, err := Open(chunk[:m.HeadLen], String, len(lines), memPages{chunk, true}, c, a)
			require.NoError(t, err)
			for _, sel := range [][]uint32{{5, 9}, {0, 5, 2999}, nil} {
				_, err := got.Load(sel, nil, a)
				require.NoError(t, err)
				for _, i := range append(sel, 5, 9) {
					require.Equal(t, lines[i], string(got.Vector().Bytes(int(i))))
				}
			}
		})
	}
}

// needles returns pieces of lines, and texts that are in none.
func needles(rnd *rand.Rand, lines []string) []string {
	var out []string
	for range 100 {
		l := lines[rnd.IntN(len(lines))]
		if l == "" {
			continue
		}
		from := rnd.IntN(len(l))
		n := l[from : from+1+rnd.IntN(min(len(l)-from, 25))]
		out = append(out, n)
		switch rnd.IntN(3) {
		case 0:
			n = strings.ToUpper(n)
		case 1:
			b := []byte(n)
			b[rnd.IntN(len(b))] = "x7 .é"[rnd.IntN(5)]
			n = string(b)
		}
		out = append(out, n)
	}
	return append(out, "nosuchword", "99999999999999999999999", "9ms and")
}

// TestTemplatesEqual compares what templates say of whole values with the values.
func TestTemplatesEqual(t *testing.T) {
	c := codec(t)
	for name, f := range textMakers() {
		rnd := rand.New(rand.NewPCG(5, 5))
		lines := makeLines(rnd, 600, f)
		_, _, chunk, m := templated(t, c, lines)
		got, err := Open(chunk[:m.HeadLen], String, len(lines), memPages{chunk, true}, c, nil)
		require.NoError(t, err)
		for _, text := range append(needles(rnd, lines), lines[:200]...) {
			verdicts, err := got.Templates().Equal([]byte(text))
			require.NoError(t, err)
			for i, l := range lines {
				said := Never
				if verdicts != nil {
					said = verdicts[i]
				}
				requireMatch(t, said, l == text, name, l, text)
			}
		}
	}
}

// TestTemplatesFind compares what templates say of texts with the values.
func TestTemplatesFind(t *testing.T) {
	c := codec(t)
	for name, f := range textMakers() {
		rnd := rand.New(rand.NewPCG(4, 4))
		lines := makeLines(rnd, 600, f)
		_, _, chunk, m := templated(t, c, lines)
		got, err := Open(chunk[:m.HeadLen], String, len(lines), memPages{chunk, true}, c, nil)
		require.NoError(t, err)
		tpl := got.Templates()
		for _, needle := range needles(rnd, lines) {
			lower := strings.ToLower(needle)
			for i, l := range lines {
				id := tpl.Of(i)
				requireMatch(t, tpl.Find(id, []byte(needle), false), strings.Contains(l, needle), name, l, needle)
				if isPlain([]byte(needle)) {
					requireMatch(t, tpl.Find(id, []byte(lower), true), bytes.Contains(asciiLower(l), []byte(lower)), name, l, needle)
				}
			}
		}
	}
}

func asciiLower(s string) []byte {
	return bytes.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, []byte(s))
}

func requireMatch(t *testing.T, m Match, contains bool, name, line, needle string) {
	t.Helper()
	if m == Never && contains || m == Always && !contains {
		t.Fatalf("%s: templates say %d of %q in %q", name, m, needle, line)
	}
}

// TestTextFilters asks the filters of templates and of other text for pieces of the values.
func TestTextFilters(t *testing.T) {
	c := codec(t)
	for name, f := range textMakers() {
		rnd := rand.New(rand.NewPCG(5, 5))
		lines := makeLines(rnd, 2000, f)
		e, b, _, _ := templated(t, c, lines)
		asTemplates, _ := e.AppendFilter(nil, b, WordFilter)
		gramsOfTemplates := e.AppendGrams(nil)
		e.tplOf = nil // as text that has no templates
		asText, _ := e.AppendFilter(nil, b, WordFilter)
		gramsOfText := e.AppendGrams(nil)
		for _, filters := range [][2][]byte{{asTemplates, gramsOfTemplates}, {asText, gramsOfText}} {
			grams, err := encoding.OpenGrams(filters[1])
			require.NoError(t, err)
			may := func(needle string) bool {
				l, ok := encoding.NewLiteral(needle)
				if !ok {
					return true
				}
				ok, err := grams.MayContain(&l, func(h uint64) (bool, error) { return encoding.ProbeBloom(filters[0], h), nil })
				require.NoError(t, err)
				return ok
			}
			all := strings.Join(lines, "\n")
			for _, needle := range needles(rnd, lines) {
				if strings.Contains(all, needle) && strings.ToValidUTF8(needle, "?") == needle {
					require.True(t, may(needle), "%s: %q", name, needle)
				}
			}
			require.False(t, may("nosuchneedleword"), name)
			require.False(t, may("xyzzy 1234"), name)
		}
	}
}

func BenchmarkTemplates(b *testing.B) {
	c, err := encoding.NewCodec(1)
	require.NoError(b, err)
	defer c.Close()
	lines := makeLines(rand.New(rand.NewPCG(6, 6)), 32<<10, textMakers()["numbers"])
	src := &Builder{Kind: String}
	for i, l := range lines {
		src.AppendBytes(uint32(i), []byte(l))
	}
	e := NewEncoder(c)
	chunk, m := e.Append(nil, src, len(lines), encoding.Fast)
	b.Run("encode", func(b *testing.B) {
		b.SetBytes(int64(len(src.data)))
		for b.Loop() {
			chunk, m = e.Append(chunk[:0], src, len(lines), encoding.Fast)
		}
	})
	b.Run("filter", func(b *testing.B) {
		b.SetBytes(int64(len(src.data)))
		var dst []byte
		for b.Loop() {
			dst, _ = e.AppendFilter(dst[:0], src, WordFilter)
			dst = e.AppendGrams(dst)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.SetBytes(int64(len(src.data)))
		a := &Arena{}
		for b.Loop() {
			a.Reset()
			got, err := Open(chunk[:m.HeadLen], String, len(lines), memPages{chunk, true}, c, a)
			require.NoError(b, err)
			_, err = got.Load(nil, nil, a)
			require.NoError(b, err)
		}
	})
}

// TestEqualAtFindsValuesOfOneTemplate asks for texts that are and are not among them.
func TestEqualAtFindsValuesOfOneTemplate(t *testing.T) {
	codec, err := encoding.NewCodec(1)
	require.NoError(t, err)
	for _, format := range []func(i int) string{
		func(i int) string { return fmt.Sprintf("u%06d", i*7919%100003) },
		func(i int) string { return fmt.Sprintf("u%d", i*7919%100003) },
		func(i int) string { return fmt.Sprintf("u%0*d", i%9, i*7919%307) },
		func(i int) string { return fmt.Sprintf("order %d of %04d", i*7919%307, i%13) },
		func(i int) string { return fmt.Sprintf("shard %d, row %d", 3, 1_000_000+i/2) },
	} {
		b := &Builder{Kind: String}
		var texts []string
		for i := range 2000 {
			texts = append(texts, format(i))
			b.AppendBytes(uint32(i), []byte(texts[i]))
		}
		raw, meta := NewEncoder(codec).Append(nil, b, len(texts), encoding.Fast)
		chunk, err := Open(raw[:meta.HeadLen], String, len(texts), memPages{raw, true}, codec, &Arena{})
		require.NoError(t, err)
		require.NotNil(t, chunk.Templates())
		for _, text := range append([]string{"u000000", "u7919", "u007919", "u07", "u000312", "v007919", "u007919x", "order 7919 of 1", ""}, texts[:100]...) {
			at, ok, err := chunk.Templates().EqualAt([]byte(text))
			require.NoError(t, err)
			require.True(t, ok, text)
			verdicts, err := chunk.Templates().Equal([]byte(text))
			require.NoError(t, err)
			var want, marked []uint32
			for i, have := range texts {
				if have == text {
					want = append(want, uint32(i))
				}
				if verdicts != nil && verdicts[i] == Always {
					marked = append(marked, uint32(i))
				}
			}
			require.ElementsMatch(t, want, at, text)
			require.Equal(t, want, marked, text)
		}
	}
}
