package encoding

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func intCases() map[string][]uint64 {
	rnd := rand.New(rand.NewPCG(1, 1))
	fill := func(n int, f func(i int) int64) []uint64 {
		out := make([]uint64, n)
		for i := range out {
			out[i] = uint64(f(i))
		}
		return out
	}
	return map[string][]uint64{
		"empty":      {},
		"one":        {7},
		"const":      fill(1000, func(int) int64 { return -42 }),
		"two":        {0, math.MaxUint64},
		"extremes":   fill(700, func(i int) int64 { return []int64{math.MinInt64, math.MaxInt64, 0}[i%3] }),
		"ascending":  fill(5000, func(i int) int64 { return 1_700_000_000_000_000_000 + int64(i)*1_000_000 }),
		"jitter":     fill(5000, func(i int) int64 { return int64(i)*1000 + rnd.Int64N(1000) }),
		"small":      fill(257, func(int) int64 { return rnd.Int64N(5) }),
		"random":     fill(1000, func(int) int64 { return int64(rnd.Uint64()) }),
		"divisible":  fill(300, func(int) int64 { return rnd.Int64N(1000) * 60_000 }),
		"descending": fill(300, func(i int) int64 { return -int64(i) * 7 }),
		"paged":      fill(3601, func(int) int64 { return rnd.Int64N(1<<20) - 9 }),
		"paged jitter": fill(20_000, func(i int) int64 {
			return 1_700_000_000_000_000_000 + int64(i)*1e6 + rnd.Int64N(1e5)
		}),
		"paged drops": fill(15_000, func(i int) int64 { return int64(i%5000)*1000 + rnd.Int64N(1000) }),
		"paged steps": fill(40_000, func(i int) int64 { return int64(i / 100 * 100 * (i % 3)) }),
	}
}

func TestInts(t *testing.T) {
	for name, vals := range intCases() {
		t.Run(name, func(t *testing.T) {
			b := AppendInts(nil, vals)
			got := make([]uint64, len(vals))
			rest, err := DecodeInts(got, append(b, "rest"...))
			require.NoError(t, err)
			require.Equal(t, "rest", string(rest))
			require.Equal(t, vals, got)
			picks(t, b, nil, vals)
			head, pages := AppendPagedInts(nil, []byte("what is before"), vals)
			at := &PageReader{Pages: memory{pages, true}, Off: len("what is before")}
			rest, err = DecodePagedInts(got, append(head[:len(head):len(head)], "rest"...), at)
			require.NoError(t, err)
			require.Equal(t, "rest", string(rest))
			require.Equal(t, len(pages), at.Off)
			require.Equal(t, vals, got)
			require.Equal(t, strings.HasPrefix(name, "paged"), at.Off > len("what is before"))
			require.LessOrEqual(t, len(head)+at.Off, len(b)+len(b)/100+len("what is before"), "pages cost little")
			picks(t, head, pages, vals)
			if _, err = DecodeInts(got, head); at.Off > len("what is before") {
				require.ErrorIs(t, err, ErrCorrupt, "without its pages")
			}
		})
	}
	small := func(name string, most int) {
		require.LessOrEqual(t, len(AppendInts(nil, intCases()[name])), most, name)
	}
	small("const", 3)
	small("ascending", 80) // the divisor leaves nothing but ones
	small("small", 110)
}

// memory is pages in memory.
type memory struct {
	b     []byte
	check bool
}

func (m memory) ReadPage(off, n int, crc uint32) ([]byte, error) {
	if off < 0 || n < 0 || off > len(m.b)-n {
		return nil, ErrCorrupt
	}
	page := m.b[off : off+n : off+n]
	if m.check && crc32.Checksum(page, Castagnoli) != crc {
		return nil, ErrCorrupt
	}
	return page, nil
}

