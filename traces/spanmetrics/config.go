package spanmetrics

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/common/model"
)

// Config is what users configure.
type Config struct {
	Enabled       bool           `yaml:"enabled"`
	Interval      model.Duration `yaml:"interval"`     // between two samples of a series
	IdleTimeout   model.Duration `yaml:"idle_timeout"` // after which a series that nothing was counted in is forgotten
	MaxOperations int            `yaml:"max_operations"`
	MaxEdges      int            `yaml:"max_edges"`

	PairTimeout  model.Duration `yaml:"pair_timeout"` // how long one half of a call waits for the other
	MaxUnpaired  int            `yaml:"max_unpaired"`
	Buckets      []float64      `yaml:"buckets"`       // of spans' durations, seconds
	GraphBuckets []float64      `yaml:"graph_buckets"` // of calls' durations, seconds
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		Enabled: true, Interval: model.Duration(15 * time.Second), IdleTimeout: model.Duration(15 * time.Minute),
		MaxOperations: 20_000, MaxEdges: 5_000, PairTimeout: model.Duration(15 * time.Second), MaxUnpaired: 100_000,
		Buckets:      []float64{0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384},
		GraphBuckets: []float64{0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8},
	}
}

// Validate returns all faults of the configuration.
func (c *Config) Validate() error {
	var errs []error
	check := func(ok bool, field, problem string) {
		if !ok {
			errs = append(errs, fmt.Errorf("%s: %s", field, problem))
		}
	}
	check(c.Interval >= model.Duration(time.Second), "interval", "must be at least 1s")
	check(c.IdleTimeout >= c.Interval, "idle_timeout", "must not be less than interval")
	check(c.PairTimeout > 0, "pair_timeout", "must be positive")
	check(c.MaxOperations > 0, "max_operations", "must be positive")
	check(c.MaxEdges > 0, "max_edges", "must be positive")
	check(c.MaxUnpaired > 0, "max_unpaired", "must be positive")
	check(len(c.Buckets) > 0 && slices.IsSorted(c.Buckets), "buckets", "must be ascending numbers")
	check(len(c.GraphBuckets) > 0 && slices.IsSorted(c.GraphBuckets), "graph_buckets", "must be ascending numbers")
	return errors.Join(errs...)
}
