package scraper

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"belfry/internal/tenant"
	"belfry/tsdb"
)

// appendable appends for one tenant.
type appendable struct {
	to     storage.AppendableV2
	tenant atomic.Pointer[string]
}

func (a *appendable) AppenderV2(ctx context.Context) storage.AppenderV2 {
	return reportAppender{a.to.AppenderV2(tenant.WithID(ctx, *a.tenant.Load()))}
}

// reportAppender keeps a refused report (up and the like, which the scrape loop
// appends after a target's samples) from costing the whole scrape: for those,
// the loop goes on only after a sample out of order or twice.
type reportAppender struct{ storage.AppenderV2 }

func (a reportAppender) Append(ref storage.SeriesRef, ls labels.Labels, st, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, o storage.AOptions) (storage.SeriesRef, error) {
	ref, err := a.AppenderV2.Append(ref, ls, st, t, v, h, fh, o)
	if err == nil || !isReport(ls.Get(model.MetricNameLabel)) {
		return ref, err
	}
	if reason, ok := tsdb.Rejected(err); ok {
		return 0, fmt.Errorf("%w: %s", storage.ErrOutOfOrderSample, reason)
	}
	return 0, err
}

func isReport(name string) bool {
	switch name {
	case "up", "scrape_duration_seconds", "scrape_samples_scraped", "scrape_samples_post_metric_relabeling", "scrape_series_added",
		"scrape_timeout_seconds", "scrape_sample_limit", "scrape_body_size_bytes":
		return true
	}
	return false
}
