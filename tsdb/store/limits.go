package store

import (
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/chunks"

	metrics "belfry/tsdb"
)

// maxCulprits bounds the metrics and limits that a tenant's dropped series are
// counted under; the rest is counted as "other".
const maxCulprits = 50

const otherCulprits = "other"

// seriesLimiter decides, once per new series, whether a tenant may have it. It
// is the head's life cycle callback, so samples of existing series never pass
// here.
type seriesLimiter struct {
	tenant  string
	limits  func() metrics.LimitsConfig
	metrics *storeMetrics
	log     *slog.Logger
	census  *census

	active    atomic.Int64
	enforcing atomic.Bool // false while the log is replayed: what is there stays

	mu       sync.Mutex
	culprits map[culprit]time.Time // when each was last logged
}

// culprit is what wanted series that it does not get: a metric, and the limit
// that it ran into.
type culprit struct{ metric, limit, label string }

func newSeriesLimiter(d *database) *seriesLimiter {
	limits := func() metrics.LimitsConfig { return d.store.config().Limits }
	return &seriesLimiter{
		tenant: d.id, limits: limits, metrics: d.store.metrics, log: d.store.log.With("tenant", d.id),
		census: newCensus(d.store.now, limits().MaxValuesPerLabel > 0), culprits: map[culprit]time.Time{},
	}
}

func (l *seriesLimiter) enforce() { l.enforcing.Store(true) }

// PreCreation refuses a series that is over a limit or not well formed.
func (l *seriesLimiter) PreCreation(ls labels.Labels) error {
	if !l.enforcing.Load() {
		return nil
	}
	limits := l.limits()
	if err := checkLabels(ls, limits); err != nil {
		return err
	}
	name := ls.Get(model.MetricNameLabel)
	if limit := int64(limits.MaxSeries); limit > 0 && l.active.Load() >= limit {
		l.drop(culprit{metric: name, limit: "tenant"})
		return metrics.Rejectf(metrics.SeriesLimit, "tenant has reached its limit of %d active series, new series of %q are dropped", limit, name)
	}
	if limit := limits.MaxSeriesPerMetric; limit > 0 && l.census.seriesOf(name) >= limit {
		l.drop(culprit{metric: name, limit: "metric"})
		return metrics.Rejectf(metrics.SeriesLimit, "metric %q has reached the limit of %d active series, new ones are dropped", name, limit)
	}
	if limit := limits.MaxValuesPerLabel; limit > 0 && l.census.values != nil {
		if label, full := l.census.fullLabel(ls, limit); full {
			l.drop(culprit{metric: name, limit: "label", label: label})
			return metrics.Rejectf(metrics.SeriesLimit, "label %q has reached the limit of %d values, new series of %q with others are dropped", label, limit, name)
		}
	}
	return nil
}

func checkLabels(ls labels.Labels, limits metrics.LimitsConfig) error {
	if n := ls.Len(); n > limits.MaxLabelsPerSeries {
		return metrics.Rejectf(metrics.TooManyLabels, "series of %q has %d labels, the limit is %d", ls.Get(model.MetricNameLabel), n, limits.MaxLabelsPerSeries)
	}
	if ls.Get(model.MetricNameLabel) == "" {
		return metrics.Rejectf(metrics.InvalidLabels, "series %s has no metric name", abbreviate(ls.String()))
	}
	if !ls.IsValid(model.UTF8Validation) {
		return metrics.Rejectf(metrics.InvalidLabels, "invalid metric or label name or value in %s", abbreviate(ls.String()))
	}
	return ls.Validate(func(label labels.Label) error {
		if len(label.Name) > limits.MaxLabelNameLength {
			return metrics.Rejectf(metrics.LabelTooLong, "label name %q has %d bytes, the limit is %d", abbreviate(label.Name), len(label.Name), limits.MaxLabelNameLength)
		}
		if len(label.Value) > limits.MaxLabelValueLength {
			return metrics.Rejectf(metrics.LabelTooLong, "value of label %q has %d bytes, the limit is %d", abbreviate(label.Name), len(label.Value), limits.MaxLabelValueLength)
		}
		return nil
	})
}

// drop counts under the metric's name and the limit, of which only the first few
// are kept: an attack on the limit must not become one on our own metrics. Each
// is named in the log once a minute.
func (l *seriesLimiter) drop(c culprit) {
	c.metric = strings.Clone(c.metric)
	now := l.census.now()
	l.mu.Lock()
	logged, known := l.culprits[c]
	if !known && len(l.culprits) >= maxCulprits {
		c = culprit{metric: otherCulprits, limit: c.limit}
		logged = l.culprits[c]
	}
	due := now.Sub(logged) >= time.Minute
	if due {
		l.culprits[c] = now
	}
	l.mu.Unlock()
	l.metrics.droppedSeries.WithLabelValues(l.tenant, c.metric, c.limit, c.label).Inc()
	if due {
		l.log.Warn("new series are dropped at a limit", "metric", c.metric, "limit", c.limit, "label", c.label)
	}
}

// PostCreation counts a series that now exists.
func (l *seriesLimiter) PostCreation(ls labels.Labels) {
	l.active.Add(1)
	l.census.add(ls, l.enforcing.Load())
}

// PostDeletion counts the series that have left the head.
func (l *seriesLimiter) PostDeletion(gone map[chunks.HeadSeriesRef]labels.Labels) {
	l.active.Add(-int64(len(gone)))
	l.census.remove(gone)
}

// abbreviate keeps what a sender sent from filling our answers and logs.
func abbreviate(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}
