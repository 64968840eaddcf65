package sender

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/storage/remote"
)

// flushDeadline is how long a queue that ends goes on to send what it holds.
const flushDeadline = 10 * time.Second

// Store is what the metrics store does for a sender.
type Store interface {
	// LogDir returns the folder in which a tenant's log is, as "wal".
	LogDir(tenant string) string

	// OnAppend has f called after each commit with how many samples of a tenant
	// it appended and the time of the newest, milliseconds. f must not wait.
	OnAppend(f func(tenant string, samples int, newest int64))
}

// Options configure a Sender.
type Options struct {
	Store  Store
	Config Config

	// Dir is what relative paths in the configuration are relative to.
	Dir string

	// Scraped knows the metadata of scraped metrics, which 1.0 sends apart.
	Scraped remote.ReadyScrapeManager

	Logger     *slog.Logger          // nil discards
	Registerer prometheus.Registerer // nil registers nothing
}

// Sender sends. Nothing runs while no remote_write is configured.
type Sender struct {
	o      Options
	tenant atomic.Pointer[string]
	queues atomic.Pointer[remote.WriteStorage] // nil while there are none

	mu      sync.Mutex // starting, reloading, stopping
	loaded  *config.Config
	started bool
}

// New returns a Sender that does nothing before Start.
func New(o Options) (*Sender, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry() // the queues cannot do without
	}
	cfg, err := o.Config.load(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("remote_write: %w", err)
	}
	s := &Sender{o: o, loaded: cfg}
	s.tenant.Store(&o.Config.Tenant)
	o.Store.OnAppend(s.appended)
	return s, nil
}

// Start begins to send what is appended from now on.
func (s *Sender) Start(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.started = true
	return s.apply(s.loaded)
}

// Reload swaps the configuration: queues whose section is the same go on, others end
// or begin. The tenant stays. Where that fails the error says what is wrong with
// the new one.
func (s *Sender) Reload(c Config) error {
	cfg, err := c.load(s.o.Dir)
	if err != nil {
		return fmt.Errorf("remote_write: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started {
		if err := s.apply(cfg); err != nil {
			return err
		}
	}
	s.loaded = cfg
	return nil
}

func (s *Sender) apply(cfg *config.Config) error {
	queues := s.queues.Load()
	if queues == nil {
		if len(cfg.RemoteWriteConfigs) == 0 {
			return nil
		}
		queues = remote.NewWriteStorage(s.o.Logger, s.o.Registerer, s.o.Store.LogDir(*s.tenant.Load()), flushDeadline, s.o.Scraped, false)
		s.queues.Store(queues)
	}
	if err := queues.ApplyConfig(cfg); err != nil {
		return fmt.Errorf("remote_write: %w", err)
	}
	return nil
}

// Shutdown sends what the queues hold, for some seconds at most.
func (s *Sender) Shutdown(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.started = false
	queues := s.queues.Swap(nil)
	if queues == nil {
		return nil
	}
	return queues.Close()
}

// appended tells the queues that there is more in the log, and how much: they take
// more connections if it comes faster than it goes.
func (s *Sender) appended(tenant string, samples int, newest int64) {
	queues := s.queues.Load()
	if queues == nil || tenant != *s.tenant.Load() {
		return
	}
	counter := queues.AppenderV2(context.Background())
	for range samples {
		_, _ = counter.Append(0, labels.EmptyLabels(), 0, newest, 0, nil, nil, storage.AOptions{}) // only counts
	}
	_ = counter.Commit() // only counts
	queues.Notify()
}
