package rules

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"time"

	"github.com/prometheus/common/model"
)

// Config is the `rules:` section of the configuration.
type Config struct {
	// Files are globs of rule files; a relative one is relative to the
	// configuration file's folder.
	Files []string `yaml:"files"`
	// Alertmanagers are URLs of Alertmanagers outside, with a user and a password
	// where they want one, that get the alerts of rules beside the one within.
	Alertmanagers []string `yaml:"alertmanagers"`
	// EvaluationInterval is used by groups that say none.
	EvaluationInterval model.Duration `yaml:"evaluation_interval"`
	// QueryOffset is how far in the past rules look, to wait for late data, for
	// groups that say none.
	QueryOffset model.Duration `yaml:"query_offset"`
	// ResendDelay is the least time between two hand-overs of an unchanged alert.
	ResendDelay model.Duration `yaml:"resend_delay"`
	// OutageTolerance is the longest downtime after which a pending alert's
	// `for` clock goes on instead of starting anew.
	OutageTolerance model.Duration `yaml:"outage_tolerance"`
	// ForGracePeriod is the least `for` that is restored from ALERTS_FOR_STATE
	// series where the state file is missing.
	ForGracePeriod model.Duration `yaml:"for_grace_period"`
	// RestartGrace is how long after a start an alert that fired before is held
	// although its expression returns nothing, at least two evaluations.
	RestartGrace model.Duration `yaml:"restart_grace"`
	// MaxConcurrentRules bounds how many rules are evaluated at a time beside
	// the one that each group evaluates.
	MaxConcurrentRules int `yaml:"max_concurrent_rules"`
	// ExternalLabels are visible to templates as $externalLabels.
	ExternalLabels map[string]string `yaml:"external_labels"`
}

// DefaultConfig returns Prometheus' defaults and no files.
func DefaultConfig() Config {
	return Config{
		EvaluationInterval: model.Duration(time.Minute),
		ResendDelay:        model.Duration(time.Minute),
		OutageTolerance:    model.Duration(time.Hour),
		ForGracePeriod:     model.Duration(10 * time.Minute),
		RestartGrace:       model.Duration(time.Minute),
		MaxConcurrentRules: runtime.GOMAXPROCS(0),
	}
}

// Validate returns all faults, joined.
func (c *Config) Validate() error {
	var errs []error
	for i, f := range c.Files {
		if _, err := filepath.Match(f, ""); err != nil || f == "" {
			errs = append(errs, fmt.Errorf("files[%d]: %q is not a file name pattern", i, f))
		}
	}
	for i, u := range c.Alertmanagers {
		if _, err := parseAlertmanager(u); err != nil {
			errs = append(errs, fmt.Errorf("alertmanagers[%d]: %w", i, err))
		}
	}
	if c.EvaluationInterval <= 0 {
		errs = append(errs, errors.New("evaluation_interval: must be positive"))
	}
	for _, d := range []struct {
		name  string
		value model.Duration
	}{
		{"query_offset", c.QueryOffset},
		{"resend_delay", c.ResendDelay},
		{"outage_tolerance", c.OutageTolerance},
		{"for_grace_period", c.ForGracePeriod},
		{"restart_grace", c.RestartGrace},
	} {
		if d.value < 0 {
			errs = append(errs, fmt.Errorf("%s: must not be negative", d.name))
		}
	}
	if c.MaxConcurrentRules < 0 {
		errs = append(errs, errors.New("max_concurrent_rules: must not be negative"))
	}
	for name, value := range c.ExternalLabels {
		if !model.UTF8Validation.IsValidLabelName(name) || name == model.MetricNameLabel {
			errs = append(errs, fmt.Errorf("external_labels: %q is not a label name", name))
		}
		if !model.LabelValue(value).IsValid() {
			errs = append(errs, fmt.Errorf("external_labels: the value of %q is not UTF-8", name))
		}
	}
	return errors.Join(errs...)
}
