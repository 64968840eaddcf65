package store

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/common/model"

	"belfry/internal/columnar"
	"belfry/internal/config"
)

// Config is what users configure of the trace store.
type Config struct {
	Retention RetentionConfig `yaml:"retention"`
	Deletion  DeletionConfig  `yaml:"deletion"`
	// Durability is "write" (an acknowledged span survives the death of the
	// process, and reaches the disk within SyncInterval) or "fsync" (it is on the disk).
	Durability   string         `yaml:"durability"`
	SyncInterval model.Duration `yaml:"sync_interval"`
	Flush        FlushConfig    `yaml:"flush"`
	Limits       LimitsConfig   `yaml:"limits"`
}

// RetentionConfig says when spans are dropped; zero means never.
type RetentionConfig struct {
	Time model.Duration  `yaml:"time"` // spans that started longer ago are not accepted either
	Size config.ByteSize `yaml:"size"` // of all tenants together

	// Rules give some spans a time of their own; the first that a span meets counts.
	Rules []RuleConfig `yaml:"rules"`
}

// DeletionConfig is about deletions that people ask for.
type DeletionConfig struct {
	// CancelWindow is how long a deletion only hides, and may be taken back.
	CancelWindow model.Duration `yaml:"cancel_window"`
}

// FlushConfig says when spans go from memory to files.
type FlushConfig struct {
	Size config.ByteSize `yaml:"size"`
	Age  model.Duration  `yaml:"age"`
}

// LimitsConfig bounds spans and queries.
type LimitsConfig struct {
	MaxFuture        model.Duration  `yaml:"max_future"`          // of a span's start, ahead of the time of reception
	MaxAttributes    int             `yaml:"max_span_attributes"` // of one span; spans with more are rejected
	MaxTraceSpans    int             `yaml:"max_trace_spans"`     // spans of one trace that a query returns
	MaxQueryBytes    config.ByteSize `yaml:"max_query_bytes"`     // decoded by one query; 0: no bound
	MaxQuerySpans    int64           `yaml:"max_query_spans"`     // handed over by one query; 0: no bound
	QueryConcurrency int             `yaml:"query_concurrency"`   // goroutines of one query; 0: as many as CPUs
}

// Values of Config.Durability.
const (
	DurabilityWrite = "write"
	DurabilityFsync = "fsync"
)

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		Retention:    RetentionConfig{Time: model.Duration(14 * 24 * time.Hour)},
		Deletion:     DeletionConfig{CancelWindow: model.Duration(15 * time.Minute)},
		Durability:   DurabilityWrite,
		SyncInterval: model.Duration(time.Second),
		Flush:        FlushConfig{Size: 16 << 20, Age: model.Duration(time.Minute)},
		Limits: LimitsConfig{
			MaxFuture: model.Duration(time.Hour), MaxAttributes: 1024, MaxTraceSpans: 200_000,
			MaxQueryBytes: 32 << 30, MaxQuerySpans: 100_000_000,
		},
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
	c.Retention.validate(check)
	check(c.Deletion.CancelWindow >= 0, "deletion.cancel_window", "must not be negative")
	check(c.Durability == DurabilityWrite || c.Durability == DurabilityFsync, "durability", "must be write or fsync")
	check(c.SyncInterval > 0, "sync_interval", "must be positive")
	check(c.Flush.Size >= 1<<20, "flush.size", "must be at least 1MiB")
	check(c.Flush.Age > 0, "flush.age", "must be positive")
	check(c.Limits.MaxFuture > 0, "limits.max_future", "must be positive")
	check(c.Limits.MaxAttributes > 0, "limits.max_span_attributes", "must be positive")
	check(c.Limits.MaxTraceSpans > 0, "limits.max_trace_spans", "must be positive")
	check(c.Limits.MaxQuerySpans >= 0, "limits.max_query_spans", "must not be negative")
	check(c.Limits.QueryConcurrency >= 0, "limits.query_concurrency", "must not be negative")
	return errors.Join(errs...)
}

func (c *Config) durability() columnar.Durability {
	if c.Durability == DurabilityFsync {
		return columnar.DurabilityFsync
	}
	return columnar.DurabilityWrite
}
