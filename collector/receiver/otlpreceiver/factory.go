package otlpreceiver

import (
	"context"
	"log/slog"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"

	"belfry/collector/internal/ingest"
	"belfry/collector/internal/listen"
)

// Options is what code supplies to the receivers of one Collector service.
type Options struct {
	Logger         *slog.Logger
	MaxRequestSize int64 // bytes, after decompression
	Budget         *ingest.Budget
	Listeners      *listen.Pool
	Direct         func(id component.ID) ingest.Direct
}

// NewFactory returns the factory of otlp receivers. The three signals of one
// receiver share one instance and its servers.
func NewFactory(opts Options) receiver.Factory {
	f := &factory{opts: opts, receivers: map[*Config]*otlpReceiver{}}
	return receiver.NewFactory(
		component.MustNewType("otlp"),
		func() component.Config { return defaultConfig(opts.MaxRequestSize) },
		receiver.WithTraces(f.createTraces, component.StabilityLevelStable),
		receiver.WithMetrics(f.createMetrics, component.StabilityLevelStable),
		receiver.WithLogs(f.createLogs, component.StabilityLevelStable),
	)
}

type factory struct {
	opts      Options
	mu        sync.Mutex
	receivers map[*Config]*otlpReceiver
}

func (f *factory) shared(set receiver.Settings, cfg component.Config) *otlpReceiver {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := cfg.(*Config)
	r := f.receivers[c]
	if r == nil {
		r = newReceiver(c, set, f.opts)
		f.receivers[c] = r
	}
	return r
}

func (f *factory) createTraces(_ context.Context, set receiver.Settings, cfg component.Config, next consumer.Traces) (receiver.Traces, error) {
	r := f.shared(set, cfg)
	r.next.Traces = next
	return r, nil
}

func (f *factory) createMetrics(_ context.Context, set receiver.Settings, cfg component.Config, next consumer.Metrics) (receiver.Metrics, error) {
	r := f.shared(set, cfg)
	r.next.Metrics = next
	return r, nil
}

func (f *factory) createLogs(_ context.Context, set receiver.Settings, cfg component.Config, next consumer.Logs) (receiver.Logs, error) {
	r := f.shared(set, cfg)
	r.next.Logs = next
	return r, nil
}
