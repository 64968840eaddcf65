package app

import (
	"errors"
	"slices"
	"strings"

	"belfry/alerting/router"
	"belfry/alerting/rules"
	"belfry/internal/config"
)

// CheckConfig reads a configuration file and everything that it refers to, and
// returns all that is wrong. What would only start with --insecure is not wrong,
// but said.
func CheckConfig(path string) (exposed []string, err error) {
	cfg, err := Options{ConfigFile: path}.load()
	if cfg == nil {
		return nil, err
	}
	errs := []error{err, rules.Check(cfg.resolvedRules().Files, checkLanguages())}
	if cfg.alertmanager != nil {
		errs = append(errs, router.Check(cfg.alertmanager))
	}
	if err == nil {
		exposed, err = exposures(cfg)
		errs = append(errs, err)
	}
	return exposed, errors.Join(errs...)
}

// LoadConfig reads a configuration file. The error is all that is wrong with it.
func LoadConfig(path string) (*Config, error) { return Options{ConfigFile: path}.load() }

// CheckRules reads rule files and returns all that is wrong.
func CheckRules(patterns []string) error { return rules.Check(patterns, checkLanguages()) }

// CheckAlertmanager reads a configuration of Alertmanager, makes its receivers and
// templates, and returns all that is wrong.
func CheckAlertmanager(path string) error {
	c, err := router.LoadFile(path)
	if err != nil {
		return err
	}
	return router.Check(c)
}

// CheckOnCall reads a configuration file and returns what is wrong with the
// sections about people: on-call, escalation, notify.
func CheckOnCall(path string) (*Config, error) {
	cfg, err := LoadConfig(path)
	var faults config.Faults
	if !errors.As(err, &faults) {
		return cfg, err
	}
	faults = slices.DeleteFunc(faults, func(f config.Fault) bool {
		section, _, _ := strings.Cut(f.Path, ".")
		section, _, _ = strings.Cut(section, "[")
		return f.Path != "" && section != "oncall" && section != "escalation" && section != "notify"
	})
	if len(faults) == 0 {
		return cfg, nil
	}
	return cfg, faults
}