// picks reads values of encoded integers one by one, some at a time, and all. The pages have a text before them.
func picks(t *testing.T, b, pages []byte, vals []uint64) {
	t.Helper()
	at := PageReader{Pages: memory{pages, true}, Off: min(len("what is before"), len(pages))}
	rnd := rand.New(rand.NewPCG(3, uint64(len(vals))))
	pick := func(idx []uint32) {
		t.Helper()
		got := make([]uint64, len(idx))
		require.NoError(t, PickPagedInts(got, b, len(vals), idx, at))
		for i, at := range idx {
			require.Equal(t, vals[at], got[i], "value %d", at)
		}
	}
	for _, share := range []int{1, 3, 50, 2000} {
		var idx []uint32
		for i := range vals {
			if rnd.IntN(share) == 0 {
				idx = append(idx, uint32(i))
			}
		}
		pick(idx)
	}
	for range min(len(vals), 50) {
		i := uint32(rnd.IntN(len(vals)))
		pick([]uint32{i, i})
	}
	for _, value := range append([]uint64{0, 4, 1 << 40, math.MaxUint64}, vals[:min(len(vals), 300)]...) {
		finds(t, b, at, vals, value)
	}
	behind := at
	rest, err := SkipPagedInts(append(b[:len(b):len(b)], "rest"...), len(vals), &behind)
	require.NoError(t, err)
	require.Equal(t, len(pages), behind.Off)
	require.Equal(t, "rest", string(rest))
	require.ErrorIs(t, PickInts(make([]uint64, 1), b, len(vals), []uint32{uint32(len(vals))}), ErrCorrupt)
}

// finds looks for a value and its neighbor.
func finds(t *testing.T, b []byte, at PageReader, vals []uint64, value uint64) {
	t.Helper()
	for _, value := range []uint64{value, value + 1} {
		want := []uint32{7}
		for i, v := range vals {
			if v == value {
				want = append(want, uint32(i))
			}
		}
		from := at
		got, rest, err := FindInts([]uint32{7}, append(b[:len(b):len(b)], "rest"...), len(vals), value, &from)
		require.NoError(t, err)
		require.Equal(t, want, got, "value %d", value)
		require.Equal(t, "rest", string(rest))
	}
}

func TestPackedWidths(t *testing.T) {
	rnd := rand.New(rand.NewPCG(2, 2))
	for width := uint(0); width <= 64; width++ {
		for _, n := range []int{1, 7, 64, 255, 256} {
			vals := make([]uint64, n)
			for i := range vals {
				if vals[i] = rnd.Uint64(); width < 64 {
					vals[i] &= 1<<width - 1
				}
			}
			b := appendPacked(nil, vals, width)
			require.Len(t, b, packedSize(n, width))
			got := make([]uint64, n)
			unpack(got, b, width)
			require.Equal(t, vals, got, "width %d, %d values", width, n)
			for _, more := range []string{"", "behind the numbers"} {
				for _, i := range []int{0, n / 2, n - 1} {
					var want []uint32
					for j, v := range vals {
						if v == vals[i] {
							want = append(want, uint32(j))
						}
					}
					require.Equal(t, want, findPacked(nil, append(b[:len(b):len(b)], more...), 0, n, width, vals[i]))
				}
			}
		}
	}
}

func TestIDs(t *testing.T) {
	for _, n := range []int{1, 2, 3, 255, 256, 65536} {
		ids := make([]uint32, 1000)
		for i := range ids {
			ids[i] = uint32(i * 31 % n)
		}
		b := AppendIDs(nil, ids, n)
		got := make([]uint32, len(ids))
		_, err := DecodeIDs(got, b, n)
		require.NoError(t, err)
		require.Equal(t, ids, got)
		if n > 1 && n <= 256 {
			_, err = DecodeIDs(got, b, n/2)
			require.ErrorIs(t, err, ErrCorrupt, "an ID beyond the dictionary")
		}
	}
}

func TestFloats(t *testing.T) {
	for name, vals := range map[string][]float64{
		"decimals": {1.5, 0.25, 100, -3.125, 1234567.891},
		"special":  {math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1)},
		"mixed":    {0.1, math.Pi},
		"tiny":     {math.SmallestNonzeroFloat64, math.MaxFloat64},
		"large":    {1 << 53, 1<<53 + 2},
	} {
		bits := make([]uint64, len(vals))
		for i, v := range vals {
			bits[i] = math.Float64bits(v)
		}
		b, pages := AppendFloats(nil, nil, bits, nil)
		require.Empty(t, pages)
		got := make([]uint64, len(vals))
		_, err := DecodeFloats(got, b, nil)
		require.NoError(t, err, name)
		require.Equal(t, bits, got, "%s: every bit is kept", name)
	}
}

