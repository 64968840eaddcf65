//go:build sd_docker || sd_all

package scraper

import _ "github.com/prometheus/prometheus/discovery/moby" // registers its sections of scrape_configs
