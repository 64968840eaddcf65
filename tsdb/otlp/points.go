package otlp

import (
	"errors"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"

	"belfry/tsdb"
)

// targetInfo is the family of the series that carries resource attributes. It
// belongs to no data point.
const targetInfo = "target_info"

// pointAppender sits between the translator and the store. The translator
// gives up a metric at the first error, and counts nothing; senders are owed
// the number of data points that were not kept. So it counts points, keeps the
// errors of single samples from the translator, and stops it for good at an
// error of the store.
type pointAppender struct {
	storage.AppenderV2
	rejected *tsdb.Tally

	seen   int   // data points that arrived here
	failed error // why the store cannot take anything

	afterSum bool // the last sample was the sum of a histogram or summary
	counted  bool // the current point was counted as rejected
}

func (p *pointAppender) Append(ref storage.SeriesRef, ls labels.Labels, st, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, o storage.AOptions) (storage.SeriesRef, error) {
	if p.failed != nil {
		return 0, p.failed
	}
	isPoint := o.MetricFamilyName != targetInfo
	if isPoint && p.begins(ls, h != nil || fh != nil, o) {
		p.seen++
		p.counted = false
	}
	if o.Metadata.Type == model.MetricTypeGauge {
		st = 0 // a gauge has no zero to start from
	}
	ref, err := p.AppenderV2.Append(ref, ls, st, t, v, h, fh, o)
	if err == nil || errors.Is(err, &storage.AppendPartialError{}) {
		return ref, nil // an exemplar that was not kept costs no data point
	}
	reason, single := tsdb.Rejected(err)
	if !single {
		p.failed = err
		return 0, err
	}
	if isPoint && !p.counted {
		p.counted = true
		p.rejected.Add(reason, 1, err)
	}
	return 0, nil
}

// begins reports whether a sample is the first of a data point. Histograms and
// summaries are several series; the translator appends sum, if there is one,
// and count before the others.
func (p *pointAppender) begins(ls labels.Labels, native bool, o storage.AOptions) bool {
	if native || (o.Metadata.Type != model.MetricTypeHistogram && o.Metadata.Type != model.MetricTypeSummary) {
		p.afterSum = false
		return true
	}
	switch suffix := strings.TrimPrefix(ls.Get(model.MetricNameLabel), o.MetricFamilyName); suffix {
	case "_sum":
		p.afterSum = true
		return true
	case "_count":
		first := !p.afterSum
		p.afterSum = false
		return first
	}
	return false
}