func TestFrames(t *testing.T) {
	c, err := NewCodec(1)
	require.NoError(t, err)
	defer c.Close()
	for _, raw := range [][]byte{{}, []byte("short"), bytes.Repeat([]byte("abc "), 10000), randomBytes(5000)} {
		for _, level := range []Level{Fast, Small} {
			b := c.AppendFrame([]byte("head"), raw, level, true)
			require.Equal(t, "head", string(b[:4]))
			n, err := FrameLen(b[4:])
			require.NoError(t, err)
			require.Equal(t, len(raw), n)
			got := make([]byte, n)
			rest, err := c.DecodeFrame(got, append(b[4:], 'x'))
			require.NoError(t, err)
			require.Equal(t, "x", string(rest))
			require.True(t, bytes.Equal(raw, got))
		}
	}
}

func randomBytes(n int) []byte {
	rnd := rand.New(rand.NewPCG(3, 3))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return b
}

func TestBloom(t *testing.T) {
	rnd := rand.New(rand.NewPCG(4, 4))
	for _, n := range []int{1, 30, 1000, 50_000} {
		hashes := make([]uint64, n)
		for i := range hashes {
			hashes[i] = rnd.Uint64()
		}
		f := AppendBloom(nil, hashes)
		probe := func(h uint64) bool {
			off, size := BloomPageOf(h, len(f))
			require.NoError(t, CheckBloomPage(f[off:off+size]))
			return ProbeBloomPage(f[off:off+size], h, len(f))
		}
		for _, h := range hashes {
			require.True(t, probe(h))
		}
		if n < 1000 {
			continue
		}
		wrong := 0
		for range 20_000 {
			if probe(rnd.Uint64()) {
				wrong++
			}
		}
		require.Less(t, wrong, 300, "false positives among 20,000")
		f[len(f)/2] ^= 1
		off := len(f) / 2 / BloomPage * BloomPage
		require.ErrorIs(t, CheckBloomPage(f[off:min(off+BloomPage, len(f))]), ErrCorrupt)
	}
}

func TestHashSet(t *testing.T) {
	var s HashSet
	rnd := rand.New(rand.NewPCG(5, 5))
	for range 50 {
		want := map[uint64]bool{}
		for range rnd.IntN(3000) {
			h := rnd.Uint64N(2000) * uint64(1+rnd.IntN(2)<<20)
			require.Equal(t, !want[h], s.Add(h))
			want[h] = true
		}
		require.Len(t, s.Hashes(), len(want))
		for _, h := range s.Hashes() {
			require.True(t, want[h])
		}
		s.Reset()
	}
}

func TestWords(t *testing.T) {
	words := func(s string) []uint64 {
		var set TextSet
		set.AddWords([]byte(s))
		return set.Words()
	}
	h := func(s string) uint64 { return HashWord([]byte(s)) }
	require.Equal(t, []uint64{h("GET"), h("api"), h("v1_x"), h("200")}, words("GET /api/v1_x: 200."))
	require.Empty(t, words(" -/. "))
	for _, same := range [][2]string{
		{"Error", "eRROR"}, {"Naïve", "nAÏVE"}, {"kelvin", "\u212aELVIN"}, {"ſtop", "STOP"}, {"ΣΊΣΥΦΟΣ", "σίσυφος"},
		{"AVeryLongWordOfMoreThanSixteenBytes", "averylongwordofmorethansixteenbytes"},
	} {
		require.Equal(t, h(same[0]), h(same[1]), "%s and %s", same[0], same[1])
	}
	require.NotEqual(t, h("error"), h("errors"))
	require.NotEqual(t, h("a@"), h("a`")) // one bit apart, as cases of letters are
	require.Equal(t, h("\xff"), words("\xff")[0])
}

