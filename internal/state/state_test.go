package state_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"belfry/internal/fault"
	"belfry/internal/state"
	"belfry/internal/state/statetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func addOne(ctx context.Context, db *state.DB) error {
	return db.Update(ctx, func(tx *state.Tx) error {
		var n int
		if err := tx.QueryRow(ctx, `SELECT value FROM counters WHERE tenant = ? AND name = 'it''s?'`, "t").Scan(&n); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE counters SET value = ? WHERE tenant = ?`, n+1, "t")
		return err
	})
}

func TestConcurrentReadModifyWriteLosesNothing(t *testing.T) {
	statetest.Each(t, func(t *testing.T, d statetest.Database) {
		ctx := t.Context()
		dbs := []*state.DB{d.Open(), d.Open()}
		require.NoError(t, dbs[0].Update(ctx, func(tx *state.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO counters (tenant, name, value) VALUES ('t', 'it''s?', 0)`)
			return err
		}))
		const workers, each = 4, 10
		var wg sync.WaitGroup
		errs := make(chan error, workers*each)
		for w := range workers {
			wg.Go(func() {
				for range each {
					errs <- retryUnavailable(func() error { return addOne(ctx, dbs[w%2]) })
				}
			})
		}
		wg.Wait()
		close(errs)
		for err := range errs {
			require.NoError(t, err)
		}
		require.NoError(t, dbs[1].View(ctx, func(tx *state.Tx) error {
			var n int
			require.NoError(t, tx.QueryRow(ctx, `SELECT value FROM counters WHERE tenant = 't'`).Scan(&n))
			require.Equal(t, workers*each, n)
			return nil
		}))
	})
}

// retryUnavailable does what callers do with a retryable fault.
func retryUnavailable(fn func() error) error {
	for {
		if err := fn(); fault.KindOf(err) != fault.Unavailable {
			return err
		}
	}
}

func TestUpdateRollsBackOnError(t *testing.T) {
	statetest.Each(t, func(t *testing.T, d statetest.Database) {
		ctx, db := t.Context(), d.Open()
		boom := errors.New("boom")
		err := db.Update(ctx, func(tx *state.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO secrets (name, value) VALUES ('a', 'b')`)
			require.NoError(t, err)
			return boom
		})
		require.ErrorIs(t, err, boom)
		require.NoError(t, db.View(ctx, func(tx *state.Tx) error {
			var n int
			require.NoError(t, tx.QueryRow(ctx, `SELECT COUNT(*) FROM secrets`).Scan(&n))
			require.Zero(t, n)
			return nil
		}))
	})
}

func TestViewCannotWrite(t *testing.T) {
	statetest.Each(t, func(t *testing.T, d statetest.Database) {
		ctx, db := t.Context(), d.Open()
		require.Error(t, db.View(ctx, func(tx *state.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO secrets (name, value) VALUES ('a', 'b')`)
			return err
		}))
	})
}

func TestSecretIsMadeOnceForAll(t *testing.T) {
	statetest.Each(t, func(t *testing.T, d statetest.Database) {
		a, err := d.Open().Secret(t.Context(), "links")
		require.NoError(t, err)
		b, err := d.Open().Secret(t.Context(), "links")
		require.NoError(t, err)
		require.Len(t, a, 32)
		require.Equal(t, a, b)
	})
}

func TestMigratingAgainChangesNothingAndANewerDatabaseIsRefused(t *testing.T) {
	statetest.Each(t, func(t *testing.T, d statetest.Database) {
		ctx := t.Context()
		first := d.Open()
		want := versions(t, first)
		require.NotEmpty(t, want)
		db := d.Open()
		require.Equal(t, want, versions(t, db))
		require.NoError(t, db.Update(ctx, func(tx *state.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO schema_migrations (version, name, applied_at) VALUES (9999, 'future', 1)`)
			return err
		}))
		_, err := state.Open(ctx, d.Options())
		require.ErrorContains(t, err, "newer than this program")
	})
}

func versions(t *testing.T, db *state.DB) (out []string) {
	t.Helper()
	ctx := t.Context()
	require.NoError(t, db.View(ctx, func(tx *state.Tx) error {
		rows, err := tx.Query(ctx, `SELECT version, name, applied_at FROM schema_migrations ORDER BY version`)
		require.NoError(t, err)
		defer rows.Close()
		for rows.Next() {
			var v, at int64
			var name string
			require.NoError(t, rows.Scan(&v, &name, &at))
			out = append(out, fmt.Sprint(v, name, at))
		}
		return rows.Err()
	}))
	return out
}

func TestOpenRefusesNonsense(t *testing.T) {
	for _, opts := range []state.Options{{}, {DSN: "mysql://x"}, {Path: "/dev/null/x"}} {
		_, err := state.Open(t.Context(), opts)
		require.Error(t, err)
	}
}

func TestPathWithStrangeCharacters(t *testing.T) {
	path := t.TempDir() + "/a b?c#d%41/x.db"
	db, err := state.Open(t.Context(), state.Options{Path: path})
	require.NoError(t, err)
	require.NoError(t, db.Close())
	require.FileExists(t, path)
}

func TestAnyTextCanBeKept(t *testing.T) {
	statetest.Each(t, func(t *testing.T, d statetest.Database) {
		ctx, db := t.Context(), d.Open()
		require.NoError(t, db.Update(ctx, func(tx *state.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO secrets (name, value) VALUES ('a', ?)`, "x\x00y\xff'?")
			return err
		}))
		require.NoError(t, db.View(ctx, func(tx *state.Tx) error {
			var got string
			require.NoError(t, tx.QueryRow(ctx, `SELECT value FROM secrets`).Scan(&got))
			require.Equal(t, "x\uFFFDy\uFFFD'?", got)
			return nil
		}))
	})
}

func TestTimesKeepTheirMillisecond(t *testing.T) {
	now := time.Date(2026, 3, 29, 1, 59, 59, 123e6, time.UTC)
	require.Equal(t, now, state.Time(state.Millis(now)))
	require.True(t, state.Time(state.Millis(time.Time{})).IsZero())
	require.Equal(t, `%50\% \_ \\ off%`, state.LikePattern(`50% _ \ off`))
}
