package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"belfry/internal/lifecycle"
	"belfry/internal/telemetry"
)

// drainTimeout bounds an orderly stop.
const drainTimeout = 30 * time.Second

// App is the whole of Belfry, wired.
type App struct {
	opts     Options
	cfg      *Config
	logger   *telemetry.Logger
	registry *prometheus.Registry
	reloads  *reloadMetrics
	started  time.Time

	stack     lifecycle.Stack
	ready     atomic.Bool
	reloading sync.Mutex
	fatal     chan error

	stores   *stores
	alerting *alerting
	ingest   *ingest
	web      *web
}

// New reads the configuration and opens everything. Nothing runs yet.
func New(opts Options) (*App, error) {
	cfg, err := opts.load()
	if err != nil {
		return nil, err
	}
	exposed, err := guardAddresses(cfg, opts.Insecure)
	if err != nil {
		return nil, err
	}
	a := &App{
		opts:     opts,
		cfg:      cfg,
		logger:   telemetry.NewLogger(opts.LogOutput, cfg.Telemetry),
		registry: telemetry.NewRegistry(opts.Version, opts.Revision),
		started:  time.Now(),
		fatal:    make(chan error, 1),
	}
	a.reloads = newReloadMetrics(a.registry)
	a.stack.Logger = a.logger.With("component", "lifecycle")
	for _, address := range exposed {
		a.logger.Warn("open to other machines without TLS or authentication, as asked by --insecure", "address", address)
	}
	limitMemory()
	if err := os.MkdirAll(cfg.DataDir, 0o750); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	return a, nil
}

// Run starts everything, serves until ctx ends, and drains. What arrives on
// reload asks for the configuration to be read again.
func (a *App) Run(ctx context.Context, reload <-chan os.Signal) error {
	if err := a.open(ctx); err != nil {
		return errors.Join(err, a.shutdown())
	}
	if err := a.stack.Start(ctx); err != nil {
		return err
	}
	// Starting needs memory that running does not.
	debug.FreeOSMemory()
	a.ready.Store(true)
	a.logger.Info("ready", "version", a.opts.Version, "address", a.web.addr().String(), "data", a.cfg.DataDir,
		"took", time.Since(a.started).Round(time.Millisecond).String())
	for {
		select {
		case <-ctx.Done():
			return a.shutdown()
		case err := <-a.fatal:
			return errors.Join(err, a.shutdown())
		case <-reload:
			if err := a.Reload(); err != nil {
				a.logger.Error("reload refused, the running configuration goes on", "error", err)
			}
		}
	}
}

// open builds the parts from the bottom up and puts them on the stack in that
// order, so that they stop in the reverse.
func (a *App) open(ctx context.Context) (err error) {
	lock, err := lockDir(a.cfg.DataDir)
	if err != nil {
		return err
	}
	a.stack.Add(lifecycle.Component{Name: "data folder", Shutdown: func(context.Context) error { return lock.Close() }})
	a.stack.AddRun("garbage pace", paceGarbage, a.fail)
	if a.stores, err = a.openStores(ctx); err != nil {
		return err
	}
	if a.alerting, err = a.openAlerting(ctx); err != nil {
		return err
	}
	if a.ingest, err = a.openIngest(ctx); err != nil {
		return err
	}
	if a.web, err = a.openWeb(); err != nil {
		return err
	}
	// Sinks are below; what feeds them starts last and stops first.
	a.stores.addTo(&a.stack, a.fail)
	a.alerting.addTo(&a.stack, a.fail)
	a.web.addTo(&a.stack)
	a.ingest.addTo(&a.stack, a.fail)
	a.stack.AddRun("program pages", releaseProgram, a.fail)
	return nil
}

// fail ends Run with an error.
func (a *App) fail(err error) {
	select {
	case a.fatal <- err:
	default:
	}
}

func (a *App) shutdown() error {
	a.ready.Store(false)
	a.logger.Info("stopping")
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	err := a.stack.Shutdown(ctx)
	a.logger.Info("stopped")
	return err
}

// instance names this process among others in its own telemetry.
func (a *App) instance() string {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	_, port, err := net.SplitHostPort(a.cfg.Server.Address)
	if err != nil {
		return host
	}
	return net.JoinHostPort(host, port)
}

func (a *App) dir(parts ...string) string {
	return filepath.Join(append([]string{a.cfg.DataDir}, parts...)...)
}
