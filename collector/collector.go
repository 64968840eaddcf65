package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"

	"belfry/collector/exporter/storeexporter"
	"belfry/collector/internal/ingest"
	"belfry/collector/internal/listen"
	"belfry/collector/receiver/localreceiver"
	"belfry/collector/receiver/otlpreceiver"
	"belfry/internal/fault"
	"belfry/logs"
	"belfry/traces"
	"belfry/tsdb"
)

// DefaultMaxRequestSize bounds a request, in bytes, where the settings do not.
const DefaultMaxRequestSize = 32 << 20

// requestsAtOnce is how many requests of the largest size are read and handled
// at the same time; ordinary ones are a thousandth of that.
const requestsAtOnce = 8

// Settings is what code supplies to a collector.
type Settings struct {
	// Config is the user's section, in the Collector's configuration language.
	// Nil runs the defaults.
	Config map[string]any

	Logs    logs.Appender
	Traces  traces.Appender
	Metrics tsdb.MetricsAppender

	// MaxRequestSize is the default limit of OTLP requests, in bytes after
	// decompression; a receiver's own setting replaces it. Zero means
	// DefaultMaxRequestSize.
	MaxRequestSize int64

	Version    string
	Logger     *slog.Logger
	Registerer prometheus.Registerer // nil for no metrics

	// Fatal is called when a component cannot go on, as when a listener breaks.
	// It may be nil; the error is logged in any case.
	Fatal func(error)
}

func (s *Settings) fill() {
	if s.Logger == nil {
		s.Logger = slog.New(slog.DiscardHandler)
	}
	if s.MaxRequestSize <= 0 {
		s.MaxRequestSize = DefaultMaxRequestSize
	}
	if s.Fatal == nil {
		s.Fatal = func(error) {}
	}
}

// Collector runs the pipelines of one configuration at a time.
type Collector struct {
	set       Settings
	door      *localreceiver.Door
	listeners *listen.Pool
	budget    *ingest.Budget
	counts    *storeexporter.Counts
	metrics   *metricsSlot
	handlers  *handlers

	mu      sync.Mutex // one of Start, Reload and Shutdown at a time
	built   *generation
	running *generation
	stopped bool
}

// New validates the configuration and builds what it asks for, without starting
// anything.
func New(ctx context.Context, set Settings) (*Collector, error) {
	set.fill()
	c := &Collector{
		set:       set,
		door:      localreceiver.NewDoor(),
		listeners: listen.NewPool(),
		budget:    ingest.NewBudget(requestsAtOnce * set.MaxRequestSize),
		counts:    storeexporter.NewCounts(),
		metrics:   new(metricsSlot),
	}
	var err error
	if c.handlers, err = newHandlers(ctx, c.door, c.budget, set.MaxRequestSize); err != nil {
		return nil, err
	}
	if c.built, err = c.build(ctx, set.Config); err != nil {
		return nil, err
	}
	if set.Registerer != nil {
		if err := errors.Join(set.Registerer.Register(c.counts), set.Registerer.Register(c.metrics)); err != nil {
			return nil, errors.Join(fmt.Errorf("collector: register metrics: %w", err), c.Shutdown(ctx))
		}
	}
	return c, nil
}

// Validate reports all that is wrong with a user's configuration, as
// errors.Join of faults that start with a dotted path. It builds the pipelines,
// which finds what single values do not show, and starts nothing.
func Validate(ctx context.Context, config map[string]any) error {
	c := &Collector{door: localreceiver.NewDoor(), listeners: listen.NewPool(), counts: storeexporter.NewCounts(), metrics: new(metricsSlot)}
	c.set.fill()
	return c.validate(ctx, config)
}

// Start starts the pipelines, exporters first. When it returns without an error
// every receiver listens.
func (c *Collector) Start(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped || c.built == nil {
		return errors.New("collector: already started")
	}
	g := c.built
	c.built = nil
	if err := g.start(ctx); err != nil {
		return errors.Join(fmt.Errorf("collector: %w", err), c.listeners.Trim())
	}
	c.running = g
	return nil
}

