package store

import (
	"context"
	"sync"
	"sync/atomic"

	"belfry/internal/tenant"
	metrics "belfry/tsdb"
)

// Changes are remembered by the minute for four hours and by the hour for six
// weeks behind the newest sample; of what is older, only that there was any.
const (
	minute        = 60_000
	changeMinutes = 256
	hour          = 60 * minute
	changeHours   = 1024
)

// changes remembers when which part of a tenant's time was last written to. It
// is safe for concurrent use.
type changes struct {
	epoch uint64

	mu      sync.Mutex
	count   uint64
	minutes changeRing
	hours   changeRing
	feed    feed
}

func newChanges(epochs *atomic.Uint64) *changes {
	return &changes{
		epoch:   epochs.Add(1),
		minutes: changeRing{grain: minute, counts: make([]uint64, changeMinutes)},
		hours:   changeRing{grain: hour, counts: make([]uint64, changeHours)},
	}
}

// add remembers that samples from mint to maxt have become visible, all of them
// in the batch, or have gone or come in another way, without one.
func (c *changes) add(mint, maxt int64, batch *metrics.AppendedBatch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count++
	c.minutes.add(mint, maxt, c.count)
	c.hours.add(mint, maxt, c.count)
	c.feed.add(batch, c.count)
}

// first returns the earliest time from mint to maxt that may have changed after
// a count.
func (c *changes) first(since uint64, mint, maxt int64) (int64, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.count == since:
		return 0, false
	case c.hours.dropped > since && mint < c.hours.oldest():
		return mint, true
	}
	recent := c.minutes.oldest()
	if t, ok := c.hours.first(since, mint, min(maxt, recent-1)); ok {
		return max(t, mint), true
	}
	t, ok := c.minutes.first(since, max(mint, recent), maxt)
	return max(t, mint), ok
}

// changeRing holds the count of the last change of each of the newest grains of
// time.
type changeRing struct {
	grain   int64 // milliseconds
	started bool
	newest  int64 // grain
	counts  []uint64
	dropped uint64 // the largest count of what has left the ring
}

func (r *changeRing) add(mint, maxt int64, count uint64) {
	first, last := floorDiv(mint, r.grain), floorDiv(maxt, r.grain)
	size := int64(len(r.counts))
	if !r.started {
		r.started, r.newest = true, last
	}
	if last-r.newest >= size {
		r.newest = last - size // of the rest, each grain leaves by itself
		for i, c := range r.counts {
			r.dropped = max(r.dropped, c)
			r.counts[i] = 0
		}
	}
	for r.newest < last {
		r.newest++
		r.dropped = max(r.dropped, *r.slot(r.newest))
		*r.slot(r.newest) = 0
	}
	if oldest := r.newest - size + 1; first < oldest {
		r.dropped = count
		first = oldest
	}
	for g := first; g <= last; g++ {
		*r.slot(g) = count
	}
}

// oldest is the time at which the ring begins.
func (r *changeRing) oldest() int64 { return (r.newest - int64(len(r.counts)) + 1) * r.grain }

func (r *changeRing) first(since uint64, mint, maxt int64) (int64, bool) {
	from := max(floorDiv(mint, r.grain), r.newest-int64(len(r.counts))+1)
	for g := from; g <= min(floorDiv(maxt, r.grain), r.newest); g++ {
		if *r.slot(g) > since {
			return g * r.grain, true
		}
	}
	return 0, false
}

func (r *changeRing) slot(grain int64) *uint64 {
	size := int64(len(r.counts))
	return &r.counts[((grain%size)+size)%size]
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

var _ metrics.ChangeTracker = (*Store)(nil)

// ChangeMark implements metrics.ChangeTracker.
func (s *Store) ChangeMark(ctx context.Context) (metrics.ChangeMark, bool) {
	db, err := s.acquire(ctx, tenant.ID(ctx), false)
	if err != nil {
		return metrics.ChangeMark{}, false
	}
	defer s.release(db)
	db.changes.mu.Lock()
	defer db.changes.mu.Unlock()
	return metrics.ChangeMark{Epoch: db.changes.epoch, Count: db.changes.count}, true
}

// FirstChange implements metrics.ChangeTracker. Nothing is known of what
// happened before a tenant's database was opened.
func (s *Store) FirstChange(ctx context.Context, since metrics.ChangeMark, mint, maxt int64) (int64, bool) {
	db, err := s.acquire(ctx, tenant.ID(ctx), false)
	if err != nil {
		return mint, true
	}
	defer s.release(db)
	if db.changes.epoch != since.Epoch {
		return mint, true
	}
	return db.changes.first(since.Count, mint, maxt)
}
