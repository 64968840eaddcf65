package remotewrite

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/storage"

	"belfry/tsdb"
)

// series is one decoded series, in the shape that both protocols share. Its
// slices are used again for the next one.
type series struct {
	labels     labels.Labels
	metadata   metadata.Metadata
	floats     []float
	histograms []hist
	exemplars  []exemplar.Exemplar
}

type float struct {
	st, t int64
	v     float64
}

type hist struct {
	st, t int64
	h     *histogram.Histogram
	fh    *histogram.FloatHistogram
}

func (s *series) reset() {
	s.labels = labels.EmptyLabels()
	s.metadata = metadata.Metadata{}
	s.floats, s.histograms, s.exemplars = s.floats[:0], s.histograms[:0], s.exemplars[:0]
}

// batch appends the series of one request.
type batch struct {
	ctx      context.Context //nolint:containedctx // lives as long as its request
	store    Store
	app      storage.AppenderV2
	builder  labels.ScratchBuilder
	one      series
	apart    []tsdb.SeriesExemplar // exemplars that came without a sample
	written  written
	rejected tsdb.Tally
}

func newBatch(ctx context.Context, s Store) *batch {
	return &batch{ctx: ctx, store: s, app: s.AppenderV2(ctx), builder: labels.NewScratchBuilder(16)}
}

func (b *batch) rollback() error { return b.app.Rollback() }

func (b *batch) commit() error {
	if err := b.app.Commit(); err != nil {
		return err
	}
	if len(b.apart) == 0 {
		return nil
	}
	stored, err := b.store.AppendExemplars(b.ctx, b.apart)
	b.written.exemplars += stored
	return err
}

// append appends the series in b.one. It returns an error only if the store
// cannot take anything.
func (b *batch) append() error {
	s := &b.one
	if len(s.floats)+len(s.histograms)+len(s.exemplars) == 0 {
		b.rejected.Add(tsdb.InvalidLabels, 1, errors.New("series without samples"))
		return nil
	}
	o := storage.AOptions{Metadata: s.metadata}
	if !s.metadata.IsEmpty() {
		o.MetricFamilyName = family(s.labels.Get(model.MetricNameLabel), s.metadata.Type)
	}
	slices.SortStableFunc(s.exemplars, func(x, y exemplar.Exemplar) int { return cmp.Compare(x.Ts, y.Ts) })
	o.Exemplars = s.exemplars
	var ref storage.SeriesRef
	for _, f := range s.floats {
		kept, err := b.sample(&ref, &o, f.st, f.t, f.v, nil, nil)
		if err != nil {
			return err
		}
		b.written.samples += kept
	}
	for _, h := range s.histograms {
		kept, err := b.sample(&ref, &o, h.st, h.t, 0, h.h, h.fh)
		if err != nil {
			return err
		}
		b.written.histograms += kept
	}
	// No sample, or none that was kept, took the exemplars along.
	for _, e := range o.Exemplars {
		b.apart = append(b.apart, tsdb.SeriesExemplar{Series: s.labels, Exemplar: e})
	}
	return nil
}

// sample appends one sample, the first that is kept with the exemplars, and
// returns how many were kept: one or none.
func (b *batch) sample(ref *storage.SeriesRef, o *storage.AOptions, st, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram) (int, error) {
	if o.Metadata.Type == model.MetricTypeGauge {
		st = 0 // a gauge has no zero to start from
	}
	got, err := b.app.Append(*ref, b.one.labels, st, t, v, h, fh, *o)
	var partial *storage.AppendPartialError
	if err == nil || errors.As(err, &partial) {
		*ref = got
		b.written.exemplars += len(o.Exemplars)
		if partial != nil {
			b.written.exemplars -= len(partial.ExemplarErrors)
		}
		o.Exemplars = nil
		return 1, nil
	}
	if reason, ok := tsdb.Rejected(err); ok {
		b.rejected.Add(reason, 1, err)
		return 0, nil
	}
	return 0, err
}

// family is the metric family of a series: its name, without the suffix that
// the series of a histogram or summary have.
func family(name string, typ model.MetricType) string {
	switch typ {
	case model.MetricTypeHistogram, model.MetricTypeGaugeHistogram, model.MetricTypeSummary:
		for _, suffix := range []string{"_bucket", "_count", "_sum"} {
			if f, ok := strings.CutSuffix(name, suffix); ok {
				return f
			}
		}
	}
	return name
}
