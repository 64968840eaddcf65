package collector

import (
	"context"
	"net/http"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/otel/metric/noop"
	nooptrace "go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"belfry/collector/internal/ingest"
	"belfry/collector/receiver/localreceiver"
	"belfry/collector/receiver/otlpreceiver"
)

// handlers are the collector's paths for another server's mux.
type handlers struct {
	otlp   [3]http.Handler
	zipkin http.Handler
	grpc   http.Handler
}

func newHandlers(ctx context.Context, door *localreceiver.Door, budget *ingest.Budget, maxRequestSize int64) (*handlers, error) {
	h := new(handlers)
	var err error
	for _, signal := range ingest.Signals() {
		if h.otlp[signal], err = decompressed(ctx, ingest.Handler(door, signal, budget), maxRequestSize, otlpreceiver.ServerOptions(nil)...); err != nil {
			return nil, err
		}
	}
	server := grpc.NewServer(ingest.CodecOption(), ingest.ZstdOption(maxRequestSize), grpc.MaxRecvMsgSize(int(maxRequestSize)))
	for _, signal := range ingest.Signals() {
		ingest.Register(server, door, signal, budget)
	}
	h.grpc = server
	h.zipkin, err = decompressed(ctx, zipkinHandler(door, budget), maxRequestSize, otlpreceiver.DecoderOptions(nil)...)
	return h, err
}

// decompressed puts in front of a handler what the Collector's HTTP servers put
// in front of theirs.
func decompressed(ctx context.Context, next http.Handler, maxRequestSize int64, opts ...confighttp.ToServerOption) (http.Handler, error) {
	cfg := confighttp.NewDefaultServerConfig()
	cfg.MaxRequestBodySize = maxRequestSize
	server, err := cfg.ToServer(ctx, nil, component.TelemetrySettings{
		Logger:         zap.NewNop(),
		TracerProvider: nooptrace.NewTracerProvider(),
		MeterProvider:  noop.NewMeterProvider(),
	}, next, opts...)
	if err != nil {
		return nil, err
	}
	return server.Handler, nil
}

// Handlers returns the collector's paths for the main HTTP listener, by pattern:
// OTLP for the three signals under the names that different senders look for,
// by gRPC as well (a Jaeger that uses Belfry as its storage sends there), and
// Zipkin v2. The tenant is the one in the request's context or header.
func (c *Collector) Handlers() map[string]http.Handler {
	h := c.handlers
	return map[string]http.Handler{
		"POST /opentelemetry.proto.collector.logs.v1.LogsService/":       h.grpc,
		"POST /opentelemetry.proto.collector.trace.v1.TraceService/":     h.grpc,
		"POST /opentelemetry.proto.collector.metrics.v1.MetricsService/": h.grpc,

		"/v1/logs":                  h.otlp[ingest.Logs],
		"/v1/traces":                h.otlp[ingest.Traces],
		"/v1/metrics":               h.otlp[ingest.Metrics],
		"/otlp/v1/logs":             h.otlp[ingest.Logs],
		"/api/v1/otlp/v1/metrics":   h.otlp[ingest.Metrics],
		"POST /zipkin/api/v2/spans": h.zipkin,
		"POST /api/v2/spans":        h.zipkin,
	}
}

// OTLPHandler returns a handler of /v1/logs, /v1/traces and /v1/metrics alone.
func (c *Collector) OTLPHandler() http.Handler {
	mux := http.NewServeMux()
	for _, signal := range ingest.Signals() {
		mux.Handle(signal.Path(), c.handlers.otlp[signal])
	}
	return mux
}
