package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/alecthomas/units"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"

	metrics "belfry/tsdb"
)

// config returns the configuration in force.
func (s *Store) config() *metrics.Config { return s.cfg.Load() }

// Reload puts a configuration in force: limits, durability, retention, the
// window for samples out of order, the number of exemplars. How start times are
// stored, the interval of syncing, the number of metadata, and who merges blocks
// that are not cold change for a tenant when it is opened next.
func (s *Store) Reload(ctx context.Context, cfg metrics.Config) error {
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("metrics configuration: %w", err)
	}
	s.cfg.Store(&cfg)
	s.disk.min.Store(uint64(cfg.MinFreeDisk))
	s.disk.refresh()
	var errs []error
	for _, id := range s.openTenants() {
		db, err := s.acquire(ctx, id, false)
		if err == nil {
			err = db.tsdb.ApplyConfig(reloadable(cfg))
			s.release(db)
		}
		if err != nil && !errors.Is(err, errNoTenant) {
			errs = append(errs, fmt.Errorf("reload metrics of tenant %s: %w", id, err))
		}
	}
	return errors.Join(errs...)
}

func (s *Store) openTenants() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := make([]string, 0, len(s.open))
	for id := range s.open {
		ids = append(ids, id)
	}
	return ids
}

// reloadable is what an open database takes of a configuration.
func reloadable(cfg metrics.Config) *config.Config {
	return &config.Config{StorageConfig: config.StorageConfig{
		TSDBConfig: &config.TSDBConfig{
			OutOfOrderTimeWindow: time.Duration(cfg.OutOfOrderWindow).Milliseconds(),
			Retention: &config.TSDBRetentionConfig{
				Time: model.Duration(cfg.Retention.Longest()),
				Size: units.Base2Bytes(cfg.Retention.Size), //nolint:gosec // validated to be positive
			},
		},
		ExemplarsConfig: &config.ExemplarsConfig{MaxExemplars: int64(cfg.Limits.MaxExemplars)},
	}}
}

// Limits returns the limits that hold now.
func (s *Store) Limits() metrics.LimitsConfig { return s.config().Limits }
