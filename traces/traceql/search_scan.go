package traceql

import (
	"context"
	"math"
	"slices"

	"belfry/traces"
)

// A search that cannot go by the newest spans gathers candidates first, each with
// the newest place in the order that it can have; then takes them from the newest
// on until it has enough. A trace is shown when no candidate can be before it.

// candidates are traces to be looked at.
type candidates struct {
	loose   []candidate // in order of their anchors, which are upper bounds
	matches []match     // of a joined store, in order of their anchors
	view    traces.Joined
}

// bound returns the newest anchor that is left.
func (c *candidates) bound() (anchor int64, ok bool) {
	anchor = math.MinInt64
	if len(c.loose) > 0 {
		anchor, ok = c.loose[0].anchor, true
	}
	if len(c.matches) > 0 {
		anchor, ok = max(anchor, c.matches[0].anchor), true
	}
	return anchor, ok
}

// take removes about n candidates with the newest anchors, and all that share the last one.
func (c *candidates) take(ctx context.Context, n int) ([]candidate, traces.Stats, error) {
	var list []candidate
	var picked []match
	last := int64(math.MinInt64)
	for {
		anchor, ok := c.bound()
		if !ok || len(list)+len(picked) >= n && anchor != last {
			break
		}
		last = anchor
		if len(c.loose) > 0 && c.loose[0].anchor == anchor {
			list, c.loose = append(list, c.loose[0]), c.loose[1:]
			continue
		}
		picked, c.matches = append(picked, c.matches[0]), c.matches[1:]
	}
	if len(picked) == 0 {
		return list, traces.Stats{}, nil
	}
	more, stats, err := identify(ctx, c.view, picked)
	return append(list, more...), stats, err
}

// scan finds all candidates first: which traces hold spans for all sides of an
// operator is not known before.
func (s *search) scan(ctx context.Context) error {
	s.sieve = nil
	c, err := s.candidates(ctx)
	if err != nil {
		return err
	}
	if c.view != nil {
		defer c.view.Close()
	}
	var ready []Summary
	for batch := min(max(s.req.Limit+1, 16), maxFetch); ; batch = min(batch*2, maxFetch) {
		anchor, left := c.bound()
		for len(ready) > 0 && !s.full() && (!left || ready[0].Cursor.Anchor > anchor) {
			s.result.Traces, ready = append(s.result.Traces, ready[0]), ready[1:]
		}
		if !left || s.full() {
			s.finish()
			return nil
		}
		list, stats, err := c.take(ctx, batch)
		s.result.Stats.Add(stats)
		if err != nil {
			return err
		}
		found, err := s.evaluate(ctx, list)
		if err != nil {
			return err
		}
		ready = append(ready, found...)
		slices.SortFunc(ready, func(a, b Summary) int { return a.Cursor.compare(b.Cursor) })
	}
}

// candidates finds the traces that may match.
func (s *search) candidates(ctx context.Context) (*candidates, error) {
	plan, view := s.joined(s.tenant, s.req.Query.Pipeline)
	if view == nil {
		return s.apart(func(q traces.SpanQuery, v func() traces.Visitor) (traces.Stats, error) {
			return s.store.Scan(ctx, s.tenant, q, v)
		})
	}
	c, err := s.joinedCandidates(ctx, plan, view)
	if err != nil {
		view.Close()
	}
	return c, err
}

// apart finds candidates among spans of which nobody knows the structure.
func (s *search) apart(scan scanner) (*candidates, error) {
	if list, done, err := s.localCandidates(scan); err != nil || done {
		return &candidates{loose: list}, err
	}
	list, stats, err := s.scanCandidates(s.plan, s.req.From, s.req.To, scan)
	s.result.Stats.Add(stats)
	return &candidates{loose: s.behind(list)}, err
}

// behind leaves out candidates that come before the cursor for sure.
func (s *search) behind(list []candidate) []candidate {
	if s.plan.loose {
		for i := range list {
			list[i].anchor = math.MaxInt64
		}
	}
	return list
}

// joined returns the plan of a pipeline on marks and a view to answer it from; the
// view is nil if there is no such thing.
func (e *Engine) joined(tenant string, p Pipeline) (*markPlan, traces.Joined) {
	store, ok := e.store.(traces.ColumnQuerier)
	if !ok || len(p) == 0 {
		return nil, nil
	}
	plan := planMarks(p)
	if plan == nil {
		return nil, nil
	}
	view, err := store.Joined(tenant)
	if err != nil {
		return nil, nil // it can do without
	}
	return plan, view
}

// joinedCandidates asks the parts of a joined store, the newest first, until older
// ones cannot matter any more.
func (s *search) joinedCandidates(ctx context.Context, plan *markPlan, view traces.Joined) (*candidates, error) {
	c, err := s.apart(func(q traces.SpanQuery, v func() traces.Visitor) (traces.Stats, error) {
		return view.Apart(ctx, q, v)
	})
	if err != nil {
		return nil, err
	}
	c.view = view
	js := joinedScan{view: view, plan: plan, from: s.req.From, to: s.req.To, limit: int64(s.limits.Marks)}
	for _, p := range view.Parts() {
		if p.Min >= s.req.To {
			continue
		}
		if len(c.matches) > s.req.Limit && c.matches[s.req.Limit].anchor > p.Max {
			break
		}
		matches, err := js.part(ctx, p, false)
		if err != nil {
			return nil, err
		}
		for _, m := range matches {
			if s.req.After == nil || m.anchor <= s.req.After.Anchor {
				c.matches = append(c.matches, m)
			}
		}
		newestFirst(c.matches)
	}
	s.result.Stats.Add(js.stats)
	return c, nil
}
