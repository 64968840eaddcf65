package cache

import (
	"container/list"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/util/annotations"

	"belfry/internal/tenant"
	"belfry/tsdb"
)

// Cache holds results up to a number of bytes, those used last. It is safe for
// concurrent use.
type Cache struct {
	maxBytes int
	metrics  *cacheMetrics

	mu      sync.Mutex
	bytes   int
	entries map[Key]*list.Element
	recent  *list.List // of *entry, the one used last in front
}

// New returns a cache of up to so many bytes. A nil registerer registers
// nothing.
func New(maxBytes int, reg prometheus.Registerer) *Cache {
	c := &Cache{maxBytes: maxBytes, entries: map[Key]*list.Element{}, recent: list.New()}
	c.metrics = newCacheMetrics(reg, c)
	return c
}

// Key is what the steps of a query depend on beside the data.
type Key struct {
	tenant   string
	query    string
	step     int64
	phase    int64 // of the steps, modulo step
	lookback time.Duration
}

// entry is the result of the steps from start to end.
type entry struct {
	key        Key
	start, end int64
	mark       tsdb.ChangeMark
	matrix     promql.Matrix // sorted by labels; never changed
	infos      annotations.Annotations
	bytes      int
}

// Request is a range query.
type Request struct {
	Query    string
	Start    int64 // milliseconds
	End      int64 // of the last step
	Step     int64
	Lookback time.Duration
	Locality Locality

	// Compute evaluates the query for the steps from start to end. The matrix
	// is the cache's to keep.
	Compute func(ctx context.Context, start, end int64) *promql.Result
}

// Do answers a request, with what is there and what has to be computed.
func (c *Cache) Do(ctx context.Context, changes tsdb.ChangeTracker, r Request) *promql.Result {
	mark, ok := changes.ChangeMark(ctx)
	if !ok {
		c.metrics.requests.WithLabelValues("bypass").Inc()
		return r.Compute(ctx, r.Start, r.End)
	}
	key := Key{tenant.ID(ctx), r.Query, r.Step, ((r.Start % r.Step) + r.Step) % r.Step, r.Lookback}
	have := c.valid(ctx, changes, key, r)
	parts, outcome := have.split(r)
	c.metrics.requests.WithLabelValues(outcome).Inc()
	var (
		whole = piece{start: r.Start, end: r.Start - r.Step}
		infos annotations.Annotations
	)
	for _, p := range parts {
		if p.cached {
			infos.Merge(have.infos)
			c.metrics.steps.WithLabelValues("cache").Add(float64(steps(p.start, p.end, r.Step)))
		} else {
			c.metrics.steps.WithLabelValues("computed").Add(float64(steps(p.start, p.end, r.Step)))
			res := r.Compute(ctx, p.start, p.end)
			mat, isMatrix := res.Value.(promql.Matrix)
			if res.Err != nil || !isMatrix {
				return res
			}
			infos.Merge(res.Warnings)
			p.matrix = mat
		}
		whole = join(whole, p)
	}
	if !hasWarnings(infos) {
		c.keep(have.extended(key, mark, whole, r, infos))
	}
	return &promql.Result{Value: slices.Clone(whole.matrix), Warnings: infos}
}

// valid returns the part of the key's entry that has not changed, nil if there
// is none.
func (c *Cache) valid(ctx context.Context, changes tsdb.ChangeTracker, key Key, r Request) *entry {
	c.mu.Lock()
	el := c.entries[key]
	if el == nil {
		c.mu.Unlock()
		return nil
	}
	c.recent.MoveToFront(el)
	e := *el.Value.(*entry)
	c.mu.Unlock()
	first, changed := changes.FirstChange(ctx, e.mark, e.start-r.Locality.Back, e.end+r.Locality.Ahead)
	if !changed {
		return &e
	}
	// The last step that looks no further than just before the change.
	last := first - 1 - r.Locality.Ahead
	if last < e.start {
		return nil
	}
	e.end = e.start + (last-e.start)/r.Step*r.Step
	e.matrix = window(e.matrix, e.start, e.end)
	return &e
}

// keep stores an entry, and drops those used longest ago if there is no room.
func (c *Cache) keep(e *entry) {
	e.bytes = size(e)
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.entries[e.key]; old != nil {
		c.remove(old)
	}
	if e.bytes > c.maxBytes/4 {
		return
	}
	c.entries[e.key] = c.recent.PushFront(e)
	c.bytes += e.bytes
	for c.bytes > c.maxBytes {
		c.remove(c.recent.Back())
		c.metrics.evicted.Inc()
	}
}

func (c *Cache) remove(el *list.Element) {
	e := c.recent.Remove(el).(*entry)
	delete(c.entries, e.key)
	c.bytes -= e.bytes
}

func hasWarnings(a annotations.Annotations) bool {
	warnings, _ := a.CountWarningsAndInfo()
	return warnings > 0
}
