package patterns

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"sync"

	"belfry/logs"
)

// Query asks for patterns with their counts.
type Query struct {
	Tenant   string
	Streams  []*logs.Matcher
	From, To int64 // nanoseconds, From inclusive, To exclusive
	Step     int64 // nanoseconds, positive
	Limit    int   // patterns; the most frequent are kept
}

// Found is a pattern with its counts.
type Found struct {
	Pattern string
	Level   string
	Counts  map[int64]int64 // by start of the step; those without lines are missing
	Total   int64
}

// Find returns the patterns of streams, the most frequent first, and what is
// not written yet with it.
func (m *Miner) Find(ctx context.Context, q Query) ([]Found, error) {
	var workers []*counter
	var mu sync.Mutex
	_, err := m.o.Store.Scan(ctx, logs.ScanQuery{
		Query: logs.Query{Tenant: q.Tenant, From: q.From, To: q.To, Streams: q.Streams},
		Want:  logs.Want{Line: true, Fields: []string{fieldCount, logs.FieldDetectedLevel}},
	}, func() logs.Worker {
		mu.Lock()
		defer mu.Unlock()
		w := &counter{step: q.Step, found: map[foundKey]*Found{}}
		workers = append(workers, w)
		return w
	})
	if err != nil {
		return nil, err
	}
	all := &counter{step: q.Step, found: map[foundKey]*Found{}}
	for _, w := range workers {
		for k, f := range w.found {
			for at, n := range f.Counts {
				all.add(k, at, n)
			}
		}
	}
	m.pending(q, all)
	out := make([]Found, 0, len(all.found))
	for _, f := range all.found {
		out = append(out, *f)
	}
	slices.SortFunc(out, func(a, b Found) int {
		return cmp.Or(cmp.Compare(b.Total, a.Total), cmp.Compare(a.Pattern, b.Pattern), cmp.Compare(a.Level, b.Level))
	})
	return out[:min(len(out), q.Limit)], nil
}

// pending adds the counts that are not written yet.
func (m *Miner) pending(q Query, c *counter) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.tenants[q.Tenant]
	if t == nil {
		return
	}
	matches := func(s *stream) bool {
		for _, ma := range q.Streams {
			if !ma.Matches(logs.Lookup(s.labels, ma.Name)) {
				return false
			}
		}
		return true
	}
	for k, n := range t.counts {
		if k.at >= q.From && k.at < q.To && matches(k.labels) {
			c.add(foundKey{k.cluster.text(), k.level}, k.at, n)
		}
	}
}

type foundKey struct{ pattern, level string }

type counter struct {
	step  int64
	found map[foundKey]*Found
}

func (c *counter) add(k foundKey, at, n int64) {
	f := c.found[k]
	if f == nil {
		f = &Found{Pattern: k.pattern, Level: k.level, Counts: map[int64]int64{}}
		c.found[k] = f
	}
	start := at - (at%c.step+c.step)%c.step
	f.Counts[start] += n
	f.Total += n
}

// Batch implements logs.Worker.
func (c *counter) Batch(b *logs.Batch) error {
	var counts, levels []string
	for _, f := range b.Fields {
		switch f.Name {
		case fieldCount:
			counts = f.Values
		case logs.FieldDetectedLevel:
			levels = f.Values
		}
	}
	for i, at := range b.Times {
		if counts == nil || levels == nil {
			continue
		}
		n, err := strconv.ParseInt(counts[i], 10, 64)
		if err != nil {
			continue
		}
		c.add(foundKey{b.Lines[i], levels[i]}, at, n)
	}
	return nil
}
