package router

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

func reopen(t *testing.T, path string) (*journal, []string) {
	t.Helper()
	var got []string
	j, err := openJournal(path, slog.New(slog.DiscardHandler), prometheus.NewCounter(prometheus.CounterOpts{Name: "x"}), func(b []byte) error {
		got = append(got, string(b))
		return nil
	})
	require.NoError(t, err)
	return j, got
}

func TestJournalKeepsWholeRecords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	j, got := reopen(t, path)
	require.Empty(t, got)
	for i := range 5 {
		j.append(fmt.Appendf(nil, "record %d", i))
	}
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, j.close())
	j.append([]byte("after the end")) // dropped, not a crash

	// Cut anywhere, or damaged anywhere: what is whole before it is read, and
	// what is written next is read too.
	for cut := range len(whole) {
		require.NoError(t, os.WriteFile(path, whole[:cut], 0o600))
		j, got := reopen(t, path)
		require.Len(t, got, cut/16)
		j.append([]byte("next"))
		require.NoError(t, j.close())
		j, got = reopen(t, path)
		require.Len(t, got, cut/16+1)
		require.NoError(t, j.close())

		bad := bytes.Clone(whole)
		bad[cut] ^= 0x40
		require.NoError(t, os.WriteFile(path, bad, 0o600))
		j, got = reopen(t, path)
		require.Len(t, got, cut/16)
		require.NoError(t, j.close())
	}
}

func TestJournalFoldsIntoASnapshot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	j, _ := reopen(t, path)
	j.append([]byte("a"))
	_, err := j.fold(func() (int64, error) { return 0, errors.New("disk full") })
	require.Error(t, err)
	j.append([]byte("b"))
	require.NoError(t, j.close())
	j, got := reopen(t, path)
	require.Equal(t, []string{"a", "b"}, got, "a failed snapshot loses nothing")
	_, err = j.fold(func() (int64, error) {
		j.append([]byte("c")) // while the snapshot is written
		return 1, nil
	})
	require.NoError(t, err)
	require.NoError(t, j.close())
	_, got = reopen(t, path)
	require.Contains(t, got, "c")
	require.NotContains(t, got, "a")
}

func TestJournalSaysThatItFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	j, _ := reopen(t, path)
	require.NoError(t, j.healthy())
	file := j.file
	readOnly, err := os.Open(path)
	require.NoError(t, err)
	j.file = readOnly
	j.append([]byte("x"))
	require.Error(t, j.healthy())
	j.file = file
	require.NoError(t, j.healthy(), "it tries again")
	require.NoError(t, readOnly.Close())
	require.NoError(t, j.close())
}
