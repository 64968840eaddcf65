package query

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"

	"belfry/internal/tenant"
)

// The metrics of generated native histograms: of one layout, as most are; of one that
// differs by series and changes; gauges; custom buckets; and floats among them.
var nativeMetrics = []string{"plain_seconds", "wild_seconds", "level", "custom_seconds", "mixed"} //nolint:gochecknoglobals // of tests

// generateNatives appends series of native histograms of every awkward kind from
// time 0 on.
func generateNatives(t testing.TB, rng *rand.Rand, s storage.Storage, end int64) {
	t.Helper()
	app := s.AppenderV2(tenant.WithID(context.Background(), tenant.Default))
	for _, metric := range nativeMetrics {
		for i := range 9 {
			b := labels.NewBuilder(labels.FromStrings("__name__", metric, "job", string(rune('a'+i%3)), "n", strconv.Itoa(i/3)))
			if i%4 != 0 {
				b.Set("instance", strconv.Itoa(i%4))
			}
			if metric == "mixed" && i%4 == 1 {
				b.Set("le", [...]string{"1", "+Inf", "x"}[i/4])
			}
			g := newNativeSeries(rng, metric)
			g.append(t, app, b.Labels(), 0, end)
		}
	}
	require.NoError(t, app.Commit())
}

// nativeSeries makes the histograms of a series, one after the other.
type nativeSeries struct {
	*rand.Rand
	wild, gauge, floats, integers bool
	h                             histogram.FloatHistogram
	counts                        map[int32]float64 // of positive buckets
	negative                      map[int32]float64
}

func newNativeSeries(rng *rand.Rand, metric string) *nativeSeries {
	g := &nativeSeries{Rand: rng, counts: map[int32]float64{}, negative: map[int32]float64{}, integers: rng.IntN(3) > 0}
	g.wild = metric == "wild_seconds" || metric == "mixed" || rng.IntN(8) == 0
	g.gauge = metric == "level" || (metric == "mixed" && rng.IntN(4) == 0)
	g.floats = metric == "mixed"
	g.h.Schema = 3
	if metric == "custom_seconds" || (g.wild && rng.IntN(4) == 0) {
		g.h.Schema = histogram.CustomBucketsSchema
	}
	g.layout()
	return g
}

// layout chooses buckets, for a wild series any, and begins anew.
func (g *nativeSeries) layout() {
	g.h.Count, g.h.Sum, g.h.ZeroCount = 0, 0, 0
	clear(g.counts)
	clear(g.negative)
	if g.h.UsesCustomBuckets() {
		g.h.CustomValues = []float64{0.1, 0.5, 1, 5}
		if g.wild {
			g.h.CustomValues = [][]float64{{0.1, 0.5, 1, 5}, {0.1, 1, 5}, {-1, 0, 0.5, 7}, {2}}[g.IntN(4)]
		}
		return
	}
	g.h.ZeroThreshold = 0
	if g.wild {
		g.h.Schema = int32(g.IntN(6)) - 1
		g.h.ZeroThreshold = []float64{0, 1e-128, 0.001, 0.3}[g.IntN(4)]
	}
}

// observe adds some observations.
func (g *nativeSeries) observe() {
	for range g.IntN(6) {
		n := float64(1 + g.IntN(3))
		if !g.integers {
			n /= 4
		}
		if g.gauge && g.IntN(3) == 0 {
			n = -n
		}
		bucket, counts := int32(g.IntN(20))-3, g.counts
		switch {
		case g.h.UsesCustomBuckets():
			bucket = int32(g.IntN(len(g.h.CustomValues) + 1))
		case g.IntN(6) == 0:
			counts = nil
		case g.wild && g.IntN(5) == 0:
			bucket, counts = int32(g.IntN(12))-3, g.negative
		}
		switch {
		case counts == nil && g.h.ZeroCount+n >= 0:
			g.h.ZeroCount += n
		case counts != nil && counts[bucket]+n >= 0:
			counts[bucket] += n
		default:
			continue // fewer than none
		}
		g.h.Count += n
		g.h.Sum += n * float64(g.IntN(64)) / 8
	}
	if g.wild && g.IntN(50) == 0 {
		g.h.Sum = math.NaN()
	}
}

