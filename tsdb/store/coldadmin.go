package store

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/prometheus/prometheus/tsdb"
)

// wake asks the job for cold blocks to look for work at once.
func (d *database) wake() {
	select {
	case d.wakeCold <- struct{}{}:
	default:
	}
}

// cleanTombstones writes all blocks anew from which samples were deleted.
func (d *database) cleanTombstones(ctx context.Context) error {
	d.tending.Lock() // or a block is rewritten that is being replaced
	defer d.tending.Unlock()
	if err := d.tsdb.CleanTombstones(); err != nil {
		return err
	}
	for {
		did, err := d.cleanNext(ctx)
		if err != nil {
			return fmt.Errorf("clean tombstones of cold blocks: %w", err)
		}
		if !did {
			return nil
		}
	}
}

// snapshot writes a copy of the database to dir. What a cold block stands for is
// in the copy only where it is on disk; the cold block says so there, too.
func (d *database) snapshot(dir string, withHead bool) error {
	d.cold.change.Lock() // no block takes another's place meanwhile
	defer d.cold.change.Unlock()
	if err := d.tsdb.Snapshot(dir, withHead); err != nil {
		return err
	}
	for _, b := range d.cold.list() {
		if err := b.Link(filepath.Join(dir, coldDir, b.ID().String())); err != nil {
			return fmt.Errorf("snapshot cold block %s: %w", b.ID(), err)
		}
	}
	return d.kept.link(filepath.Join(dir, exemplarsDir))
}

// blockMetas describes the blocks that queries see, by time.
func (d *database) blockMetas() []tsdb.BlockMeta {
	d.cold.mu.RLock()
	defer d.cold.mu.RUnlock()
	metas := slices.DeleteFunc(slices.Clone(d.tsdb.BlockMetas()), func(m tsdb.BlockMeta) bool { return d.cold.replaces(&m) })
	for _, b := range d.cold.blocks {
		metas = append(metas, b.Meta().BlockMeta)
	}
	slices.SortStableFunc(metas, func(a, b tsdb.BlockMeta) int { return cmp.Compare(a.MinTime, b.MinTime) })
	return metas
}
