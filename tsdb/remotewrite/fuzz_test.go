package remotewrite

import (
	"context"
	"testing"

	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"

	"belfry/internal/fault"
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
	})
}
