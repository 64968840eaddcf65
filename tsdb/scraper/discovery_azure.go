//go:build sd_azure || sd_all

package scraper

import _ "github.com/prometheus/prometheus/discovery/azure" // registers its sections of scrape_configs
