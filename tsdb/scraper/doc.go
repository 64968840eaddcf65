// Package scraper scrapes Prometheus exporters with Prometheus' own scrape and
// discovery managers, configured in Prometheus' own language, straight into a
// metrics store.
//
// The service discoveries that are linked in are static, file, http and dns;
// the others would bring the SDK of every cloud into the binary. A build that
// wants one names it by a tag, as in
//
//	go build -tags sd_kubernetes,sd_consul ./cmd/belfry
//
// of sd_kubernetes, sd_consul, sd_docker (which brings Docker Swarm's as well),
// sd_ec2 (with Lightsail, ECS and the others of AWS), sd_gce, sd_azure, or
// sd_all for all of them.
package scraper
