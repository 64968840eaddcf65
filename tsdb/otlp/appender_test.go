package otlp

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"

	"belfry/internal/fault"
	"belfry/internal/tenant"
	"belfry/tsdb"
	"belfry/tsdb/store"
	"belfry/tsdb/tsdbtest"
)

// t0 is the time of the tests' points, a full second so that it prints well.
var t0 = time.Now().Add(-20 * time.Minute).Truncate(time.Minute)

func ts(after time.Duration) pcommon.Timestamp { return pcommon.NewTimestampFromTime(t0.Add(after)) }

func newAppender(t *testing.T, change func(*tsdb.Config)) (*Appender, *store.Store) {
	t.Helper()
	cfg := tsdb.DefaultConfig()
	cfg.MinFreeDisk = 0
	if change != nil {
		change(&cfg)
	}
	s, err := store.Open(store.Options{Dir: t.TempDir(), Config: cfg})
	require.NoError(t, err)
	a := New(Options{Appendable: s, Config: cfg.OTLP})
	t.Cleanup(func() {
		require.NoError(t, a.Shutdown(context.Background()))
		require.NoError(t, s.Close())
	})
	return a, s
}

// resource returns metrics with one resource of service "shop" and the list of
// its metrics.
func resource(attributes map[string]any) (pmetric.Metrics, pmetric.MetricSlice) {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	if attributes == nil {
		attributes = map[string]any{"service.name": "shop", "service.instance.id": "1"}
	}
	if err := rm.Resource().Attributes().FromRaw(attributes); err != nil {
		panic(err)
	}
	return md, rm.ScopeMetrics().AppendEmpty().Metrics()
}

// wire returns the request that a sender of md sends.
func wire(md pmetric.Metrics) []byte {
	message, err := pmetricotlp.NewExportRequestFromMetrics(md).MarshalProto()
	if err != nil {
		panic(err)
	}
	return message
}

const base = `instance="1", job="shop", service_instance_id="1", service_name="shop"`

