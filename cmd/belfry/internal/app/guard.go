package app

import (
	"context"
	"errors"
	"fmt"

	"belfry/collector"
	"belfry/internal/httpserver"
)

// exposures are the addresses that other machines can reach without TLS or a
// credential being asked of them, each behind its path in the configuration.
func exposures(cfg *Config) ([]string, error) {
	var found []string
	if !httpserver.Loopback(cfg.Server.Address) && !cfg.Server.TLS.Enabled() {
		found = append(found, "server.address: "+cfg.Server.Address)
	}
	if mail := cfg.Inbound.Email.Address; mail != "" && !httpserver.Loopback(mail) {
		found = append(found, "inbound.email.address: "+mail)
	}
	section, err := cfg.collectorMap()
	if err != nil {
		return nil, err
	}
	receivers, err := collector.Exposed(context.Background(), section)
	if err != nil {
		return nil, err
	}
	for _, r := range receivers {
		found = append(found, "collector."+r.Path+": "+r.Address)
	}
	return found, nil
}

// guardAddresses refuses to be reachable from other machines without TLS or
// authentication unless somebody said so aloud.
func guardAddresses(cfg *Config, insecure bool) (exposed []string, err error) {
	exposed, err = exposures(cfg)
	if err != nil || insecure {
		return exposed, err
	}
	var errs []error
	for _, e := range exposed {
		errs = append(errs, fmt.Errorf("%s can be reached from other machines and has neither TLS nor authentication: "+
			"set tls, keep to a loopback address behind a proxy, or start with --insecure", e))
	}
	return nil, errors.Join(errs...)
}
