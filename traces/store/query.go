package store

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"sync"

	"belfry/internal/columnar"
	"belfry/traces"
)

const (
	// lookupIDs is how many trace IDs the engine takes to its index at once.
	lookupIDs = 64
	// Pages of Newest: small first, because most searches are soon satisfied; then
	// larger, because each page looks for its beginning again.
	firstPage = 256
	lastPage  = 32 << 10
)

func statsOf(s columnar.Stats) traces.Stats {
	return traces.Stats{
		Spans: s.RowsScanned, Matched: s.RowsMatched, Bytes: s.BytesScanned, Blocks: s.BlocksRead,
		Cut: s.Cut.String(), Elapsed: s.Elapsed,
	}
}

// limits returns the smaller ones of a query's bounds and the store's.
func (s *Store) limits(l traces.Limits) columnar.Limits {
	return columnar.Limits{
		BytesScanned: smaller(l.Bytes, int64(s.config.Limits.MaxQueryBytes)),
		Rows:         smaller(l.Spans, s.config.Limits.MaxQuerySpans),
	}
}

// smaller returns the smaller of two bounds, of which 0 is none.
func smaller(a, b int64) int64 {
	if a <= 0 || b > 0 && b < a {
		return b
	}
	return a
}

// visitor feeds a traces.Visitor from blocks.
type visitor struct {
	reader   reader
	visit    traces.Visitor
	from, to int64
	overlap  bool // check that spans belong to [from, to)
}

// Block hands over the spans of a block.
func (v *visitor) Block(b *columnar.Block) error {
	spans, err := v.reader.read(b)
	if err != nil {
		return err
	}
	if v.overlap {
		spans = overlapping(spans, v.from, v.to)
	}
	if len(spans) == 0 {
		return nil
	}
	return stop(v.visit(spans))
}

func overlapping(spans []traces.Span, from, to int64) []traces.Span {
	return slices.DeleteFunc(spans, func(s traces.Span) bool { return !s.Overlaps(from, to) })
}

// stop turns the contract's way to end a query into the engine's.
func stop(err error) error {
	if errors.Is(err, traces.ErrStop) {
		return columnar.ErrStop
	}
	return err
}

// Scan hands spans to visitors; see traces.Querier.
func (s *Store) Scan(ctx context.Context, tenant string, q traces.SpanQuery, newVisitor func() traces.Visitor) (traces.Stats, error) {
	query := engineQuery(tenant, q)
	query.Limits = s.limits(q.Limits)
	resources := s.newResources()
	wanted := wantedOf(q.Fields)
	stats, err := s.db.Scan(ctx, query, func() columnar.Worker {
		return &visitor{reader{wanted: wanted, resources: resources}, newVisitor(), q.From, q.To, !q.ByStart}
	})
	return statsOf(stats), err
}

// Newest hands spans over by start, the latest first; see traces.Querier.
func (s *Store) Newest(ctx context.Context, tenant string, q traces.SpanQuery, visit traces.Visitor) (total traces.Stats, err error) {
	wanted := wantedOf(q.Fields)
	resources := s.newResources()
	sel := columnar.SelectQuery{Query: engineQuery(tenant, q), Order: columnar.NewestFirst, Limit: firstPage, Columns: wanted.refs()}
	sel.Limits = s.limits(q.Limits)
	for {
		rows, stats, err := s.db.Select(ctx, sel)
		total.Add(statsOf(stats))
		if err != nil {
			return total, err
		}
		spans := make([]traces.Span, 0, len(rows))
		for i := range rows {
			span, err := spanOf(&rows[i], resources)
			if err != nil {
				return total, err
			}
			if q.ByStart || span.Overlaps(q.From, q.To) {
				spans = append(spans, span)
			}
		}
		if len(spans) > 0 {
			if err := visit(spans); errors.Is(err, traces.ErrStop) {
				return total, nil
			} else if err != nil {
				return total, err
			}
		}
		if len(rows) < sel.Limit || total.Cut != "" {
			return total, nil
		}
		after := rows[len(rows)-1].Cursor
		sel.After = &after
		sel.Limit = min(sel.Limit*4, lastPage)
	}
}

// Trace returns the spans of one trace; see traces.Querier.
func (s *Store) Trace(ctx context.Context, tenant string, q traces.TraceQuery) (traces.Trace, error) {
	var spans []traces.Span
	stats, err := s.lookup(ctx, tenant, []traces.TraceID{q.ID}, q.Fields, s.maxSpans(q.MaxSpans), func(batch []traces.Span) error {
		for i := range batch {
			if q.To == 0 || batch[i].Overlaps(q.From, q.To) {
				spans = append(spans, batch[i])
			}
		}
		return nil
	})
	slices.SortStableFunc(spans, func(a, b traces.Span) int { return cmp.Compare(a.Start, b.Start) })
	return traces.Trace{Spans: spans, Stats: stats}, err
}

func (s *Store) maxSpans(asked int) int64 {
	if asked <= 0 {
		return int64(s.config.Limits.MaxTraceSpans)
	}
	return int64(asked)
}

// lookup hands over the spans of a few traces, wherever they are, one batch at a time.
func (s *Store) lookup(ctx context.Context, tenant string, ids []traces.TraceID, fields []traces.Field, maxSpans int64, visit traces.Visitor) (traces.Stats, error) {
	values := make([]columnar.Value, 0, len(ids))
	for i := range ids {
		values = append(values, columnar.ID(ids[i][:]))
	}
	query := columnar.Query{
		Tenant: tenant, From: math.MinInt64, To: math.MaxInt64,
		Filter: columnar.In{Ref: columnar.Ref{Name: nameTraceID, Kind: columnar.KindID}, Values: values},
		Limits: columnar.Limits{Rows: maxSpans},
	}
	var mu sync.Mutex
	locked := func(batch []traces.Span) error {
		mu.Lock()
		defer mu.Unlock()
		return visit(batch)
	}
	resources := s.newResources()
	wanted := wantedOf(fields)
	stats, err := s.db.Scan(ctx, query, func() columnar.Worker {
		return &visitor{reader: reader{wanted: wanted, resources: resources}, visit: locked}
	})
	return statsOf(stats), err
}

// Traces hands over the spans of several traces; see traces.Querier.
func (s *Store) Traces(ctx context.Context, tenant string, q traces.TracesQuery, visit traces.Visitor) (total traces.Stats, err error) {
	left := int64(math.MaxInt64)
	if q.MaxSpans > 0 {
		left = int64(q.MaxSpans)
	}
	stopped := false
	for ids := range slices.Chunk(q.IDs, lookupIDs) {
		stats, err := s.lookup(ctx, tenant, ids, q.Fields, left, func(batch []traces.Span) error {
			err := visit(batch)
			stopped = stopped || errors.Is(err, traces.ErrStop)
			return err
		})
		total.Add(stats)
		if left -= stats.Matched; err != nil || stopped || total.Cut != "" {
			return total, err
		}
		if left <= 0 {
			total.Cut = columnar.CutRows.String()
			return total, nil
		}
	}
	return total, nil
}
