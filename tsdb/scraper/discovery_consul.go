//go:build sd_consul || sd_all

package scraper

import _ "github.com/prometheus/prometheus/discovery/consul" // registers its sections of scrape_configs
