package store

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"belfry/internal/columnar"
	"belfry/internal/config"

	"github.com/prometheus/common/model"
)

// Config is what users configure of the logs store.
type Config struct {
	Retention RetentionConfig `yaml:"retention"`
	Deletion  DeletionConfig  `yaml:"deletion"`
	Patterns  PatternsConfig  `yaml:"patterns"`
	// Durability is "write" (an acknowledged record survives the death of the
	// process, and reaches the disk within SyncInterval) or "fsync" (it is on the disk).
	Durability   string         `yaml:"durability"`
	SyncInterval model.Duration `yaml:"sync_interval"`
	Flush        FlushConfig    `yaml:"flush"`
	Limits       LimitsConfig   `yaml:"limits"`
}

// RetentionConfig says when records are dropped; zero means never.
type RetentionConfig struct {
	Time model.Duration  `yaml:"time"`
	Size config.ByteSize `yaml:"size"` // of all tenants together
	// Rules have times of their own; the first that a record meets counts, Time
	// for those that meet none.
	Rules []RuleConfig `yaml:"rules"`
}

// DeletionConfig is about deletions that people ask for.
type DeletionConfig struct {
	// CancelWindow is how long the records of a deletion are only hidden, so that it can be canceled.
	CancelWindow model.Duration `yaml:"cancel_window"`
}

// PatternsConfig is about the patterns that are found in lines as they come.
type PatternsConfig struct {
	Enabled bool `yaml:"enabled"`
	// Learn is how long a new service's patterns are not told as never seen before.
	Learn     model.Duration `yaml:"learn"`
	Retention model.Duration `yaml:"retention"` // of the counts
}

// FlushConfig says when records go from memory to files.
type FlushConfig struct {
	Size config.ByteSize `yaml:"size"`
	Age  model.Duration  `yaml:"age"`
}

// LimitsConfig bounds single records: those beyond are rejected one by one.
type LimitsConfig struct {
	MaxFuture        model.Duration  `yaml:"max_future"` // ahead of the time of reception
	MaxRecordSize    config.ByteSize `yaml:"max_record_size"`
	MaxAttributes    int             `yaml:"max_attributes"`
	QueryConcurrency int             `yaml:"query_concurrency"` // goroutines of one query; 0: as many as CPUs
}

// Values of Config.Durability.
const (
	DurabilityWrite = "write"
	DurabilityFsync = "fsync"
)

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		Retention: RetentionConfig{Time: model.Duration(30 * 24 * time.Hour)},
		Deletion:  DeletionConfig{CancelWindow: model.Duration(15 * time.Minute)},
		Patterns: PatternsConfig{
			Enabled: true, Learn: model.Duration(time.Hour), Retention: model.Duration(7 * 24 * time.Hour),
		},
		Durability:   DurabilityWrite,
		SyncInterval: model.Duration(time.Second),
		Flush:        FlushConfig{Size: 24 << 20, Age: model.Duration(time.Minute)},
		Limits:       LimitsConfig{MaxFuture: model.Duration(time.Hour), MaxRecordSize: 1 << 20, MaxAttributes: 512},
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
	check(c.Patterns.Learn >= 0, "patterns.learn", "must not be negative")
	check(c.Patterns.Retention >= 0, "patterns.retention", "must not be negative")
	check(c.Durability == DurabilityWrite || c.Durability == DurabilityFsync, "durability", "must be write or fsync")
	check(c.SyncInterval > 0, "sync_interval", "must be positive")
	check(c.Flush.Size >= 1<<20, "flush.size", "must be at least 1MiB")
	check(c.Flush.Age > 0, "flush.age", "must be positive")
	check(c.Limits.MaxFuture > 0, "limits.max_future", "must be positive")
	check(c.Limits.MaxRecordSize > 0, "limits.max_record_size", "must be positive")
	check(c.Limits.MaxAttributes > 0, "limits.max_attributes", "must be positive")
	check(c.Limits.QueryConcurrency >= 0, "limits.query_concurrency", "must not be negative")
	return errors.Join(errs...)
}

func (c *Config) engine(o Options) columnar.Options {
	d := columnar.DurabilityWrite
	if c.Durability == DurabilityFsync {
		d = columnar.DurabilityFsync
	}
	return columnar.Options{
		Dir: o.Dir, FS: o.FS, Signal: cmp.Or(o.Signal, "logs"), Columns: fixedColumns(),
		FlushBytes: int(c.Flush.Size), FlushAge: time.Duration(c.Flush.Age),
		Durability: d, SyncInterval: time.Duration(c.SyncInterval),
		QueryConcurrency: c.Limits.QueryConcurrency,
		Logger:           o.Logger, Registerer: o.Registerer, Now: o.Now,
	}
}
