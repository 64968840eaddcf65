package app

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"belfry/alerting/router"
	"belfry/alerting/rules"
)

// reloadTimeout bounds how long the collector may take to change over.
const reloadTimeout = time.Minute

type reloadMetrics struct {
	successful prometheus.Gauge
	at         prometheus.Gauge
}

func newReloadMetrics(reg prometheus.Registerer) *reloadMetrics {
	f := promauto.With(reg)
	m := &reloadMetrics{
		successful: f.NewGauge(prometheus.GaugeOpts{
			Name: "belfry_config_last_reload_successful",
			Help: "1 if the configuration on disk is the one that runs, as of the last reload.",
		}),
		at: f.NewGauge(prometheus.GaugeOpts{
			Name: "belfry_config_last_reload_success_timestamp_seconds",
			Help: "When the running configuration was read.",
		}),
	}
	m.succeeded()
	return m
}

func (m *reloadMetrics) succeeded() {
	m.successful.Set(1)
	m.at.SetToCurrentTime()
}

// Reload reads the configuration again, checks all of it, and puts what can
// change while running in force: log level, rules, Alertmanager's
// configuration, people, policies, the collector and what is scraped. Where one
// part refuses although the check passed, the others are changed all the same
// and the error says which was not.
func (a *App) Reload() error {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	cfg, err := a.opts.load()
	if err == nil {
		_, err = guardAddresses(cfg, a.opts.Insecure)
	}
	if err == nil {
		err = rules.Check(cfg.resolvedRules().Files, checkLanguages())
	}
	if err == nil {
		err = router.Check(cfg.alertmanager)
	}
	if err == nil {
		err = a.apply(cfg)
	}
	if err != nil {
		a.reloads.successful.Set(0)
		return err
	}
	a.reloads.succeeded()
	if pending := a.needRestart(cfg); len(pending) > 0 {
		a.reloads.successful.Set(0)
		a.logger.Warn("configuration reloaded in part: sections changed that take a restart", "sections", pending)
		return nil
	}
	a.logger.Info("configuration reloaded")
	return nil
}

// needRestart names the sections of a configuration that differ from what runs
// and cannot change while running.
func (a *App) needRestart(cfg *Config) []string {
	var names []string
	for _, s := range []struct {
		name         string
		running, now any
	}{
		{"server", a.cfg.Server, cfg.Server},
		{"data_dir", a.cfg.DataDir, cfg.DataDir},
		{"external_url", a.cfg.ExternalURL, cfg.ExternalURL},
		{"state", a.cfg.State, cfg.State},
		{"logs", a.cfg.Logs, cfg.Logs},
		{"traces", a.cfg.Traces, cfg.Traces},
		{"span_metrics", a.cfg.SpanMetrics, cfg.SpanMetrics},
		{"routing", a.cfg.Routing, cfg.Routing},
		{"inbound", a.cfg.Inbound, cfg.Inbound},
	} {
		if !reflect.DeepEqual(s.running, s.now) {
			names = append(names, s.name)
		}
	}
	return names
}

func (a *App) apply(cfg *Config) error {
	ctx, cancel := context.WithTimeout(context.Background(), reloadTimeout)
	defer cancel()
	section, err := cfg.collectorMap()
	if err != nil {
		return err
	}
	part := func(name string, err error) error {
		if err == nil {
			return nil
		}
		return fmt.Errorf("%s: %w", name, err)
	}
	a.logger.SetLevel(cfg.Telemetry.LogLevel)
	return errors.Join(
		part("metrics", a.stores.metrics.Reload(ctx, cfg.Metrics)),
		part("escalation", a.alerting.escalation.Apply(cfg.settings())),
		part("alertmanager", a.alerting.router.Reload(cfg.alertmanager)),
		part("maintenance", a.alerting.router.SetMaintenance(cfg.Maintenance)),
		part("rules", a.alerting.rules.Reload(cfg.resolvedRules())),
		part("scrape_configs", a.ingest.scraper.Reload(cfg.scrape())),
		a.ingest.sender.Reload(cfg.send()),
		part("collector", a.ingest.collector.Reload(ctx, section)),
	)
}
