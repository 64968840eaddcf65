package store

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSyncerFollowsSegments(t *testing.T) {
	dir := t.TempDir()
	touch := func(name string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600))
	}
	s := newWALSyncer(dir, filepath.Join(dir, "not-there"))
	require.NoError(t, s.sync(), "a log without segments")
	touch("00000003")
	touch("00000004")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "checkpoint.00000002"), 0o700))
	require.NoError(t, s.sync())
	require.Equal(t, []int{4, -1}, s.newest)

	// Segments that a checkpoint has replaced are gone.
	touch("00000009")
	require.NoError(t, os.Remove(filepath.Join(dir, "00000003")))
	require.NoError(t, os.Remove(filepath.Join(dir, "00000004")))
	require.NoError(t, s.sync())
	require.Equal(t, 9, s.newest[0])
}

func TestSyncerOnlyWhenDirty(t *testing.T) {
	dir := t.TempDir()
	s := newWALSyncer(dir)
	require.NoError(t, s.syncIfDirty())
	require.Zero(t, s.done)
	s.markDirty()
	require.NoError(t, s.syncIfDirty())
	require.Equal(t, uint64(1), s.done)
	require.NoError(t, s.syncIfDirty())
	require.Equal(t, uint64(1), s.done)
}

func TestSyncerCoversEveryCaller(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "00000000"), nil, 0o600))
	s := newWALSyncer(dir)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if err := s.sync(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.Equal(t, uint64(20), s.done)
}

func TestSyncFailureIsReportedAndTriedAgain(t *testing.T) {
	dir := t.TempDir()
	notADir := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(notADir, nil, 0o600))
	s := newWALSyncer(notADir)
	s.markDirty()
	require.Error(t, s.syncIfDirty())
	require.NoError(t, os.Remove(notADir))
	require.NoError(t, os.Mkdir(notADir, 0o700))
	require.NoError(t, s.syncIfDirty(), "still dirty")
	require.Equal(t, uint64(2), s.done)
}
