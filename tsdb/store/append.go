package store

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"

	"belfry/internal/fault"
	"belfry/internal/tenant"
	metrics "belfry/tsdb"
	"belfry/tsdb/seriescache"
)

// AppenderV2 returns an appender for the tenant in ctx. It opens the tenant's
// database if need be; where that fails, every method of the appender returns
// why.
func (s *Store) AppenderV2(ctx context.Context) storage.AppenderV2 {
	if err := s.disk.check(); err != nil {
		return failedAppender{err}
	}
	db, err := s.acquire(ctx, tenant.ID(ctx), true)
	if err != nil {
		return failedAppender{err}
	}
	return &appender{
		db:          db,
		head:        db.tsdb.AppenderV2(ctx),
		zeroSamples: s.config().StartTimestamps == metrics.ZeroSamples,
		oldest:      s.oldest(),
		newest:      s.now().Add(time.Duration(s.config().Limits.MaxAhead)).UnixMilli(),
		mint:        math.MaxInt64,
		maxt:        math.MinInt64,
		batch:       db.changes.recording(),
	}
}

// oldest is the time before which samples are past retention, milliseconds. An
// empty head takes its first sample for the present, whatever its time, so a
// timestamp of zero would otherwise make a block for 1970.
func (s *Store) oldest() int64 {
	longest := s.config().Retention.Longest()
	if longest == 0 {
		return math.MinInt64
	}
	return s.now().Add(-longest).UnixMilli()
}

// Appender returns an appender of Prometheus' older interface, which the rule
// manager wants. It takes floats and histograms.
func (s *Store) Appender(ctx context.Context) storage.Appender {
	return &appenderV1{app: s.AppenderV2(ctx)}
}

// appender adds to the head's appender what the store promises: limits, kinds
// of errors, metadata, durability.
type appender struct {
	db          *database
	head        storage.AppenderV2
	zeroSamples bool // there is a sample at each start time, too

	oldest int64 // timestamps before this are past retention, milliseconds
	newest int64 // timestamps after this are too far in the future, milliseconds

	mint, maxt int64 // of what was appended; mint is above maxt if nothing was
	appended   int
	exemplars  int
	rejected   metrics.Tally
	lastFamily string // whose metadata was recorded last

	batch *metrics.AppendedBatch // what was appended, nil if nobody follows
}

// SeriesCache implements seriescache.Owner.
func (a *appender) SeriesCache() *seriescache.Cache { return a.db.series }

func (a *appender) Append(ref storage.SeriesRef, ls labels.Labels, st, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, o storage.AOptions) (storage.SeriesRef, error) {
	got, err := a.append(ref, ls, st, t, v, h, fh, o)
	if err == nil || errors.Is(err, &storage.AppendPartialError{}) {
		a.appended++
		a.mint, a.maxt = min(a.mint, t), max(a.maxt, t)
		if st > 0 && a.zeroSamples {
			a.mint = min(a.mint, st)
		}
		a.exemplars += len(o.Exemplars)
		if a.batch != nil {
			a.record(got, t, v, h != nil || fh != nil)
		}
		if o.MetricFamilyName != "" && o.MetricFamilyName != a.lastFamily && !o.Metadata.IsEmpty() {
			a.lastFamily = a.db.metadata.record(o.MetricFamilyName, o.Metadata)
		}
		return got, err
	}
	if errors.Is(err, tsdb.ErrInvalidSample) {
		if ref != 0 && ls.IsEmpty() {
			return 0, metrics.ErrUnknownReference
		}
		err = &metrics.Rejection{Reason: metrics.InvalidLabels, Err: err}
	}
	if reason, ok := metrics.Rejected(err); ok {
		a.rejected.Add(reason, 1, nil)
		return 0, err
	}
	return 0, classify("append sample", err)
}

func (a *appender) record(ref storage.SeriesRef, t int64, v float64, histogram bool) {
	if histogram {
		a.batch.Histograms = append(a.batch.Histograms, ref)
		return
	}
	a.batch.Floats = append(a.batch.Floats, metrics.Appended{Ref: ref, T: t, V: v})
}

func (a *appender) append(ref storage.SeriesRef, ls labels.Labels, st, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, o storage.AOptions) (storage.SeriesRef, error) {
	if t > a.newest {
		return 0, metrics.Rejectf(metrics.TooFarInFuture, "timestamp %s is too far in the future", time.UnixMilli(t).UTC().Format(time.RFC3339))
	}
	if t < a.oldest {
		return 0, metrics.Rejectf(metrics.TooOld, "timestamp %s is past retention", time.UnixMilli(t).UTC().Format(time.RFC3339))
	}
	// Finer resolutions than Prometheus knows are merged, never refused.
	if h != nil && histogram.IsExponentialSchemaReserved(h.Schema) && h.Schema > histogram.ExponentialSchemaMax {
		h = h.Copy()
		if err := h.ReduceResolution(histogram.ExponentialSchemaMax); err != nil {
			return 0, err
		}
	}
	if fh != nil && histogram.IsExponentialSchemaReserved(fh.Schema) && fh.Schema > histogram.ExponentialSchemaMax {
		fh = fh.Copy()
		if err := fh.ReduceResolution(histogram.ExponentialSchemaMax); err != nil {
			return 0, err
		}
	}
	return a.head.Append(ref, ls, st, t, v, h, fh, o)
}

// Commit makes the samples visible and durable.
func (a *appender) Commit() error {
	defer a.done()
	a.db.changes.begin(a.batch)
	err := a.head.Commit()
	if err != nil {
		a.batch = nil
	}
	if a.mint <= a.maxt {
		a.db.changes.add(a.mint, a.maxt, a.batch)
	}
	if err != nil {
		// Whatever kept the log from being written, the samples were good and
		// may be sent again.
		a.db.store.metrics.failedCommits.WithLabelValues(a.db.id).Inc()
		return fault.Unavailablef(retryDisk, "commit samples: %w", err)
	}
	if err := a.db.commitDone(); err != nil {
		return fault.Unavailablef(retryDisk, "commit samples: %w", err)
	}
	a.db.store.told(a.db.id, a.appended, a.maxt)
	a.db.kept.note(a.exemplars)
	a.db.store.metrics.appended.WithLabelValues(a.db.id).Add(float64(a.appended))
	return nil
}

// Rollback drops the samples.
func (a *appender) Rollback() error {
	defer a.done()
	return a.head.Rollback()
}

func (a *appender) done() {
	for reason, n := range a.rejected.All() {
		a.db.store.metrics.rejected.WithLabelValues(a.db.id, string(reason)).Add(float64(n))
	}
	a.db.store.release(a.db)
}

// failedAppender is the appender of a tenant that cannot be written to.
type failedAppender struct{ err error }

func (a failedAppender) Append(storage.SeriesRef, labels.Labels, int64, int64, float64, *histogram.Histogram, *histogram.FloatHistogram, storage.AOptions) (storage.SeriesRef, error) {
	return 0, a.err
}
func (a failedAppender) Commit() error   { return a.err }
func (a failedAppender) Rollback() error { return nil }