func TestTranslation(t *testing.T) {
	cases := []struct {
		name  string
		build func(pmetric.Metric)
		want  []string // with % for the time of t0
		meta  map[string][]metadata.Metadata
	}{
		{
			name: "gauge",
			build: func(m pmetric.Metric) {
				m.SetName("room.temperature")
				m.SetUnit("Cel")
				m.SetDescription("Warmth.")
				dp := m.SetEmptyGauge().DataPoints().AppendEmpty()
				dp.SetTimestamp(ts(0))
				dp.SetDoubleValue(21.5)
				dp.Attributes().PutStr("room.name", "hall")
			},
			want: []string{`{__name__="room_temperature_celsius", ` + `instance="1", job="shop", room_name="hall", service_instance_id="1", service_name="shop"} 21.5@%`},
			meta: map[string][]metadata.Metadata{"room_temperature_celsius": {{Type: model.MetricTypeGauge, Unit: "celsius", Help: "Warmth."}}},
		},
		{
			name: "monotonic sum of integers",
			build: func(m pmetric.Metric) {
				m.SetName("orders")
				s := m.SetEmptySum()
				s.SetIsMonotonic(true)
				s.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
				dp := s.DataPoints().AppendEmpty()
				dp.SetTimestamp(ts(0))
				dp.SetIntValue(7)
			},
			want: []string{`{__name__="orders_total", ` + base + `} 7@%`},
		},
		{
			name: "up-down counter",
			build: func(m pmetric.Metric) {
				m.SetName("queue.length")
				s := m.SetEmptySum()
				s.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
				dp := s.DataPoints().AppendEmpty()
				dp.SetTimestamp(ts(0))
				dp.SetIntValue(-3)
			},
			want: []string{`{__name__="queue_length", ` + base + `} -3@%`},
		},
		{
			name: "no recorded value becomes a stale marker",
			build: func(m pmetric.Metric) {
				m.SetName("gone")
				dp := m.SetEmptyGauge().DataPoints().AppendEmpty()
				dp.SetTimestamp(ts(0))
				dp.SetFlags(pmetric.DefaultDataPointFlags.WithNoRecordedValue(true))
			},
			want: []string{`{__name__="gone", ` + base + `} stale@%`},
		},
		{
			name: "histogram with explicit bounds",
			build: func(m pmetric.Metric) {
				m.SetName("latency")
				m.SetUnit("s")
				h := m.SetEmptyHistogram()
				h.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
				dp := h.DataPoints().AppendEmpty()
				dp.SetTimestamp(ts(0))
				dp.SetCount(6)
				dp.SetSum(3.5)
				dp.ExplicitBounds().FromRaw([]float64{0.1, 1})
				dp.BucketCounts().FromRaw([]uint64{1, 2, 3})
			},
			want: []string{
				`{__name__="latency_seconds_bucket", instance="1", job="shop", le="+Inf", service_instance_id="1", service_name="shop"} 6@%`,
				`{__name__="latency_seconds_bucket", instance="1", job="shop", le="0.1", service_instance_id="1", service_name="shop"} 1@%`,
				`{__name__="latency_seconds_bucket", instance="1", job="shop", le="1", service_instance_id="1", service_name="shop"} 3@%`,
				`{__name__="latency_seconds_count", ` + base + `} 6@%`,
				`{__name__="latency_seconds_sum", ` + base + `} 3.5@%`,
			},
			meta: map[string][]metadata.Metadata{"latency_seconds": {{Type: model.MetricTypeHistogram, Unit: "seconds"}}},
		},
		{
			name: "exponential histogram stays native",
			build: func(m pmetric.Metric) {
				m.SetName("size")
				h := m.SetEmptyExponentialHistogram()
				h.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
				dp := h.DataPoints().AppendEmpty()
				dp.SetTimestamp(ts(0))
				dp.SetCount(4)
				dp.SetSum(10)
				dp.SetScale(0)
				dp.SetZeroCount(1)
				dp.Positive().SetOffset(1)
				dp.Positive().BucketCounts().FromRaw([]uint64{2, 1})
			},
			want: []string{`{__name__="size", ` + base + `} {count:4, sum:10, [-1e-128,1e-128]:1, (2,4]:2, (4,8]:1}@%`},
		},
		{
			name: "summary",
			build: func(m pmetric.Metric) {
				m.SetName("wait")
				dp := m.SetEmptySummary().DataPoints().AppendEmpty()
				dp.SetTimestamp(ts(0))
				dp.SetCount(2)
				dp.SetSum(3)
				q := dp.QuantileValues().AppendEmpty()
				q.SetQuantile(0.5)
				q.SetValue(1.5)
			},
			want: []string{
				`{__name__="wait", instance="1", job="shop", quantile="0.5", service_instance_id="1", service_name="shop"} 1.5@%`,
				`{__name__="wait_count", ` + base + `} 2@%`,
				`{__name__="wait_sum", ` + base + `} 3@%`,
			},
		},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			a, s := newAppender(t, nil)
			md, ms := resource(nil)
			tc.build(ms.AppendEmpty())
			res, err := a.Append(context.Background(), "acme", wire(md))
			require.NoError(t, err)
			require.Equal(t, tsdb.AppendResult{Accepted: 1}, res)
			ctx := tenant.WithID(context.Background(), "acme")
			want := make([]string, len(tc.want))
			for i, w := range tc.want {
				want[i] = w[:len(w)-1] + fmt.Sprintf("%g", float64(t0.Unix()))
			}
			require.Equal(t, want, tsdbtest.Dump(t, ctx, s))
			if tc.meta != nil {
				got, err := s.Metadata(ctx, "")
				require.NoError(t, err)
				require.Equal(t, tc.meta, got)
			}
			require.Empty(t, tsdbtest.Dump(t, context.Background(), s), "the default tenant has nothing")
		})
	}
}

func addGauge(ms pmetric.MetricSlice, name string, at time.Duration, v float64) pmetric.NumberDataPoint {
	m := ms.AppendEmpty()
	m.SetName(name)
	dp := m.SetEmptyGauge().DataPoints().AppendEmpty()
	dp.SetTimestamp(ts(at))
	dp.SetDoubleValue(v)
	return dp
}

func TestResourceAttributes(t *testing.T) {
	attributes := map[string]any{
		"service.name": "shop", "service.namespace": "eu", "service.instance.id": "i", "service.version": "2",
		"k8s.pod.name": "p", "host.name": "h", "cloud.region": "r", "deployment.environment.name": "prod",
		"process.pid": 12, "hostile": "no",
	}
	a, s := newAppender(t, nil)
	md, ms := resource(attributes)
	addGauge(ms, "g", 0, 1)
	_, err := a.Append(context.Background(), tenant.Default, wire(md))
	require.NoError(t, err)
	got := tsdbtest.Dump(t, context.Background(), s)
	require.Len(t, got, 2)
	require.Contains(t, got[0], `{__name__="g", cloud_region="r", deployment_environment_name="prod", host_name="h", instance="i", job="eu/shop", k8s_pod_name="p", service_instance_id="i", service_name="shop", service_namespace="eu", service_version="2"} 1@`)
	require.Contains(t, got[1], `__name__="target_info"`)
	require.Contains(t, got[1], `process_pid="12"`)

	a, s = newAppender(t, func(c *tsdb.Config) { c.OTLP.PromoteResourceAttributes = []string{"process.pid"} })
	_, err = a.Append(context.Background(), tenant.Default, wire(md))
	require.NoError(t, err)
	require.Contains(t, tsdbtest.Dump(t, context.Background(), s)[0], `{__name__="g", instance="i", job="eu/shop", process_pid="12"} 1@`)
}

