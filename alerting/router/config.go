package router

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/common/model"
)

// Config is the `routing:` section: what Alertmanager takes as flags. What it
// takes as configuration file is the `alertmanager:` section (see Load).
type Config struct {
	// Retention is how long expired silences and notification log entries are
	// kept. A route's repeat interval must be shorter to have its effect.
	Retention model.Duration `yaml:"retention"`
	// MaintenanceInterval is how often journals are folded into snapshots.
	MaintenanceInterval model.Duration `yaml:"maintenance_interval"`
	// StartDelay is how long after a start no group is notified, so that the
	// alerts that inhibit or fill groups can come in first.
	StartDelay model.Duration `yaml:"start_delay"`
	// MaxSilences bounds silences, expired ones included. 0: no bound.
	MaxSilences int `yaml:"max_silences"`
	// MaxSilencedAlerts is how many active alerts a new silence may match without
	// somebody confirming that it is meant. 0: any.
	MaxSilencedAlerts int `yaml:"max_silenced_alerts"`
	// Flapping says when an alert that comes and goes is held.
	Flapping FlappingConfig `yaml:"flapping"`
	// MaxGroups bounds alert groups at one time. 0: no bound.
	MaxGroups int `yaml:"max_groups"`
	// MaxAlertsPerName bounds active alerts of one alertname. 0: no bound.
	MaxAlertsPerName int `yaml:"max_alerts_per_name"`
}

// DefaultConfig returns Alertmanager's defaults, with bounds.
func DefaultConfig() Config {
	return Config{
		Retention:           model.Duration(120 * time.Hour),
		MaintenanceInterval: model.Duration(15 * time.Minute),
		StartDelay:          model.Duration(2 * time.Second),
		MaxSilences:         10_000,
		MaxSilencedAlerts:   100,
		Flapping:            FlappingConfig{Times: 4, Window: model.Duration(30 * time.Minute), Hold: model.Duration(10 * time.Minute)},
		MaxGroups:           100_000,
		MaxAlertsPerName:    100_000,
	}
}

// Validate returns all faults, joined.
func (c *Config) Validate() error {
	var errs []error
	if c.Retention <= 0 {
		errs = append(errs, errors.New("retention: must be positive"))
	}
	if c.MaintenanceInterval <= 0 {
		errs = append(errs, errors.New("maintenance_interval: must be positive"))
	}
	if c.StartDelay < 0 {
		errs = append(errs, errors.New("start_delay: must not be negative"))
	}
	if c.Flapping.Times != 0 && (c.Flapping.Times < 2 || c.Flapping.Window <= 0 || c.Flapping.Hold <= 0) {
		errs = append(errs, errors.New("flapping: times must be 0 or at least 2, window and hold positive"))
	}
	for _, n := range []struct {
		name  string
		value int
	}{{"max_silences", c.MaxSilences}, {"max_silenced_alerts", c.MaxSilencedAlerts}, {"max_groups", c.MaxGroups}, {"max_alerts_per_name", c.MaxAlertsPerName}} {
		if n.value < 0 {
			errs = append(errs, fmt.Errorf("%s: must not be negative", n.name))
		}
	}
	return errors.Join(errs...)
}
