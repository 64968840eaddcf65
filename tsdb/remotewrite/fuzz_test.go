package remotewrite

import (
	"context"
	"fmt"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"github.com/stretchr/testify/require"

	"belfry/internal/fault"
	"belfry/tsdb"
	"belfry/tsdb/seriescache"
)

// FuzzWrite feeds bodies to both decoders: they must answer, and every error
// must say whose fault it is.
func FuzzWrite(f *testing.F) {
	native := tsdbutil.GenerateTestHistogram(1)
	v1 := &prompb.WriteRequest{
		Timeseries: []prompb.TimeSeries{
			seriesV1(t0, 1, "__name__", "x"),
			{Labels: pairs("__name__", "h"), Histograms: []prompb.Histogram{prompb.FromIntHistogram(t0, native), prompb.FromFloatHistogram(t0, native.ToFloat(nil))}},
			{Labels: pairs("__name__", "x"), Exemplars: []prompb.Exemplar{{Labels: pairs("t", "1"), Timestamp: t0}}},
		},
		Metadata: []prompb.MetricMetadata{{MetricFamilyName: "x", Help: "y"}},
	}
	v2 := &writev2.Request{
		Symbols: []string{"", "__name__", "x"},
		Timeseries: []writev2.TimeSeries{{
			LabelsRefs: []uint32{1, 2}, Samples: []writev2.Sample{{Timestamp: t0}}, Histograms: []writev2.Histogram{writev2.FromIntHistogram(0, t0, native)},
			Exemplars: []writev2.Exemplar{{LabelsRefs: []uint32{1, 2}, Timestamp: t0}},
		}},
	}
	for _, m := range []interface{ Marshal() ([]byte, error) }{v1, v2} {
		data, err := m.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, true)
		f.Add(data, false)
	}
	f.Add([]byte("\x0a\x08\x0a\x04\x0a\x00\x12\x00\x12\x00"), false) // an empty label
	h, _ := newHandler(f, nil)
	f.Fuzz(func(t *testing.T, body []byte, second bool) {
		message := messageV1
		if second {
			message = messageV2
		}
		if _, err := h.write(context.Background(), message, body); err != nil {
			if kind := fault.KindOf(err); kind != fault.Invalid && kind != fault.TooLarge {
				t.Fatalf("error of kind %d: %v", kind, err)
			}
		}
		requireSameAsProtobuf(t, message, body)
	})
}

// requireSameAsProtobuf decodes a body with the generated code, too, and requires
// the same float samples of the same labels, at once and from the cache.
func requireSameAsProtobuf(t *testing.T, message string, body []byte) {
	t.Helper()
	var want []string
	if message == messageV1 {
		var req prompb.WriteRequest
		if req.Unmarshal(body) != nil {
			return
		}
		want = samplesV1(&req)
	} else {
		var req writev2.Request
		if req.Unmarshal(body) != nil || len(req.Symbols) > 0 && req.Symbols[0] != "" {
			return
		}
		want = samplesV2(&req)
	}
	rec := &recorder{cache: seriescache.New(0)}
	h := New(Options{Store: rec, Config: tsdb.DefaultConfig().RemoteWrite})
	for range 2 {
		rec.got = nil
		if _, err := h.write(context.Background(), message, body); err != nil && fault.KindOf(err) == fault.TooLarge {
			return
		}
		require.Equal(t, want, rec.got)
	}
}

func samplesV1(req *prompb.WriteRequest) (out []string) {
	b := labels.NewScratchBuilder(0)
	for _, ts := range req.Timeseries {
		for _, s := range ts.Samples {
			out = append(out, fmt.Sprintf("%s 0 %d %x", ts.ToLabels(&b, nil), s.Timestamp, s.Value))
		}
	}
	return out
}

func samplesV2(req *writev2.Request) (out []string) {
	b := labels.NewScratchBuilder(0)
	for _, ts := range req.Timeseries {
		ls, err := ts.ToLabels(&b, req.Symbols)
		if err != nil {
			continue
		}
		md, err := ts.ToMetadata(req.Symbols)
		if err != nil {
			continue
		}
		for _, s := range ts.Samples {
			if md.Type == model.MetricTypeGauge {
				s.StartTimestamp = 0
			}
			out = append(out, fmt.Sprintf("%s %d %d %x", ls, s.StartTimestamp, s.Timestamp, s.Value))
		}
	}
	return out
}

// recorder is a store that writes down the float samples.
type recorder struct {
	Store
	cache  *seriescache.Cache
	series []labels.Labels // by reference, from 1 on
	got    []string
}

func (r *recorder) AppenderV2(context.Context) storage.AppenderV2 { return r }
func (r *recorder) SeriesCache() *seriescache.Cache               { return r.cache }
func (r *recorder) Commit() error                                 { return nil }
func (r *recorder) Rollback() error                               { return nil }
func (r *recorder) AppendExemplars(context.Context, []tsdb.SeriesExemplar) (int, error) {
	return 0, nil
}

func (r *recorder) RecordMetadata(context.Context, string, metadata.Metadata) error { return nil }

func (r *recorder) Append(ref storage.SeriesRef, ls labels.Labels, st, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, _ storage.AOptions) (storage.SeriesRef, error) {
	if ref == 0 {
		r.series = append(r.series, ls)
		ref = storage.SeriesRef(len(r.series))
	}
	if h == nil && fh == nil {
		r.got = append(r.got, fmt.Sprintf("%s %d %d %x", r.series[ref-1], st, t, v))
	}
	return ref, nil
}