func spansOf(counts map[int32]float64) (spans []histogram.Span, values []float64) {
	var indexes []int32
	for i := range counts {
		indexes = append(indexes, i)
	}
	slices.Sort(indexes)
	next := int32(0)
	for _, i := range indexes {
		if n := len(spans); n > 0 && i == next {
			spans[n-1].Length++
		} else {
			spans = append(spans, histogram.Span{Offset: i - next, Length: 1})
		}
		next = i + 1
		values = append(values, counts[i])
	}
	return spans, values
}

// sample is the histogram as it is now, as integers or as floats.
func (g *nativeSeries) sample() (*histogram.Histogram, *histogram.FloatHistogram) {
	f := g.h.Copy()
	f.PositiveSpans, f.PositiveBuckets = spansOf(g.counts)
	f.NegativeSpans, f.NegativeBuckets = spansOf(g.negative)
	if g.gauge {
		f.CounterResetHint = histogram.GaugeType
	}
	if !g.integers {
		return nil, f
	}
	h := &histogram.Histogram{
		CounterResetHint: f.CounterResetHint,
		Schema:           f.Schema, ZeroThreshold: f.ZeroThreshold, ZeroCount: uint64(f.ZeroCount), Count: uint64(f.Count), Sum: f.Sum,
		PositiveSpans: f.PositiveSpans, NegativeSpans: f.NegativeSpans, CustomValues: f.CustomValues,
	}
	deltas := func(values []float64) (out []int64) {
		last := 0.0
		for _, v := range values {
			out = append(out, int64(v-last))
			last = v
		}
		return out
	}
	h.PositiveBuckets, h.NegativeBuckets = deltas(f.PositiveBuckets), deltas(f.NegativeBuckets)
	return h, nil
}

// append appends samples from one time to another.
func (g *nativeSeries) append(t testing.TB, app storage.AppenderV2, ls labels.Labels, from, end int64) {
	t.Helper()
	step := int64(15_000)
	if g.IntN(4) == 0 {
		step = 40_000 + g.Int64N(30_000)
	}
	for at := from + g.Int64N(step); at < end; at += step + g.Int64N(2)*g.Int64N(500) {
		odds := 200
		if g.wild {
			odds = 60
		}
		switch g.IntN(odds) {
		case 0:
			g.layout()
		case 1:
			at += 10 * step
		case 2:
			h := &histogram.FloatHistogram{Sum: math.Float64frombits(value.StaleNaN)}
			_, err := app.Append(0, ls, 0, at, 0, nil, h, storage.AOptions{})
			require.NoError(t, err)
			continue
		case 3:
			if g.wild {
				g.h.Schema = []int32{2, histogram.CustomBucketsSchema}[g.IntN(2)]
				g.layout()
			}
		}
		g.observe()
		if g.floats && g.IntN(8) == 0 {
			_, err := app.Append(0, ls, 0, at, g.h.Count, nil, nil, storage.AOptions{})
			require.NoError(t, err)
			continue
		}
		h, f := g.sample()
		_, err := app.Append(0, ls, 0, at, 0, h, f, storage.AOptions{})
		require.NoError(t, err, "%v %v", h, f)
	}
}

// nativeExprs generates expressions of native histograms.
type nativeExprs struct{ exprs }

func (r nativeExprs) selector() string {
	matchers := []string{}
	if r.IntN(2) == 0 {
		matchers = append(matchers, pick(r.exprs, `job="a"`, `job=~"a|b"`, `instance!="1"`, `n="0"`, `n=~".+"`, `job="none"`))
	}
	name := pick(r.exprs, append(nativeMetrics, nativeMetrics[0], nativeMetrics[0], nativeMetrics[3])...)
	if r.IntN(16) == 0 {
		matchers, name = append(matchers, `__name__=~"plain_seconds|custom_seconds|level"`), ""
	}
	return name + "{" + strings.Join(matchers, ",") + "}"
}

