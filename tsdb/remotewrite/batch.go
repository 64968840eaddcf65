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
	"belfry/tsdb/seriescache"
)

// series is one decoded series, in the shape that both protocols share. Its
// slices are used again for the next one.
type series struct {
	key        []byte   // what names it, as received: the cache's key
	labelRefs  []uint32 // protocol 2.0: the same, as references to symbols
	labels     labels.Labels
	labelled   bool   // labels are made
	name       string // of the metric, where metadata is to go with it
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
	s.key, s.labelRefs = s.key[:0], s.labelRefs[:0]
	s.labels, s.labelled = labels.EmptyLabels(), false
	s.name, s.metadata = "", metadata.Metadata{}
	s.floats, s.exemplars = s.floats[:0], s.exemplars[:0]
	clear(s.histograms)
	s.histograms = s.histograms[:0]
}

// batch appends the series of one request. It is used again for others.
type batch struct {
	ctx      context.Context //nolint:containedctx // lives as long as its request
	store    Store
	app      storage.AppenderV2
	cache    *seriescache.Cache // nil if the store has none
	refs     [1]uint64
	builder  labels.ScratchBuilder
	symbols  [][]byte // protocol 2.0
	texts    []string // of symbols, as far as they were needed
	one      series
	apart    []tsdb.SeriesExemplar // exemplars that came without a sample
	lost     int                   // of these
	written  written
	rejected tsdb.Tally
}

func (b *batch) begin(ctx context.Context, s Store) {
	b.ctx, b.store, b.app = ctx, s, s.AppenderV2(ctx)
	b.cache = seriescache.Of(b.app)
	b.written, b.rejected, b.lost = written{}, tsdb.Tally{}, 0
}

// end drops what belongs to the request.
func (b *batch) end() {
	b.ctx, b.store, b.app, b.cache = nil, nil, nil, nil
	b.one.reset()
	clear(b.symbols)
	clear(b.texts)
	clear(b.apart)
	clear(b.one.exemplars[:cap(b.one.exemplars)])
	b.symbols, b.texts, b.apart = b.symbols[:0], b.texts[:0], b.apart[:0]
	b.builder.Reset()
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
	b.lost = len(b.apart) - stored
	return err
}

// append appends the series in b.one. It returns an error only if nothing of the
// request may be kept.
func (b *batch) append() error {
	s := &b.one
	if len(s.floats)+len(s.histograms)+len(s.exemplars) == 0 {
		b.rejected.Add(tsdb.InvalidLabels, 1, errors.New("series without samples"))
		return nil
	}
	o := storage.AOptions{Metadata: s.metadata}
	if !s.metadata.IsEmpty() {
		o.MetricFamilyName = family(s.name, s.metadata.Type)
	}
	slices.SortStableFunc(s.exemplars, func(x, y exemplar.Exemplar) int { return cmp.Compare(x.Ts, y.Ts) })
	o.Exemplars = s.exemplars
	ref := b.reference()
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
	if len(o.Exemplars) == 0 {
		return nil
	}
	// No sample, or none that was kept, took the exemplars along.
	ls, err := b.labels()
	for _, e := range o.Exemplars {
		b.apart = append(b.apart, tsdb.SeriesExemplar{Series: ls, Exemplar: e})
	}
	return err
}

// reference returns the reference of the series, 0 if it is not known.
func (b *batch) reference() storage.SeriesRef {
	if b.cache == nil {
		return 0
	}
	refs, known := b.cache.Get(b.one.key, b.refs[:0])
	if !known || len(refs) != 1 {
		return 0
	}
	return storage.SeriesRef(refs[0])
}

// sample appends one sample, the first that is kept with the exemplars, and
// returns how many were kept: one or none.
func (b *batch) sample(ref *storage.SeriesRef, o *storage.AOptions, st, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram) (int, error) {
	if o.Metadata.Type == model.MetricTypeGauge {
		st = 0 // a gauge has no zero to start from
	}
	err := tsdb.ErrUnknownReference
	if *ref != 0 {
		_, err = b.app.Append(*ref, labels.EmptyLabels(), st, t, v, h, fh, *o)
	}
	if errors.Is(err, tsdb.ErrUnknownReference) {
		ls, malformed := b.labels()
		if malformed != nil {
			return 0, malformed
		}
		if *ref, err = b.app.Append(0, ls, st, t, v, h, fh, *o); *ref != 0 && b.cache != nil {
			b.refs[0] = uint64(*ref)
			b.cache.Put(b.one.key, b.refs[:])
		}
	}
	if lost, kept := exemplarsLost(err); kept {
		b.written.exemplars += len(o.Exemplars) - lost
		o.Exemplars = nil
		return 1, nil
	}
	if reason, ok := tsdb.Rejected(err); ok {
		b.rejected.Add(reason, 1, err)
		return 0, nil
	}
	return 0, err
}

// exemplarsLost reports whether a sample was kept, and how many of its exemplars
// were not.
func exemplarsLost(err error) (lost int, kept bool) {
	if err == nil {
		return 0, true
	}
	var partial *storage.AppendPartialError
	if errors.As(err, &partial) {
		return len(partial.ExemplarErrors), true
	}
	return 0, false
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
