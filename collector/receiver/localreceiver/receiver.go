// Package localreceiver is the collector's door for what arrives inside the
// process: Belfry's own telemetry, and the OTLP and Zipkin paths of the main
// HTTP listener. It is called belfry, listens on nothing, and stays usable over
// reloads: callers wait while the pipelines behind it are replaced.
package localreceiver

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receiverhelper"

	"belfry/collector/internal/ingest"
	"belfry/internal/fault"
)

// retryDelay is what a caller is told to wait while nothing takes its data.
const retryDelay = 5 * time.Second

// Door leads into the pipelines of whichever service runs at the moment.
type Door struct {
	mu       sync.Mutex
	current  *running      // nil between two services
	changed  chan struct{} // closed when current or closed changes
	closed   bool
	inflight sync.WaitGroup
}

// running is what one service offers.
type running struct {
	next ingest.Consumers
	sink *ingest.Sink
}

// NewDoor returns a door that nothing is behind yet.
func NewDoor() *Door { return &Door{changed: make(chan struct{})} }

// Close refuses callers, those that wait included, from now on.
func (d *Door) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	d.signal()
}

func (d *Door) signal() {
	close(d.changed)
	d.changed = make(chan struct{})
}

// enter waits for a service and returns it; the caller calls leave after use.
func (d *Door) enter(ctx context.Context) (*running, error) {
	for {
		d.mu.Lock()
		if d.closed {
			d.mu.Unlock()
			return nil, fault.Unavailablef(retryDelay, "the collector is shut down")
		}
		if r := d.current; r != nil {
			d.inflight.Add(1)
			d.mu.Unlock()
			return r, nil
		}
		changed := d.changed
		d.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fault.Unavailablef(retryDelay, "the collector is starting: %w", ctx.Err())
		}
	}
}

// Waits reports whether callers have to wait, as during a reload.
func (d *Door) Waits() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.current == nil && !d.closed
}

func (d *Door) leave() { d.inflight.Done() }

// Export implements ingest.Exporter.
func (d *Door) Export(ctx context.Context, signal ingest.Signal, enc ingest.Encoding, body []byte) ([]byte, error) {
	r, err := d.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer d.leave()
	return r.sink.Export(ctx, signal, enc, body)
}

// ConsumeLogs passes logs into the pipelines.
func (d *Door) ConsumeLogs(ctx context.Context, ld plog.Logs) error {
	return pass(ctx, d, ingest.Logs, func(r *running) error { return r.next.Logs.ConsumeLogs(ctx, ld) })
}

// ConsumeTraces passes spans into the pipelines.
func (d *Door) ConsumeTraces(ctx context.Context, td ptrace.Traces) error {
	return pass(ctx, d, ingest.Traces, func(r *running) error { return r.next.Traces.ConsumeTraces(ctx, td) })
}

// ConsumeMetrics passes metrics into the pipelines.
func (d *Door) ConsumeMetrics(ctx context.Context, md pmetric.Metrics) error {
	return pass(ctx, d, ingest.Metrics, func(r *running) error { return r.next.Metrics.ConsumeMetrics(ctx, md) })
}

// Capabilities implements consumer.Logs and its siblings: pipelines that change
// data copy it or own it.
func (d *Door) Capabilities() consumer.Capabilities { return consumer.Capabilities{MutatesData: true} }

func pass(ctx context.Context, d *Door, signal ingest.Signal, consume func(*running) error) error {
	r, err := d.enter(ctx)
	if err != nil {
		return err
	}
	defer d.leave()
	if !r.next.Has(signal) {
		return fault.NotFoundf("no pipeline takes %s here", signal)
	}
	return ingest.AsFault(consume(r))
}

// Options is what code supplies to the receivers of one service.
type Options struct {
	Logger *slog.Logger
	Door   *Door
	Direct func(id component.ID) ingest.Direct
}

// Config is empty: there is nothing to configure.
type Config struct{}

// NewFactory returns the factory of the belfry receiver.
func NewFactory(opts Options) receiver.Factory {
	r := &localReceiver{opts: opts}
	return receiver.NewFactory(
		component.MustNewType("belfry"),
		func() component.Config { return &Config{} },
		receiver.WithTraces(func(_ context.Context, set receiver.Settings, _ component.Config, next consumer.Traces) (receiver.Traces, error) {
			r.set, r.next.Traces = set, next
			return r, nil
		}, component.StabilityLevelStable),
		receiver.WithMetrics(func(_ context.Context, set receiver.Settings, _ component.Config, next consumer.Metrics) (receiver.Metrics, error) {
			r.set, r.next.Metrics = set, next
			return r, nil
		}, component.StabilityLevelStable),
		receiver.WithLogs(func(_ context.Context, set receiver.Settings, _ component.Config, next consumer.Logs) (receiver.Logs, error) {
			r.set, r.next.Logs = set, next
			return r, nil
		}, component.StabilityLevelStable),
	)
}

// localReceiver is one service's part of the door.
type localReceiver struct {
	opts  Options
	set   receiver.Settings
	next  ingest.Consumers
	start sync.Once
	err   error
	open  *running // behind the door once this service has started
	stop  sync.Once
}

// Start opens the door to this service.
func (r *localReceiver) Start(context.Context, component.Host) error {
	r.start.Do(func() {
		var report *receiverhelper.ObsReport
		report, r.err = receiverhelper.NewObsReport(receiverhelper.ObsReportSettings{
			ReceiverID: r.set.ID, Transport: "local", ReceiverCreateSettings: r.set,
		})
		if r.err != nil {
			return
		}
		sink := ingest.NewSink(ingest.SinkOptions{
			Consumers: r.next, Direct: r.opts.Direct(r.set.ID), Report: report, Logger: r.opts.Logger,
		})
		r.opts.Door.mu.Lock()
		defer r.opts.Door.mu.Unlock()
		r.open = &running{next: r.next, sink: sink}
		r.opts.Door.current = r.open
		r.opts.Door.signal()
	})
	return r.err
}

// Shutdown closes the door to this service and waits for those inside. A service
// that never started leaves the door to the one that runs.
func (r *localReceiver) Shutdown(ctx context.Context) error {
	var err error
	r.stop.Do(func() {
		d := r.opts.Door
		d.mu.Lock()
		mine := r.open != nil && d.current == r.open
		if mine {
			d.current = nil
		}
		d.mu.Unlock()
		if !mine {
			return
		}
		left := make(chan struct{})
		go func() { d.inflight.Wait(); close(left) }()
		select {
		case <-left:
		case <-ctx.Done():
			err = ctx.Err()
		}
	})
	return err
}
