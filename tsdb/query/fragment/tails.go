package fragment

import (
	"container/list"
	"context"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/storage"

	"belfry/internal/tenant"
	"belfry/tsdb"
)

const (
	// maxTailSpan is the longest range whose samples are kept, milliseconds.
	maxTailSpan = 60 * 60_000

	// maxTailDepth is how far before the newest sample a fragment may be
	// evaluated from what is kept, and tailSlack how much further back than the
	// last evaluation, milliseconds: a result that is kept is computed again from
	// the minute on in which there are new samples.
	maxTailDepth = 10 * 60_000
	tailSlack    = 60_000

	// maxTailKeys bounds the fragments of which it is known that they were
	// evaluated.
	maxTailKeys = 4096
)

// Tails keeps, for fragments that are evaluated again and again near the
// present, which series they select, in which groups, and these series' newest
// samples. Such an evaluation reads nothing from the store but what was appended
// since the one before (tsdb.Follower).
//
// It holds up to a number of bytes, those used last, and is safe for concurrent
// use.
type Tails struct {
	maxBytes int
	metrics  *tailMetrics

	mu      sync.Mutex
	bytes   int
	entries map[tailKey]*list.Element
	recent  *list.List // of *tailEntry, the one used last in front
}

// tailKey is what a tail depends on beside the data.
type tailKey struct {
	tenant   string
	text     string // of the fragment
	lookback int64
}

// tailEntry is a fragment that was evaluated before.
type tailEntry struct {
	key tailKey

	mu   sync.Mutex // held for an evaluation
	tail *tail      // nil if none is kept
	// tooLarge says that the tail would not fit.
	tooLarge bool

	bytes int // guarded by Tails.mu
}

// NewTails returns a cache of up to so many bytes. A nil registerer registers
// nothing.
func NewTails(maxBytes int, reg prometheus.Registerer) *Tails {
	t := &Tails{maxBytes: maxBytes, entries: map[tailKey]*list.Element{}, recent: list.New()}
	t.metrics = newTailMetrics(reg, t)
	return t
}

// entry returns what is known of a fragment, and whether it was seen before.
func (t *Tails) entry(key tailKey) (e *tailEntry, seen bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if el := t.entries[key]; el != nil {
		t.recent.MoveToFront(el)
		return el.Value.(*tailEntry), true
	}
	e = &tailEntry{key: key}
	t.entries[key] = t.recent.PushFront(e)
	t.size(e, keyBytes(key))
	return e, false
}

func keyBytes(k tailKey) int { return 256 + len(k.tenant) + len(k.text) }

// resize accounts for an entry's tail, and drops what was used longest ago if
// there is no room. The caller holds the entry.
func (t *Tails) resize(e *tailEntry) {
	n := keyBytes(e.key)
	if e.tail != nil {
		n += e.tail.bytes()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.entries[e.key] != nil && t.entries[e.key].Value == e {
		t.size(e, n)
	}
}

// size sets an entry's bytes. The caller holds mu.
func (t *Tails) size(e *tailEntry, n int) {
	t.bytes += n - e.bytes
	e.bytes = n
	for (t.bytes > t.maxBytes || len(t.entries) > maxTailKeys) && t.recent.Len() > 1 {
		el := t.recent.Back()
		old := t.recent.Remove(el).(*tailEntry)
		delete(t.entries, old.key)
		t.bytes -= old.bytes
		t.metrics.evicted.Inc()
	}
}

// followable reports whether a fragment can be evaluated from a tail: its series
// must be told apart by what the fragment leaves of their labels.
func (f *Fragment) followable() bool {
	return (!f.dropName || f.namePinned()) && (f.call == nil || f.call.span <= maxTailSpan) && f.grid.Steps() > 0
}

// evaluate computes a fragment from its tail, or makes one while it computes the
// fragment from the store. It returns false if that is left to the caller.
func (t *Tails) evaluate(ctx context.Context, f *Fragment, q storage.ChunkQueryable, l Limits) (*Result, bool, error) {
	follower, ok := q.(tsdb.Follower)
	if t == nil || !ok || !f.followable() {
		return nil, false, nil
	}
	e, seen := t.entry(tailKey{tenant.ID(ctx), f.text, f.lookback})
	if !seen {
		return nil, false, nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.tooLarge {
		return nil, false, nil
	}
	in, ok := follower.Follow(ctx)
	if !ok {
		return nil, false, nil
	}
	defer in.Close()
	at, newest, depth := f.grid.Start-f.offset, in.MaxTime(), int64(0)
	if e.tail != nil && at >= e.tail.at {
		if e.tail.follow(f, in, t.maxBytes) {
			e.tail.forget(at, newest)
			t.resize(e)
			t.metrics.evaluations.WithLabelValues("tail").Inc()
			res, err := e.tail.evaluate(ctx, f, l)
			return res, true, err
		}
		e.tail = nil
		t.resize(e)
	}
	if e.tail != nil {
		depth = e.tail.depth
	}
	if newest-at > maxTailDepth || at > newest+maxTailDepth {
		return nil, false, nil
	}
	c := &capture{at: at - tailSlack, mark: in.Begin()}
	c.newest = in.MaxTime() // not before the mark
	c.room.Store(int64(t.maxBytes))
	res, err := f.evaluate(ctx, q, l, c)
	if err != nil {
		return nil, true, err
	}
	t.metrics.evaluations.WithLabelValues("read").Inc()
	e.tail = c.tail(in, t.maxBytes)
	e.tooLarge = e.tail == nil
	if e.tail != nil {
		e.tail.depth = max(depth, newest-at)
	}
	t.resize(e)
	return res, true, nil
}

type tailMetrics struct {
	evaluations *prometheus.CounterVec
	evicted     prometheus.Counter
}

func newTailMetrics(reg prometheus.Registerer, t *Tails) *tailMetrics {
	m := &tailMetrics{
		evaluations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_metrics_tail_cache_evaluations_total",
			Help: "Evaluations of what is asked again and again, from the newest samples of its series in memory (tail), or from the store while these were put there (read).",
		}, []string{"source"}),
		evicted: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "belfry_metrics_tail_cache_evicted_total",
			Help: "Expressions whose series' newest samples left memory to make room for others.",
		}),
	}
	if reg != nil {
		reg.MustRegister(m.evaluations, m.evicted, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "belfry_metrics_tail_cache_bytes",
			Help: "Memory that the newest samples of series that are asked for again and again take, about.",
		}, func() float64 {
			t.mu.Lock()
			defer t.mu.Unlock()
			return float64(t.bytes)
		}))
	}
	return m
}

// Evaluations counts evaluations by where the samples came from: "tail", "read".
func (t *Tails) Evaluations() *prometheus.CounterVec { return t.metrics.evaluations }
