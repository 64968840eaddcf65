package collector

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/service/telemetry"
	otelprom "go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.uber.org/zap"
)

// telemetryConfig accepts whatever service::telemetry has and ignores it.
type telemetryConfig struct {
	Ignored map[string]any `mapstructure:",remain"`
}

// ownTelemetry makes one service report where Belfry reports: its logs go to
// slog, its metrics to the process' registry. It does not trace.
type ownTelemetry struct {
	logger     *slog.Logger
	registerer prometheus.Registerer

	mu        sync.Mutex
	collector prometheus.Collector // of the service's metrics; nil without a registry
}

func (o *ownTelemetry) factory() telemetry.Factory {
	return telemetry.NewFactory(
		func() component.Config { return &telemetryConfig{} },
		telemetry.WithCreateLogger(o.createLogger),
		telemetry.WithCreateMeterProvider(o.createMeterProvider),
	)
}

func (o *ownTelemetry) createLogger(_ context.Context, _ telemetry.LoggerSettings, cfg component.Config) (*zap.Logger, component.ShutdownFunc, error) {
	if c, ok := cfg.(*telemetryConfig); ok && len(c.Ignored) > 0 {
		o.logger.Warn("collector.service.telemetry is ignored, use the section telemetry")
	}
	return zap.New(newCore(o.logger)), nil, nil
}

func (o *ownTelemetry) createMeterProvider(context.Context, telemetry.MeterSettings, component.Config) (telemetry.MeterProvider, error) {
	if o.registerer == nil {
		return sdkmetric.NewMeterProvider(), nil
	}
	var captured captureRegisterer
	reader, err := otelprom.New(
		otelprom.WithRegisterer(&captured),
		otelprom.WithoutScopeInfo(),
		otelprom.WithoutTargetInfo(),
	)
	if err != nil {
		return nil, err
	}
	o.mu.Lock()
	o.collector = captured.collector
	o.mu.Unlock()
	return sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader), sdkmetric.WithView(dropped)), nil
}

// register shows the service's metrics in the registry. It is separate from
// their creation since two services exist during a reload, of which only one
// may be seen.
func (o *ownTelemetry) register() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.collector == nil {
		return nil
	}
	return o.registerer.Register(o.collector)
}

func (o *ownTelemetry) unregister() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.collector != nil {
		o.registerer.Unregister(o.collector)
	}
}

// dropped leaves out what the instrumentation of HTTP and gRPC counts, whose
// labels come from the peers, and what the process' own registry has already.
func dropped(i sdkmetric.Instrument) (sdkmetric.Stream, bool) {
	switch i.Scope.Name {
	case "go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc",
		"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp",
		"go.opentelemetry.io/collector/service":
		return sdkmetric.Stream{Name: i.Name, Aggregation: sdkmetric.AggregationDrop{}}, true
	}
	return sdkmetric.Stream{}, false
}

// captureRegisterer takes the exporter's collector without registering it.
type captureRegisterer struct{ collector prometheus.Collector }

func (r *captureRegisterer) Register(c prometheus.Collector) error {
	if r.collector != nil {
		return errors.New("more than one collector")
	}
	r.collector = c
	return nil
}

func (r *captureRegisterer) MustRegister(cs ...prometheus.Collector) {
	for _, c := range cs {
		_ = r.Register(c)
	}
}

func (r *captureRegisterer) Unregister(prometheus.Collector) bool { return false }
