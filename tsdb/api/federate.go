package api

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"belfry/internal/fault"
)

// federate answers with the newest sample of every matching series that is not
// stale, in the text format or, for who accepts it, protobuf. Native histograms
// exist in protobuf only.
func (a *API) federate(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		fault.WriteHTTP(w, fault.Invalidf("error parsing form values: %w", err))
		return
	}
	sets, err := a.parser.ParseMetricSelectors(r.Form["match[]"])
	if err != nil {
		fault.WriteHTTP(w, fault.Invalidf("%w", err))
		return
	}
	newest, err := a.newestSamples(r.Context(), sets)
	if err != nil {
		a.o.Logger.Error("federation failed", "error", err)
		fault.WriteHTTP(w, err)
		return
	}
	format := expfmt.Negotiate(r.Header)
	w.Header().Set("Content-Type", string(format))
	enc := expfmt.NewEncoder(w, format)
	for family := range families(newest, a.o.Prometheus().GlobalConfig.ExternalLabels, format.FormatType() != expfmt.TypeTextPlain) {
		if err := enc.Encode(family); err != nil {
			a.o.Logger.Debug("federation was broken off", "error", err)
			return
		}
	}
}

// sample is the newest sample of a series.
type sample struct {
	name   string
	labels labels.Labels
	t      int64
	f      float64
	h      *histogram.FloatHistogram
}

// kind separates families: a name can be used for floats, for histograms that
// count and for histograms that are gauges.
func (s *sample) kind() dto.MetricType {
	switch {
	case s.h == nil:
		return dto.MetricType_UNTYPED
	case s.h.CounterResetHint == histogram.GaugeType:
		return dto.MetricType_GAUGE_HISTOGRAM
	}
	return dto.MetricType_HISTOGRAM
}

// newestSamples returns, by metric name, the newest sample within the lookback
// of each series that matches any of the selectors.
func (a *API) newestSamples(ctx context.Context, selectors [][]*labels.Matcher) ([]sample, error) {
	now := a.o.Now()
	lookback := time.Duration(a.o.Config.Query.LookbackDelta)
	mint, maxt := now.Add(-lookback).UnixMilli(), now.UnixMilli()
	q, err := a.o.Store.Querier(mint, maxt)
	if err != nil {
		return nil, err
	}
	defer q.Close() //nolint:errcheck // reading is done
	hints := &storage.SelectHints{Start: mint, End: maxt}
	var sets []storage.SeriesSet
	for _, matchers := range selectors {
		sets = append(sets, q.Select(ctx, true, hints, matchers...))
	}
	merged := storage.NewMergeSeriesSet(sets, 0, storage.ChainedSeriesMerge)
	var (
		out  []sample
		iter chunkenc.Iterator
	)
	for merged.Next() {
		series := merged.At()
		iter = series.Iterator(iter)
		s, ok := newestOf(iter)
		if err := iter.Err(); err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		s.labels = series.Labels()
		if s.name = s.labels.Get(model.MetricNameLabel); s.name == "" {
			continue
		}
		if out = append(out, s); len(out) > a.o.Config.Query.MaxSamples {
			return nil, fault.New(fault.Unprocessable, "federation would load over %d samples", a.o.Config.Query.MaxSamples)
		}
	}
	if err := merged.Err(); err != nil {
		return nil, err
	}
	slices.SortStableFunc(out, func(x, y sample) int {
		return cmp.Or(cmp.Compare(x.name, y.name), cmp.Compare(x.kind(), y.kind()))
	})
	return out, nil
}

// newestOf returns the last sample, unless it is a stale marker.
func newestOf(it chunkenc.Iterator) (s sample, ok bool) {
	for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
		ok = true
		if kind == chunkenc.ValFloat {
			s.t, s.f = it.At()
			s.h = nil
		} else {
			s.t, s.h = it.AtFloatHistogram(s.h)
		}
	}
	if s.h != nil {
		s.h = s.h.Copy() // the iterator's buffer is used again
	}
	stale := value.IsStaleNaN(s.f) || (s.h != nil && value.IsStaleNaN(s.h.Sum))
	return s, ok && !stale
}