func FuzzInts(f *testing.F) {
	for _, vals := range intCases() {
		if len(vals) > 5000 {
			continue
		}
		f.Add(AppendInts(nil, vals), uint16(len(vals)), uint16(0))
		head, pages := AppendPagedInts(nil, nil, vals)
		f.Add(append(head, pages...), uint16(len(vals)), uint16(len(head)))
	}
	f.Fuzz(func(t *testing.T, b []byte, n, off uint16) {
		dst := make([]uint64, n)
		at := func() *PageReader { return &PageReader{Pages: memory{b, false}, Off: int(off)} }
		rest, err := DecodePagedInts(dst, b, at())
		skipped, skipErr := SkipPagedInts(b, int(n), at())
		if err == nil {
			require.NoError(t, skipErr)
			require.Len(t, skipped, len(rest))
			again := make([]uint64, n)
			_, err := DecodeInts(again, AppendInts(nil, dst))
			require.NoError(t, err)
			require.Equal(t, dst, again)
			head, pages := AppendPagedInts(nil, nil, dst)
			_, err = DecodePagedInts(again, head, &PageReader{Pages: memory{pages, true}})
			require.NoError(t, err)
			require.Equal(t, dst, again)
		}
		_, _, _ = FindInts(nil, b, int(n), 7, at())
		if n > 2 {
			_ = PickPagedInts(make([]uint64, 3), b, int(n), []uint32{0, uint32(n) / 2, uint32(n) - 1}, *at())
			_ = PickFloats(make([]uint64, 3), b, int(n), []uint32{0, uint32(n) / 2, uint32(n) - 1}, *at())
			_ = PickIDs(make([]uint32, 3), b, int(n), 100, []uint32{0, uint32(n) / 2, uint32(n) - 1})
		}
		_, _ = DecodeFloats(dst, b, at())
		_, _ = DecodeIDs(make([]uint32, n), b, 100)
		vals := make([]uint64, len(b)/8)
		for i := range vals {
			vals[i] = binary.LittleEndian.Uint64(b[8*i:])
		}
		got := make([]uint64, len(vals))
		head, pages := AppendFloats(nil, nil, vals, nil)
		_, err = DecodeFloats(got, head, &PageReader{Pages: memory{pages, true}})
		require.NoError(t, err)
		require.Equal(t, vals, got)
	})
}

func BenchmarkUnpack(b *testing.B) {
	vals := intCases()["jitter"]
	enc := AppendInts(nil, vals)
	b.SetBytes(int64(8 * len(vals)))
	for b.Loop() {
		if _, err := DecodeInts(vals, enc); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTextSet(b *testing.B) {
	text := bytes.Repeat([]byte("fetched order 123456 for customer 777 in 12 ms via node-3\n"), 1000)
	b.SetBytes(int64(len(text)))
	var set TextSet
	for b.Loop() {
		set.AddText(text)
	}
}

// TestLongArraysAreSampled: what a sample tells of differences is what all of them would have told.
func TestLongArraysAreSampled(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	const n = 20_000
	times, streams, numbers := make([]uint64, n), make([]uint64, n), make([]uint64, n)
	for i := range n {
		times[i] = 1e18 + uint64(i)*1e6 + uint64(rnd.IntN(1000))
		streams[i] = 1e18 + uint64(i%5000)*1e9 + uint64(rnd.IntN(1000)) // one behind the other, each from the beginning
		numbers[i] = uint64(rnd.IntN(1e6))
	}
	for name, c := range map[string]struct {
		vals []uint64
		mode byte
	}{"times": {times, intsDelta}, "times of streams": {streams, intsDelta}, "numbers": {numbers, intsFrame}} {
		got := AppendInts(nil, c.vals)
		require.Equal(t, c.mode, got[0], name)
		back := make([]uint64, n)
		rest, err := DecodeInts(back, got)
		require.NoError(t, err)
		require.Empty(t, rest)
		require.Equal(t, c.vals, back, name)
	}
}
