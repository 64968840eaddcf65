package store

import (
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/storage"
)

// appenderV1 gives an appender Prometheus' older interface. That interface
// takes exemplars, metadata and start times apart from samples; nobody who
// still uses it has any, so they are left out.
type appenderV1 struct {
	app              storage.AppenderV2
	rejectOutOfOrder bool
}

func (a *appenderV1) SetOptions(o *storage.AppendOptions) {
	a.rejectOutOfOrder = o != nil && o.DiscardOutOfOrder
}

func (a *appenderV1) options() storage.AOptions {
	return storage.AOptions{RejectOutOfOrder: a.rejectOutOfOrder}
}

func (a *appenderV1) Append(ref storage.SeriesRef, l labels.Labels, t int64, v float64) (storage.SeriesRef, error) {
	return a.app.Append(ref, l, 0, t, v, nil, nil, a.options())
}

func (a *appenderV1) AppendHistogram(ref storage.SeriesRef, l labels.Labels, t int64, h *histogram.Histogram, fh *histogram.FloatHistogram) (storage.SeriesRef, error) {
	return a.app.Append(ref, l, 0, t, 0, h, fh, a.options())
}

func (a *appenderV1) Commit() error   { return a.app.Commit() }
func (a *appenderV1) Rollback() error { return a.app.Rollback() }

func (a *appenderV1) AppendExemplar(ref storage.SeriesRef, _ labels.Labels, _ exemplar.Exemplar) (storage.SeriesRef, error) {
	return ref, storage.ErrExemplarsDisabled
}

func (a *appenderV1) UpdateMetadata(ref storage.SeriesRef, _ labels.Labels, _ metadata.Metadata) (storage.SeriesRef, error) {
	return ref, nil
}

func (a *appenderV1) AppendSTZeroSample(ref storage.SeriesRef, _ labels.Labels, _, _ int64) (storage.SeriesRef, error) {
	return ref, nil
}

func (a *appenderV1) AppendHistogramSTZeroSample(ref storage.SeriesRef, _ labels.Labels, _, _ int64, _ *histogram.Histogram, _ *histogram.FloatHistogram) (storage.SeriesRef, error) {
	return ref, nil
}
