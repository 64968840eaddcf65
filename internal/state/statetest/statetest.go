// Package statetest opens databases for tests: SQLite always, PostgreSQL too
// when BELFRY_TEST_POSTGRES_DSN names one (each test gets a schema of its own).
package statetest

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"belfry/internal/state"
)

// DSNVariable names the environment variable with the PostgreSQL to test on.
const DSNVariable = "BELFRY_TEST_POSTGRES_DSN"

// Database is one place for state, which can be opened several times, as several
// processes would.
type Database struct {
	t    testing.TB
	opts state.Options
}

// Open opens the database once more. It is closed when the test ends.
func (d Database) Open() *state.DB {
	d.t.Helper()
	db, err := state.Open(d.t.Context(), d.opts)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = db.Close() })
	return db
}

// Options returns what Open opens.
func (d Database) Options() state.Options { return d.opts }

// SQLite returns an empty SQLite database.
func SQLite(t testing.TB) Database {
	return Database{t, state.Options{Path: filepath.Join(t.TempDir(), "state", "belfry.db")}}
}

// Each runs a test on an empty database of each kind that is at hand.
func Each(t *testing.T, test func(*testing.T, Database)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, SQLite(t)) })
	if dsn := os.Getenv(DSNVariable); dsn != "" {
		t.Run("postgres", func(t *testing.T) { test(t, postgres(t, dsn)) })
	}
}

func postgres(t *testing.T, dsn string) Database {
	t.Helper()
	schema := "test_" + strings.ToLower(ulid.Make().String())
	admin, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := admin.ExecContext(t.Context(), "CREATE SCHEMA "+schema); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_, _ = admin.ExecContext(ctx, fmt.Sprintf("DROP SCHEMA %s CASCADE", schema))
		_ = admin.Close()
	})
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	return Database{t, state.Options{DSN: u.String()}}
}
