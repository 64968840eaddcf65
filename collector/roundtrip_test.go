package collector

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

const perSignal = 100

// TestSDKExporters sends with the public SDK, as applications do.
func TestSDKExporters(t *testing.T) {
	for _, transport := range []string{"grpc", "http"} {
		for _, lane := range []string{"wire", "processors"} {
			t.Run(transport+"/"+lane, func(t *testing.T) {
				var user map[string]any
				if lane == "processors" {
					user = withProcessor("attributes", map[string]any{
						"actions": []any{map[string]any{"key": "added", "value": "yes", "action": "insert"}},
					})
				}
				w := start(t, user)
				sendWithSDK(t, w, transport)
				for _, s := range []*store{w.logs, w.traces, w.metrics} {
					require.Len(t, s.names("acme"), perSignal)
					require.Contains(t, s.names("acme"), fmt.Sprintf("record-%d", perSignal-1))
					require.Empty(t, s.names("default"))
				}
			})
		}
	}
}

func sendWithSDK(t *testing.T, w *world, transport string) {
	ctx := t.Context()
	headers := map[string]string{"X-Scope-OrgID": "acme"}
	var spans *otlptrace.Exporter
	var points sdkmetric.Exporter
	var records sdklog.Exporter
	var errs [3]error
	if transport == "grpc" {
		spans, errs[0] = otlptracegrpc.New(ctx, otlptracegrpc.WithEndpoint(w.grpc), otlptracegrpc.WithInsecure(), otlptracegrpc.WithHeaders(headers), otlptracegrpc.WithCompressor("gzip"))
		points, errs[1] = otlpmetricgrpc.New(ctx, otlpmetricgrpc.WithEndpoint(w.grpc), otlpmetricgrpc.WithInsecure(), otlpmetricgrpc.WithHeaders(headers))
		records, errs[2] = otlploggrpc.New(ctx, otlploggrpc.WithEndpoint(w.grpc), otlploggrpc.WithInsecure(), otlploggrpc.WithHeaders(headers))
	} else {
		spans, errs[0] = otlptracehttp.New(ctx, otlptracehttp.WithEndpoint(w.http), otlptracehttp.WithInsecure(), otlptracehttp.WithHeaders(headers), otlptracehttp.WithCompression(otlptracehttp.GzipCompression))
		points, errs[1] = otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpoint(w.http), otlpmetrichttp.WithInsecure(), otlpmetrichttp.WithHeaders(headers))
		records, errs[2] = otlploghttp.New(ctx, otlploghttp.WithEndpoint(w.http), otlploghttp.WithInsecure(), otlploghttp.WithHeaders(headers))
	}
	for _, err := range errs {
		require.NoError(t, err)
	}
	tp := sdktrace.NewTracerProvider(sdktrace.WithBatcher(spans))
	mp := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewPeriodicReader(points)))
	lp := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewBatchProcessor(records)))
	for i := range perSignal {
		name := fmt.Sprintf("record-%d", i)
		_, span := tp.Tracer("test").Start(ctx, name)
		span.End()
		counter, err := mp.Meter("test").Int64Counter(name)
		require.NoError(t, err)
		counter.Add(ctx, 1)
		var r log.Record
		r.SetBody(attribute.StringValue(name))
		lp.Logger("test").Emit(ctx, r)
	}
	end := context.WithoutCancel(ctx)
	require.NoError(t, tp.Shutdown(end))
	require.NoError(t, mp.Shutdown(end))
	require.NoError(t, lp.Shutdown(end))
}

// withProcessor returns a configuration that puts a processor into the three
// default pipelines.
func withProcessor(id string, cfg map[string]any) map[string]any {
	pipelines := map[string]any{}
	for _, signal := range []string{"logs", "traces", "metrics"} {
		pipelines[signal] = map[string]any{"processors": []any{"memory_limiter", id}}
	}
	return map[string]any{
		"processors": map[string]any{id: cfg},
		"service":    map[string]any{"pipelines": pipelines},
	}
}
