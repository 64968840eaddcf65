package cold

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	promtsdb "github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"github.com/stretchr/testify/require"

	"belfry/tsdb"
)

const hour = int64(60 * 60 * 1000)

// t0 is ten hours before midnight, so that longer ranges cross it.
var t0 = floorDiv(1_790_000_000_000, dayMillis)*dayMillis + 14*hour

// sample is one of a test's samples.
type sample struct {
	t  int64
	v  float64
	h  *histogram.Histogram
	fh *histogram.FloatHistogram
}

func (s sample) T() int64                      { return s.t }
func (s sample) ST() int64                     { return 0 }
func (s sample) F() float64                    { return s.v }
func (s sample) H() *histogram.Histogram       { return s.h }
func (s sample) FH() *histogram.FloatHistogram { return s.fh }
func (s sample) Copy() chunks.Sample           { return s }
func (s sample) Type() chunkenc.ValueType {
	switch {
	case s.h != nil:
		return chunkenc.ValHistogram
	case s.fh != nil:
		return chunkenc.ValFloatHistogram
	}
	return chunkenc.ValFloat
}

// kinds are what the tests' series are made of.
var kinds = map[string]func(rng *rand.Rand, i int) sample{
	"constant": func(*rand.Rand, int) sample { return sample{v: 0.1} },
	"counter":  func(_ *rand.Rand, i int) sample { return sample{v: float64(i * 7)} },
	"percent":  func(rng *rand.Rand, _ int) sample { return sample{v: float64(rng.IntN(1000)) / 10} },
	"bits":     func(rng *rand.Rand, _ int) sample { return sample{v: math.Float64frombits(rng.Uint64())} },
	"special": func(rng *rand.Rand, _ int) sample {
		return sample{v: []float64{math.NaN(), math.Float64frombits(value.StaleNaN), math.Copysign(0, -1), 0, math.Inf(1), math.Inf(-1)}[rng.IntN(6)]}
	},
	"histogram": func(_ *rand.Rand, i int) sample { return sample{h: tsdbutil.GenerateTestHistogram(int64(i))} },
	"floats":    func(_ *rand.Rand, i int) sample { return sample{fh: tsdbutil.GenerateTestFloatHistogram(int64(i))} },
	"mixed": func(_ *rand.Rand, i int) sample {
		if i/50%2 == 0 {
			return sample{v: float64(i)}
		}
		return sample{h: tsdbutil.GenerateTestHistogram(int64(i))}
	},
}

// block makes one of Prometheus' blocks: series of every kind, some of which
// begin late, end early or have gaps.
func block(t testing.TB, seed uint64, mint, maxt int64) *promtsdb.Block {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	var all []storage.Series
	for kind, make := range kinds {
		for job := range 3 {
			for instance := range 7 {
				step := int64(30_000 + 15_000*job)
				var ss []chunks.Sample
				for i, ts := 0, mint+int64(instance)*13; ts < maxt; i, ts = i+1, ts+step {
					if instance == 3 && ts < mint+hour/2 || instance == 4 && ts > mint+hour/2 || instance == 5 && rng.IntN(10) == 0 {
						continue
					}
					s := make(rng, i)
					s.t = ts
					ss = append(ss, s)
				}
				ls := labels.FromStrings("__name__", "m_"+kind, "job", "job"+strconv.Itoa(job), "instance", fmt.Sprintf("10.0.0.%d:9100", instance))
				if instance == 6 {
					ls = labels.FromStrings("__name__", "m_"+kind, "job", "job"+strconv.Itoa(job), "odd", "yes", "zone", "ä")
				}
				all = append(all, storage.NewListSeries(ls, ss))
			}
		}
	}
	dir, err := promtsdb.CreateBlock(all, t.TempDir(), 4*(maxt-mint), discard)
	require.NoError(t, err)
	return openBlock(t, dir)
}

func openBlock(t testing.TB, dir string) *promtsdb.Block {
	t.Helper()
	b, err := promtsdb.OpenBlock(discard, dir, chunkenc.NewPool(), promtsdb.DefaultPostingsDecoderFactory)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}

func newID() ulid.ULID { return ulid.MustNew(ulid.Now(), ulid.DefaultEntropy()) }

// build makes a cold block of sources.
func build(t testing.TB, mint, maxt int64, sources ...Source) *Block {
	t.Helper()
	b, err := Build(t.Context(), t.TempDir(), Plan{ID: newID(), Sources: sources, MinTime: mint, MaxTime: maxt})
	require.NoError(t, err)
	require.NoError(t, b.Commit())
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b
}

