package state

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migrationLock is the PostgreSQL advisory lock under which processes that start
// together migrate one after another.
const migrationLock = 0x62656c66727900 // "belfry"

type migration struct {
	version    int
	name       string
	statements []string
}

// migrations reads NNNN_name.sql files, in order of their numbers. A statement
// ends with a semicolon at the end of a line; lines that start with -- are
// comments.
func migrations(files fs.FS) ([]migration, error) {
	names, err := fs.Glob(files, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var out []migration
	for i, name := range names {
		number, rest, _ := strings.Cut(path.Base(name), "_")
		version, err := strconv.Atoi(number)
		if err != nil || version != i+1 {
			return nil, fmt.Errorf("migration %s: want number %04d", name, i+1)
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		out = append(out, migration{version, strings.TrimSuffix(rest, ".sql"), statements(string(text))})
	}
	return out, nil
}

func statements(text string) []string {
	var out []string
	var current []string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \t\r\n")
		if trimmed := strings.TrimSpace(line); trimmed == "" || strings.HasPrefix(trimmed, "--") {
			continue
		}
		current = append(current, strings.TrimSuffix(line, ";"))
		if strings.HasSuffix(line, ";") {
			out, current = append(out, strings.Join(current, "\n")), nil
		}
	}
	if len(current) > 0 {
		out = append(out, strings.Join(current, "\n"))
	}
	return out
}

func (db *DB) migrate(ctx context.Context) error {
	all, err := migrations(migrationFiles)
	if err != nil {
		return err
	}
	var applied []migration
	err = db.Update(ctx, func(tx *Tx) error {
		applied = nil
		return tx.migrateTo(ctx, all, &applied)
	})
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	for _, m := range applied {
		db.log.Info("state schema migrated", "version", m.version, "name", m.name, "database", db.Dialect())
	}
	return nil
}

func (t *Tx) migrateTo(ctx context.Context, all []migration, applied *[]migration) error {
	if t.dialect == postgres {
		if _, err := t.Exec(ctx, `SELECT pg_advisory_xact_lock(?)`, int64(migrationLock)); err != nil {
			return err
		}
	}
	_, err := t.Exec(ctx, `CREATE TABLE IF NOT EXISTS schema_migrations (
		version BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL, applied_at BIGINT NOT NULL)`)
	if err != nil {
		return err
	}
	var current int
	if err := t.QueryRow(ctx, `SELECT COALESCE(MAX(version), 0) FROM schema_migrations`).Scan(&current); err != nil {
		return err
	}
	if current > len(all) {
		return errors.New("the database is at schema version " + strconv.Itoa(current) +
			", newer than this program's " + strconv.Itoa(len(all)))
	}
	for _, m := range all[current:] {
		for _, stmt := range m.statements {
			if _, err := t.Exec(ctx, stmt); err != nil {
				return fmt.Errorf("version %d (%s): %w", m.version, m.name, err)
			}
		}
		if _, err := t.Exec(ctx, `INSERT INTO schema_migrations (version, name, applied_at) VALUES (?, ?, ?)`,
			m.version, m.name, Millis(time.Now())); err != nil {
			return err
		}
		*applied = append(*applied, m)
	}
	return nil
}
