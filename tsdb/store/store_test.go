package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/stretchr/testify/require"

	"belfry/internal/fault"
	"belfry/internal/tenant"
	metrics "belfry/tsdb"
)

var start = time.Now().Truncate(time.Second).Add(-time.Hour)

func at(d time.Duration) int64 { return start.Add(d).UnixMilli() }

func open(t *testing.T, dir string, change func(*Options)) *Store {
	t.Helper()
	o := Options{Dir: dir, Config: metrics.DefaultConfig()}
	o.Config.MinFreeDisk = 0
	if change != nil {
		change(&o)
	}
	s, err := Open(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func appendFloat(t *testing.T, s *Store, ctx context.Context, ts int64, v float64, lbls ...string) error {
	t.Helper()
	app := s.AppenderV2(ctx)
	if _, err := app.Append(0, labels.FromStrings(lbls...), 0, ts, v, nil, nil, storage.AOptions{}); err != nil {
		require.NoError(t, app.Rollback())
		return err
	}
	return app.Commit()
}

// floats returns all float samples of the matching series, as "labels t v".
func floats(t *testing.T, s *Store, ctx context.Context, matchers ...*labels.Matcher) []string {
	t.Helper()
	q, err := s.Querier(math.MinInt64, math.MaxInt64)
	require.NoError(t, err)
	defer func() { require.NoError(t, q.Close()) }()
	if len(matchers) == 0 {
		matchers = []*labels.Matcher{labels.MustNewMatcher(labels.MatchRegexp, "__name__", ".+")}
	}
	set := q.Select(ctx, true, nil, matchers...)
	out := []string{}
	for set.Next() {
		it := set.At().Iterator(nil)
		for it.Next() == chunkenc.ValFloat {
			ts, v := it.At()
			out = append(out, fmt.Sprintf("%s %d %g", set.At().Labels(), (ts-start.UnixMilli())/1000, v))
		}
		require.NoError(t, it.Err())
	}
	require.NoError(t, set.Err())
	return out
}

func ctxOf(id string) context.Context { return tenant.WithID(context.Background(), id) }

func TestTenantsAreApart(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	require.NoError(t, appendFloat(t, s, ctxOf("a"), at(0), 1, "__name__", "x"))
	require.NoError(t, appendFloat(t, s, ctxOf("b"), at(0), 2, "__name__", "x"))
	require.Equal(t, []string{`{__name__="x"} 0 1`}, floats(t, s, ctxOf("a")))
	require.Equal(t, []string{`{__name__="x"} 0 2`}, floats(t, s, ctxOf("b")))
	require.Empty(t, floats(t, s, ctxOf("c")))
	require.Equal(t, []string{"a", "b"}, s.Tenants(), "asking creates no tenant")

	// One querier serves both.
	q, err := s.Querier(math.MinInt64, math.MaxInt64)
	require.NoError(t, err)
	for id, want := range map[string][]string{"a": {"x"}, "b": {"x"}, "c": nil} {
		got, _, err := q.LabelValues(ctxOf(id), "__name__", nil)
		require.NoError(t, err)
		require.Equal(t, want, got, id)
	}
	require.NoError(t, q.Close())

	require.NoError(t, s.Delete(ctxOf("a"), math.MinInt64, math.MaxInt64, labels.MustNewMatcher(labels.MatchEqual, "__name__", "x")))
	require.Empty(t, floats(t, s, ctxOf("a")))
	require.Len(t, floats(t, s, ctxOf("b")), 1)
}

func TestBadTenantIDsNeverBecomeFolders(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	err := appendFloat(t, s, ctxOf("../evil"), at(0), 1, "__name__", "x")
	require.Equal(t, fault.Invalid, fault.KindOf(err))
	require.Empty(t, s.Tenants())
}

func TestDataAndMetadataAreThereAfterReopening(t *testing.T) {
	dir, ctx := t.TempDir(), ctxOf("a")
	s := open(t, dir, nil)
	app := s.AppenderV2(ctx)
	_, err := app.Append(0, labels.FromStrings("__name__", "x_total"), 0, at(0), 7, nil, nil, storage.AOptions{
		MetricFamilyName: "x_total",
		Metadata:         metadata.Metadata{Type: model.MetricTypeCounter, Unit: "1", Help: "Things."},
		Exemplars:        []exemplar.Exemplar{{Labels: labels.FromStrings("trace_id", "abc"), Value: 1, Ts: at(0), HasTs: true}},
	})
	require.NoError(t, err)
	require.NoError(t, app.Commit())
	require.NoError(t, s.Close())

	s = open(t, dir, nil)
	require.Equal(t, []string{"a"}, s.Tenants())
	require.Equal(t, []string{`{__name__="x_total"} 0 7`}, floats(t, s, ctx))
	md, err := s.Metadata(ctx, "")
	require.NoError(t, err)
	require.Equal(t, map[string][]metadata.Metadata{"x_total": {{Type: model.MetricTypeCounter, Unit: "1", Help: "Things."}}}, md)
	eq, err := s.ExemplarQuerier(ctx)
	require.NoError(t, err)
	ex, err := eq.Select(at(-time.Hour), at(time.Hour), []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, "__name__", "x_total")})
	require.NoError(t, err)
	require.Len(t, ex, 1)
	require.Equal(t, "abc", ex[0].Exemplars[0].Labels.Get("trace_id"))
}

