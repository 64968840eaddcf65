package store

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"

	metrics "belfry/tsdb"
	"belfry/tsdb/seriescache"
)

// TestAppendByReference appends to a series that only its reference names. A
// reference that the head does not know, or no longer, is said to be so, and
// counts nowhere.
func TestAppendByReference(t *testing.T) {
	ctx := context.Background()
	reg := prometheus.NewRegistry()
	s := open(t, t.TempDir(), func(o *Options) { o.Registerer = reg })
	app := s.AppenderV2(ctx)
	ref, err := app.Append(0, labels.FromStrings("__name__", "a"), 0, at(0), 1, nil, nil, storage.AOptions{})
	require.NoError(t, err)
	require.NoError(t, app.Commit())

	byReference := func(ref storage.SeriesRef, after time.Duration) error {
		app := s.AppenderV2(ctx)
		_, err := app.Append(ref, labels.EmptyLabels(), 0, at(after), 2, nil, nil, storage.AOptions{})
		require.NoError(t, app.Commit())
		return err
	}
	require.NoError(t, byReference(ref, time.Second))
	require.ErrorIs(t, byReference(ref+1, time.Second), metrics.ErrUnknownReference)
	require.Len(t, floats(t, s, ctx), 2)

	// The series leaves the head, and with it what the reference meant.
	db, err := s.acquire(ctx, "default", false)
	require.NoError(t, err)
	defer s.release(db)
	require.NoError(t, db.tsdb.Head().Truncate(at(30*time.Minute)))
	require.ErrorIs(t, byReference(ref, 50*time.Minute), metrics.ErrUnknownReference)
	require.Zero(t, testutil.CollectAndCount(s.metrics.rejected), "not a refusal")
}

// TestEachDatabaseHasItsCache keeps references from meaning other series after a
// tenant's database was closed and opened again.
func TestEachDatabaseHasItsCache(t *testing.T) {
	ctx := context.Background()
	s := open(t, t.TempDir(), nil)
	app := s.AppenderV2(ctx)
	cache := seriescache.Of(app)
	require.NotNil(t, cache)
	cache.Put([]byte("key"), []uint64{1})
	require.NoError(t, app.Rollback())

	db, err := s.acquire(ctx, "default", false)
	require.NoError(t, err)
	s.release(db)
	s.mu.Lock()
	db.closing = true
	s.mu.Unlock()
	s.closeDatabase(db)

	app = s.AppenderV2(ctx)
	_, known := seriescache.Of(app).Get([]byte("key"), nil)
	require.False(t, known)
	require.NoError(t, app.Rollback())
	require.Nil(t, seriescache.Of(failedAppender{}))
}
