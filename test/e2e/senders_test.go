package e2e

import (
	"context"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	otellog "go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/log/logtest"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// sender is a set of the SDK's OTLP exporters, used without the SDK's batching
// and retries so that every call is one request with one answer.
type sender struct {
	via     string
	spans   sdktrace.SpanExporter
	records sdklog.Exporter
	points  sdkmetric.Exporter
}

func (s *server) grpcSender() *sender {
	s.t.Helper()
	ctx := s.t.Context()
	spans, err := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpoint(s.grpc), otlptracegrpc.WithInsecure(), otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{}))
	require.NoError(s.t, err)
	records, err := otlploggrpc.New(ctx, otlploggrpc.WithEndpoint(s.grpc), otlploggrpc.WithInsecure(), otlploggrpc.WithRetry(otlploggrpc.RetryConfig{}))
	require.NoError(s.t, err)
	points, err := otlpmetricgrpc.New(ctx, otlpmetricgrpc.WithEndpoint(s.grpc), otlpmetricgrpc.WithInsecure(), otlpmetricgrpc.WithRetry(otlpmetricgrpc.RetryConfig{}))
	require.NoError(s.t, err)
	return s.sender("grpc", spans, records, points)
}

func (s *server) httpSender() *sender {
	s.t.Helper()
	ctx := s.t.Context()
	spans, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpoint(s.http), otlptracehttp.WithInsecure(), otlptracehttp.WithRetry(otlptracehttp.RetryConfig{}))
	require.NoError(s.t, err)
	records, err := otlploghttp.New(ctx, otlploghttp.WithEndpoint(s.http), otlploghttp.WithInsecure(), otlploghttp.WithRetry(otlploghttp.RetryConfig{}))
	require.NoError(s.t, err)
	points, err := otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpoint(s.http), otlpmetrichttp.WithInsecure(), otlpmetrichttp.WithRetry(otlpmetrichttp.RetryConfig{}))
	require.NoError(s.t, err)
	return s.sender("http", spans, records, points)
}

func (s *server) sender(via string, spans sdktrace.SpanExporter, records sdklog.Exporter, points sdkmetric.Exporter) *sender {
	s.t.Cleanup(func() {
		ctx := context.Background()
		_ = spans.Shutdown(ctx)
		_ = records.Shutdown(ctx)
		_ = points.Shutdown(ctx)
	})
	return &sender{via: via, spans: spans, records: records, points: points}
}

func (x *sender) resource() *resource.Resource {
	return resource.NewSchemaless(attribute.String("service.name", "e2e-"+x.via), attribute.String("service.version", "1.0"))
}

// sendSpans sends spans numbered from..to-1, each a trace of its own.
func (x *sender) sendSpans(ctx context.Context, from, to int, at time.Time) error {
	stubs := make(tracetest.SpanStubs, 0, to-from)
	for i := from; i < to; i++ {
		stubs = append(stubs, tracetest.SpanStub{
			Name:        fmt.Sprintf("operation %d", i%10),
			SpanContext: trace.NewSpanContext(trace.SpanContextConfig{TraceID: x.traceID(i), SpanID: trace.SpanID{1, byte(i >> 8), byte(i)}, TraceFlags: trace.FlagsSampled}),
			SpanKind:    trace.SpanKindServer,
			StartTime:   at.Add(time.Duration(i) * time.Microsecond),
			EndTime:     at.Add(time.Duration(i)*time.Microsecond + time.Duration(i%100+1)*time.Millisecond),
			Attributes:  []attribute.KeyValue{attribute.Int("e2e.number", i), attribute.String("via", x.via)},
			Resource:    x.resource(),
		})
	}
	return x.spans.ExportSpans(ctx, stubs.Snapshots())
}

// traceID is the trace of span i. Its first byte is zero for some, which a store
// must not trim.
func (x *sender) traceID(i int) (id trace.TraceID) {
	copy(id[1:], x.via)
	binary.BigEndian.PutUint32(id[12:], uint32(i)+1)
	return id
}

// sendRecords sends log records numbered from..to-1.
func (x *sender) sendRecords(ctx context.Context, from, to int, at time.Time) error {
	records := make([]sdklog.Record, 0, to-from)
	for i := from; i < to; i++ {
		records = append(records, logtest.RecordFactory{
			Timestamp:    at.Add(time.Duration(i) * time.Microsecond),
			Severity:     otellog.SeverityInfo,
			SeverityText: "INFO",
			Body:         attribute.StringValue(fmt.Sprintf("record %d of e2e", i)),
			Attributes:   []attribute.KeyValue{attribute.Int("e2e.number", i)},
			TraceID:      x.traceID(i),
			Resource:     x.resource(),
		}.NewRecord())
	}
	return x.records.Export(ctx, records)
}

// sendPoints sends one gauge point for each series numbered from..to-1.
func (x *sender) sendPoints(ctx context.Context, from, to int, at time.Time) error {
	var points []metricdata.DataPoint[float64]
	for i := from; i < to; i++ {
		points = append(points, metricdata.DataPoint[float64]{
			Attributes: attribute.NewSet(attribute.Int("number", i)),
			Time:       at,
			Value:      float64(i),
		})
	}
	return x.points.Export(ctx, &metricdata.ResourceMetrics{
		Resource: x.resource(),
		ScopeMetrics: []metricdata.ScopeMetrics{{Metrics: []metricdata.Metrics{{
			Name: "e2e.value", Data: metricdata.Gauge[float64]{DataPoints: points},
		}}}},
	})
}

// sendAll sends count of each signal in requests of 100.
func (x *sender) sendAll(t *testing.T, count int, at time.Time) {
	t.Helper()
	for from := 0; from < count; from += 100 {
		require.NoError(t, x.sendSpans(t.Context(), from, from+100, at), "%s spans from %d", x.via, from)
		require.NoError(t, x.sendRecords(t.Context(), from, from+100, at), "%s records from %d", x.via, from)
		require.NoError(t, x.sendPoints(t.Context(), from, from+100, at), "%s points from %d", x.via, from)
	}
}
