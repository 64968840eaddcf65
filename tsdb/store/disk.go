package store

import (
	"errors"
	"sync/atomic"
	"syscall"

	"belfry/internal/fault"
)

// diskGuard knows whether the data volume has enough free space.
type diskGuard struct {
	dir    string
	min    atomic.Uint64
	ask    func(dir string) (uint64, error)
	last   atomic.Uint64
	isLow  atomic.Bool
	lastOK atomic.Bool
}

func newDiskGuard(dir string, minFree uint64, ask func(string) (uint64, error)) *diskGuard {
	if ask == nil {
		ask = freeBytes
	}
	g := &diskGuard{dir: dir, ask: ask}
	g.min.Store(minFree)
	return g
}

// refresh asks for the free space. A volume that cannot tell is taken to have
// space: the write itself will say otherwise.
func (g *diskGuard) refresh() (low, changed bool) {
	free, err := g.ask(g.dir)
	g.lastOK.Store(err == nil)
	if err == nil {
		g.last.Store(free)
		low = free < g.min.Load()
	}
	return low, g.isLow.Swap(low) != low
}

func (g *diskGuard) free() uint64 { return g.last.Load() }

// check returns a retryable error while the volume is nearly full.
func (g *diskGuard) check() error {
	if !g.isLow.Load() {
		return nil
	}
	return fault.Unavailablef(retryDisk, "disk is nearly full: %d bytes free, %d are kept for compaction", g.free(), g.min.Load())
}

// classify gives an error of the engine its kind: a full or failing disk and a
// database that is closing are worth another try, a damaged file is not.
func classify(what string, err error) error {
	var known *fault.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return err
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EROFS),
		errors.Is(err, syscall.EIO), errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return fault.Unavailablef(retryDisk, "%s: %w", what, err)
	}
	return fault.New(fault.Internal, "%s: %w", what, err)
}
