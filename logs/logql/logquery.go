package logql

import (
	"context"

	"belfry/internal/fault"
	"belfry/logs"
	"belfry/logs/logql/syntax"
)

func (e *Engine) logQuery(ctx context.Context, expr *syntax.LogExpr, p Params) (*Result, error) {
	if p.Limit > e.limits.MaxEntries {
		return nil, fault.Invalidf("max entries limit per query exceeded, limit > max_entries_limit_per_query (%d > %d)", p.Limit, e.limits.MaxEntries)
	}
	if p.Limit <= 0 {
		return nil, fault.Invalidf("limit must be a positive value")
	}
	r := &Result{Kind: KindStreams}
	last := map[*logs.Stream]int64{}
	err := e.stream(ctx, expr, p, nil, &r.Stats, func(s *logs.Stream, en Entry, _ logs.Cursor) bool {
		if p.Interval > 0 {
			prev, seen := last[s]
			if seen && max(en.Time-prev, prev-en.Time) < int64(p.Interval) {
				return true
			}
			last[s] = en.Time
		}
		r.Entries = append(r.Entries, en)
		return len(r.Entries) < p.Limit
	})
	return r, err
}

// Stream evaluates a log query over [Start, End) entry by entry, behind after
// if it is given, until yield returns false. Limit and Interval are ignored.
func (e *Engine) Stream(ctx context.Context, p Params, after *logs.Cursor, yield func(Entry, logs.Cursor) bool) (logs.Stats, error) {
	expr, err := syntax.Parse(p.Query)
	if err != nil {
		return logs.Stats{}, err
	}
	le, ok := expr.(*syntax.LogExpr)
	if !ok {
		return logs.Stats{}, fault.Invalidf("this is a metric query, only log queries are supported here")
	}
	var stats logs.Stats
	err = e.stream(ctx, le, p, after, &stats, func(_ *logs.Stream, en Entry, c logs.Cursor) bool { return yield(en, c) })
	return stats, err
}

func (e *Engine) stream(ctx context.Context, expr *syntax.LogExpr, p Params, after *logs.Cursor, stats *logs.Stats, yield func(*logs.Stream, Entry, logs.Cursor) bool) error {
	plan := newPlan(expr, nil, true, true)
	pl, err := newPipeline(plan.rest, nil)
	if err != nil {
		return err
	}
	query := logs.Query{
		Tenant: p.Tenant, From: p.Start.UnixNano(), To: p.End.UnixNano(),
		Streams: plan.matchers, Filter: plan.filter, Limits: e.scanLimits(),
	}
	q := logs.SelectQuery{
		Query: query,
		Want:  logs.Everything(), Direction: p.Direction, After: after,
	}
	if len(plan.rest) == 0 && p.Interval == 0 {
		q.Limit = p.Limit
	}
	// With a limit, and no need of cursors, the rest of a long search goes out of order.
	inOrder := p.Limit == 0 || p.Interval > 0 || len(plan.rest) == 0
	given, examined, last, more := 0, 0, int64(0), false
	s, err := e.querier.Select(ctx, q, func(en *logs.Entry) bool {
		if examined++; !inOrder && examined > examinedInOrder && en.Time != last {
			more = true
			return false
		}
		last = en.Time
		pl.start(en.Time, en.Stream, en.Line)
		for _, m := range en.Metadata {
			pl.addMetadata(en.Stream, m.Name, m.Value)
		}
		if !pl.run() {
			return true
		}
		given++
		return yield(en.Stream, pl.row.entry(), en.Cursor)
	})
	stats.Add(s)
	if err != nil || !more {
		return err
	}
	if p.Direction == logs.Backward {
		query.To = last
	} else {
		query.From = last + 1
	}
	rest := slicer{engine: e, plan: plan, query: query, direction: p.Direction}
	return rest.run(ctx, query.From, query.To, p.Limit-given, stats, func(s *logs.Stream, en Entry) bool {
		return yield(s, en, logs.Cursor{})
	})
}

// entry returns the row as an entry of a result.
func (r *row) entry() Entry {
	return Entry{
		Time: r.time, Line: r.line,
		Stream: r.labels(catStream), Metadata: r.labels(catMetadata), Parsed: r.labels(catParsed),
	}
}

func (e *Engine) scanLimits() logs.Limits {
	return logs.Limits{BytesScanned: max(e.limits.MaxBytesScanned, 0)}
}
