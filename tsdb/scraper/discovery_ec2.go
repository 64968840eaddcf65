//go:build sd_ec2 || sd_all

package scraper

import _ "github.com/prometheus/prometheus/discovery/aws" // registers its sections of scrape_configs
