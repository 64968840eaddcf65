package store

import (
	"sync"
	"sync/atomic"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/chunks"

	metrics "belfry/tsdb"
)

// maxCulprits bounds the metric names that a tenant's dropped series are
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

	active    atomic.Int64
	enforcing atomic.Bool // false while the log is replayed: what is there stays

	mu       sync.Mutex
	culprits map[string]struct{}
}

func newSeriesLimiter(tenant string, limits func() metrics.LimitsConfig, m *storeMetrics) *seriesLimiter {
	return &seriesLimiter{tenant: tenant, limits: limits, metrics: m, culprits: map[string]struct{}{}}
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
	if limit := int64(limits.MaxSeries); limit > 0 && l.active.Load() >= limit {
		name := ls.Get(model.MetricNameLabel)
		l.countDropped(name)
		return metrics.Rejectf(metrics.SeriesLimit, "tenant has reached its limit of %d active series, new series of %q are dropped", limit, name)
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

// countDropped counts under the metric's name, of which only the first few are
// kept: an attack on the limit must not become one on our own metrics.
func (l *seriesLimiter) countDropped(name string) {
	l.mu.Lock()
	if _, ok := l.culprits[name]; !ok {
		if len(l.culprits) >= maxCulprits {
			name = otherCulprits
		} else {
			l.culprits[name] = struct{}{}
		}
	}
	l.mu.Unlock()
	l.metrics.droppedSeries.WithLabelValues(l.tenant, name).Inc()
}

// PostCreation counts a series that now exists.
func (l *seriesLimiter) PostCreation(labels.Labels) { l.active.Add(1) }

// PostDeletion counts the series that have left the head.
func (l *seriesLimiter) PostDeletion(gone map[chunks.HeadSeriesRef]labels.Labels) {
	l.active.Add(-int64(len(gone)))
}

// abbreviate keeps what a sender sent from filling our answers and logs.
func abbreviate(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}
