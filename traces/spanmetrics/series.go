package spanmetrics

import (
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"belfry/traces"
)

// histogram counts durations, and knows the labels of its series.
type histogram struct {
	bounds  []float64
	counts  []uint64 // not cumulative; one more than bounds
	sum     float64
	n       uint64
	last    exemplar // of the newest span
	buckets []labels.Labels
	sumOf   labels.Labels
	countOf labels.Labels
}

type exemplar struct {
	traceID traces.TraceID
	value   float64
	bucket  int
	set     bool
}

func newHistogram(name string, bounds []float64, base labels.Labels) *histogram {
	h := &histogram{bounds: bounds, counts: make([]uint64, len(bounds)+1), sumOf: named(base, name+"_sum"), countOf: named(base, name+"_count")}
	for i := range h.counts {
		le := "+Inf"
		if i < len(bounds) {
			le = strconv.FormatFloat(bounds[i], 'g', -1, 64)
		}
		h.buckets = append(h.buckets, named(base, name+"_bucket", labels.BucketLabel, le))
	}
	return h
}

// named returns base with a metric's name and more labels.
func named(base labels.Labels, name string, more ...string) labels.Labels {
	b := labels.NewBuilder(base)
	b.Set(model.MetricNameLabel, name)
	for i := 0; i < len(more); i += 2 {
		b.Set(more[i], more[i+1])
	}
	return b.Labels()
}

func (h *histogram) observe(v float64, traceID []byte) {
	i := 0
	for i < len(h.bounds) && v > h.bounds[i] {
		i++
	}
	h.counts[i]++
	h.sum += v
	h.n++
	h.last = exemplar{value: v, bucket: i, set: true}
	copy(h.last.traceID[:], traceID)
}

func (h *histogram) samples(dst []Sample) []Sample {
	total := uint64(0)
	for i, n := range h.counts {
		total += n
		s := Sample{Labels: h.buckets[i], Value: float64(total)}
		if h.last.set && h.last.bucket == i {
			s.Exemplar = &Exemplar{TraceID: h.last.traceID, Value: h.last.value}
		}
		dst = append(dst, s)
	}
	h.last = exemplar{}
	return append(dst, Sample{Labels: h.sumOf, Value: h.sum}, Sample{Labels: h.countOf, Value: float64(h.n)})
}

// operation is what was counted of one operation of a service.
type operation struct {
	calls   labels.Labels
	latency *histogram
	updated time.Time
}

type operationKey struct {
	service, name string
	kind          traces.SpanKind
	status        traces.Status
}

var kindNames = [...]string{"SPAN_KIND_UNSPECIFIED", "SPAN_KIND_INTERNAL", "SPAN_KIND_SERVER", "SPAN_KIND_CLIENT", "SPAN_KIND_PRODUCER", "SPAN_KIND_CONSUMER"}

var statusNames = [...]string{"STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"}

func newOperation(k operationKey, bounds []float64) *operation {
	base := labels.FromStrings(
		"service", k.service, "span_name", k.name, "span_kind", kindNames[k.kind], "status_code", statusNames[k.status])
	return &operation{
		calls:   named(base, "traces_spanmetrics_calls_total"),
		latency: newHistogram("traces_spanmetrics_latency", bounds, base),
	}
}

// edge is what was counted of the calls from one service to another.
type edge struct {
	requests, failures labels.Labels
	n, failed          uint64
	client, server     *histogram
	updated            time.Time
}

type edgeKey struct{ client, server, connection string }

func newEdge(k edgeKey, bounds []float64) *edge {
	base := labels.FromStrings("client", k.client, "server", k.server, "connection_type", k.connection)
	return &edge{
		requests: named(base, "traces_service_graph_request_total"),
		failures: named(base, "traces_service_graph_request_failed_total"),
		client:   newHistogram("traces_service_graph_request_client_seconds", bounds, base),
		server:   newHistogram("traces_service_graph_request_server_seconds", bounds, base),
	}
}

func (e *edge) samples(dst []Sample) []Sample {
	dst = append(dst, Sample{Labels: e.requests, Value: float64(e.n)}, Sample{Labels: e.failures, Value: float64(e.failed)})
	return e.server.samples(e.client.samples(dst))
}