func TestTranslationStrategies(t *testing.T) {
	for strategy, want := range map[tsdb.TranslationStrategy]string{
		tsdb.UnderscoreEscapingWithSuffixes:    `{__name__="http_time_seconds", http_route="/"} 1@`,
		tsdb.UnderscoreEscapingWithoutSuffixes: `{__name__="http_time", http_route="/"} 1@`,
		tsdb.NoUTF8EscapingWithSuffixes:        `{__name__="http.time_seconds", "http.route"="/"} 1@`,
		tsdb.NoTranslation:                     `{__name__="http.time", "http.route"="/"} 1@`,
	} {
		a, s := newAppender(t, func(c *tsdb.Config) { c.OTLP.TranslationStrategy = strategy })
		md, ms := resource(map[string]any{})
		addGauge(ms, "http.time", 0, 1).Attributes().PutStr("http.route", "/")
		ms.At(0).SetUnit("s")
		_, err := a.Append(context.Background(), tenant.Default, wire(md))
		require.NoError(t, err)
		require.Contains(t, tsdbtest.Dump(t, context.Background(), s)[0], want)
	}
}

func TestExemplarsAreKept(t *testing.T) {
	a, s := newAppender(t, nil)
	md, ms := resource(nil)
	m := ms.AppendEmpty()
	m.SetName("latency")
	h := m.SetEmptyHistogram()
	h.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	dp := h.DataPoints().AppendEmpty()
	dp.SetTimestamp(ts(0))
	dp.SetCount(1)
	dp.ExplicitBounds().FromRaw([]float64{1, 2})
	dp.BucketCounts().FromRaw([]uint64{0, 1, 0})
	e := dp.Exemplars().AppendEmpty()
	e.SetTimestamp(ts(0))
	e.SetDoubleValue(1.5)
	e.SetTraceID(pcommon.TraceID{0xab})
	e.SetSpanID(pcommon.SpanID{0xcd})
	_, err := a.Append(context.Background(), tenant.Default, wire(md))
	require.NoError(t, err)
	q, err := s.ExemplarQuerier(context.Background())
	require.NoError(t, err)
	got, err := q.Select(0, time.Now().UnixMilli(), []*labels.Matcher{labels.MustNewMatcher(labels.MatchRegexp, "__name__", ".+")})
	require.NoError(t, err)
	require.Len(t, got, 1)
	require.Equal(t, "2", got[0].SeriesLabels.Get("le"))
	require.Equal(t, `{span_id="cd00000000000000", trace_id="ab000000000000000000000000000000"}`, got[0].Exemplars[0].Labels.String())
}

func deltaSum(ms pmetric.MetricSlice, from, to time.Duration, v int64) {
	m := ms.AppendEmpty()
	m.SetName("hits")
	s := m.SetEmptySum()
	s.SetIsMonotonic(true)
	s.SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
	dp := s.DataPoints().AppendEmpty()
	dp.SetStartTimestamp(ts(from))
	dp.SetTimestamp(ts(to))
	dp.SetIntValue(v)
}

func TestDeltaBecomesCumulative(t *testing.T) {
	a, s := newAppender(t, nil)
	send := func(tenantID string, from, to time.Duration, v int64) tsdb.AppendResult {
		md, ms := resource(map[string]any{})
		deltaSum(ms, from, to, v)
		addGauge(ms, "beside", to, 1)
		res, err := a.Append(context.Background(), tenantID, wire(md))
		require.NoError(t, err)
		return res
	}
	send("a", 0, 10*time.Second, 3)
	send("b", 0, 10*time.Second, 100)
	send("a", 10*time.Second, 20*time.Second, 4)
	late := send("a", 0, 10*time.Second, 3)
	require.Equal(t, 2, late.Rejected+late.Accepted)
	require.Equal(t, 1, late.Rejected, "a delta that was counted already")
	require.Contains(t, late.Reason, "out_of_order")
	hits := labels.MustNewMatcher(labels.MatchEqual, "__name__", "hits_total")
	unix := t0.Unix()
	require.Equal(t, []string{
		fmt.Sprintf(`{__name__="hits_total"} 3@%g`, float64(unix+10)),
		fmt.Sprintf(`{__name__="hits_total"} 7@%g`, float64(unix+20)),
	}, tsdbtest.Dump(t, tenant.WithID(context.Background(), "a"), s, hits))
	require.Equal(t, []string{fmt.Sprintf(`{__name__="hits_total"} 100@%g`, float64(unix+10))},
		tsdbtest.Dump(t, tenant.WithID(context.Background(), "b"), s, hits))
}