// families yields the samples as metric families. External labels are added
// where a series has no such label, and an empty instance, so that the scraping
// side does not put its own.
func families(samples []sample, external labels.Labels, protobuf bool) func(yield func(*dto.MetricFamily) bool) {
	external = withInstance(external)
	return func(yield func(*dto.MetricFamily) bool) {
		var family *dto.MetricFamily
		for i := range samples {
			s := &samples[i]
			if s.h != nil && !s.h.UsesCustomBuckets() && !protobuf {
				continue
			}
			kind := s.kind()
			if family == nil || family.GetName() != s.name || family.GetType() != kind {
				if family != nil && !yield(family) {
					return
				}
				family = &dto.MetricFamily{Name: &s.name, Type: kind.Enum()}
			}
			family.Metric = append(family.Metric, s.metric(external))
		}
		if family != nil {
			yield(family)
		}
	}
}

func withInstance(external labels.Labels) labels.Labels {
	if external.Has(model.InstanceLabel) {
		return external
	}
	b := labels.NewScratchBuilder(external.Len() + 1)
	external.Range(func(l labels.Label) { b.Add(l.Name, l.Value) })
	b.Add(model.InstanceLabel, "")
	b.Sort()
	return b.Labels()
}

func (s *sample) metric(external labels.Labels) *dto.Metric {
	m := &dto.Metric{TimestampMs: new(s.t)}
	add := func(name, val string) {
		m.Label = append(m.Label, &dto.LabelPair{Name: &name, Value: &val})
	}
	s.labels.Range(func(l labels.Label) {
		if l.Name != model.MetricNameLabel {
			add(l.Name, l.Value)
		}
	})
	external.Range(func(l labels.Label) {
		if !s.labels.Has(l.Name) {
			add(l.Name, l.Value)
		}
	})
	switch {
	case s.h == nil:
		m.Untyped = &dto.Untyped{Value: new(s.f)}
	case s.h.UsesCustomBuckets():
		m.Histogram = classicHistogram(s.h)
	default:
		m.Histogram = nativeHistogram(s.h)
	}
	return m
}

// classicHistogram turns custom buckets into cumulative ones.
func classicHistogram(h *histogram.FloatHistogram) *dto.Histogram {
	out := &dto.Histogram{SampleCountFloat: new(h.Count), SampleSum: new(h.Sum)}
	counts := make([]float64, len(h.CustomValues)+1)
	for it := h.PositiveBucketIterator(); it.Next(); {
		if b := it.At(); int(b.Index) < len(counts) {
			counts[b.Index] = b.Count
		}
	}
	cumulative := 0.0
	for i, bound := range h.CustomValues {
		cumulative += counts[i]
		out.Bucket = append(out.Bucket, &dto.Bucket{UpperBound: new(bound), CumulativeCountFloat: new(cumulative)})
	}
	return out
}

func nativeHistogram(h *histogram.FloatHistogram) *dto.Histogram {
	return &dto.Histogram{
		SampleCountFloat: new(h.Count),
		SampleSum:        new(h.Sum),
		Schema:           new(h.Schema),
		ZeroThreshold:    new(h.ZeroThreshold),
		ZeroCountFloat:   new(h.ZeroCount),
		PositiveSpan:     spans(h.PositiveSpans),
		PositiveCount:    h.PositiveBuckets,
		NegativeSpan:     spans(h.NegativeSpans),
		NegativeCount:    h.NegativeBuckets,
	}
}

func spans(in []histogram.Span) []*dto.BucketSpan {
	out := make([]*dto.BucketSpan, 0, len(in))
	for _, s := range in {
		out = append(out, &dto.BucketSpan{Offset: new(s.Offset), Length: new(s.Length)})
	}
	return out
}
