package store

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/index"

	"belfry/internal/tenant"
	metrics "belfry/tsdb"
)

// Metadata returns what is known of the tenant's metric families: of all, or
// of the one that is named.
func (s *Store) Metadata(ctx context.Context, family string) (map[string][]metadata.Metadata, error) {
	db, err := s.acquire(ctx, tenant.ID(ctx), false)
	if errors.Is(err, errNoTenant) {
		return map[string][]metadata.Metadata{}, nil
	}
	if err != nil {
		return nil, err
	}
	defer s.release(db)
	return db.metadata.snapshot(family), nil
}

// Admin is the administration of one tenant's database, in the shape that
// Prometheus' HTTP API wants.
type Admin struct {
	store  *Store
	tenant string
}

// Admin returns the administration of a tenant's database.
func (s *Store) Admin(tenant string) *Admin { return &Admin{s, tenant} }

// Dir returns the folder of the tenant's database.
func (a *Admin) Dir() string { return a.store.tenantDir(a.tenant) }

// do runs f with the tenant's database, and not at all for a tenant that has
// never written anything.
func (a *Admin) do(ctx context.Context, f func(*database) error) error {
	db, err := a.store.acquire(ctx, a.tenant, false)
	if errors.Is(err, errNoTenant) {
		return nil
	}
	if err != nil {
		return err
	}
	defer a.store.release(db)
	return f(db)
}

// CleanTombstones removes deleted samples from the blocks on disk, and returns
// when they are gone. Those of the head leave with the blocks that it becomes.
func (a *Admin) CleanTombstones() error {
	return a.do(context.Background(), func(d *database) error { return d.cleanTombstones(context.Background()) })
}

// Delete deletes the samples from mint to maxt, milliseconds, of the series
// that match. They are gone from queries at once, from disk with the next
// rewriting of their block or CleanTombstones. What was deleted is on record
// beside each block before Delete returns.
func (a *Admin) Delete(ctx context.Context, mint, maxt int64, ms ...*labels.Matcher) error {
	return a.do(ctx, func(d *database) error { return d.delete(ctx, mint, maxt, ms) })
}

func (d *database) delete(ctx context.Context, mint, maxt int64, ms []*labels.Matcher) error {
	// Deletions until the end of time are common, samples from there are not; and
	// Prometheus' tombstones overflow at the last millisecond.
	ahead := time.Duration(d.store.config().Limits.MaxAhead)
	maxt = min(maxt, max(d.store.now().Add(ahead).UnixMilli(), d.tsdb.Head().MaxTime()))
	mint = max(mint, math.MinInt64/2)
	if mint > maxt {
		return nil
	}
	defer d.changes.add(mint, maxt, nil)
	defer d.wake()
	if err := d.cold.delete(ctx, mint, maxt, ms, func() error { return d.tsdb.Delete(ctx, mint, maxt, ms...) }); err != nil {
		return err
	}
	return d.kept.remove(mint, maxt, ms)
}

// Snapshot writes a copy of the database to dir; its blocks are hard links.
func (a *Admin) Snapshot(dir string, withHead bool) error {
	return a.do(context.Background(), func(d *database) error { return d.snapshot(dir, withHead) })
}

// Stats returns the head's statistics: how many series, and which names and
// labels have the most.
func (a *Admin) Stats(byLabel string, limit int) (*tsdb.Stats, error) {
	stats := &tsdb.Stats{IndexPostingStats: &index.PostingsStats{}}
	err := a.do(context.Background(), func(d *database) error {
		stats = d.tsdb.Head().Stats(byLabel, limit)
		return nil
	})
	return stats, err
}

// MetricSeries returns how many active series each metric has and how many were
// created in the last hour, the most active first.
func (a *Admin) MetricSeries() (counts []metrics.MetricSeries, err error) {
	err = a.do(context.Background(), func(d *database) error {
		counts = d.limiter.census.counts()
		return nil
	})
	return counts, err
}

// WALReplayStatus says how far the replay of the log is. A database is not
// visible before its log is replayed, so it is always done.
func (a *Admin) WALReplayStatus() (tsdb.WALReplayStatus, error) {
	return tsdb.WALReplayStatus{}, nil
}

// BlockMetas returns the descriptions of the blocks on disk, cold ones among
// them, that queries see.
func (a *Admin) BlockMetas() ([]tsdb.BlockMeta, error) {
	metas := []tsdb.BlockMeta{}
	err := a.do(context.Background(), func(d *database) error {
		metas = append(metas, d.blockMetas()...)
		return nil
	})
	return metas, err
}

// Gather returns the metrics of the tenant's own database, without a label for
// the tenant, as one Prometheus would show them.
func (a *Admin) Gather() (families []*dto.MetricFamily, err error) {
	err = a.do(context.Background(), func(d *database) error {
		families, err = d.registry.Gather()
		return err
	})
	return families, err
}

var _ prometheus.Gatherer = (*Admin)(nil)

// Delete deletes samples of the tenant in ctx; see Admin.Delete.
func (s *Store) Delete(ctx context.Context, mint, maxt int64, ms ...*labels.Matcher) error {
	return s.Admin(tenant.ID(ctx)).Delete(ctx, mint, maxt, ms...)
}

// CompactHead writes the tenant's head to a block, whatever its age, and
// returns when it is on disk. Backups and tests use it.
func (s *Store) CompactHead(ctx context.Context) error {
	return s.Admin(tenant.ID(ctx)).do(ctx, func(d *database) error {
		head := d.tsdb.Head()
		return d.tsdb.CompactHead(tsdb.NewRangeHead(head, head.MinTime(), head.MaxTime()))
	})
}

// RewriteCold does at once what the job for cold blocks does in the background:
// it returns when every finished block is cold and merged. Tests and
// measurements use it.
func (s *Store) RewriteCold(ctx context.Context) error {
	return s.Admin(tenant.ID(ctx)).do(ctx, func(d *database) error { return d.tendCold(ctx) })
}
