package app

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"

	amconfig "github.com/prometheus/alertmanager/config"
	"go.yaml.in/yaml/v3"

	"belfry/alerting/escalation"
	"belfry/alerting/inbound"
	"belfry/alerting/notify"
	"belfry/alerting/oncall"
	"belfry/alerting/router"
	"belfry/alerting/rules"
	"belfry/collector"
	"belfry/internal/config"
	"belfry/internal/httpserver"
	"belfry/internal/telemetry"
	"belfry/internal/tenant"
	logstore "belfry/logs/store"
	"belfry/traces/spanmetrics"
	tracestore "belfry/traces/store"
	"belfry/tsdb"
	"belfry/tsdb/scraper"
	"belfry/tsdb/sender"
)

// Config is belfry.yaml. Everything in it has a default;
// docs/belfry.example.yaml shows every section.
type Config struct {
	Server      httpserver.Config `yaml:"server"`
	DataDir     string            `yaml:"data_dir"`
	ExternalURL string            `yaml:"external_url"` // where people reach the web app; links in notifications start with it
	Telemetry   telemetry.Config  `yaml:"telemetry"`
	State       StateConfig       `yaml:"state"`

	Metrics tsdb.Config       `yaml:"metrics"`
	Logs    logstore.Config   `yaml:"logs"`
	Traces  tracestore.Config `yaml:"traces"`

	// What is counted in spans as they arrive: rates, errors and durations of
	// operations, and the calls between services.
	SpanMetrics spanmetrics.Config `yaml:"span_metrics"`

	// Other programs' languages, verbatim.
	Collector         yaml.Node `yaml:"collector"`
	Alertmanager      yaml.Node `yaml:"alertmanager"`
	Global            yaml.Node `yaml:"global"` // Prometheus' section: defaults of scraping
	ScrapeConfigs     yaml.Node `yaml:"scrape_configs"`
	ScrapeConfigFiles []string  `yaml:"scrape_config_files"`
	RemoteWrite       yaml.Node `yaml:"remote_write"` // Prometheus' section: where metrics are sent on to

	Rules       rules.Config             `yaml:"rules"`
	Routing     router.Config            `yaml:"routing"`
	Maintenance router.MaintenanceConfig `yaml:"maintenance"`
	OnCall      oncall.Config            `yaml:"oncall"`
	Escalation  escalation.Config        `yaml:"escalation"`
	Notify      notify.Config            `yaml:"notify"`
	Inbound     inbound.Config           `yaml:"inbound"`

	dir          string // of the file; relative paths in it start there
	alertmanager *amconfig.Config
}

// StateConfig says where what people create is kept.
type StateConfig struct {
	// DSN of a PostgreSQL that several processes share; empty is SQLite in the
	// data folder.
	DSN config.Secret `yaml:"dsn"`
}

// DefaultDataDir is used where neither file nor flag says another.
const DefaultDataDir = "./belfry-data"

// DefaultConfig is the configuration of an empty file.
func DefaultConfig() *Config {
	return &Config{
		Server:      httpserver.DefaultConfig(),
		DataDir:     DefaultDataDir,
		Telemetry:   telemetry.DefaultConfig(),
		Metrics:     tsdb.DefaultConfig(),
		Logs:        logstore.DefaultConfig(),
		Traces:      tracestore.DefaultConfig(),
		SpanMetrics: spanmetrics.DefaultConfig(),
		Rules:       rules.DefaultConfig(),
		Routing:     router.DefaultConfig(),
		OnCall:      oncall.DefaultConfig(),
		Escalation:  escalation.DefaultConfig(),
		Notify:      notify.DefaultConfig(),
		Inbound:     inbound.DefaultConfig(),
	}
}

// ParseConfig reads a configuration file's content. The error is config.Faults
// with everything that is wrong in it.
func ParseConfig(name string, content []byte) (*Config, error) {
	c := DefaultConfig()
	c.dir = filepath.Dir(name)
	err := config.Decode(name, content, c,
		config.Check{Path: "collector", Run: c.checkCollector},
		config.Check{Run: func() error { return c.scrape().Validate() }},
		config.Check{Run: func() error { return c.send().Validate() }},
		config.Check{Run: func() error { return c.checkPeople(name, content) }},
	)
	am, amErr := router.Load(name, content, c.Alertmanager)
	c.alertmanager = am
	return c, joinFaults(err, amErr)
}

// joinFaults makes one list of the faults of two passes over a file.
func joinFaults(a, b error) error {
	if a == nil {
		return b
	}
	var fa, fb config.Faults
	if errors.As(a, &fa) && errors.As(b, &fb) {
		return append(fa, fb...)
	}
	return errors.Join(a, b)
}

// Validate reports faults that no section can see alone.
func (c *Config) Validate() error {
	if c.ExternalURL == "" {
		return nil
	}
	u, err := url.Parse(c.ExternalURL)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return fmt.Errorf("external_url: %q is not an http or https URL", c.ExternalURL)
	}
	return nil
}

// checkPeople reports policies that lead nowhere or start nowhere.
func (c *Config) checkPeople(name string, content []byte) error {
	var receivers []string // unknown while the alertmanager section has faults of its own
	if am, err := router.Load(name, content, c.Alertmanager); err == nil {
		for _, r := range am.Receivers {
			receivers = append(receivers, r.Name)
		}
	}
	return escalation.Check(c.OnCall, c.Escalation, c.Notify, receivers)
}

func (c *Config) checkCollector() error {
	section, err := c.collectorMap()
	if err != nil {
		return err
	}
	return collector.Validate(context.Background(), section)
}

// Routes is the alertmanager section, as Alertmanager reads it.
func (c *Config) Routes() *amconfig.Config { return c.alertmanager }

// collectorMap returns the collector section as the Collector's code wants it.
func (c *Config) collectorMap() (map[string]any, error) {
	if c.Collector.IsZero() {
		return nil, nil
	}
	var section map[string]any
	if err := c.Collector.Decode(&section); err != nil {
		return nil, err
	}
	return section, nil
}

// scrape is the sections that are Prometheus', together.
func (c *Config) scrape() scraper.Config {
	return scraper.Config{
		Tenant: tenant.Default, Global: c.Global, ScrapeConfigs: c.ScrapeConfigs, ScrapeConfigFiles: c.ScrapeConfigFiles,
	}
}

// send is what is sent on: the metrics of the tenant that scraped ones belong to.
func (c *Config) send() sender.Config {
	return sender.Config{Tenant: tenant.Default, Global: c.Global, RemoteWrite: c.RemoteWrite}
}

// externalURL is where people reach this process.
func (c *Config) externalURL() *url.URL {
	if u, err := url.Parse(c.ExternalURL); err == nil && c.ExternalURL != "" {
		return u
	}
	scheme := "http"
	if c.Server.TLS.Enabled() {
		scheme = "https"
	}
	return &url.URL{Scheme: scheme, Host: c.Server.Address}
}
