package patterns

import (
	"context"
	"maps"
	"slices"
	"strings"

	"belfry/logs"
)

// Forget deletes what patterns keep of lines that are being deleted: counts of
// patterns whose text meets the conditions on lines, and clusters of such text, whatever their
// time. Conditions on anything but lines are taken to hold.
func (m *Miner) Forget(ctx context.Context, r logs.DeleteRequest) error {
	r.Filter = onLines(r.Filter)
	r.Delay = 0
	// A bucket begins before its lines.
	r.From -= bucket
	m.mu.Lock()
	if t := m.tenants[r.Tenant]; t != nil {
		for _, s := range t.services {
			s.drop(func(c *cluster) bool { return lineMayMeet(r.Filter, c.text()) })
		}
		gone := func(c *cluster) bool { return c.gone }
		maps.DeleteFunc(t.counts, func(k countKey, _ int64) bool { return gone(k.cluster) })
		t.news = slices.DeleteFunc(t.news, func(n news) bool { return gone(n.cluster) })
		m.changed = true
	}
	m.mu.Unlock()
	if _, err := m.o.Store.Delete(ctx, r); err != nil {
		return err
	}
	return m.save()
}

// drop forgets clusters.
func (s *service) drop(which func(*cluster) bool) {
	for shape, list := range s.byShape {
		s.byShape[shape] = slices.DeleteFunc(list, func(c *cluster) bool {
			if which(c) {
				c.gone = true
				s.size--
			}
			return c.gone
		})
	}
}

// onLines returns a filter's conditions on lines; in the place of others is one that always holds.
func onLines(f logs.Filter) logs.Filter {
	switch f := f.(type) {
	case logs.And:
		out := make(logs.And, len(f))
		for i := range f {
			out[i] = onLines(f[i])
		}
		return out
	case logs.LineContains, logs.LineMatches:
		return f
	}
	return logs.And{} // also of what is negated: rather too much than too little
}

// lineMayMeet decides what onLines leaves.
func lineMayMeet(f logs.Filter, line string) bool {
	switch f := f.(type) {
	case logs.And:
		for _, c := range f {
			if !lineMayMeet(c, line) {
				return false
			}
		}
	case logs.LineContains:
		if f.Fold {
			return strings.Contains(strings.ToLower(line), strings.ToLower(f.Text))
		}
		return strings.Contains(line, f.Text)
	case logs.LineMatches:
		return f.Re.MatchString(line)
	}
	return true
}