func (r nativeExprs) grouping() string {
	return pick(r.exprs, "", " by (job)", " by (job, instance)", " by (n, job)", " without (instance)", " without (n)", " by (__name__)", " by (job, missing)", " by (job, le)")
}

// leaf is a vector of histograms, mostly.
func (r nativeExprs) leaf() string {
	if r.IntN(4) == 0 {
		return r.selector() + pick(r.exprs, "", "", "", " offset 3m", " @ 1500")
	}
	f := pick(r.exprs, "rate", "rate", "rate", "increase", "increase", "delta", "irate", "idelta", "sum_over_time", "avg_over_time", "last_over_time", "first_over_time",
		"count_over_time", "present_over_time", "resets", "changes", "max_over_time", "stddev_over_time", "deriv", "mad_over_time", "ts_of_last_over_time", "quantile_over_time")
	over := r.selector() + "[" + pick(r.exprs, "1m", "2m", "5m", "13m", "90s", "1001ms") + "]" + pick(r.exprs, "", "", "", " offset 2m")
	if f == "quantile_over_time" {
		return f + "(0.9, " + over + ")"
	}
	return f + "(" + over + ")"
}

func (r nativeExprs) histograms(depth int) string {
	if depth == 0 {
		return r.leaf()
	}
	in := func() string { return r.histograms(depth - 1) }
	switch r.IntN(15) {
	case 0, 1, 2, 3, 4:
		return pick(r.exprs, "sum", "sum", "sum", "avg", "avg", "count", "group", "min", "max", "stddev") + r.grouping() + " (" + in() + ")"
	case 5:
		return pick(r.exprs, "quantile", "topk", "bottomk", "limitk") + r.grouping() + " (1, " + in() + ")"
	case 13:
		// Rounding would show in labels.
		return "count_values" + r.grouping() + ` ("v", ` + r.leaf() + ")"
	case 6, 7:
		return "(" + in() + pick(r.exprs, " * ", " * ", " / ", " / ", " + ", " - ", " > ", " == bool ") + r.number() + ")"
	case 8:
		return "(" + r.number() + pick(r.exprs, " * ", " / ", " - ", " < ") + in() + ")"
	case 9:
		return "-" + in()
	case 10:
		if r.IntN(2) == 0 {
			return "(" + in() + pick(r.exprs, " and ", " or ", " unless ") + pick(r.exprs, "", "on (job, n) ", "on (job) ", "ignoring (instance) ") + in() + ")"
		}
		return "(" + in() + pick(r.exprs, " + ", " - ", " == ", " != ", " * ", " / ") + pick(r.exprs, "", "on (job, n) ", "on (job) group_left () ") + in() + ")"
	case 11:
		return pick(r.exprs, "abs", "sort", "timestamp", "absent", "clamp_min", "round") + "(" + in() + ")"
	case 12:
		return pick(r.exprs, "last_over_time", "rate", "sum_over_time", "increase", "resets") + "((" + in() + ")[10m:" + pick(r.exprs, "1m", "37s") + "])"
	}
	return r.function(in())
}

// function is of a vector of histograms.
func (r nativeExprs) function(of string) string {
	switch r.IntN(8) {
	case 0, 1, 2:
		return "histogram_quantile(" + pick(r.exprs, "0.9", "0.5", "0", "1", "0.99", "-1", "NaN", "2") + ", " + of + ")"
	case 3:
		return "histogram_fraction(" + pick(r.exprs, "0, 1", "-Inf, 0.7", "0.2, +Inf", "1, 0") + ", " + of + ")"
	}
	return pick(r.exprs, "histogram_count", "histogram_sum", "histogram_avg", "histogram_stddev", "histogram_stdvar") + "(" + of + ")"
}

func (r nativeExprs) expr() string {
	e := r.histograms(r.IntN(4))
	if r.IntN(2) == 0 {
		e = r.function(e)
	}
	if strings.HasPrefix(e, "clamp_min") {
		return strings.TrimSuffix(e, ")") + ", 1)"
	}
	return e
}
