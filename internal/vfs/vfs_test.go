package vfs

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFS holds both implementations to the same behavior.
func TestFS(t *testing.T) {
	for name, fsys := range map[string]FS{"os": OS{}, "mem": NewMem()} {
		t.Run(name, func(t *testing.T) {
			dir := path.Join(t.TempDir(), "a/b")
			require.NoError(t, fsys.MkdirAll(dir))
			_, err := fsys.Open(path.Join(dir, "none"))
			require.ErrorIs(t, err, fs.ErrNotExist)
			_, err = fsys.List(path.Join(dir, "none"))
			require.ErrorIs(t, err, fs.ErrNotExist)

			f, err := fsys.Create(path.Join(dir, "f"))
			require.NoError(t, err)
			_, err = f.Write([]byte("hello world"))
			require.NoError(t, err)
			require.NoError(t, f.Sync())
			b := make([]byte, 5)
			_, err = f.ReadAt(b, 6)
			require.NoError(t, err)
			require.Equal(t, "world", string(b))
			n, err := f.ReadAt(b, 8)
			require.ErrorIs(t, err, io.EOF)
			require.Equal(t, 3, n)
			require.NoError(t, f.Truncate(5))
			_, err = f.Write([]byte("!"))
			require.NoError(t, err)
			require.NoError(t, f.Close())

			f, err = fsys.OpenWrite(path.Join(dir, "f"))
			require.NoError(t, err)
			_, err = f.Write([]byte("?"))
			require.NoError(t, err)
			size, err := f.Size()
			require.NoError(t, err)
			require.EqualValues(t, 7, size)
			require.NoError(t, f.Close())

			require.NoError(t, fsys.Rename(path.Join(dir, "f"), path.Join(dir, "g")))
			require.NoError(t, fsys.SyncDir(dir))
			names, err := fsys.List(dir)
			require.NoError(t, err)
			require.Equal(t, []string{"g"}, names)
			size, err = fsys.Size(path.Join(dir, "g"))
			require.NoError(t, err)
			require.EqualValues(t, 7, size)
			require.Error(t, fsys.Remove(dir), "not empty")
			require.NoError(t, fsys.Remove(path.Join(dir, "g")))
			require.NoError(t, fsys.Remove(dir))

			lock, err := fsys.Lock(path.Join(path.Dir(dir), "LOCK"))
			require.NoError(t, err)
			_, err = fsys.Lock(path.Join(path.Dir(dir), "LOCK"))
			require.Error(t, err)
			require.NoError(t, lock.Close())
			lock, err = fsys.Lock(path.Join(path.Dir(dir), "LOCK"))
			require.NoError(t, err)
			require.NoError(t, lock.Close())
		})
	}
}

func TestCrashes(t *testing.T) {
	m := NewMem()
	require.NoError(t, m.MkdirAll("d"))
	f, err := m.Create("d/f")
	require.NoError(t, err)
	write := func(s string) {
		_, err := f.Write([]byte(s))
		require.NoError(t, err)
	}
	content := func(m *Mem) string {
		f, err := m.Open("d/f")
		if err != nil {
			return "none"
		}
		size, err := f.Size()
		require.NoError(t, err)
		b := make([]byte, size)
		if size > 0 {
			_, err = f.ReadAt(b, 0)
			require.NoError(t, err)
		}
		return string(b)
	}
	write("one")
	require.NoError(t, f.Sync())
	require.Equal(t, "none", content(m.ClonePowerLoss()), "the entry was not synced")
	require.NoError(t, m.SyncDir("d"))
	write("two")
	require.Equal(t, "one", content(m.ClonePowerLoss()))
	require.Equal(t, "onetwo", content(m.CloneKilled()))
	require.Equal(t, "one", content(m.CloneKilled().ClonePowerLoss()))
	require.NoError(t, m.Rename("d/f", "d/g"))
	require.Equal(t, "one", content(m.ClonePowerLoss()), "the rename was not synced")
	require.NoError(t, m.SyncDir("d"))
	require.Equal(t, "none", content(m.ClonePowerLoss()))
}

func TestHooked(t *testing.T) {
	boom := errors.New("boom")
	m := NewMem()
	h := &Hooked{FS: m, Hook: func(op Op, _ string, p []byte) (int, error) {
		if op == OpWrite && len(p) > 3 {
			return 2, boom
		}
		return 0, nil
	}}
	f, err := h.Create("f")
	require.NoError(t, err)
	_, err = f.Write([]byte("abc"))
	require.NoError(t, err)
	n, err := f.Write([]byte("defg"))
	require.ErrorIs(t, err, boom)
	require.Equal(t, 2, n)
	size, err := m.Size("f")
	require.NoError(t, err)
	require.EqualValues(t, 5, size)
}
