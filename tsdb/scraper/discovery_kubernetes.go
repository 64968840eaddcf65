//go:build sd_kubernetes || sd_all

package scraper

import _ "github.com/prometheus/prometheus/discovery/kubernetes" // registers its sections of scrape_configs
