package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	_ "modernc.org/sqlite"             // the driver "sqlite"

	"belfry/internal/fault"
)

// Options say where the database is.
type Options struct {
	// DSN of a PostgreSQL database (postgres://…). Empty means SQLite.
	DSN string
	// Path of the SQLite file; its folder is created. Ignored with a DSN.
	Path string
	// Logger is told about migrations; nil discards.
	Logger *slog.Logger
	// MaxConns bounds the connections to PostgreSQL and the SQLite readers; 0 means 8.
	MaxConns int
}

// DB is an open database at the newest schema. It is safe for concurrent use.
type DB struct {
	dialect dialect
	write   *sql.DB
	read    *sql.DB
	log     *slog.Logger
}

type dialect uint8

const (
	sqlite dialect = iota
	postgres
)

const (
	busyTimeout    = 5 * time.Second
	defaultConns   = 8
	maxTries       = 12
	firstRetryWait = 2 * time.Millisecond
	maxRetryWait   = 250 * time.Millisecond
)

// Open opens the database and brings its schema up to date.
func Open(ctx context.Context, opts Options) (*DB, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.MaxConns <= 0 {
		opts.MaxConns = defaultConns
	}
	db := &DB{log: opts.Logger}
	var err error
	if opts.DSN != "" {
		err = db.openPostgres(opts)
	} else {
		err = db.openSQLite(opts)
	}
	if err != nil {
		return nil, fmt.Errorf("open state: %w", err)
	}
	if err := db.migrate(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open state: %w", err), db.Close())
	}
	return db, nil
}

func (db *DB) openPostgres(opts Options) error {
	if !strings.HasPrefix(opts.DSN, "postgres://") && !strings.HasPrefix(opts.DSN, "postgresql://") {
		return errors.New("the DSN must start with postgres://")
	}
	pool, err := sql.Open("pgx", opts.DSN)
	if err != nil {
		return err
	}
	pool.SetMaxOpenConns(opts.MaxConns)
	pool.SetMaxIdleConns(opts.MaxConns)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	db.dialect, db.write, db.read = postgres, pool, pool
	return nil
}

func (db *DB) openSQLite(opts Options) error {
	if opts.Path == "" {
		return errors.New("neither a DSN nor a path is given")
	}
	if err := os.MkdirAll(filepath.Dir(opts.Path), 0o750); err != nil {
		return err
	}
	// The file holds keys; SQLite gives its journals the same mode.
	file, err := os.OpenFile(opts.Path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	common := url.Values{"_pragma": {
		fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()),
		"journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)",
	}}
	writer := url.Values{"_txlock": {"immediate"}, "_pragma": common["_pragma"]}
	reader := url.Values{"_pragma": append([]string{"query_only(1)"}, common["_pragma"]...)}
	if db.write, err = sql.Open("sqlite", sqliteURL(opts.Path, writer)); err != nil {
		return err
	}
	db.write.SetMaxOpenConns(1)
	if db.read, err = sql.Open("sqlite", sqliteURL(opts.Path, reader)); err != nil {
		return errors.Join(err, db.write.Close())
	}
	db.read.SetMaxOpenConns(opts.MaxConns)
	db.read.SetMaxIdleConns(2)
	return nil
}

func sqliteURL(path string, params url.Values) string {
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: params.Encode()}).String()
}

// Close closes the database. Transactions in progress fail.
func (db *DB) Close() error {
	err := db.write.Close()
	if db.read != db.write {
		err = errors.Join(err, db.read.Close())
	}
	return err
}

// Ping reports whether the database answers.
func (db *DB) Ping(ctx context.Context) error { return db.read.PingContext(ctx) }

// Dialect names the database: "sqlite" or "postgres".
func (db *DB) Dialect() string {
	if db.dialect == postgres {
		return "postgres"
	}
	return "sqlite"
}

// Update runs fn in a writing transaction and commits when it returns nil. It
// may run fn several times; see the package comment. Errors of the database that
// may pass (locked, full, unreachable) come back as fault.Unavailable.
func (db *DB) Update(ctx context.Context, fn func(*Tx) error) error {
	wait := firstRetryWait
	for try := 1; ; try++ {
		err := db.once(ctx, db.write, false, fn)
		if err == nil {
			return nil
		}
		if try >= maxTries || ctx.Err() != nil || !db.worthRepeating(err) {
			return db.classify(err)
		}
		select {
		case <-time.After(wait/2 + rand.N(wait)): //nolint:gosec // jitter
		case <-ctx.Done():
			return ctx.Err()
		}
		wait = min(2*wait, maxRetryWait)
	}
}

// View runs fn in a transaction that reads one snapshot and must not write.
func (db *DB) View(ctx context.Context, fn func(*Tx) error) error {
	return db.classify(db.once(ctx, db.read, true, fn))
}

func (db *DB) once(ctx context.Context, pool *sql.DB, readOnly bool, fn func(*Tx) error) error {
	opts := &sql.TxOptions{}
	if db.dialect == postgres {
		opts.Isolation, opts.ReadOnly = sql.LevelSerializable, readOnly
		if readOnly {
			opts.Isolation = sql.LevelRepeatableRead
		}
	}
	sqlTx, err := pool.BeginTx(ctx, opts)
	if err != nil {
		return err
	}
	defer sqlTx.Rollback() //nolint:errcheck // after Commit it has nothing to do
	if err := fn(&Tx{tx: sqlTx, dialect: db.dialect}); err != nil {
		return err
	}
	if readOnly {
		return nil
	}
	return sqlTx.Commit()
}

func (db *DB) classify(err error) error {
	if err == nil || fault.KindOf(err) != fault.Internal {
		return err
	}
	if db.worthRepeating(err) || db.outOfOrder(err) {
		return &fault.Error{Kind: fault.Unavailable, RetryAfter: time.Second, Err: err}
	}
	return err
}
