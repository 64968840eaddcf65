package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/contrib/bridges/otelslog"
	prombridge "go.opentelemetry.io/contrib/bridges/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// ServiceName is the service under which Belfry's own telemetry is found.
const ServiceName = "belfry"

// handlerHost never leaves the process: it only makes the URLs well formed.
const handlerHost = "in-process"

// Exporter sends Belfry's own logs, metrics and traces into an OTLP handler.
type Exporter struct {
	cfg     Config
	logger  *Logger
	traces  *sdktrace.TracerProvider
	metrics *sdkmetric.MeterProvider
	logs    *sdklog.LoggerProvider
}

// ExportOptions is what code supplies to an exporter.
type ExportOptions struct {
	Config   Config
	Logger   *Logger
	Gatherer prometheus.Gatherer
	Version  string
	Instance string       // service.instance.id
	OTLP     http.Handler // takes /v1/logs, /v1/metrics and /v1/traces
}

// NewExporter returns an exporter that sends nothing until Start.
func NewExporter(ctx context.Context, opts ExportOptions) (*Exporter, error) {
	e := &Exporter{cfg: opts.Config, logger: opts.Logger}
	res := resource.NewSchemaless(
		attribute.String("service.name", ServiceName),
		attribute.String("service.version", opts.Version),
		attribute.String("service.instance.id", opts.Instance),
	)
	client := &http.Client{Transport: inProcess{opts.OTLP}}

	spans, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpoint(handlerHost), otlptracehttp.WithInsecure(), otlptracehttp.WithHTTPClient(client))
	if err != nil {
		return nil, fmt.Errorf("own traces: %w", err)
	}
	e.traces = sdktrace.NewTracerProvider(
		sdktrace.WithResource(res),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(opts.Config.TraceRatio))),
		sdktrace.WithBatcher(spans),
	)

	records, err := otlploghttp.New(ctx, otlploghttp.WithEndpoint(handlerHost), otlploghttp.WithInsecure(), otlploghttp.WithHTTPClient(client))
	if err != nil {
		return nil, fmt.Errorf("own logs: %w", err)
	}
	e.logs = sdklog.NewLoggerProvider(sdklog.WithResource(res), sdklog.WithProcessor(sdklog.NewBatchProcessor(records)))

	points, err := otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpoint(handlerHost), otlpmetrichttp.WithInsecure(), otlpmetrichttp.WithHTTPClient(client))
	if err != nil {
		return nil, fmt.Errorf("own metrics: %w", err)
	}
	e.metrics = sdkmetric.NewMeterProvider(sdkmetric.WithResource(res), sdkmetric.WithReader(sdkmetric.NewPeriodicReader(points,
		sdkmetric.WithInterval(time.Duration(opts.Config.MetricInterval)),
		sdkmetric.WithProducer(prombridge.NewMetricProducer(prombridge.WithGatherer(opts.Gatherer))),
	)))
	return e, nil
}

// Start begins to export logs.
func (e *Exporter) Start(context.Context) error {
	e.logger.attach(otelslog.NewHandler(ServiceName, otelslog.WithLoggerProvider(e.logs)))
	return nil
}

// Shutdown sends what waits and stops.
func (e *Exporter) Shutdown(ctx context.Context) error {
	e.logger.attach(nil)
	return errors.Join(e.traces.Shutdown(ctx), e.logs.Shutdown(ctx), e.metrics.Shutdown(ctx))
}

// TracerProvider returns the provider of Belfry's own spans. Work on its own
// telemetry is not traced.
func (e *Exporter) TracerProvider() trace.TracerProvider {
	if e.cfg.TraceRatio == 0 {
		return noop.NewTracerProvider()
	}
	return e.traces
}