// Reload replaces the configuration; one that says the same as the old one, with
// all references expanded, leaves everything running. Where the new one is bad
// or cannot start, the old one keeps or resumes running and the error says why.
func (c *Collector) Reload(ctx context.Context, config map[string]any) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running == nil {
		return fault.Unavailablef(0, "collector: not running")
	}
	if err := c.validate(ctx, config); err != nil {
		return &fault.Error{Kind: fault.Invalid, Err: err}
	}
	old := c.running
	next, err := c.build(ctx, config)
	if err != nil {
		return fmt.Errorf("collector: %w", err)
	}
	if reflect.DeepEqual(next.resolved.merged, old.resolved.merged) {
		return next.shutdown(ctx)
	}
	c.running = nil
	if err := old.shutdown(ctx); err != nil {
		c.set.Logger.WarnContext(ctx, "old pipelines did not stop cleanly", "error", err)
	}
	next, startErr := c.startAgain(ctx, next)
	if startErr == nil {
		c.running = next
		return c.listeners.Trim()
	}
	// Back to what worked.
	previous, err := c.build(ctx, old.config)
	if err == nil {
		previous, err = c.startAgain(ctx, previous)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("collector: start new configuration: %w", startErr), fmt.Errorf("resume old configuration: %w", err))
	}
	c.running = previous
	return errors.Join(fmt.Errorf("collector: start new configuration, the old one runs again: %w", startErr), c.listeners.Trim())
}

// startAgain starts a generation in place of one that has been shut down. Some
// receivers let go of their sockets only a moment after that (fluentforward's
// for heartbeats), so an address in use is tried again for a while.
func (c *Collector) startAgain(ctx context.Context, g *generation) (*generation, error) {
	for attempt := 0; ; attempt++ {
		err := g.start(ctx)
		if attempt == startAttempts-1 || !errors.Is(err, syscall.EADDRINUSE) {
			return g, err
		}
		select {
		case <-time.After(startDelay):
		case <-ctx.Done():
			return g, err
		}
		again, buildErr := c.build(ctx, g.config)
		if buildErr != nil {
			return g, errors.Join(err, buildErr)
		}
		g = again
	}
}

// How often and after how long a generation is started again.
const (
	startAttempts = 5
	startDelay    = 100 * time.Millisecond
)

// Shutdown stops the receivers, lets what they took run through and stops the
// rest. It is bounded by ctx and may be called more than once, and without
// Start.
func (c *Collector) Shutdown(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return nil
	}
	c.stopped = true
	errs := []error{c.listeners.Close()}
	for _, g := range []*generation{c.running, c.built} {
		if g != nil {
			errs = append(errs, g.shutdown(ctx))
		}
	}
	c.running, c.built = nil, nil
	c.door.Close()
	if c.set.Registerer != nil {
		c.set.Registerer.Unregister(c.counts)
	}
	return errors.Join(errs...)
}

// Consumer takes telemetry into the default pipelines from inside the process.
// Its methods wait during a reload and return errors that have a fault.Kind.
type Consumer interface {
	consumer.Logs
	consumer.Traces
	consumer.Metrics
}

// Consumer returns the way into the pipelines for code in this process.
func (c *Collector) Consumer() Consumer { return c.door }

// doors returns what Belfry's own components need, for one generation.
func (c *Collector) doors(g *generation) doors {
	return doors{
		otlp: otlpreceiver.Options{
			Logger: c.set.Logger, MaxRequestSize: c.set.MaxRequestSize, Budget: c.budget, Listeners: c.listeners, Direct: g.direct,
		},
		local: localreceiver.Options{Logger: c.set.Logger, Door: c.door, Direct: g.direct},
		store: storeexporter.Options{
			Logs: c.set.Logs, Traces: c.set.Traces, Metrics: c.set.Metrics, Logger: c.set.Logger, Counts: c.counts,
		},
	}
}

func (c *Collector) buildInfo() component.BuildInfo {
	return component.BuildInfo{Command: "belfry", Description: "Belfry", Version: c.set.Version}
}
