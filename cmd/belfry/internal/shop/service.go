package shop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"go.opentelemetry.io/contrib/bridges/otelslog"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// metricInterval is shorter than the SDK's default so that a demo that has run
// for a minute has something to plot.
const metricInterval = 10 * time.Second

// service is one program of the shop: its telemetry, its server and its client.
type service struct {
	name   string
	log    *slog.Logger
	tracer trace.Tracer
	meter  metric.Meter
	mux    *http.ServeMux
	client *http.Client

	server   *http.Server
	listener net.Listener
	stop     []func(context.Context) error
}

// newService sets up the SDK of a service as its own program would, sending to
// the OTLP gRPC endpoint (host:port).
func newService(ctx context.Context, name, version, endpoint string) (*service, error) {
	res := resource.NewSchemaless(
		attribute.String("service.name", name),
		attribute.String("service.namespace", "shop"),
		attribute.String("service.version", version),
		attribute.String("service.instance.id", name+"-0"),
		attribute.String("deployment.environment.name", "demo"),
	)
	s := &service{name: name, mux: http.NewServeMux()}

	spans, err := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpoint(endpoint), otlptracegrpc.WithInsecure())
	if err != nil {
		return nil, fmt.Errorf("%s: trace exporter: %w", name, err)
	}
	tracers := sdktrace.NewTracerProvider(sdktrace.WithResource(res), sdktrace.WithBatcher(spans, sdktrace.WithBatchTimeout(time.Second)))
	points, err := otlpmetricgrpc.New(ctx, otlpmetricgrpc.WithEndpoint(endpoint), otlpmetricgrpc.WithInsecure())
	if err != nil {
		return nil, fmt.Errorf("%s: metric exporter: %w", name, err)
	}
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithResource(res),
		sdkmetric.WithReader(sdkmetric.NewPeriodicReader(points, sdkmetric.WithInterval(metricInterval))))
	records, err := otlploggrpc.New(ctx, otlploggrpc.WithEndpoint(endpoint), otlploggrpc.WithInsecure())
	if err != nil {
		return nil, fmt.Errorf("%s: log exporter: %w", name, err)
	}
	loggers := sdklog.NewLoggerProvider(sdklog.WithResource(res),
		sdklog.WithProcessor(sdklog.NewBatchProcessor(records, sdklog.WithExportInterval(time.Second))))
	s.stop = append(s.stop, tracers.Shutdown, meters.Shutdown, loggers.Shutdown)

	s.log = slog.New(otelslog.NewHandler(name, otelslog.WithLoggerProvider(loggers)))
	s.tracer = tracers.Tracer(name)
	s.meter = meters.Meter(name)

	instrument := []otelhttp.Option{
		otelhttp.WithTracerProvider(tracers),
		otelhttp.WithMeterProvider(meters),
		otelhttp.WithPropagators(propagation.TraceContext{}),
	}
	serverOpts := append([]otelhttp.Option{otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string {
		if r.Pattern != "" {
			return r.Pattern
		}
		return r.Method
	})}, instrument...)
	s.client = &http.Client{
		Timeout:   5 * time.Second,
		Transport: otelhttp.NewTransport(&http.Transport{MaxIdleConnsPerHost: 32}, instrument...),
	}
	s.server = &http.Server{
		Handler:           otelhttp.NewHandler(s.mux, name, serverOpts...),
		ReadHeaderTimeout: 5 * time.Second,
	}
	var lc net.ListenConfig
	if s.listener, err = lc.Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}

func (s *service) url(path string) string { return "http://" + s.listener.Addr().String() + path }

// serve answers requests until shutdown.
func (s *service) serve() {
	if err := s.server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		s.log.Error("server ended", "error", err)
	}
}

// shutdown stops the server, then sends the telemetry that waits.
func (s *service) shutdown(ctx context.Context) error {
	errs := []error{s.server.Shutdown(ctx)}
	s.client.CloseIdleConnections()
	for _, stop := range s.stop {
		errs = append(errs, stop(ctx))
	}
	return errors.Join(errs...)
}

// failure is an error that a service answers with.
type failure struct {
	status int
	reason string
}

func (f *failure) Error() string { return f.reason }

// call asks another service and decodes its JSON answer into out unless that is nil.
func (s *service) call(ctx context.Context, method, url string, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return &failure{http.StatusBadGateway, err.Error()}
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusBadRequest {
		var answer struct {
			Error string `json:"error"`
		}
		_ = json.NewDecoder(resp.Body).Decode(&answer)
		return &failure{resp.StatusCode, answer.Error}
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(out)
}

// handle registers a route whose result is answered as JSON, and whose error is
// answered with its status, logged, and set on the span.
func (s *service) handle(pattern string, fn func(r *http.Request) (any, error)) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		answer, err := fn(r)
		if err == nil {
			_ = json.NewEncoder(w).Encode(answer)
			return
		}
		status := http.StatusInternalServerError
		var f *failure
		if errors.As(err, &f) {
			status = f.status
		}
		if status >= http.StatusInternalServerError {
			span := trace.SpanFromContext(r.Context())
			span.RecordError(err)
			span.SetStatus(codes.Error, err.Error())
			s.log.ErrorContext(r.Context(), "request failed", "http.route", r.Pattern, "http.response.status_code", status, "error", err.Error())
		} else {
			s.log.WarnContext(r.Context(), "request refused", "http.route", r.Pattern, "http.response.status_code", status, "error", err.Error())
		}
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": err.Error()})
	})
}

// pause takes as long as the work that it stands for, unless the caller goes
// away first.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
