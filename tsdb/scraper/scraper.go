package scraper

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/util/features"
	"github.com/prometheus/prometheus/util/logging"

	"belfry/internal/tenant"
	"belfry/tsdb"
)

// Options configure a Scraper.
type Options struct {
	Appendable tsdb.Appendable
	Config     Config

	// Dir is what relative paths in the configuration are relative to.
	Dir string

	// StartTimestamps is the store's treatment of start times.
	StartTimestamps tsdb.StartTimestamps

	// DiscoveryInterval is how long found targets are gathered before they
	// are scraped; zero is Prometheus' five seconds.
	DiscoveryInterval time.Duration

	Logger     *slog.Logger          // nil discards
	Registerer prometheus.Registerer // nil registers nothing
	Features   features.Collector    // nil records nothing
}

// Scraper scrapes. Its exported methods that Prometheus' API knows (TargetsActive
// and so on) answer for the tenant that scraped metrics belong to.
type Scraper struct {
	*scrape.Manager
	discovery *discovery.Manager
	dir       string
	loaded    atomic.Pointer[config.Config]
	target    *appendable

	applying sync.Mutex
	cancel   context.CancelFunc
	running  sync.WaitGroup
	stopOnce sync.Once
}

// New returns a Scraper that does nothing before Start.
func New(o Options) (*Scraper, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry() // the managers cannot do without
	}
	cfg, err := o.Config.load(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("scrape configuration: %w", err)
	}
	sd, err := discovery.CreateAndRegisterSDMetrics(o.Registerer)
	if err != nil {
		return nil, fmt.Errorf("start service discovery: %w", err)
	}
	target := &appendable{to: o.Appendable}
	target.tenant.Store(&o.Config.Tenant)
	manager, err := scrape.NewManager(&scrape.Options{
		AppendMetadata:           true,
		DiscoveryReloadInterval:  model.Duration(o.DiscoveryInterval),
		DiscoveryReloadOnStartup: true,
		ParseST:                  o.StartTimestamps != tsdb.Ignore && o.StartTimestamps != "",
		FeatureRegistry:          o.Features,
	}, o.Logger, logging.NewJSONFileLogger, nil, target, o.Registerer)
	if err != nil {
		return nil, fmt.Errorf("start scraping: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	options := []func(*discovery.Manager){discovery.Name("scrape")}
	if o.Features != nil {
		options = append(options, discovery.FeatureRegistry(o.Features))
	}
	if o.DiscoveryInterval > 0 {
		options = append(options, discovery.Updatert(o.DiscoveryInterval))
	}
	finder := discovery.NewManager(ctx, o.Logger, o.Registerer, sd, options...)
	if finder == nil {
		cancel()
		return nil, errors.New("start service discovery: its metrics are registered already")
	}
	s := &Scraper{Manager: manager, discovery: finder, dir: o.Dir, target: target, cancel: cancel}
	s.loaded.Store(cfg)
	return s, nil
}

// Start begins to discover and scrape.
func (s *Scraper) Start(context.Context) error {
	if err := s.apply(s.loaded.Load()); err != nil {
		return err
	}
	s.running.Go(func() { _ = s.discovery.Run() })           // ends with its context, and says so
	s.running.Go(func() { _ = s.Run(s.discovery.SyncCh()) }) // never fails
	return nil
}

// Shutdown ends scraping. Targets that were scraped get stale markers with the
// next start only: a restart is not the end of a target.
func (s *Scraper) Shutdown(context.Context) error {
	s.stopOnce.Do(func() {
		s.cancel()
		s.Stop()
	})
	s.running.Wait()
	return nil
}

// Reload swaps the configuration, or keeps the old one and returns what is
// wrong with the new.
func (s *Scraper) Reload(c Config) error {
	if err := tenant.Validate(c.Tenant); err != nil {
		return fmt.Errorf("scrape configuration: %w", err)
	}
	cfg, err := c.load(s.dir)
	if err != nil {
		return fmt.Errorf("scrape configuration: %w", err)
	}
	if err := s.apply(cfg); err != nil {
		return errors.Join(err, s.apply(s.loaded.Load()))
	}
	s.target.tenant.Store(&c.Tenant)
	s.loaded.Store(cfg)
	return nil
}

func (s *Scraper) apply(cfg *config.Config) error {
	s.applying.Lock()
	defer s.applying.Unlock()
	if err := s.ApplyConfig(cfg); err != nil {
		return fmt.Errorf("scrape configuration: %w", err)
	}
	jobs, err := cfg.GetScrapeConfigs()
	if err != nil {
		return fmt.Errorf("scrape configuration: %w", err)
	}
	discover := map[string]discovery.Configs{}
	for _, job := range jobs {
		discover[job.JobName] = job.ServiceDiscoveryConfigs
	}
	if err := s.discovery.ApplyConfig(discover); err != nil {
		return fmt.Errorf("scrape configuration: %w", err)
	}
	return nil
}

// Prometheus returns the configuration in force, as Prometheus' API shows it.
func (s *Scraper) Prometheus() config.Config { return *s.loaded.Load() }

// Tenant returns the tenant that scraped metrics belong to.
func (s *Scraper) Tenant() string { return *s.target.tenant.Load() }
