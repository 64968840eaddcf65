package store

import (
	"context"
	"time"

	"github.com/prometheus/prometheus/model/metadata"

	"belfry/internal/fault"
	"belfry/internal/tenant"
	metrics "belfry/tsdb"
)

var _ metrics.ExemplarAppender = (*Store)(nil)

// AppendExemplars implements metrics.ExemplarAppender.
func (s *Store) AppendExemplars(ctx context.Context, exemplars []metrics.SeriesExemplar) (int, error) {
	if err := s.disk.check(); err != nil {
		return 0, err
	}
	db, err := s.acquire(ctx, tenant.ID(ctx), true)
	if err != nil {
		return 0, err
	}
	defer s.release(db)
	newest := s.now().Add(time.Duration(s.config().Limits.MaxAhead)).UnixMilli()
	app := db.tsdb.Appender(ctx)
	stored := 0
	for _, e := range exemplars {
		if e.Exemplar.Ts > newest {
			continue
		}
		if _, err := app.AppendExemplar(0, e.Series, e.Exemplar); err == nil {
			stored++
		}
	}
	if err := app.Commit(); err != nil {
		return 0, fault.Unavailablef(retryDisk, "commit exemplars: %w", err)
	}
	if err := db.commitDone(); err != nil {
		return 0, fault.Unavailablef(retryDisk, "commit exemplars: %w", err)
	}
	db.kept.note(stored)
	return stored, nil
}

// RecordMetadata implements metrics.ExemplarAppender.
func (s *Store) RecordMetadata(ctx context.Context, family string, md metadata.Metadata) error {
	db, err := s.acquire(ctx, tenant.ID(ctx), true)
	if err != nil {
		return err
	}
	defer s.release(db)
	db.metadata.record(family, md)
	return nil
}