func buildFrom(t testing.TB, blocks ...*promtsdb.Block) *Block {
	t.Helper()
	mint, maxt := blocks[0].MinTime(), blocks[0].MaxTime()
	var sources []Source
	for _, b := range blocks {
		sources = append(sources, From(b))
		mint, maxt = min(mint, b.MinTime()), max(maxt, b.MaxTime())
	}
	return build(t, mint, maxt, sources...)
}

// queryable is what cold blocks and a merge of Prometheus' blocks have in common.
type queryable func(mint, maxt int64) (storage.Querier, error)

func upstreamOf(blocks ...*promtsdb.Block) queryable {
	return func(mint, maxt int64) (storage.Querier, error) {
		var qs []storage.Querier
		for _, b := range blocks {
			q, err := promtsdb.NewBlockQuerier(b, mint, maxt)
			if err != nil {
				return nil, err
			}
			qs = append(qs, q)
		}
		return storage.NewMergeQuerier(qs, nil, storage.ChainedSeriesMerge), nil
	}
}

// dump returns every sample with all its bits.
func dump(t testing.TB, q queryable, mint, maxt int64, matchers ...*labels.Matcher) map[string][]string {
	t.Helper()
	querier, err := q(mint, maxt)
	require.NoError(t, err)
	defer func() { require.NoError(t, querier.Close()) }()
	out := map[string][]string{}
	set := querier.Select(t.Context(), true, nil, matchers...)
	var it chunkenc.Iterator
	for set.Next() {
		it = set.At().Iterator(it)
		var lines []string
		for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
			lines = append(lines, line(it, kind))
		}
		require.NoError(t, it.Err())
		if len(lines) > 0 {
			out[set.At().Labels().String()] = lines
		}
	}
	require.NoError(t, set.Err())
	return out
}

func line(it chunkenc.Iterator, kind chunkenc.ValueType) string {
	if kind == chunkenc.ValFloat {
		ts, v := it.At()
		return fmt.Sprintf("%d %x", ts, math.Float64bits(v))
	}
	ts, h := it.AtFloatHistogram(nil)
	return fmt.Sprintf("%d {%d %g %g %g %g}", ts, h.Schema, h.Count, h.Sum, h.PositiveBuckets, h.NegativeBuckets)
}

func everything() []*labels.Matcher {
	return []*labels.Matcher{labels.MustNewMatcher(labels.MatchRegexp, "__name__", ".+")}
}

func requireSame(t testing.TB, want, got queryable, mint, maxt int64, matchers ...*labels.Matcher) {
	t.Helper()
	if len(matchers) == 0 {
		matchers = everything()
	}
	w, g := dump(t, want, mint, maxt, matchers...), dump(t, got, mint, maxt, matchers...)
	for ls, lines := range w {
		require.Equal(t, lines, g[ls], ls)
	}
	require.Len(t, g, len(w))
}

func TestBlockHoldsWhatItsSourceHolds(t *testing.T) {
	src := block(t, 1, t0, t0+2*hour)
	b := buildFrom(t, src)
	want := upstreamOf(src)
	requireSame(t, want, b.Querier, math.MinInt64, math.MaxInt64)
	requireSame(t, want, b.Querier, t0+hour/3, t0+hour)
	requireSame(t, want, b.Querier, t0+100, t0+100)
	require.Equal(t, src.Meta().Stats.NumSeries, b.Meta().Stats.NumSeries)
	require.Equal(t, src.Meta().Stats.NumSamples, b.Meta().Stats.NumSamples)
	require.Equal(t, src.Meta().Stats.NumHistogramSamples, b.Meta().Stats.NumHistogramSamples)
}

func TestMatchers(t *testing.T) {
	src := block(t, 1, t0, t0+hour/10)
	b := buildFrom(t, src)
	want := upstreamOf(src)
	names := []string{"__name__", "job", "instance", "odd", "zone", "missing"}
	values := []string{"", "m_counter", "job1", "10.0.0.3:9100", "yes", "ä", "nope", "m_.*", "job[12]", "m_counter|m_bits", ".*", ".+", "10\\.0\\.0\\.[0-3].*", "(yes)?", "m_(constant|percent)", "yes|"}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 400 {
		var ms []*labels.Matcher
		for range 1 + rng.IntN(3) {
			m, err := labels.NewMatcher(labels.MatchType(rng.IntN(4)), names[rng.IntN(len(names))], values[rng.IntN(len(values))])
			require.NoError(t, err)
			ms = append(ms, m)
		}
		requireSame(t, want, b.Querier, t0, t0+10_000, ms...)
		if t.Failed() {
			t.Fatal(ms)
		}
		uq, err := want(t0, t0+hour)
		require.NoError(t, err)
		cq, err := b.Querier(t0, t0+hour)
		require.NoError(t, err)
		name := names[rng.IntN(len(names))]
		wantValues, _, err := uq.LabelValues(t.Context(), name, nil, ms...)
		require.NoError(t, err)
		gotValues, _, err := cq.LabelValues(t.Context(), name, nil, ms...)
		require.NoError(t, err)
		require.ElementsMatch(t, wantValues, gotValues, "%s of %v", name, ms)
		wantNames, _, err := uq.LabelNames(t.Context(), nil, ms...)
		require.NoError(t, err)
		gotNames, _, err := cq.LabelNames(t.Context(), nil, ms...)
		require.NoError(t, err)
		require.ElementsMatch(t, wantNames, gotNames, "%v", ms)
		require.NoError(t, uq.Close())
		require.NoError(t, cq.Close())
	}
}

