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
	q := logs.SelectQuery{
		Query: logs.Query{
			Tenant: p.Tenant, From: p.Start.UnixNano(), To: p.End.UnixNano(),
			Streams: plan.matchers, Filter: plan.filter, Limits: e.scanLimits(),
		},
		Want: logs.Everything(), Direction: p.Direction, After: after,
	}
	if len(plan.rest) == 0 && p.Interval == 0 {
		q.Limit = p.Limit
	}
	s, err := e.querier.Select(ctx, q, func(en *logs.Entry) bool {
		pl.start(en.Time, en.Stream, en.Line)
		for _, m := range en.Metadata {
			pl.addMetadata(en.Stream, m.Name, m.Value)
		}
		if !pl.run() {
			return true
		}
		r := &pl.row
		return yield(en.Stream, Entry{
			Time: en.Time, Line: r.line,
			Stream: r.labels(catStream), Metadata: r.labels(catMetadata), Parsed: r.labels(catParsed),
		}, en.Cursor)
	})
	stats.Add(s)
	return err
}

func (e *Engine) scanLimits() logs.Limits {
	return logs.Limits{BytesScanned: max(e.limits.MaxBytesScanned, 0)}
}
