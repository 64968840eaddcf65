package store

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/prometheus/tsdb"
)

// blocksToDelete returns the blocks that compaction has replaced, that are past
// retention, or that are over the size limit.
//
// Prometheus measures age from the newest block, so that a tenant that stops
// writing keeps its last data forever. Here age is measured by the clock: 30
// days are 30 days.
func (d *database) blocksToDelete(blocks []*tsdb.Block) map[ulid.ULID]struct{} {
	blocks = slices.SortedFunc(slices.Values(blocks), func(a, b *tsdb.Block) int {
		return cmp.Compare(b.MaxTime(), a.MaxTime())
	})
	oldest := d.store.oldest()
	gone := map[ulid.ULID]struct{}{}
	for _, b := range blocks {
		if b.Meta().Compaction.Deletable || b.MaxTime() <= oldest {
			gone[b.Meta().ULID] = struct{}{}
		}
	}
	// While the database is being opened its size is unknown; the blocks are
	// looked at again a minute later.
	if db := d.sized.Load(); db != nil {
		maps.Copy(gone, tsdb.BeyondSizeRetention(db, blocks))
	}
	return gone
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
const blockReloadInterval = time.Minute