func TestBadSamplesAreRejectedWithTheirReason(t *testing.T) {
	s := open(t, t.TempDir(), func(o *Options) {
		o.Config.Limits.MaxLabelsPerSeries = 3
		o.Config.Limits.MaxLabelNameLength = 10
		o.Config.Limits.MaxLabelValueLength = 10
	})
	ctx := context.Background()
	require.NoError(t, appendFloat(t, s, ctx, at(0), 1, "__name__", "x"))
	h := &histogram.Histogram{Count: 5, Sum: 1, PositiveSpans: []histogram.Span{{Offset: 0, Length: 1}}, PositiveBuckets: []int64{-1}}
	cases := []struct {
		name string
		ts   int64
		ls   labels.Labels
		h    *histogram.Histogram
		want metrics.Reason
	}{
		{"an hour before the window", at(-3 * time.Hour), labels.FromStrings("__name__", "x"), nil, metrics.TooOld},
		{"tomorrow", at(25 * time.Hour), labels.FromStrings("__name__", "x"), nil, metrics.TooFarInFuture},
		{"another value at the same time", at(0), labels.FromStrings("__name__", "x"), nil, metrics.Duplicate},
		{"no name", at(0), labels.FromStrings("a", "b"), nil, metrics.InvalidLabels},
		{"no labels", at(0), labels.EmptyLabels(), nil, metrics.InvalidLabels},
		{"invalid UTF-8", at(0), labels.FromStrings("__name__", "x", "a", "\xff"), nil, metrics.InvalidLabels},
		{"too many labels", at(0), labels.FromStrings("__name__", "x", "a", "1", "b", "2", "c", "3"), nil, metrics.TooManyLabels},
		{"long name", at(0), labels.FromStrings("__name__", "x", "abcdefghijk", "1"), nil, metrics.LabelTooLong},
		{"long value", at(0), labels.FromStrings("__name__", "x", "a", "12345678901"), nil, metrics.LabelTooLong},
		{"negative bucket", at(0), labels.FromStrings("__name__", "h"), h, metrics.InvalidHistogram},
	}
	app := s.AppenderV2(ctx)
	for _, tc := range cases {
		_, err := app.Append(0, tc.ls, 0, tc.ts, 2, tc.h, nil, storage.AOptions{})
		reason, ok := metrics.Rejected(err)
		require.True(t, ok, "%s: %v", tc.name, err)
		require.Equal(t, tc.want, reason, "%s: %v", tc.name, err)
	}
	_, err := app.Append(0, labels.FromStrings("__name__", "x"), 0, at(time.Second), 2, nil, nil, storage.AOptions{})
	require.NoError(t, err)
	require.NoError(t, app.Commit(), "the good sample is kept")
	require.Equal(t, []string{`{__name__="x"} 0 1`, `{__name__="x"} 1 2`}, floats(t, s, ctx))
}

func TestSamplesPastRetentionAreRefusedByAnEmptyStore(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	for _, ts := range []int64{0, math.MinInt64, at(-31 * 24 * time.Hour)} {
		reason, ok := metrics.Rejected(appendFloat(t, s, context.Background(), ts, 1, "__name__", "x"))
		require.True(t, ok)
		require.Equal(t, metrics.TooOld, reason)
	}
	require.NoError(t, appendFloat(t, s, context.Background(), at(-29*24*time.Hour), 1, "__name__", "x"))
	require.NoError(t, appendFloat(t, s, context.Background(), at(0), 1, "__name__", "x"))
}

func TestOutOfOrderWithinTheWindowIsKept(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	ctx := context.Background()
	require.NoError(t, appendFloat(t, s, ctx, at(20*time.Minute), 2, "__name__", "x"))
	require.NoError(t, appendFloat(t, s, ctx, at(10*time.Minute), 1, "__name__", "x"))
	require.Equal(t, []string{`{__name__="x"} 600 1`, `{__name__="x"} 1200 2`}, floats(t, s, ctx))
}

