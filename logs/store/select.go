package store

import (
	"context"

	"belfry/internal/columnar"
	"belfry/logs"
)

// Pages of Select: how many rows are fetched at first, and at most, at once.
const (
	firstPage = 128
	lastPage  = 4096
)

// Select implements logs.Querier.
func (s *Store) Select(ctx context.Context, q logs.SelectQuery, yield func(*logs.Entry) bool) (logs.Stats, error) {
	var stats logs.Stats
	n := s.names(&q.Query)
	cq, err := n.query(ctx, &q.Query)
	if err != nil {
		return stats, err
	}
	sq := columnar.SelectQuery{Query: cq, Order: columnar.NewestFirst}
	if q.Direction == logs.Forward {
		sq.Order = columnar.OldestFirst
	}
	if sq.Columns, err = n.wanted(ctx, q.Want); err != nil {
		return stats, err
	}
	if a := q.After; a != nil {
		sq.After = &columnar.Cursor{Time: a.Time, Stream: columnar.StreamID(a.Stream), Nth: a.Nth}
	}
	r := newReader()
	page, given := firstPage, 0
	if q.Limit > 0 {
		page = min(q.Limit, lastPage)
	}
	for {
		sq.Limit = page
		if q.Limit > 0 {
			sq.Limit = min(page, q.Limit-given)
		}
		rows, st, err := s.db.Select(ctx, sq)
		stats.Add(statsOf(st))
		if err != nil {
			return stats, err
		}
		for i := range rows {
			given++
			if !yield(r.entry(&rows[i])) || given == q.Limit {
				return stats, nil
			}
		}
		if len(rows) < sq.Limit || stats.Cut != "" {
			return stats, nil
		}
		if limit := q.Limits.BytesScanned; limit > 0 {
			if sq.Limits.BytesScanned = limit - stats.BytesScanned; sq.Limits.BytesScanned <= 0 {
				stats.Cut = columnar.CutBytes.String()
				return stats, nil
			}
		}
		last := rows[len(rows)-1].Cursor
		sq.After = &last
		if sq.Order == columnar.NewestFirst {
			sq.To = min(sq.To, last.Time+1)
		} else {
			sq.From = max(sq.From, last.Time)
		}
		page = min(page*4, lastPage)
	}
}

// wanted returns the columns of what is wanted, nil for all.
func (n *names) wanted(ctx context.Context, w logs.Want) ([]columnar.Ref, error) {
	if w.AllFields {
		return nil, nil // the body is a small part of all
	}
	refs := []columnar.Ref{}
	if w.Line {
		refs = append(refs, columnar.RowRef(bodyName))
	}
	for _, name := range w.Fields {
		more, err := n.refs(ctx, name)
		if err != nil {
			return nil, err
		}
		for _, r := range more {
			if !r.Stream {
				refs = append(refs, r)
			}
		}
	}
	return refs, nil
}
