package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/prometheus/tsdb"

	"belfry/internal/fault"
	"belfry/tsdb/cold"
)

const (
	// coldInterval is how often the job looks for work.
	coldInterval = 15 * time.Second

	// settled is how long after the end of a range its blocks are there: the
	// head keeps samples for up to an hour and a half of its own span.
	settled = 4 * time.Hour
)

// runCold tends cold blocks until the context ends.
func (d *database) runCold(ctx context.Context) {
	tick := time.NewTicker(coldInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-d.wakeCold:
		}
		d.background("cold blocks", func() error {
			if err := errors.Join(d.tendCold(ctx), d.tendDeletions(ctx)); ctx.Err() == nil {
				return err
			}
			return nil
		})
	}
}

// tendCold does all there is to do about cold blocks: what is past retention is
// removed, finished blocks are rewritten, neighbors merged, and blocks with
// deleted samples written anew without them.
func (d *database) tendCold(ctx context.Context) error {
	d.tending.Lock()
	defer d.tending.Unlock()
	if err := d.expireCold(ctx); err != nil {
		return err
	}
	if !d.store.config().ColdBlocks.Enabled {
		return nil
	}
	for {
		did, err := d.rewriteNext(ctx)
		if err != nil || !did {
			return err
		}
	}
}

// The kinds of rewriting, as the metrics name them.
const (
	rewriteKind = "rewrite" // one of Prometheus' blocks becomes cold
	mergeKind   = "merge"   // cold blocks become one
	cleanKind   = "clean"   // deleted samples leave a cold block
)

// rewriteNext builds one block, if there is one to build.
func (d *database) rewriteNext(ctx context.Context) (bool, error) {
	deletions := d.cold.deletionCount()
	blocks := d.tsdb.Blocks()
	for _, b := range blocks {
		meta := b.Meta()
		if d.cold.replaces(&meta) || meta.Compaction.Deletable || slices.Contains(d.unfit, meta.ULID) {
			continue
		}
		p := cold.Plan{
			Sources: []cold.Source{cold.From(b)}, MinTime: meta.MinTime, MaxTime: meta.MaxTime, InOrderMaxTime: meta.MaxTime,
			Compaction:     tsdb.BlockMetaCompaction{Level: meta.Compaction.Level, Sources: meta.Compaction.Sources, Hints: meta.Compaction.Hints},
			ReplacesBlocks: []ulid.ULID{meta.ULID},
		}
		if len(meta.Compaction.Hints) > 0 { // late samples, or those of some series only
			p.InOrderMaxTime = math.MinInt64
		}
		err := d.buildCold(ctx, rewriteKind, deletions, b.Size(), p, nil)
		if err != nil && ctx.Err() == nil && fault.KindOf(err) != fault.Unavailable {
			// It stays as it is; the others do not wait for it.
			d.unfit = append(d.unfit, meta.ULID)
			err = fmt.Errorf("block %s: %w", meta.ULID, err)
		}
		return true, err
	}
	if did, err := d.cleanNext(ctx); did || err != nil {
		return did, err
	}
	if group := planMerge(d.cold.list(), d.mergeRanges(), d.store.now().Add(-settled).UnixMilli()); len(group) > 0 {
		return true, d.rebuild(ctx, mergeKind, deletions, group, blocks)
	}
	return false, nil
}

// cleanNext writes one cold block anew that samples were deleted from, if there
// is one.
func (d *database) cleanNext(ctx context.Context) (bool, error) {
	deletions := d.cold.deletionCount()
	for _, b := range d.cold.list() {
		if b.Meta().Stats.NumTombstones > 0 {
			return true, d.rebuild(ctx, cleanKind, deletions, []*cold.Block{b}, d.tsdb.Blocks())
		}
	}
	return false, nil
}

func (d *database) mergeRanges() []int64 {
	longest := maxBlockDuration(d.store.config().Retention.Longest()).Milliseconds()
	ranges := tsdb.ExponentialBlockRanges(tsdb.DefaultBlockDuration, 10, 3)[1:]
	return slices.DeleteFunc(ranges, func(r int64) bool { return r > longest })
}

