package columnar

import (
	"context"
	"errors"
)

var (
	errNotReady = errors.New("columnar: not ready")

	// ErrStop is returned by a Worker that has seen enough.
	ErrStop = errors.New("columnar: stop the scan")
)

// DB is an event engine: one signal, all tenants. It is safe for concurrent use.
type DB struct{}

// AppendResult says what became of a payload's rows.
type AppendResult struct {
	Rows     int    // kept
	Rejected int    // refused one by one
	Reason   string // why, the most common reasons first; "" if none was
}

// Open opens the DB in o.Dir, creating it if there is none, and replays its log.
func Open(o Options) (*DB, error) { return nil, errNotReady }

// Close flushes and closes. Appends and queries that come after fail with
// fault.Unavailable; those under way are waited for.
func (db *DB) Close() error { return errNotReady }

// Append decodes payload and stores its rows. The payload is the caller's again
// when it returns. Errors carry a fault: Invalid and TooLarge are permanent,
// Limited and Unavailable may be repeated; in all cases nothing was kept.
func (db *DB) Append(ctx context.Context, tenant string, payload []byte) (AppendResult, error) {
	return AppendResult{}, errNotReady
}

// Flush writes what is in memory to parts, and returns when it is there.
func (db *DB) Flush(ctx context.Context) error { return errNotReady }

// Scan hands the rows of q to workers, block by block, in parallel and in no
// order. newWorker is called once per goroutine, before any block, from the calling goroutine.
func (db *DB) Scan(ctx context.Context, q Query, newWorker func() Worker) (Stats, error) {
	return Stats{}, errNotReady
}

// Select returns the first rows of q in an order.
func (db *DB) Select(ctx context.Context, q SelectQuery) ([]Row, Stats, error) {
	return nil, Stats{}, errNotReady
}

// Lookup returns the rows with an ID, ordered by time.
func (db *DB) Lookup(ctx context.Context, q LookupQuery) ([]Row, Stats, error) {
	return nil, Stats{}, errNotReady
}

// Streams returns the streams with rows in blocks that touch [from, to) and
// whose fields meet the filter, ordered by ID. Only stream conditions may occur
// in the filter (fault.Invalid otherwise).
func (db *DB) Streams(ctx context.Context, tenant string, from, to int64, filter Filter) ([]StreamInfo, error) {
	return nil, errNotReady
}

// Columns returns the columns of the rows in blocks that touch [from, to),
// ordered by name, then kind.
func (db *DB) Columns(ctx context.Context, tenant string, from, to int64) ([]ColumnInfo, error) {
	return nil, errNotReady
}

// Values returns distinct values of a column (or, with ref.Stream, of a stream field) in q's rows, the most
// frequent first, ties by value; at most limit. Where dictionaries tell, no row is read.
func (db *DB) Values(ctx context.Context, q Query, ref Ref, limit int) ([]ValueCount, Stats, error) {
	return nil, Stats{}, errNotReady
}