func TestSeriesLimitDropsTheNewAndKeepsTheOld(t *testing.T) {
	reg := prometheus.NewRegistry()
	dir := t.TempDir()
	limit := func(o *Options) { o.Config.Limits.MaxSeries = 2; o.Registerer = reg }
	s := open(t, dir, limit)
	ctx := context.Background()
	require.NoError(t, appendFloat(t, s, ctx, at(0), 1, "__name__", "a"))
	require.NoError(t, appendFloat(t, s, ctx, at(0), 1, "__name__", "b"))
	err := appendFloat(t, s, ctx, at(0), 1, "__name__", "flood", "id", "1")
	reason, ok := metrics.Rejected(err)
	require.True(t, ok)
	require.Equal(t, metrics.SeriesLimit, reason)
	require.ErrorIs(t, err, storage.ErrOutOfBounds, "a scrape goes on after it")
	require.NoError(t, appendFloat(t, s, ctx, at(time.Second), 2, "__name__", "a"))
	require.InDelta(t, 1, testutil.ToFloat64(s.metrics.droppedSeries.WithLabelValues("default", "flood", "tenant", "")), 0)
	require.NoError(t, s.Close())

	// A lower limit never costs series that are there.
	s = open(t, dir, func(o *Options) { limit(o); o.Config.Limits.MaxSeries = 1 })
	require.Len(t, floats(t, s, ctx), 3)
	require.NoError(t, appendFloat(t, s, ctx, at(2*time.Second), 3, "__name__", "b"))
	require.Error(t, appendFloat(t, s, ctx, at(2*time.Second), 3, "__name__", "c"))
}

func TestMetricAndLabelLimits(t *testing.T) {
	s := open(t, t.TempDir(), func(o *Options) { o.Config.Limits.MaxSeriesPerMetric, o.Config.Limits.MaxValuesPerLabel = 2, 3 })
	ctx := context.Background()
	for _, id := range []string{"1", "2"} {
		require.NoError(t, appendFloat(t, s, ctx, at(0), 1, "__name__", "a", "id", id))
	}
	err := appendFloat(t, s, ctx, at(0), 1, "__name__", "a", "id", "3")
	require.ErrorContains(t, err, `metric "a" has reached the limit of 2`)
	require.NoError(t, appendFloat(t, s, ctx, at(time.Second), 2, "__name__", "a", "id", "1"), "what is there goes on")
	require.InDelta(t, 1, testutil.ToFloat64(s.metrics.droppedSeries.WithLabelValues("default", "a", "metric", "")), 0)

	require.NoError(t, appendFloat(t, s, ctx, at(0), 1, "__name__", "b", "id", "3"))
	err = appendFloat(t, s, ctx, at(0), 1, "__name__", "c", "id", "4", "x", "y")
	require.ErrorContains(t, err, `label "id" has reached the limit of 3 values`)
	require.NoError(t, appendFloat(t, s, ctx, at(0), 1, "__name__", "c", "id", "1", "x", "y"))
	require.InDelta(t, 1, testutil.ToFloat64(s.metrics.droppedSeries.WithLabelValues("default", "c", "label", "id")), 0)

	counts, err := s.Admin("default").MetricSeries()
	require.NoError(t, err)
	require.Equal(t, []metrics.MetricSeries{{Name: "a", Active: 2, Created: 2}, {Name: "b", Active: 1, Created: 1}, {Name: "c", Active: 1, Created: 1}}, counts)
}

func TestCulpritsAreBounded(t *testing.T) {
	s := open(t, t.TempDir(), func(o *Options) { o.Config.Limits.MaxSeries = 1 })
	require.NoError(t, appendFloat(t, s, context.Background(), at(0), 1, "__name__", "a"))
	for i := range 3 * maxCulprits {
		require.Error(t, appendFloat(t, s, context.Background(), at(0), 1, "__name__", fmt.Sprintf("flood%d", i)))
	}
	require.Equal(t, maxCulprits+1, testutil.CollectAndCount(s.metrics.droppedSeries))
}

func TestFullDiskRefusesRetryably(t *testing.T) {
	free := uint64(1 << 30)
	s := open(t, t.TempDir(), func(o *Options) {
		o.Config.MinFreeDisk = 1 << 20
		o.FreeBytes = func(string) (uint64, error) { return free, nil }
	})
	ctx := context.Background()
	require.NoError(t, appendFloat(t, s, ctx, at(0), 1, "__name__", "a"))
	free = 1000
	s.disk.refresh()
	err := appendFloat(t, s, ctx, at(time.Second), 1, "__name__", "a")
	require.Equal(t, fault.Unavailable, fault.KindOf(err))
	require.NotZero(t, fault.RetryAfter(err))
	require.Len(t, floats(t, s, ctx), 1, "reading goes on")
	free = 1 << 30
	s.disk.refresh()
	require.NoError(t, appendFloat(t, s, ctx, at(time.Second), 1, "__name__", "a"))
}

