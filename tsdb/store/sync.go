package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
)

// walSyncer fsyncs the newest segments of a write-ahead log that another piece
// of code writes. It opens the files by path: an fsync covers what was written
// through any descriptor.
type walSyncer struct {
	dirs  []string
	dirty atomic.Bool
	asked atomic.Uint64 // number of the newest request

	mu     sync.Mutex
	done   uint64 // requests up to this one are covered by a finished fsync
	err    error  // of that fsync
	newest []int  // newest segment seen, by folder; older ones are synced
}

func newWALSyncer(dirs ...string) *walSyncer {
	newest := make([]int, len(dirs))
	for i := range newest {
		newest[i] = -1
	}
	return &walSyncer{dirs: dirs, newest: newest}
}

// markDirty says that something was written.
func (s *walSyncer) markDirty() { s.dirty.Store(true) }

// syncIfDirty syncs if something was written since the last call.
func (s *walSyncer) syncIfDirty() error {
	if !s.dirty.Swap(false) {
		return nil
	}
	err := s.sync()
	if err != nil {
		s.dirty.Store(true)
	}
	return err
}

// sync returns when all that was written before the call is on disk. Callers
// that come while an fsync runs share the next one.
func (s *walSyncer) sync() error {
	ticket := s.asked.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done >= ticket {
		return s.err
	}
	covers := s.asked.Load()
	s.err = s.syncFiles()
	s.done = covers
	return s.err
}

func (s *walSyncer) syncFiles() error {
	var errs []error
	for i, dir := range s.dirs {
		errs = append(errs, s.syncDir(i, dir))
	}
	return errors.Join(errs...)
}

func (s *walSyncer) syncDir(i int, dir string) error {
	first, last, err := segments(dir)
	if errors.Is(err, fs.ErrNotExist) || (err == nil && last < 0) {
		return nil // a log of out-of-order samples exists only once there are some
	}
	if err != nil {
		return fmt.Errorf("sync log: %w", err)
	}
	for n := max(first, s.newest[i]); n <= last; n++ {
		err := syncFile(filepath.Join(dir, fmt.Sprintf("%08d", n)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // truncated meanwhile: its content is in a block
			return fmt.Errorf("sync log: %w", err)
		}
	}
	if last != s.newest[i] {
		if err := syncFile(dir); err != nil {
			return fmt.Errorf("sync log: %w", err)
		}
		s.newest[i] = last
	}
	return nil
}

// segments returns the numbers of a log's first and last segment, -1 if it has
// none.
func segments(dir string) (first, last int, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return -1, -1, err
	}
	first, last = -1, -1
	for _, e := range entries {
		n, err := strconv.Atoi(e.Name())
		if err != nil || n < 0 {
			continue // checkpoints
		}
		if first < 0 || n < first {
			first = n
		}
		last = max(last, n)
	}
	return first, last, nil
}

func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
