// Package scraper scrapes Prometheus exporters with Prometheus' own scrape and
// discovery managers, configured in Prometheus' own language, straight into a
// metrics store.
//
// The service discoveries that are linked in are static, file, http and dns;
// the others would bring the SDK of every cloud into the binary.
package scraper