func TestClassify(t *testing.T) {
	require.Equal(t, fault.Unavailable, fault.KindOf(classify("x", fmt.Errorf("write: %w", syscall.ENOSPC))))
	require.Equal(t, fault.Internal, fault.KindOf(classify("x", errors.New("damaged"))))
	require.Equal(t, fault.Limited, fault.KindOf(classify("x", fault.Limitedf(0, "slow down"))))
	require.NoError(t, classify("x", nil))
}

func TestTenantLimits(t *testing.T) {
	s := open(t, t.TempDir(), func(o *Options) { o.Config.Tenants.Max = 3; o.Config.Tenants.MaxOpen = 2 })
	for _, id := range []string{"a", "b", "c"} { // c takes the place of a
		require.NoError(t, appendFloat(t, s, ctxOf(id), at(0), 1, "__name__", "x"))
	}
	require.Equal(t, fault.Limited, fault.KindOf(appendFloat(t, s, ctxOf("d"), at(0), 1, "__name__", "x")))
	require.Len(t, floats(t, s, ctxOf("a")), 1, "opened again")

	// Two that are in use leave no room for a third.
	one, two := s.AppenderV2(ctxOf("a")), s.AppenderV2(ctxOf("b"))
	err := appendFloat(t, s, ctxOf("c"), at(time.Second), 1, "__name__", "x")
	require.Equal(t, fault.Unavailable, fault.KindOf(err))
	require.NoError(t, one.Rollback())
	require.NoError(t, two.Rollback())
	require.NoError(t, appendFloat(t, s, ctxOf("c"), at(time.Second), 1, "__name__", "x"))
}

func TestIdleTenantsLeaveMemory(t *testing.T) {
	now := time.Now()
	s := open(t, t.TempDir(), func(o *Options) { o.Now = func() time.Time { return now } })
	require.NoError(t, appendFloat(t, s, ctxOf("a"), at(0), 1, "__name__", "x"))
	held := s.AppenderV2(ctxOf("b"))
	now = now.Add(4 * time.Hour)
	s.closeIdle()
	require.Len(t, s.open, 1, "b is in use")
	require.NoError(t, held.Rollback())
	require.Len(t, floats(t, s, ctxOf("a")), 1)

	// A closed tenant is opened now and then, for retention.
	now = now.Add(4 * time.Hour)
	s.closeIdle()
	require.Empty(t, s.open)
	s.maintainClosed(map[string]time.Time{"a": now.Add(-maintenanceInterval), "b": now})
	require.Len(t, s.open, 1)
	require.Contains(t, s.open, "a")
}

func TestClosedStoreSaysSo(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	held := s.AppenderV2(ctxOf("a"))
	_, err := held.Append(0, labels.FromStrings("__name__", "x"), 0, at(0), 1, nil, nil, storage.AOptions{})
	require.NoError(t, err)
	done := make(chan error)
	go func() { done <- s.Close() }()
	require.Eventually(t, func() bool {
		return fault.KindOf(s.OpenTenant(context.Background(), "a")) == fault.Unavailable
	}, 10*time.Second, time.Millisecond)
	require.NoError(t, held.Commit(), "an append under way is finished")
	require.NoError(t, <-done)
	require.NoError(t, s.Close())
}

func TestFsyncBeforeTheAcknowledgement(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, func(o *Options) { o.Config.Durability = metrics.Fsync })
	ctx := context.Background()
	require.NoError(t, appendFloat(t, s, ctx, at(0), 1, "__name__", "a"))
	db := s.open[tenant.Default]
	require.Equal(t, uint64(1), db.syncer.done)
	require.NoError(t, appendFloat(t, s, ctx, at(time.Minute), 1, "__name__", "a"))
	require.Equal(t, uint64(2), db.syncer.done)
	_, last, err := segments(filepath.Join(dir, tenant.Default, "wal"))
	require.NoError(t, err)
	require.Equal(t, last, db.syncer.newest[0])
}

func TestBlocksAreAskedTogetherWithTheHead(t *testing.T) {
	s := open(t, t.TempDir(), nil)
	ctx := context.Background()
	require.NoError(t, appendFloat(t, s, ctx, at(0), 1, "__name__", "a"))
	require.NoError(t, s.CompactHead(ctx))
	require.NoError(t, appendFloat(t, s, ctx, at(time.Minute), 2, "__name__", "a"))
	require.Equal(t, []string{`{__name__="a"} 0 1`, `{__name__="a"} 60 2`}, floats(t, s, ctx))
	metas, err := s.Admin(tenant.Default).BlockMetas()
	require.NoError(t, err)
	require.Len(t, metas, 1)
}

func TestInvalidConfigIsRefused(t *testing.T) {
	cfg := metrics.DefaultConfig()
	cfg.Durability = "hope"
	cfg.Limits.MaxAhead = 0
	_, err := Open(Options{Dir: t.TempDir(), Config: cfg})
	require.ErrorContains(t, err, "durability: want")
	require.ErrorContains(t, err, "limits.max_ahead: must be positive")
}
