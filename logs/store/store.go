package store

import (
	"context"
	"log/slog"
	"time"

	"belfry/internal/columnar"
	"belfry/internal/columnar/keeper"
	"belfry/internal/vfs"
	"belfry/logs"
	"belfry/logs/internal/record"
	"belfry/logs/patterns"

	"github.com/prometheus/client_golang/prometheus"
)

// Options configure a Store. Dir is required.
type Options struct {
	Dir        string
	FS         vfs.FS          // default: the operating system's
	Config     Config          // DefaultConfig() is a good one
	Signal     string          // the metrics' label; default: logs
	Patterns   *patterns.Miner // is shown what comes; may be nil
	Logger     *slog.Logger
	Registerer prometheus.Registerer // nil: metrics are kept but not registered
	Now        func() time.Time      // default: time.Now
}

// Store is a logs store. It is safe for concurrent use.
type Store struct {
	keeper.Keeper // of deletions
	db            *columnar.DB
}

var _ logs.Store = (*Store)(nil)

// Open opens the store in o.Dir, creating it if there is none.
func Open(o Options) (*Store, error) {
	if err := o.Config.Validate(); err != nil {
		return nil, err
	}
	eo := o.Config.engine(o)
	var err error
	if eo.Retention, err = o.Config.Retention.engine(); err != nil {
		return nil, err
	}
	eo.Decode = newDecoder(record.Bounds{
		MaxFuture:     time.Duration(o.Config.Limits.MaxFuture),
		MaxBytes:      int(o.Config.Limits.MaxRecordSize),
		MaxAttributes: o.Config.Limits.MaxAttributes,
	}, o.Patterns)
	db, err := columnar.Open(eo)
	if err != nil {
		return nil, err
	}
	return &Store{Keeper: keeper.New(db), db: db}, nil
}

// Close writes what is in memory to files and closes the store.
func (s *Store) Close() error { return s.db.Close() }

// Flush writes what is in memory to files.
func (s *Store) Flush(ctx context.Context) error { return s.db.Flush(ctx) }

// Append implements logs.Appender.
func (s *Store) Append(ctx context.Context, tenant string, request []byte) (logs.AppendResult, error) {
	r, err := s.db.Append(ctx, tenant, request)
	return logs.AppendResult{Accepted: r.Rows, Rejected: r.Rejected, Reason: r.Reason}, err
}
