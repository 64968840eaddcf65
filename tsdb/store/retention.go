package store

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb"

	"belfry/tsdb/cold"
)

// blocksToDelete returns Prometheus' blocks that compaction or a cold block has
// replaced, that are past retention, or that are over the size limit.
//
// Prometheus measures age from the newest block, so that a tenant that stops
// writing keeps its last data forever. Here age is measured by the clock: 30
// days are 30 days.
func (d *database) blocksToDelete(blocks []*tsdb.Block) map[ulid.ULID]struct{} {
	oldest := d.store.oldest()
	keep := d.store.config().ColdBlocks.KeepPrometheusBlocks
	gone := map[ulid.ULID]struct{}{}
	for _, b := range blocks {
		meta := b.Meta()
		if meta.Compaction.Deletable || b.MaxTime() <= oldest || !keep && d.cold.replaces(&meta) {
			gone[meta.ULID] = struct{}{}
		}
	}
	for _, b := range d.beyondSize(blocks) {
		switch b := b.(type) {
		case *tsdb.Block:
			gone[b.Meta().ULID] = struct{}{}
		case *cold.Block:
			for _, p := range blocks { // or it would be seen again once b is gone
				if meta := p.Meta(); slices.Contains(d.cold.known([]*cold.Block{b}, []*tsdb.Block{p}), meta.ULID) {
					gone[meta.ULID] = struct{}{}
				}
			}
		}
	}
	return gone
}

// sizedBlock is one of Prometheus' blocks or a cold one.
type sizedBlock interface{ Size() int64 }

// beyondSize returns the oldest blocks of both kinds, such that the others and
// the head keep within the size limit.
func (d *database) beyondSize(blocks []*tsdb.Block) []sizedBlock {
	limit := int64(d.store.config().Retention.Size)
	// While the database is being opened its size is unknown; the blocks are
	// looked at again a minute later.
	db := d.sized.Load()
	if limit <= 0 || db == nil {
		return nil
	}
	type aged struct {
		sizedBlock
		maxt int64
	}
	var all []aged
	for _, b := range blocks {
		all = append(all, aged{b, b.MaxTime()})
	}
	for _, b := range d.cold.list() {
		all = append(all, aged{b, b.Meta().MaxTime})
	}
	slices.SortStableFunc(all, func(a, b aged) int { return cmp.Compare(b.maxt, a.maxt) })
	var beyond []sizedBlock
	total := db.Head().Size() + d.kept.files.Size()
	for _, b := range all {
		if total += b.Size(); total > limit {
			beyond = append(beyond, b.sizedBlock)
		}
	}
	return beyond
}

// expireCold removes cold blocks that are past retention or over the size limit
// or empty, once nothing is left that they stand for. From the others it deletes
// what the selectors say; these are then written anew.
func (d *database) expireCold(ctx context.Context) error {
	oldest := d.store.oldest()
	blocks := d.tsdb.Blocks()
	beyond := d.beyondSize(blocks)
	var gone []*cold.Block
	for _, b := range d.cold.list() {
		meta := b.Meta()
		if meta.Stats.NumSamples > 0 && meta.MaxTime > oldest && !slices.Contains(beyond, sizedBlock(b)) {
			continue
		}
		if len(d.cold.known([]*cold.Block{b}, blocks)) == 0 {
			gone = append(gone, b)
		}
	}
	if err := d.cold.drop(gone); err != nil {
		return fmt.Errorf("remove cold blocks past retention: %w", err)
	}
	rules, err := d.retentionRules()
	if err != nil || len(rules) == 0 {
		return err
	}
	// These are no deletions that swap must know about: nothing is being built
	// while blocks expire.
	for _, b := range d.cold.list() {
		did, err := b.Expire(ctx, rules)
		if err != nil {
			return fmt.Errorf("apply retention to cold block %s: %w", b.ID(), err)
		}
		if did {
			d.changes.add(b.Meta().MinTime, b.Meta().MaxTime, nil)
		}
	}
	return nil
}

// retentionRules returns the rules of the selectors and, last, the one for all
// other series; none if there are no selectors, for then whole blocks go.
func (d *database) retentionRules() ([]cold.Rule, error) {
	cfg := d.store.config().Retention
	if len(cfg.Selectors) == 0 {
		return nil, nil
	}
	now := d.store.now()
	rule := func(matchers []*labels.Matcher, keep time.Duration) cold.Rule {
		if keep == 0 {
			return cold.Rule{Matchers: matchers, Before: math.MinInt64}
		}
		// A block is written anew at most ten times before it is gone.
		return cold.Rule{Matchers: matchers, Before: now.Add(-keep).UnixMilli(), Slack: max(keep/10, 2*time.Hour).Milliseconds()}
	}
	rules := make([]cold.Rule, 0, len(cfg.Selectors)+1)
	for _, s := range cfg.Selectors {
		matchers, err := s.Matchers()
		if err != nil {
			return nil, fmt.Errorf("retention selector: %w", err)
		}
		rules = append(rules, rule(matchers, time.Duration(s.Time)))
	}
	return append(rules, rule(nil, time.Duration(cfg.Time))), nil
}

// dropColdHead drops from the head, as it was read from the log, what is in cold
// blocks. Prometheus' database knows only that its own blocks need not be read
// from the log again; what was deleted from a cold block must not come back.
func (d *database) dropColdHead() error {
	inOrder := int64(math.MinInt64)
	for _, b := range d.cold.list() {
		inOrder = max(inOrder, b.Meta().InOrderMaxTime)
	}
	head := d.tsdb.Head()
	if head.NumSeries() == 0 || head.MinTime() >= inOrder {
		return nil
	}
	if err := head.Truncate(inOrder); err != nil {
		return fmt.Errorf("drop samples that are in cold blocks: %w", err)
	}
	return nil
}

// dropOldHead empties a head all of which is past retention. A head is written
// to a block only when newer samples push it out, so that of a tenant that has
// stopped writing would stay in the log for good.
func (d *database) dropOldHead() error {
	oldest := d.store.oldest()
	head := d.tsdb.Head()
	if head.NumSeries() == 0 || head.MaxTime() >= oldest {
		return nil
	}
	if err := head.Truncate(oldest); err != nil {
		return fmt.Errorf("drop samples past retention: %w", err)
	}
	return nil
}

// blockReloadInterval is how often blocks are looked through.
const blockReloadInterval = 15 * time.Second
