package store

import (
	"context"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"

	"belfry/internal/tenant"
	metrics "belfry/tsdb"
)

const (
	// maxFeed is how many samples a tenant's feed keeps, 24 bytes each.
	maxFeed = 512 << 10

	// maxUnread is how many samples are recorded without anybody asking before
	// the feed is turned off.
	maxUnread = 2 * maxFeed
)

// feed remembers what was appended last, while somebody asks for it. It is
// guarded by the mutex of the changes that it belongs to.
type feed struct {
	on      bool
	from    uint64 // everything that was committed after this count is in batches
	batches []metrics.AppendedBatch
	samples int
	unread  int // samples since somebody asked
	last    int // floats of the last commit
}

func batchSize(b *metrics.AppendedBatch) int { return len(b.Floats) + len(b.Histograms) }

// add remembers a commit. One that nobody recorded, and any other change,
// interrupts the feed: what was before cannot be joined to what comes after.
func (f *feed) add(b *metrics.AppendedBatch, count uint64) {
	switch {
	case !f.on:
		return
	case b == nil:
		f.clear(count)
		return
	}
	b.Done = count
	f.last = len(b.Floats)
	f.batches = append(f.batches, *b)
	f.samples += batchSize(b)
	f.unread += batchSize(b)
	if f.unread > maxUnread {
		f.clear(count)
		f.on = false
		return
	}
	gone := 0
	for ; f.samples > maxFeed; gone++ {
		f.samples -= batchSize(&f.batches[gone])
		f.from = f.batches[gone].Done
	}
	if gone > 0 {
		f.batches = append(f.batches[:0:0], f.batches[gone:]...)
	}
}

func (f *feed) clear(count uint64) { f.batches, f.samples, f.from = nil, 0, count }

// since returns what was committed after a count.
func (f *feed) since(count uint64) ([]metrics.AppendedBatch, bool) {
	if !f.on || count < f.from {
		return nil, false
	}
	f.unread = 0
	i := len(f.batches)
	for i > 0 && f.batches[i-1].Done > count {
		i--
	}
	return f.batches[i:len(f.batches):len(f.batches)], true
}

// recording returns an empty batch to record a commit in, nil if nobody wants to
// know.
func (c *changes) recording() *metrics.AppendedBatch {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.feed.on {
		return nil
	}
	return &metrics.AppendedBatch{Floats: make([]metrics.Appended, 0, c.feed.last)}
}

// begin notes in a batch that its commit begins now.
func (c *changes) begin(b *metrics.AppendedBatch) {
	if b == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	b.Begun = c.count
}

// following implements metrics.Following.
type following struct {
	db  *database
	ref storage.GetRef
	app storage.Appender // whose GetRef that is
	ix  tsdb.IndexReader // of the head; nil until it is needed
	lb  labels.ScratchBuilder
}

var _ metrics.Follower = (*Store)(nil)

// Follow implements metrics.Follower. A store that makes samples of start times
// does not tell of these.
func (s *Store) Follow(ctx context.Context) (metrics.Following, bool) {
	if s.config().StartTimestamps == metrics.ZeroSamples {
		return nil, false
	}
	db, err := s.acquire(ctx, tenant.ID(ctx), false)
	if err != nil {
		return nil, false
	}
	return &following{db: db}, true
}

// Close implements metrics.Following.
func (f *following) Close() {
	if f.app != nil {
		_ = f.app.Rollback() // nothing was appended
	}
	if f.ix != nil {
		_ = f.ix.Close() // of memory
	}
	f.db.store.release(f.db)
}

// Begin implements metrics.Following.
func (f *following) Begin() metrics.ChangeMark {
	c := f.db.changes
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.feed.on {
		c.feed = feed{on: true, from: c.count}
	}
	c.feed.unread = 0
	return metrics.ChangeMark{Epoch: c.epoch, Count: c.count}
}

// Since implements metrics.Following.
func (f *following) Since(mark metrics.ChangeMark, each func(metrics.AppendedBatch) bool) (metrics.ChangeMark, bool) {
	c := f.db.changes
	c.mu.Lock()
	batches, ok := c.feed.since(mark.Count)
	now := metrics.ChangeMark{Epoch: c.epoch, Count: c.count}
	c.mu.Unlock()
	if !ok || mark.Epoch != now.Epoch {
		return mark, false
	}
	for _, b := range batches {
		if !each(b) {
			return mark, false
		}
	}
	return now, true
}

// MaxTime implements metrics.Following.
func (f *following) MaxTime() int64 { return f.db.tsdb.Head().MaxTime() }

// Ref implements metrics.Following.
func (f *following) Ref(ls labels.Labels) (storage.SeriesRef, labels.Labels, bool) {
	if f.app == nil {
		f.app = f.db.tsdb.Appender(context.Background())
		f.ref, _ = f.app.(storage.GetRef)
	}
	if f.ref == nil {
		return 0, ls, false
	}
	ref, known := f.ref.GetRef(ls, ls.Hash())
	if ref == 0 {
		return 0, ls, false
	}
	return ref, known, true
}

// Labels implements metrics.Following.
func (f *following) Labels(ref storage.SeriesRef) (labels.Labels, bool) {
	if f.ix == nil {
		ix, err := f.db.tsdb.Head().Index()
		if err != nil {
			return labels.EmptyLabels(), false
		}
		f.ix = ix
	}
	if err := f.ix.Series(ref, &f.lb, nil); err != nil {
		return labels.EmptyLabels(), false
	}
	return f.lb.Labels(), true
}
