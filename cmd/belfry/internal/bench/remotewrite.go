package bench

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
)

// Protocols in which metrics are sent.
const (
	OTLP         = "otlp"
	RemoteWrite  = "remote-write"
	RemoteWrite2 = "remote-write-2"
)

// protocol is a way to send metrics: the same samples in each.
type protocol struct {
	path    string // below a process' OTLP address, or its base
	base    bool
	headers map[string]string
	encode  func(pmetric.Metrics) ([]byte, error)
}

func protocolOf(name string) (protocol, error) {
	headers := func(content, version string) map[string]string {
		return map[string]string{
			"Content-Type": "application/x-protobuf" + content, "Content-Encoding": "snappy",
			"X-Prometheus-Remote-Write-Version": version,
		}
	}
	switch name {
	case "", OTLP:
		return protocol{path: "/v1/metrics", encode: func(md pmetric.Metrics) ([]byte, error) {
			return pmetricotlp.NewExportRequestFromMetrics(md).MarshalProto()
		}}, nil
	case RemoteWrite:
		return protocol{path: "/api/v1/write", base: true, headers: headers("", "0.1.0"), encode: encodeV1}, nil
	case RemoteWrite2:
		h := headers(";proto=io.prometheus.write.v2.Request", "2.0.0")
		return protocol{path: "/api/v1/write", base: true, headers: h, encode: encodeV2}, nil
	}
	return protocol{}, fmt.Errorf("no such protocol: %s (want %s, %s or %s)", name, OTLP, RemoteWrite, RemoteWrite2)
}

// endpoint is where a process takes the protocol.
func (p protocol) endpoint(to *Process) string {
	if p.base {
		return to.Base + p.path
	}
	return to.OTLP + p.path
}

func (p protocol) setHeaders(h http.Header) {
	h.Set("Content-Type", "application/x-protobuf")
	for k, v := range p.headers {
		h.Set(k, v)
	}
}

// eachSeries calls f for each sample of the load's metrics, which are counters and
// histograms of one resource, under the labels that Prometheus gives it.
func eachSeries(md pmetric.Metrics, f func(ls labels.Labels, v float64, t int64)) {
	rm := md.ResourceMetrics().At(0)
	shared := labels.NewBuilder(labels.EmptyLabels())
	set := func(b *labels.Builder, m pcommon.Map) {
		for name, v := range m.All() {
			b.Set(strings.ReplaceAll(name, ".", "_"), v.AsString())
		}
	}
	set(shared, rm.Resource().Attributes())
	if name, ok := rm.Resource().Attributes().Get("service.name"); ok {
		shared.Set("job", name.Str())
	}
	resource := shared.Labels()
	b := labels.NewBuilder(resource)
	send := func(name string, m pcommon.Map, le string, v float64, t pcommon.Timestamp) {
		b.Reset(resource)
		set(b, m)
		b.Set("le", le)
		b.Set("__name__", name)
		f(b.Labels(), v, t.AsTime().UnixMilli())
	}
	for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
		name := strings.ReplaceAll(m.Name(), ".", "_")
		switch m.Type() {
		case pmetric.MetricTypeSum:
			for _, p := range m.Sum().DataPoints().All() {
				send(name+"_total", p.Attributes(), "", float64(p.IntValue()), p.Timestamp())
			}
		case pmetric.MetricTypeHistogram:
			name += "_seconds"
			for _, p := range m.Histogram().DataPoints().All() {
				send(name+"_sum", p.Attributes(), "", p.Sum(), p.Timestamp())
				send(name+"_count", p.Attributes(), "", float64(p.Count()), p.Timestamp())
				total := uint64(0)
				for i, count := range p.BucketCounts().All() {
					total += count
					bound := math.Inf(1)
					if i < p.ExplicitBounds().Len() {
						bound = p.ExplicitBounds().At(i)
					}
					send(name+"_bucket", p.Attributes(), strconv.FormatFloat(bound, 'f', -1, 64), float64(total), p.Timestamp())
				}
			}
		}
	}
}

func encodeV1(md pmetric.Metrics) ([]byte, error) {
	var req prompb.WriteRequest
	eachSeries(md, func(ls labels.Labels, v float64, t int64) {
		req.Timeseries = append(req.Timeseries, prompb.TimeSeries{
			Labels: prompb.FromLabels(ls, nil), Samples: []prompb.Sample{{Value: v, Timestamp: t}},
		})
	})
	body, err := req.Marshal()
	return snappy.Encode(nil, body), err
}

func encodeV2(md pmetric.Metrics) ([]byte, error) {
	var req writev2.Request
	symbols := writev2.NewSymbolTable()
	eachSeries(md, func(ls labels.Labels, v float64, t int64) {
		req.Timeseries = append(req.Timeseries, writev2.TimeSeries{
			LabelsRefs: symbols.SymbolizeLabels(ls, nil), Samples: []writev2.Sample{{Value: v, Timestamp: t}},
		})
	})
	req.Symbols = symbols.Symbols()
	body, err := req.Marshal()
	return snappy.Encode(nil, body), err
}
