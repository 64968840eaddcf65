package store

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"belfry/internal/columnar"
	"belfry/internal/columnar/keeper"
	"belfry/internal/vfs"
	"belfry/traces"
)

// Options are what code supplies to a Store. Dir is required.
type Options struct {
	Dir        string // everything the store writes is below it
	FS         vfs.FS // default: the operating system's
	Config     Config // start from DefaultConfig
	Logger     *slog.Logger
	Registerer prometheus.Registerer // nil: metrics are kept but not registered
	Now        func() time.Time      // time.Now
}

// Store keeps the spans of all tenants. It is safe for concurrent use.
type Store struct {
	keeper.Keeper // of deletions
	db            *columnar.DB
	config        Config
	tables        *tables
	resources     keptResources
}

var (
	_ traces.Appender = (*Store)(nil)
	_ traces.Querier  = (*Store)(nil)
	_ traces.Deleter  = (*Store)(nil)
)

// Open opens the store in o.Dir, creating it if there is none.
func Open(o Options) (*Store, error) {
	if err := o.Config.Validate(); err != nil {
		return nil, err
	}
	c := &o.Config
	retention, err := c.Retention.engine()
	if err != nil {
		return nil, err
	}
	db, err := columnar.Open(columnar.Options{
		Dir: o.Dir, FS: o.FS, Signal: "traces",
		Decode:  newDecoder(time.Duration(c.Limits.MaxFuture), c.Limits.MaxAttributes),
		Columns: fixedColumns(), BlockRows: blockRows, MergeMemory: mergeMemory,
		Grouping:         &columnar.Grouping{ID: colTraceID, Ordinal: colOrdinal, Derive: derive, Derived: derivedColumns()},
		FlushBytes:       int(c.Flush.Size),
		FlushAge:         time.Duration(c.Flush.Age),
		Durability:       c.durability(),
		SyncInterval:     time.Duration(c.SyncInterval),
		Retention:        retention,
		QueryConcurrency: c.Limits.QueryConcurrency,
		Logger:           o.Logger, Registerer: o.Registerer, Now: o.Now,
	})
	if err != nil {
		return nil, err
	}
	return &Store{Keeper: keeper.New(db), db: db, config: o.Config, tables: newTables()}, nil
}

// Close flushes and closes. Queries and appends that come later fail.
func (s *Store) Close() error { return s.db.Close() }

// Flush writes what is in memory to files.
func (s *Store) Flush(ctx context.Context) error { return s.db.Flush(ctx) }

// Append stores an OTLP ExportTraceServiceRequest; see traces.Appender.
func (s *Store) Append(ctx context.Context, tenant string, request []byte) (traces.AppendResult, error) {
	r, err := s.db.Append(ctx, tenant, request)
	return traces.AppendResult{Accepted: r.Rows, Rejected: r.Rejected, Reason: r.Reason}, err
}
