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
// returns all that is wrong.
func CheckConfig(path string) (*Config, error) {
	cfg, err := Options{ConfigFile: path}.load()
	if err != nil {
		return nil, err
	}
	return cfg, errors.Join(router.Check(cfg.alertmanager), rules.Check(cfg.resolvedRules().Files, checkLanguages()))
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