func TestColdBlocksAreMerged(t *testing.T) {
	var srcs []*promtsdb.Block
	var colds []Source
	for i := range int64(6) { // over midnight
		src := block(t, uint64(i), t0+i*2*hour, t0+(i+1)*2*hour)
		srcs = append(srcs, src)
		colds = append(colds, buildFrom(t, src))
	}
	b := build(t, t0, t0+12*hour, colds...)
	requireSame(t, upstreamOf(srcs...), b.Querier, math.MinInt64, math.MaxInt64)
	requireSame(t, upstreamOf(srcs...), b.Querier, t0+9*hour, t0+11*hour)
}

// Late samples make blocks that overlap; equal times with other values are kept
// once.
func TestOverlappingBlocksAreMerged(t *testing.T) {
	a, c := block(t, 1, t0, t0+2*hour), block(t, 2, t0+hour-7, t0+3*hour-7)
	b := buildFrom(t, a, c)
	ua, uc := dump(t, upstreamOf(a), math.MinInt64, math.MaxInt64, everything()...), dump(t, upstreamOf(c), math.MinInt64, math.MaxInt64, everything()...)
	got := dump(t, b.Querier, math.MinInt64, math.MaxInt64, everything()...)
	for ls, lines := range got {
		times := map[string]bool{}
		for _, l := range lines {
			ts, _, _ := strings.Cut(l, " ")
			require.False(t, times[ts], "%s at %s twice", ls, ts)
			times[ts] = true
		}
		for _, src := range [][]string{ua[ls], uc[ls]} {
			for _, l := range src {
				ts, _, _ := strings.Cut(l, " ")
				require.True(t, times[ts], "%s at %s is missing", ls, ts)
			}
		}
	}
	same := buildFrom(t, a, a)
	requireSame(t, upstreamOf(a), same.Querier, math.MinInt64, math.MaxInt64)
}

func TestColumnsAreTheSamples(t *testing.T) {
	src := block(t, 1, t0, t0+2*hour)
	b := buildFrom(t, src)
	mint, maxt := t0+hour/3, t0+hour
	want := dump(t, b.Querier, mint, maxt, everything()...)
	q, err := b.Querier(math.MinInt64, math.MaxInt64)
	require.NoError(t, err)
	defer func() { require.NoError(t, q.Close()) }()
	set := q.Select(t.Context(), true, nil, everything()...)
	n := 0
	for set.Next() {
		c := tsdb.Columns{Times: []int64{1}, Values: []float64{2}}
		ok, err := tsdb.ReadColumns(&c, set.At(), mint, maxt)
		require.NoError(t, err)
		lines := want[set.At().Labels().String()]
		histograms := slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, "{") })
		require.Equal(t, !histograms, ok, set.At().Labels())
		if !ok {
			require.Equal(t, []int64{1}, c.Times)
			continue
		}
		var got []string
		for i, ts := range c.Times[1:] {
			got = append(got, fmt.Sprintf("%d %x", ts, math.Float64bits(c.Values[i+1])))
		}
		require.Equal(t, lines, got)
		n++
	}
	require.NoError(t, set.Err())
	require.Positive(t, n)
}

func TestSeek(t *testing.T) {
	src := block(t, 1, t0, t0+2*hour)
	b := buildFrom(t, src)
	rng := rand.New(rand.NewPCG(9, 9))
	uq, err := upstreamOf(src)(t0, t0+2*hour)
	require.NoError(t, err)
	defer uq.Close()
	cq, err := b.Querier(t0, t0+2*hour)
	require.NoError(t, err)
	defer cq.Close()
	us, cs := uq.Select(t.Context(), true, nil, everything()...), cq.Select(t.Context(), true, nil, everything()...)
	for us.Next() {
		require.True(t, cs.Next())
		ui, ci := us.At().Iterator(nil), cs.At().Iterator(nil)
		for at := t0; at < t0+2*hour; at += rng.Int64N(hour / 4) {
			want, got := ui.Seek(at), ci.Seek(at)
			require.Equal(t, want, got)
			if want == chunkenc.ValNone {
				break
			}
			require.Equal(t, line(ui, want), line(ci, got))
			if rng.IntN(2) == 0 {
				want, got = ui.Next(), ci.Next()
				require.Equal(t, want, got)
				if want == chunkenc.ValNone {
					break
				}
				require.Equal(t, line(ui, want), line(ci, got))
			}
		}
	}
}

