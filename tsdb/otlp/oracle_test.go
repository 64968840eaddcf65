package otlp

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/storage/remote/otlptranslator/prometheusremotewrite"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"

	"belfry/internal/fault"
	"belfry/internal/tenant"
	"belfry/tsdb"
	"belfry/tsdb/seriescache"
	"belfry/tsdb/tsdbtest"
)

// recorder is a store that writes down what is appended. Like a head it gives
// series references and takes a sample by its reference alone.
type recorder struct {
	cache  *seriescache.Cache
	refs   map[string]storage.SeriesRef
	labels map[storage.SeriesRef]labels.Labels
	forget int // every so many appends, a reference is not known any more

	appends  int
	byRef    int
	appended []string // of the last transaction
}

func newRecorder(cached bool) *recorder {
	r := &recorder{refs: map[string]storage.SeriesRef{}, labels: map[storage.SeriesRef]labels.Labels{}}
	if cached {
		r.cache = seriescache.New(64 << 10)
	}
	return r
}

func (r *recorder) AppenderV2(context.Context) storage.AppenderV2 {
	r.appended = nil
	return (*recording)(r)
}

type recording recorder

func (r *recording) SeriesCache() *seriescache.Cache { return r.cache }
func (r *recording) Commit() error                   { return nil }
func (r *recording) Rollback() error                 { return nil }

func (r *recording) Append(ref storage.SeriesRef, ls labels.Labels, st, t int64, v float64, h *histogram.Histogram, _ *histogram.FloatHistogram, o storage.AOptions) (storage.SeriesRef, error) {
	r.appends++
	if ref != 0 && ls.IsEmpty() {
		if r.forget > 0 && r.appends%r.forget == 0 {
			delete(r.refs, r.labels[ref].String())
			delete(r.labels, ref)
		}
		known, ok := r.labels[ref]
		if !ok {
			return 0, tsdb.ErrUnknownReference
		}
		ls = known
		r.byRef++
	}
	key := ls.String()
	if r.refs[key] == 0 {
		ref = storage.SeriesRef(r.appends)
		r.refs[key], r.labels[ref] = ref, ls
	}
	r.appended = append(r.appended, describe(ls, st, t, v, h, o))
	return r.refs[key], nil
}

// describe writes a sample with all that goes with it.
func describe(ls labels.Labels, st, t int64, v float64, h *histogram.Histogram, o storage.AOptions) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s st=%d t=%d v=%x family=%q meta=%v", ls, st, t, v, o.MetricFamilyName, o.Metadata)
	if h != nil {
		fmt.Fprintf(&b, " histogram=%#v", *h)
	}
	for _, e := range o.Exemplars {
		fmt.Fprintf(&b, " exemplar=%v %v %v %x", e.Labels, e.HasTs, e.Ts, e.Value)
	}
	return b.String()
}

// oracle is Prometheus' own translator over a recorder.
type oracle struct {
	storage.AppenderV2
	into *[]string
}

func (o oracle) Append(_ storage.SeriesRef, ls labels.Labels, st, t int64, v float64, h *histogram.Histogram, _ *histogram.FloatHistogram, opts storage.AOptions) (storage.SeriesRef, error) {
	if opts.Metadata.Type == "gauge" {
		st = 0 // what the store would be told of a gauge
	}
	*o.into = append(*o.into, describe(ls, st, t, v, h, opts))
	return 1, nil
}

// translate returns what Prometheus would append.
func translate(t testing.TB, cfg tsdb.OTLPConfig, md pmetric.Metrics) []string {
	t.Helper()
	r := newRules(cfg, 0)
	names := slices.Collect(func(yield func(string) bool) {
		for name := range r.promoted {
			if !yield(name) {
				return
			}
		}
		for _, rm := range md.ResourceMetrics().All() {
			for name := range rm.Resource().Attributes().All() {
				if r.promotes([]byte(name)) && !yield(name) {
					return
				}
			}
		}
	})
	var out []string
	converter := prometheusremotewrite.NewPrometheusConverter(oracle{into: &out})
	_, err := converter.FromMetrics(t.Context(), md, prometheusremotewrite.Settings{
		AddMetricSuffixes:                 r.suffixes,
		AllowUTF8:                         r.utf8,
		PromoteResourceAttributes:         prometheusremotewrite.NewPromoteResourceAttributes(config.OTLPConfig{PromoteResourceAttributes: names}),
		KeepIdentifyingResourceAttributes: r.keepIdentifying,
		ConvertHistogramsToNHCB:           r.customBuckets,
		PromoteScopeMetadata:              r.promoteScope,
		LookbackDelta:                     r.lookback,
		LabelNameUnderscoreSanitization:   true,
	})
	if err != nil {
		t.Logf("the translator: %v", err)
	}
	return out
}

