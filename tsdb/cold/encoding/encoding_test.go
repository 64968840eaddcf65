package encoding

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/prometheus/prometheus/model/value"
	"github.com/stretchr/testify/require"
)

// marker follows every column in the tests: a decoder must stop before it.
var marker = []byte("behind")

func roundTripInts(t testing.TB, vals []int64) int {
	t.Helper()
	col := AppendInts(nil, vals)
	got := make([]int64, len(vals))
	rest, err := DecodeInts(got, append(col, marker...))
	require.NoError(t, err)
	require.Equal(t, marker, rest)
	require.Equal(t, vals, got)
	return len(col)
}

func roundTripFloats(t testing.TB, vals []float64) int {
	t.Helper()
	var e Encoder
	var d Decoder
	col := e.AppendFloats(nil, vals)
	got := make([]float64, len(vals))
	rest, err := d.DecodeFloats(got, append(col, marker...))
	require.NoError(t, err)
	require.Equal(t, marker, rest)
	for i := range vals {
		if math.Float64bits(vals[i]) != math.Float64bits(got[i]) {
			t.Fatalf("value %d of %d: %x (%g) came back as %x (%g)", i, len(vals),
				math.Float64bits(vals[i]), vals[i], math.Float64bits(got[i]), got[i])
		}
	}
	return len(col)
}

// lengths of columns around the edges of mini-blocks.
var lengths = []int{1, 2, 3, 4, 127, 128, 129, 130, 131, 257, 720, 8192}

func TestIntsComeBack(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	kinds := map[string]func(i int) int64{
		"zero":        func(int) int64 { return 0 },
		"scrapes":     func(i int) int64 { return 1_700_000_000_000 + int64(i)*15_000 },
		"jitter":      func(i int) int64 { return 1_700_000_000_000 + int64(i)*15_000 + rng.Int64N(20) - 10 },
		"any":         func(int) int64 { return int64(rng.Uint64()) },
		"extremes":    func(int) int64 { return []int64{math.MinInt64, math.MaxInt64, 0, -1, 1}[rng.IntN(5)] },
		"alternating": func(i int) int64 { return []int64{math.MinInt64, math.MaxInt64}[i%2] },
		"multiples":   func(int) int64 { return rng.Int64N(1000) * 4096 },
		"quadratic":   func(i int) int64 { return int64(i) * int64(i) * 7 },
		"outliers": func(int) int64 {
			if rng.IntN(100) == 0 {
				return int64(rng.Uint64())
			}
			return rng.Int64N(16)
		},
	}
	for width := range 65 {
		kinds[fmt.Sprintf("%d bits", width)] = func(int) int64 { return int64(rng.Uint64() & (1<<width - 1)) }
	}
	for name, kind := range kinds {
		for _, n := range lengths {
			vals := make([]int64, n)
			for i := range vals {
				vals[i] = kind(i)
			}
			roundTripInts(t, vals)
			if t.Failed() {
				t.Fatal(name, n)
			}
		}
	}
}

// floatKinds are the classes of doubles, harmless and adversarial.
func floatKinds(rng *rand.Rand) map[string]func(i int, before float64) float64 {
	odd := []float64{
		math.NaN(), math.Float64frombits(value.StaleNaN), math.Float64frombits(value.NormalNaN),
		math.Float64frombits(0x7ff0000000000001), math.Float64frombits(0xfff8000000000123), // signaling NaN, a payload
		math.Copysign(0, -1), 0, math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64,
		math.SmallestNonzeroFloat64, -math.SmallestNonzeroFloat64, 0x1p-1022, math.Nextafter(0x1p-1022, 0),
		1 << 53, 1<<53 + 2, -(1 << 53), 1 << 62, 1 << 63, -(1 << 63), math.Nextafter(1<<63, 0), 1e300, 0.1, 0.1 + 0.2,
	}
	return map[string]func(i int, before float64) float64{
		"constant":      func(int, float64) float64 { return 0.1 },
		"counter":       func(_ int, b float64) float64 { return b + float64(rng.IntN(200)) },
		"counter reset": func(i int, b float64) float64 { return (b + float64(rng.IntN(200))) * float64(min(1, (i+1)%300)) },
		"cpu seconds":   func(_ int, b float64) float64 { return math.Round((b+rng.Float64()*0.3)*100) / 100 },
		"bytes":         func(int, float64) float64 { return float64(rng.IntN(1<<20)) * 4096 },
		"percent":       func(int, float64) float64 { return math.Round(rng.Float64()*1000) / 10 },
		"ratio":         func(int, float64) float64 { return rng.Float64() },
		"latency sum":   func(_ int, b float64) float64 { return b + rng.ExpFloat64()*0.1 },
		"float32":       func(int, float64) float64 { return float64(rng.Float32()) },
		"bits":          func(int, float64) float64 { return math.Float64frombits(rng.Uint64()) },
		"near bits":     func(int, float64) float64 { return math.Float64frombits(0x3ff0000000000000 + rng.Uint64N(256)) },
		"odd":           func(int, float64) float64 { return odd[rng.IntN(len(odd))] },
		"signs of zero": func(int, float64) float64 { return math.Copysign(0, float64(rng.IntN(2))-0.5) },
		"stale at times": func(i int, _ float64) float64 {
			if i%97 == 0 {
				return math.Float64frombits(value.StaleNaN)
			}
			return float64(i)
		},
		"mostly decimal": func(i int, _ float64) float64 {
			if rng.IntN(40) == 0 {
				return rng.Float64()
			}
			return float64(i) / 8
		},
		"digits": func(int, float64) float64 {
			return math.Round(rng.Float64()*1e6) / math.Pow10(rng.IntN(14))
		},
		"large decimals": func(int, float64) float64 { return float64(rng.Int64N(1<<54)) / 1e3 },
		"around 2^53":    func(int, float64) float64 { return float64(1<<53-5+rng.IntN(10)) / math.Pow10(rng.IntN(5)) },
		"ulps": func(int, float64) float64 {
			v := float64(rng.IntN(1000)) / 100
			return math.Float64frombits(math.Float64bits(v) + uint64(rng.IntN(3)) - 1)
		},
	}
}

