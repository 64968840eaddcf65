package app

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/prometheus/common/model"

	"belfry/alerting/router"
	"belfry/alerting/rules"
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

// CheckRules reads rule files and returns all that is wrong.
func CheckRules(patterns []string) error { return rules.Check(patterns, checkLanguages()) }

// ExplainRoute says in JSON what a configuration would do with an alert.
func ExplainRoute(path string, labels model.LabelSet, at time.Time) (string, error) {
	cfg, err := Options{ConfigFile: path}.load()
	if err != nil {
		return "", err
	}
	explanation, err := router.ExplainConfig(cfg.alertmanager, labels, at)
	if err != nil {
		return "", err
	}
	text, err := json.MarshalIndent(explanation, "", "  ")
	return string(text), err
}