// configurations are those that the translation depends on.
func configurations() map[string]tsdb.OTLPConfig {
	change := func(f func(*tsdb.OTLPConfig)) tsdb.OTLPConfig {
		cfg := tsdb.DefaultConfig().OTLP
		f(&cfg)
		return cfg
	}
	return map[string]tsdb.OTLPConfig{
		"default":          change(func(*tsdb.OTLPConfig) {}),
		"without suffixes": change(func(c *tsdb.OTLPConfig) { c.TranslationStrategy = tsdb.UnderscoreEscapingWithoutSuffixes }),
		"UTF-8":            change(func(c *tsdb.OTLPConfig) { c.TranslationStrategy = tsdb.NoUTF8EscapingWithSuffixes }),
		"untranslated":     change(func(c *tsdb.OTLPConfig) { c.TranslationStrategy = tsdb.NoTranslation }),
		"scopes": change(func(c *tsdb.OTLPConfig) {
			c.PromoteScopeMetadata, c.KeepIdentifyingResourceAttributes = true, true
		}),
		"custom buckets": change(func(c *tsdb.OTLPConfig) {
			c.ConvertHistogramsToNHCB, c.PromoteResourceAttributes = true, []string{"a_b"}
		}),
	}
}

// requireSame appends a request and requires what Prometheus would append.
func requireSame(t *testing.T, a *Appender, store *recorder, cfg tsdb.OTLPConfig, md pmetric.Metrics) {
	t.Helper()
	want := translate(t, cfg, md)
	res, err := a.Append(t.Context(), "t", wire(md))
	require.NoError(t, err)
	require.Zero(t, res.Rejected, res.Reason)
	require.Equal(t, md.DataPointCount(), res.Accepted)
	require.Equal(t, want, store.appended)
}

// TestSameAsPrometheus sends random requests through this package and through
// Prometheus' translator: with a cache and without, with references that go stale.
func TestSameAsPrometheus(t *testing.T) {
	rounds := 40
	if testing.Short() {
		rounds = 10
	}
	for name, cfg := range configurations() {
		for _, cached := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, cached %t", name, cached), func(t *testing.T) {
				store := newRecorder(cached)
				store.forget = 97
				a := New(Options{Appendable: struct{ tsdb.Appendable }{appendableOf{store}}, Config: cfg})
				for seed := range uint64(rounds) {
					g := newGenerator(seed)
					md := g.request()
					requireSame(t, a, store, cfg, md)
					g.later(md) // the same series again
					requireSame(t, a, store, cfg, md)
				}
				if cached {
					require.Greater(t, store.byRef, store.appends/4, "known series are appended by reference")
				} else {
					require.Less(t, store.byRef, store.appends/4, "only target_info is, within a request")
				}
			})
		}
	}
}

// appendableOf gives a recorder the other half of the interface.
type appendableOf struct{ *recorder }

func (appendableOf) Appender(context.Context) storage.Appender { panic("not used") }

// TestMergedBuckets holds the merging of buckets finer than Prometheus' finest
// against plain addition: Prometheus' translator puts the first count after an
// empty bucket one bucket too low there.
func TestMergedBuckets(t *testing.T) {
	g := newGenerator(7)
	for range 500 {
		b := buckets{offset: int32(g.rng.IntN(200) - 100)}
		for range 1 + g.rng.IntN(80) {
			b.counts = append(b.counts, uint64(max(g.rng.IntN(8)-4, 0)))
		}
		steps := int32(g.rng.IntN(13))
		want, total := map[int32]int64{}, uint64(0)
		for i, c := range b.counts {
			want[(b.offset+int32(i))>>steps+1] += int64(c)
			total += c
		}
		h := histogram.Histogram{Count: total}
		h.PositiveSpans, h.PositiveBuckets = b.merged(steps)
		require.NoError(t, h.Validate())
		for it := h.PositiveBucketIterator(); it.Next(); {
			bucket := it.At()
			require.Equal(t, want[bucket.Index], int64(bucket.Count), "bucket %d of %v by %d steps", bucket.Index, b, steps)
			delete(want, bucket.Index)
		}
		for index, count := range want {
			require.Zero(t, count, "bucket %d is missing", index)
		}
	}
}