func TestBadPointsAreCountedAndTheOthersKept(t *testing.T) {
	a, s := newAppender(t, nil)
	ctx := context.Background()
	md, ms := resource(map[string]any{})
	addGauge(ms, "g", 0, 1)
	_, err := a.Append(ctx, tenant.Default, wire(md))
	require.NoError(t, err)

	md, ms = resource(map[string]any{})
	addGauge(ms, "g", 0, 2)                  // another value at the same time
	addGauge(ms, "g", -20*time.Hour, 2)      // too old
	addGauge(ms, "future", 20*time.Hour, 2)  // not yet
	addGauge(ms, "good", time.Second, 3)     // kept
	ms.AppendEmpty().SetName("without type") // has no points at all
	m := ms.AppendEmpty()                    // five bad series, one bad point
	m.SetName("h")
	h := m.SetEmptyHistogram()
	h.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	dp := h.DataPoints().AppendEmpty()
	dp.SetTimestamp(ts(20 * time.Hour))
	dp.SetSum(1)
	dp.ExplicitBounds().FromRaw([]float64{1, 2})
	dp.BucketCounts().FromRaw([]uint64{0, 1, 0})
	m = ms.AppendEmpty() // a sum that does not say of what kind
	m.SetName("vague")
	m.SetEmptySum().DataPoints().AppendEmpty().SetTimestamp(ts(0))

	res, err := a.Append(ctx, tenant.Default, wire(md))
	require.NoError(t, err)
	require.Equal(t, 6, md.DataPointCount())
	require.Equal(t, 1, res.Accepted)
	require.Equal(t, 5, res.Rejected)
	require.Contains(t, res.Reason, "2 too_far_in_future")
	require.Contains(t, res.Reason, "1 duplicate_timestamp")
	require.Len(t, tsdbtest.Dump(t, ctx, s), 2)
}

func TestSeriesLimitIsAPartialSuccessThatNamesTheMetric(t *testing.T) {
	a, s := newAppender(t, func(c *tsdb.Config) { c.Limits.MaxSeries = 1 })
	md, ms := resource(map[string]any{})
	addGauge(ms, "first", 0, 1)
	addGauge(ms, "second", 0, 1)
	res, err := a.Append(context.Background(), tenant.Default, wire(md))
	require.NoError(t, err)
	require.Equal(t, 1, res.Accepted)
	require.Contains(t, res.Reason, "series_limit")
	require.Contains(t, res.Reason, `"second"`)
	require.Len(t, tsdbtest.Dump(t, context.Background(), s), 1)
}

// brokenStore fails every append, as a store with a full disk does.
type brokenStore struct{ tsdb.Appendable }

func (brokenStore) AppenderV2(context.Context) storage.AppenderV2 { return brokenAppender{} }

type brokenAppender struct{ storage.AppenderV2 }

func (brokenAppender) Append(storage.SeriesRef, labels.Labels, int64, int64, float64, *histogram.Histogram, *histogram.FloatHistogram, storage.AOptions) (storage.SeriesRef, error) {
	return 0, fault.Unavailablef(time.Second, "disk full")
}
func (brokenAppender) Rollback() error { return nil }
func (brokenAppender) Commit() error   { return errors.New("must not be called") }

func TestStoreFailureIsRetryable(t *testing.T) {
	a := New(Options{Appendable: brokenStore{}, Config: tsdb.DefaultConfig().OTLP})
	md, ms := resource(nil)
	addGauge(ms, "g", 0, 1)
	_, err := a.Append(context.Background(), tenant.Default, wire(md))
	require.True(t, fault.Retryable(err), "%v", err)

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	good, s := newAppender(t, nil)
	for range 200 { // the translator looks at the context now and then
		addGauge(ms, "g", 0, 1)
	}
	_, err = good.Append(ctx, tenant.Default, wire(md))
	require.Equal(t, fault.Canceled, fault.KindOf(err))
	require.Empty(t, tsdbtest.Dump(t, context.Background(), s))
}
