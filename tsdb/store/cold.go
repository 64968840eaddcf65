package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"

	"belfry/tsdb/cold"
)

// coldDir is the folder of a tenant's cold blocks, beside Prometheus' own.
const coldDir = "cold"

// coldBlocks are a tenant's cold blocks, and through what they replace the rule
// which of Prometheus' blocks queries see.
//
// Locks: change, then mu. Whoever deletes samples holds change from the first
// block to the last; a new block takes the place of others under change, and
// only if nothing was deleted since it began to be built.
type coldBlocks struct {
	dir string

	change    sync.Mutex
	deletions uint64 // guarded by change

	// mu is held for reading while a querier is opened, over both kinds of
	// blocks, and for writing while one replaces another.
	mu     sync.RWMutex
	blocks []*cold.Block // by time

	replaced atomic.Pointer[map[ulid.ULID]struct{}] // Prometheus' blocks that cold ones stand for
}

// openCold opens the cold blocks in a folder. Those that cannot be opened are in
// the error, which is no reason to do without the others.
func openCold(dir string) (*coldBlocks, error) {
	blocks, err := cold.OpenAll(dir)
	c := &coldBlocks{dir: dir}
	c.set(blocks)
	return c, err
}

// set makes blocks the ones that are seen. The caller holds mu, or is alone.
func (c *coldBlocks) set(blocks []*cold.Block) {
	slices.SortFunc(blocks, func(a, b *cold.Block) int {
		return cmp.Or(cmp.Compare(a.Meta().MinTime, b.Meta().MinTime), a.ID().Compare(b.ID()))
	})
	replaced := map[ulid.ULID]struct{}{}
	for _, b := range blocks {
		for _, id := range b.Meta().ReplacesBlocks {
			replaced[id] = struct{}{}
		}
	}
	c.blocks = blocks
	c.replaced.Store(&replaced)
}

// list returns the blocks, by time.
func (c *coldBlocks) list() []*cold.Block {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return slices.Clone(c.blocks)
}

// replaces reports whether a cold block stands for one of Prometheus' blocks. A
// block that was made of such blocks alone, by removing deleted samples, is one
// of them.
func (c *coldBlocks) replaces(meta *tsdb.BlockMeta) bool {
	replaced := *c.replaced.Load()
	if _, ok := replaced[meta.ULID]; ok {
		return true
	}
	for _, parent := range meta.Compaction.Parents {
		if _, ok := replaced[parent.ULID]; !ok {
			return false
		}
	}
	return len(meta.Compaction.Parents) > 0
}

// swap puts a block that was built in the place of others, on disk and for
// queries that begin later, and removes the others. It reports false, and
// removes the new block, if samples were deleted since the count of deletions.
func (c *coldBlocks) swap(built *cold.Block, old []*cold.Block, deletions uint64) (bool, error) {
	c.change.Lock()
	if c.deletions != deletions {
		c.change.Unlock()
		return false, built.Remove()
	}
	err := built.Commit()
	if err == nil {
		c.mu.Lock()
		c.set(append(slices.DeleteFunc(slices.Clone(c.blocks), func(b *cold.Block) bool { return slices.Contains(old, b) }), built))
		c.mu.Unlock()
	}
	c.change.Unlock()
	if err != nil {
		return false, errors.Join(err, built.Remove())
	}
	return true, remove(old)
}

// drop takes blocks away from queries that begin later and removes them.
func (c *coldBlocks) drop(gone []*cold.Block) error {
	if len(gone) == 0 {
		return nil
	}
	c.change.Lock()
	c.mu.Lock()
	c.set(slices.DeleteFunc(slices.Clone(c.blocks), func(b *cold.Block) bool { return slices.Contains(gone, b) }))
	c.mu.Unlock()
	c.change.Unlock()
	return remove(gone)
}

func remove(blocks []*cold.Block) error {
	var errs []error
	for _, b := range blocks {
		errs = append(errs, b.Remove())
	}
	return errors.Join(errs...)
}

// deletionCount is what swap compares with.
func (c *coldBlocks) deletionCount() uint64 {
	c.change.Lock()
	defer c.change.Unlock()
	return c.deletions
}