func TestNoFloatChangesABit(t *testing.T) {
	seeds := uint64(20)
	if testing.Short() {
		seeds = 2
	}
	for seed := range seeds {
		rng := rand.New(rand.NewPCG(seed, 7))
		kinds := floatKinds(rng)
		for name, kind := range kinds {
			for _, n := range lengths[:len(lengths)-1] {
				vals := make([]float64, n)
				before := 0.0
				for i := range vals {
					vals[i] = kind(i, before)
					before = vals[i]
				}
				roundTripFloats(t, vals)
				if t.Failed() {
					t.Fatal(name, n, seed)
				}
			}
		}
	}
}

// Kinds that change from one moment to the next.
func TestNoFloatChangesABitWhereKindsMix(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	kinds := floatKinds(rng)
	all := make([]func(int, float64) float64, 0, len(kinds))
	for _, k := range kinds {
		all = append(all, k)
	}
	for range 300 {
		vals := make([]float64, 1+rng.IntN(1000))
		kind, before := all[rng.IntN(len(all))], 0.0
		for i := range vals {
			if rng.IntN(50) == 0 {
				kind = all[rng.IntN(len(all))]
			}
			vals[i] = kind(i, before)
			before = vals[i]
		}
		roundTripFloats(t, vals)
	}
}

// What the encoding is for: bytes a value of common series.
func TestCommonSeriesAreSmall(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	kinds := floatKinds(rng)
	for name, most := range map[string]float64{
		"constant": 0.01, "counter": 1.15, "cpu seconds": 0.9, "bytes": 2.7, "percent": 1.4, "latency sum": 6.2, "float32": 3.4, "stale at times": 0.15,
	} {
		const n = 5760
		vals := make([]float64, n)
		before := 0.0
		for i := range vals {
			vals[i] = kinds[name](i, before)
			before = vals[i]
		}
		got := float64(roundTripFloats(t, vals)) / n
		t.Logf("%s: %.3f bytes a value", name, got)
		require.Less(t, got, most, name)
	}
}

func FuzzFloats(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8})
	f.Fuzz(func(t *testing.T, data []byte) {
		vals := make([]float64, len(data)/8)
		for i := range vals {
			var b uint64
			for _, c := range data[8*i : 8*i+8] {
				b = b<<8 | uint64(c)
			}
			vals[i] = math.Float64frombits(b)
		}
		roundTripFloats(t, vals)
	})
}

// A decoder is given anything: it must return, and not beyond its input.
func FuzzDecode(f *testing.F) {
	var e Encoder
	rng := rand.New(rand.NewPCG(8, 9))
	for _, kind := range floatKinds(rng) {
		vals := make([]float64, 200)
		for i := range vals {
			vals[i] = kind(i, float64(i))
		}
		f.Add(uint16(200), e.AppendFloats(nil, vals))
	}
	f.Fuzz(func(t *testing.T, n uint16, data []byte) {
		floats := make([]float64, n)
		var d Decoder
		if rest, err := d.DecodeFloats(floats, data); err == nil && len(rest) > len(data) {
			t.Fatal("more behind than there was")
		}
		ints := make([]int64, n)
		if rest, err := DecodeInts(ints, data); err == nil && len(rest) > len(data) {
			t.Fatal("more behind than there was")
		}
	})
}

func BenchmarkFloats(b *testing.B) {
	rng := rand.New(rand.NewPCG(5, 6))
	for name, kind := range floatKinds(rng) {
		vals := make([]float64, 5760)
		before := 0.0
		for i := range vals {
			vals[i] = kind(i, before)
			before = vals[i]
		}
		var e Encoder
		var d Decoder
		col := e.AppendFloats(nil, vals)
		b.Run(name+"/encode", func(b *testing.B) {
			for b.Loop() {
				col = e.AppendFloats(col[:0], vals)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(vals)), "ns/value")
			b.ReportMetric(float64(len(col))/float64(len(vals)), "B/value")
		})
		b.Run(name+"/decode", func(b *testing.B) {
			for b.Loop() {
				if _, err := d.DecodeFloats(vals, col); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(vals)), "ns/value")
		})
	}
}
