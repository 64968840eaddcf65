package scraper

import (
	"errors"
	"fmt"

	"github.com/prometheus/prometheus/config"
	_ "github.com/prometheus/prometheus/discovery/dns"  // registers dns_sd_configs
	_ "github.com/prometheus/prometheus/discovery/file" // registers file_sd_configs
	_ "github.com/prometheus/prometheus/discovery/http" // registers http_sd_configs
	"go.yaml.in/yaml/v3"

	"belfry/internal/tenant"
	"belfry/tsdb/internal/promconfig"
)

// Config says what is scraped. Global and ScrapeConfigs are the sections
// "global" and "scrape_configs" of a Prometheus configuration, word for word.
type Config struct {
	Tenant            string    `yaml:"tenant"` // whose the scraped metrics are
	Global            yaml.Node `yaml:"global"`
	ScrapeConfigs     yaml.Node `yaml:"scrape_configs"`
	ScrapeConfigFiles []string  `yaml:"scrape_config_files"`
}

// DefaultConfig scrapes nothing.
func DefaultConfig() Config { return Config{Tenant: tenant.Default} }

// Validate returns every fault of the configuration, each with its path.
func (c Config) Validate() error {
	var errs []error
	if err := tenant.Validate(c.Tenant); err != nil {
		errs = append(errs, fmt.Errorf("tenant: %w", err))
	}
	if _, err := c.load(""); err != nil {
		errs = append(errs, fmt.Errorf("scrape_configs: %w", err))
	}
	return errors.Join(errs...)
}

// load reads the configuration as Prometheus does. Relative paths in it are
// below dir.
func (c Config) load(dir string) (*config.Config, error) {
	doc := map[string]any{}
	if !c.Global.IsZero() {
		doc["global"] = &c.Global
	}
	if !c.ScrapeConfigs.IsZero() {
		doc["scrape_configs"] = &c.ScrapeConfigs
	}
	if len(c.ScrapeConfigFiles) > 0 {
		doc["scrape_config_files"] = c.ScrapeConfigFiles
	}
	cfg, err := promconfig.Load(doc, dir)
	if err != nil {
		return nil, err
	}
	if dir != "" {
		if _, err := cfg.GetScrapeConfigs(); err != nil {
			return nil, err
		}
	}
	return cfg, nil
}