// delete deletes samples from all blocks, Prometheus' by way of others.
func (c *coldBlocks) delete(ctx context.Context, mint, maxt int64, ms []*labels.Matcher, others func() error) error {
	c.change.Lock()
	defer c.change.Unlock()
	c.deletions++
	if err := others(); err != nil {
		return err
	}
	for _, b := range c.list() {
		if !b.Overlaps(mint, maxt) {
			continue
		}
		if err := b.Delete(ctx, mint, maxt, ms...); err != nil {
			return fmt.Errorf("delete from cold block %s: %w", b.ID(), err)
		}
	}
	return nil
}

func (c *coldBlocks) close() error {
	var errs []error
	for _, b := range c.list() {
		errs = append(errs, b.Close())
	}
	return errors.Join(errs...)
}

// known returns what of the blocks that sources replace is still there to be
// replaced: Prometheus' blocks on disk, or their children.
func (c *coldBlocks) known(sources []*cold.Block, blocks []*tsdb.Block) []ulid.ULID {
	union := map[ulid.ULID]struct{}{}
	for _, b := range sources {
		for _, id := range b.Meta().ReplacesBlocks {
			union[id] = struct{}{}
		}
	}
	keep := map[ulid.ULID]struct{}{}
	for _, b := range blocks {
		meta := b.Meta()
		if _, ok := union[meta.ULID]; ok {
			keep[meta.ULID] = struct{}{}
		}
		for _, parent := range meta.Compaction.Parents {
			if _, ok := union[parent.ULID]; ok {
				keep[parent.ULID] = struct{}{}
			}
		}
	}
	return slices.SortedFunc(maps.Keys(keep), ulid.ULID.Compare)
}

// openQueriers opens a querier over the head and all blocks: one of the cold
// blocks each, and one over everything else.
func openQueriers[Q storage.LabelQuerier](c *coldBlocks, mint, maxt int64, rest func() (Q, error), of func(*cold.Block) (Q, error)) (all []Q, err error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	q, err := rest()
	if err != nil {
		return nil, err
	}
	all = append(all, q)
	for _, b := range c.blocks {
		if !b.Overlaps(mint, maxt) {
			continue
		}
		if q, err = of(b); err != nil {
			errs := []error{err}
			for _, opened := range all {
				errs = append(errs, opened.Close())
			}
			return nil, errors.Join(errs...)
		}
		all = append(all, q)
	}
	return all, nil
}

// querier returns a querier over all samples from mint to maxt, both included.
func (d *database) querier(mint, maxt int64) (storage.Querier, error) {
	all, err := openQueriers(d.cold, mint, maxt,
		func() (storage.Querier, error) { return d.tsdb.Querier(mint, maxt) },
		func(b *cold.Block) (storage.Querier, error) { return b.Querier(mint, maxt) })
	switch {
	case err != nil:
		return nil, err
	case len(all) == 1:
		return all[0], nil
	}
	return storage.NewMergeQuerier(all, nil, mergeSeries), nil
}

// chunkQuerier is querier for chunks.
func (d *database) chunkQuerier(mint, maxt int64) (storage.ChunkQuerier, error) {
	all, err := openQueriers(d.cold, mint, maxt,
		func() (storage.ChunkQuerier, error) { return d.tsdb.ChunkQuerier(mint, maxt) },
		func(b *cold.Block) (storage.ChunkQuerier, error) { return b.ChunkQuerier(mint, maxt) })
	switch {
	case err != nil:
		return nil, err
	case len(all) == 1:
		return all[0], nil
	}
	return storage.NewMergeChunkQuerier(all, nil, mergeChunkSeries), nil
}

// blockQuerier and blockChunkQuerier are how Prometheus' database asks its
// blocks. Those that a cold block stands for have nothing to say.
func (d *database) blockQuerier(b tsdb.BlockReader, mint, maxt int64) (storage.Querier, error) {
	if meta := b.Meta(); d.cold.replaces(&meta) {
		return storage.NoopQuerier(), nil
	}
	return tsdb.NewBlockQuerier(b, mint, maxt)
}

func (d *database) blockChunkQuerier(b tsdb.BlockReader, mint, maxt int64) (storage.ChunkQuerier, error) {
	if meta := b.Meta(); d.cold.replaces(&meta) {
		return storage.NoopChunkedQuerier(), nil
	}
	return tsdb.NewBlockChunkQuerier(b, mint, maxt)
}