// TestFieldsInAnyOrder sends a request whose fields are written backwards, with
// unknown ones between and lists that are not packed.
func TestFieldsInAnyOrder(t *testing.T) {
	for seed := range uint64(20) {
		md := newGenerator(seed).request()
		message := shuffled(t, wire(md), newGenerator(seed).rng)
		again := pmetricotlp.NewExportRequest()
		require.NoError(t, again.UnmarshalProto(message))
		store := newRecorder(true)
		cfg := tsdb.DefaultConfig().OTLP
		a := New(Options{Appendable: appendableOf{store}, Config: cfg})
		want := translate(t, cfg, again.Metrics())
		_, err := a.Append(t.Context(), "t", message)
		require.NoError(t, err)
		require.Equal(t, want, store.appended)
	}
}

func TestOneBadPointCostsNoOther(t *testing.T) {
	md, ms := resource(nil)
	m := ms.AppendEmpty()
	m.SetName("g")
	points := m.SetEmptyGauge().DataPoints()
	for i, attribute := range []string{"", "a", "", "b"} { // without a name there is no label
		dp := points.AppendEmpty()
		dp.SetTimestamp(ts(0))
		dp.SetDoubleValue(float64(i))
		dp.Attributes().PutStr(attribute, "x")
	}
	a, s := newAppender(t, nil)
	res, err := a.Append(t.Context(), "t", wire(md))
	require.NoError(t, err)
	require.Equal(t, 2, res.Accepted)
	require.Equal(t, 2, res.Rejected)
	require.Contains(t, res.Reason, "2 untranslatable")
	require.Len(t, tsdbtest.Dump(t, tenant.WithID(t.Context(), "t"), s), 2)
}

// FuzzAppend reads any bytes. What OpenTelemetry's decoder and Prometheus'
// translator make samples of, this package makes the same samples of.
func FuzzAppend(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(wire(newGenerator(seed).request()))
	}
	f.Add([]byte{0x0a, 0x02, 0x12, 0xff})
	f.Fuzz(func(t *testing.T, message []byte) {
		if len(message) > 64<<10 {
			return
		}
		cfg := tsdb.DefaultConfig().OTLP
		store := newRecorder(true)
		a := New(Options{Appendable: appendableOf{store}, Config: cfg})
		defer func() { require.NoError(t, a.Shutdown(context.Background())) }()
		for range 2 { // the second time from the cache
			res, err := a.Append(context.Background(), "t", message)
			if err != nil {
				require.NotEqual(t, fault.Internal, fault.KindOf(err), err)
				return
			}
			req := pmetricotlp.NewExportRequest()
			if res.Rejected > 0 || req.UnmarshalProto(message) != nil || !comparable(req.Metrics()) {
				return
			}
			require.Equal(t, translate(t, cfg, req.Metrics()), store.appended)
		}
	})
}

// comparable reports whether the translator makes the same of md as this package,
// which does better with what TestMergedBuckets and maxTargetSamples are about,
// with exemplars without a value and metrics without points.
func comparable(md pmetric.Metrics) bool {
	earliest, latest := pcommon.Timestamp(math.MaxUint64), pcommon.Timestamp(0)
	ok := true
	point := func(at pcommon.Timestamp, exemplars pmetric.ExemplarSlice) {
		earliest, latest = min(earliest, at), max(latest, at)
		for _, e := range exemplars.All() {
			ok = ok && e.ValueType() != pmetric.ExemplarValueTypeEmpty
		}
	}
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				switch m.Type() {
				case pmetric.MetricTypeGauge:
					for _, p := range m.Gauge().DataPoints().All() {
						point(p.Timestamp(), p.Exemplars())
					}
				case pmetric.MetricTypeSum:
					ok = ok && m.Sum().AggregationTemporality() == pmetric.AggregationTemporalityCumulative
					for _, p := range m.Sum().DataPoints().All() {
						point(p.Timestamp(), p.Exemplars())
					}
				case pmetric.MetricTypeHistogram:
					ok = ok && m.Histogram().AggregationTemporality() == pmetric.AggregationTemporalityCumulative
					for _, p := range m.Histogram().DataPoints().All() {
						point(p.Timestamp(), p.Exemplars())
					}
				case pmetric.MetricTypeExponentialHistogram:
					ok = ok && m.ExponentialHistogram().AggregationTemporality() == pmetric.AggregationTemporalityCumulative
					for _, p := range m.ExponentialHistogram().DataPoints().All() {
						point(p.Timestamp(), p.Exemplars())
						ok = ok && p.Scale() <= histogram.ExponentialSchemaMax
					}
				case pmetric.MetricTypeSummary:
					for _, p := range m.Summary().DataPoints().All() {
						point(p.Timestamp(), pmetric.NewExemplarSlice())
					}
				}
			}
		}
	}
	return ok && (earliest > latest || latest-earliest < pcommon.Timestamp(24*time.Hour))
}
