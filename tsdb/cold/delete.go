package cold

import (
	"context"
	"fmt"
	"log/slog"
	"math"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/tombstones"
)

var discard = slog.New(slog.DiscardHandler)

// Delete deletes the samples from mint to maxt, both included, of the series
// that match. They are gone from queries that begin later, and from disk when
// the block is built anew.
func (b *Block) Delete(ctx context.Context, mint, maxt int64, matchers ...*labels.Matcher) error {
	if err := b.acquire(); err != nil {
		return err
	}
	defer b.release()
	set, err := b.matching(ctx, matchers)
	if err != nil {
		return err
	}
	return b.deleteFrom(ctx, set, tombstones.Interval{Mint: mint, Maxt: maxt})
}

// Rule says that samples before a time expire.
type Rule struct {
	Matchers []*labels.Matcher // none match all series
	Before   int64             // milliseconds

	// Slack is how much older than Before, in milliseconds, the block's first
	// sample must be for the rule to count, so that a block is not built anew
	// for a few samples.
	Slack int64
}

// Expire deletes what the rules say; of several that match a series the first
// counts. It reports whether anything was deleted.
func (b *Block) Expire(ctx context.Context, rules []Rule) (bool, error) {
	if err := b.acquire(); err != nil {
		return false, err
	}
	defer b.release()
	before := b.tombstones.Load()
	taken := roaring.New()
	for _, rule := range rules {
		set, err := b.matching(ctx, rule.Matchers)
		if err != nil {
			return false, err
		}
		set.AndNot(taken)
		taken.Or(set)
		if b.meta.MinTime >= rule.Before-rule.Slack {
			continue
		}
		if err := b.deleteFrom(ctx, set, tombstones.Interval{Mint: math.MinInt64, Maxt: rule.Before - 1}); err != nil {
			return false, err
		}
	}
	return b.tombstones.Load() != before, nil
}

// deleteFrom adds an interval to the tombstones of the series that have samples
// in it.
func (b *Block) deleteFrom(ctx context.Context, set *roaring.Bitmap, iv tombstones.Interval) error {
	b.deleting.Lock()
	defer b.deleting.Unlock()
	old := b.tombstones.Load()
	mem := tombstones.NewMemTombstones()
	err := old.Iter(func(ref storageRef, ivs tombstones.Intervals) error {
		mem.AddInterval(ref, ivs...)
		return nil
	})
	if err != nil {
		return err
	}
	changed := false
	r := seriesReader{b: b}
	for it := set.Iterator(); it.HasNext(); {
		if err := ctx.Err(); err != nil {
			return err
		}
		id := it.Next()
		if err := r.read(id); err != nil {
			return err
		}
		gone, err := old.Get(storageRef(id))
		if err != nil {
			return err
		}
		if clamped, ok := clamp(iv, r.chunks, gone); ok {
			mem.AddInterval(storageRef(id), clamped)
			changed = true
		}
	}
	if !changed {
		return nil
	}
	next := &stones{MemTombstones: mem, n: mem.Total()}
	if b.dir != "" {
		if next.bytes, err = tombstones.WriteFile(discard, b.dir, next); err != nil {
			return fmt.Errorf("write tombstones: %w", err)
		}
	}
	b.tombstones.Store(next)
	return nil
}

// clamp narrows an interval to the chunks that it deletes from. It returns false
// if it deletes nothing that is not gone already.
func clamp(iv tombstones.Interval, chunks []chunk, gone tombstones.Intervals) (tombstones.Interval, bool) {
	out, ok := tombstones.Interval{}, false
	for i := range chunks {
		c := &chunks[i]
		if !c.overlaps(iv.Mint, iv.Maxt) {
			continue
		}
		lo, hi := max(iv.Mint, c.mint), min(iv.Maxt, c.maxt)
		if !ok {
			out = tombstones.Interval{Mint: lo, Maxt: hi}
		}
		out.Mint, out.Maxt, ok = min(out.Mint, lo), max(out.Maxt, hi), true
	}
	return out, ok && !out.IsSubrange(gone)
}
