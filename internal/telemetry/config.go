package telemetry

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/common/model"
)

// Config is the user's say about Belfry's own telemetry.
type Config struct {
	LogLevel       string         `yaml:"log_level"`       // debug, info, warn or error
	LogFormat      string         `yaml:"log_format"`      // text or json
	SelfIngest     bool           `yaml:"self_ingest"`     // keep own logs, metrics and traces in the stores
	MetricInterval model.Duration `yaml:"metric_interval"` // between two points of own metrics
	TraceRatio     float64        `yaml:"trace_ratio"`     // of own requests that are traced, 0 to 1
}

// DefaultConfig keeps everything, tracing one request in a hundred.
func DefaultConfig() Config {
	return Config{
		LogLevel:       "info",
		LogFormat:      "text",
		SelfIngest:     true,
		MetricInterval: model.Duration(15 * time.Second),
		TraceRatio:     0.01,
	}
}

// Validate reports what is wrong with the configuration.
func (c *Config) Validate() error {
	var errs []error
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		errs = append(errs, fmt.Errorf("log_level: %q is none of debug, info, warn, error", c.LogLevel))
	}
	if c.LogFormat != "text" && c.LogFormat != "json" {
		errs = append(errs, fmt.Errorf("log_format: %q is neither text nor json", c.LogFormat))
	}
	if c.MetricInterval < model.Duration(time.Second) {
		errs = append(errs, errors.New("metric_interval: must be at least 1s"))
	}
	if c.TraceRatio < 0 || c.TraceRatio > 1 {
		errs = append(errs, errors.New("trace_ratio: must be between 0 and 1"))
	}
	return errors.Join(errs...)
}