// rebuild builds one block of cold ones.
func (d *database) rebuild(ctx context.Context, kind string, deletions uint64, group []*cold.Block, blocks []*tsdb.Block) error {
	first := group[0].Meta()
	p := cold.Plan{
		MinTime: first.MinTime, MaxTime: first.MaxTime, InOrderMaxTime: first.InOrderMaxTime,
		ReplacesBlocks: d.cold.known(group, blocks),
	}
	size := int64(0)
	for _, b := range group {
		meta := b.Meta()
		size += b.Size()
		p.Sources = append(p.Sources, b)
		p.Replaces = append(p.Replaces, b.ID())
		p.MinTime, p.MaxTime = min(p.MinTime, meta.MinTime), max(p.MaxTime, meta.MaxTime)
		p.InOrderMaxTime = max(p.InOrderMaxTime, meta.InOrderMaxTime)
		p.Compaction.Level = max(p.Compaction.Level, meta.Compaction.Level)
	}
	if len(group) > 1 {
		p.Compaction.Level++
	}
	return d.buildCold(ctx, kind, deletions, size, p, group)
}

func (d *database) buildCold(ctx context.Context, kind string, deletions uint64, size int64, p cold.Plan, old []*cold.Block) error {
	select {
	case d.store.coldSlots <- struct{}{}:
		defer func() { <-d.store.coldSlots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if low := d.store.disk.check(); low != nil {
		return low
	}
	id, err := ulid.New(ulid.Now(), ulid.DefaultEntropy())
	if err != nil {
		return fmt.Errorf("name cold block: %w", err)
	}
	p.ID = id
	begin := time.Now()
	built, err := cold.Build(ctx, d.cold.dir, p)
	if err != nil {
		if d.cold.deletionCount() != deletions || errors.Is(err, tsdb.ErrClosing) {
			return nil // the sources changed, or went, under way: next time
		}
		return err
	}
	written, samples := built.Size(), built.Meta().Stats.NumSamples
	done, err := d.cold.swap(built, old, deletions)
	if !done {
		return err
	}
	m := d.store.metrics.cold
	m.blocks.WithLabelValues(d.id, kind).Inc()
	m.seconds.WithLabelValues(d.id, kind).Add(time.Since(begin).Seconds())
	m.samples.WithLabelValues(d.id, kind).Add(float64(samples))
	m.read.WithLabelValues(d.id, kind).Add(float64(size))
	m.written.WithLabelValues(d.id, kind).Add(float64(written))
	d.store.log.Debug("cold block written", "tenant", d.id, "kind", kind, "block", id, "samples", samples, "source_bytes", size, "bytes", written)
	return err
}

// planMerge returns blocks to be merged, nil if there are none: neighbors that
// are all there is of an aligned range that ended before the given time, the
// smallest range first, as Prometheus compacts its blocks; before that, blocks
// that overlap, which late samples leave.
func planMerge(blocks []*cold.Block, ranges []int64, ended int64) []*cold.Block {
	if group := planOverlap(blocks); group != nil {
		return group
	}
	for _, r := range ranges {
		for i := 0; i < len(blocks); {
			start := blocks[i].Meta().MinTime - floorMod(blocks[i].Meta().MinTime, r)
			j := i
			for j < len(blocks) && blocks[j].Meta().MinTime >= start && blocks[j].Meta().MaxTime <= start+r {
				j++
			}
			if j-i > 1 && start+r <= ended {
				return blocks[i:j]
			}
			i = max(j, i+1)
		}
	}
	return nil
}

// planOverlap returns blocks that overlap once the small among them amount to
// something: a large block is not written anew for every few late samples.
func planOverlap(blocks []*cold.Block) []*cold.Block {
	const (
		worthwhile = 8 // the largest is at most so many times the others
		many       = 8 // or there are so many
	)
	for i := 0; i < len(blocks); {
		j, maxt := i+1, blocks[i].Meta().MaxTime
		total, largest := blocks[i].Size(), blocks[i].Size()
		for ; j < len(blocks) && blocks[j].Meta().MinTime < maxt; j++ {
			maxt = max(maxt, blocks[j].Meta().MaxTime)
			total += blocks[j].Size()
			largest = max(largest, blocks[j].Size())
		}
		if j-i > 1 && (j-i >= many || (total-largest)*worthwhile >= largest) {
			return blocks[i:j]
		}
		i = j
	}
	return nil
}

func floorMod(a, b int64) int64 {
	m := a % b
	if m < 0 {
		m += b
	}
	return m
}
