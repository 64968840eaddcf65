package traceql

import (
	"context"
	"errors"
	"math"

	"belfry/traces"
)

// patience is how many whole traces a search evaluates one by one before it
// takes to scanning, where that is possible.
const patience = 100

// newest is a search that takes spans from the newest on, and stops when it has enough traces.
type newest struct {
	*search
	known   map[traces.TraceID]bool // true: pending
	pending []candidate
	batch   int // how many are looked at together

	scannable bool // there is another way
	givenUp   bool // it is to be taken
}

// goByNewest looks at spans from the newest on, and stops when it has enough.
func (s *search) goByNewest(ctx context.Context) error {
	q := traces.SpanQuery{From: s.req.From, To: s.req.To, Filter: s.plan.filter, Fields: orNone(s.plan.fields)}
	if s.sieve != nil {
		q.Fields = s.sieve.fields
	}
	if s.req.After != nil && s.req.After.Anchor < q.To {
		q.To = s.req.After.Anchor + 1
	}
	if q.To <= q.From && s.req.After != nil {
		q.From = min(q.From, q.To-1)
	}
	n := &newest{
		search: s, known: map[traces.TraceID]bool{}, batch: min(max(s.req.Limit+1, 16), maxFetch),
		scannable: !s.plan.isSingle && s.canScan(),
	}
	stats, err := s.store.Newest(ctx, s.tenant, q, func(spans []traces.Span) error {
		if err := n.add(spans); err != nil || len(n.pending) < n.batch {
			return err
		}
		seen := spans[len(spans)-1].Start
		s.sieve.all(seen)
		return n.look(ctx, seen)
	})
	s.result.Stats.Add(stats)
	if err == nil && !n.givenUp && !s.full() {
		if s.result.Stats.Cut == "" {
			s.sieve.all(math.MinInt64)
		}
		err = n.look(ctx, math.MinInt64)
		n.givenUp = n.givenUp && len(n.pending) > 0
	}
	if err != nil && !errors.Is(err, traces.ErrStop) {
		return err
	}
	if n.givenUp {
		s.result.Traces = nil
		return s.scan(ctx)
	}
	s.finish()
	return nil
}

// add notes the traces of spans.
func (n *newest) add(spans []traces.Span) error {
	for i := range spans {
		span := &spans[i]
		pending, known := n.known[span.TraceID]
		if known && (!pending || !n.sieve.keeps()) || !(spanAt{span: span}).holds(n.streamed) {
			continue
		}
		if n.sieve.keeps() {
			n.sieve.add(span)
		}
		if known {
			continue
		}
		if len(n.known) >= n.limits.Candidates {
			n.result.Stats.Cut = cutCandidates
			return traces.ErrStop
		}
		n.known[span.TraceID] = true
		n.pending = append(n.pending, candidate{id: span.TraceID, anchor: span.Start})
	}
	return nil
}

// look takes those of the pending traces whose anchor is after a time, until there are enough. Of one
// anchor traces are in the order of their IDs: they wait until all are there.
func (n *newest) look(ctx context.Context, after int64) error {
	sortCandidates(n.pending)
	for {
		ready := 0
		for ready < min(n.batch, len(n.pending)) && n.pending[ready].anchor > after {
			ready++
		}
		if ready == 0 {
			return nil
		}
		found, err := n.evaluate(ctx, n.pending[:ready])
		if err != nil {
			return err
		}
		for _, c := range n.pending[:ready] {
			n.known[c.id] = false
			n.sieve.forget(c.id)
		}
		n.result.Traces = append(n.result.Traces, found...)
		n.pending, n.batch = n.pending[ready:], min(n.batch*2, maxFetch)
		n.givenUp = n.scannable && !n.full() && n.result.Inspected > patience
		if n.givenUp || n.full() {
			return traces.ErrStop
		}
	}
}
