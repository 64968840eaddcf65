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
	logger    *slog.Logger
	slot      *metricsSlot
	collector prometheus.Collector // of the service's metrics
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
	var captured captureRegisterer
	reader, err := otelprom.New(
		otelprom.WithRegisterer(&captured),
		otelprom.WithoutScopeInfo(),
		otelprom.WithoutTargetInfo(),
	)
	if err != nil {
		return nil, err
	}
	o.collector = captured.collector
	return sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader), sdkmetric.WithView(dropped)), nil
}

// show makes the service's metrics the visible ones. It is separate from their
// creation since two services exist during a reload.
func (o *ownTelemetry) show() { o.slot.set(o.collector) }

// hide ends that, where they are the visible ones.
func (o *ownTelemetry) hide() { o.slot.clear(o.collector) }

// metricsSlot is what a registry knows of the metrics of one service after the
// other. A service's own collector could not take part: it has no descriptions,
// and a registry can let go of described collectors only.
type metricsSlot struct {
	mu      sync.Mutex
	current prometheus.Collector
}

func (s *metricsSlot) set(c prometheus.Collector) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = c
}

func (s *metricsSlot) clear(c prometheus.Collector) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == c {
		s.current = nil
	}
}

// Describe implements prometheus.Collector: which metrics there are depends on
// the components.
func (*metricsSlot) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (s *metricsSlot) Collect(ch chan<- prometheus.Metric) {
	s.mu.Lock()
	c := s.current
	s.mu.Unlock()
	if c != nil {
		c.Collect(ch)
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