func TestChunksHoldTheSamples(t *testing.T) {
	src := block(t, 1, t0, t0+2*hour)
	b := buildFrom(t, src)
	q, err := b.ChunkQuerier(math.MinInt64, math.MaxInt64)
	require.NoError(t, err)
	defer func() { require.NoError(t, q.Close()) }()
	want := dump(t, b.Querier, math.MinInt64, math.MaxInt64, everything()...)
	set := q.Select(t.Context(), true, nil, everything()...)
	for set.Next() {
		var got []string
		for it := set.At().Iterator(nil); it.Next(); {
			for ci := it.At().Chunk.Iterator(nil); ; {
				kind := ci.Next()
				if kind == chunkenc.ValNone {
					break
				}
				got = append(got, line(ci, kind))
			}
		}
		require.Equal(t, want[set.At().Labels().String()], got)
	}
	require.NoError(t, set.Err())
}

func TestDeleteThenBuildAnew(t *testing.T) {
	src := block(t, 1, t0, t0+2*hour)
	b := buildFrom(t, src)
	job1 := labels.MustNewMatcher(labels.MatchEqual, "job", "job1")
	job2 := labels.MustNewMatcher(labels.MatchEqual, "job", "job2")
	for _, d := range []interface {
		Delete(context.Context, int64, int64, ...*labels.Matcher) error
	}{src, b} {
		require.NoError(t, d.Delete(t.Context(), t0+hour/4, t0+hour, job1))
		require.NoError(t, d.Delete(t.Context(), t0+hour/2, t0+hour+hour/2, job1))
		require.NoError(t, d.Delete(t.Context(), math.MinInt64, math.MaxInt64, job2))
	}
	requireSame(t, upstreamOf(src), b.Querier, math.MinInt64, math.MaxInt64)

	dir := b.Dir()
	again, err := Open(dir)
	require.NoError(t, err)
	requireSame(t, upstreamOf(src), again.Querier, math.MinInt64, math.MaxInt64)
	require.NoError(t, again.Close())

	anew := build(t, t0, t0+2*hour, b)
	requireSame(t, upstreamOf(src), anew.Querier, math.MinInt64, math.MaxInt64)
	content, err := os.ReadFile(filepath.Join(anew.Dir(), blockFile))
	require.NoError(t, err)
	require.NotContains(t, string(content), "job2")
	require.Less(t, anew.Size(), b.Size())
	require.Zero(t, anew.Meta().Stats.NumTombstones)
}

func TestExpireTakesTheFirstRuleThatMatches(t *testing.T) {
	src := block(t, 1, t0, t0+2*hour)
	b := buildFrom(t, src)
	rules := []Rule{
		{Matchers: []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, "job", "job0")}, Before: t0},
		{Matchers: []*labels.Matcher{labels.MustNewMatcher(labels.MatchRegexp, "job", "job[01]")}, Before: t0 + hour},
		{Before: t0 + 3*hour},
	}
	rules[1].Slack, rules[2].Slack = 2*hour, 2*hour
	did, err := b.Expire(t.Context(), rules)
	require.NoError(t, err)
	require.True(t, did)
	jobs := map[string]bool{}
	for ls := range dump(t, b.Querier, math.MinInt64, math.MaxInt64, everything()...) {
		for _, job := range []string{"job0", "job1", "job2"} {
			if strings.Contains(ls, job) {
				jobs[job] = true
			}
		}
	}
	require.Equal(t, map[string]bool{"job0": true, "job1": true}, jobs, "job1 has no samples older than the slack")
	rules[1].Slack = 0
	did, err = b.Expire(t.Context(), rules)
	require.NoError(t, err)
	require.True(t, did)
	did, err = b.Expire(t.Context(), rules)
	require.NoError(t, err)
	require.False(t, did, "all was gone already")
	job1 := dump(t, b.Querier, math.MinInt64, math.MaxInt64, labels.MustNewMatcher(labels.MatchEqual, "job", "job1"))
	for _, lines := range job1 {
		ts, _, _ := strings.Cut(lines[0], " ")
		require.GreaterOrEqual(t, ts, strconv.FormatInt(t0+hour, 10))
	}
	require.NotEmpty(t, job1)
}
