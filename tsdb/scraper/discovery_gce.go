//go:build sd_gce || sd_all

package scraper

import _ "github.com/prometheus/prometheus/discovery/gce" // registers its sections of scrape_configs
