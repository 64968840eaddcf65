package store

import (
	"context"
	"errors"
	"sync"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"

	"belfry/internal/tenant"
)

// Querier returns a querier over the samples from mint to maxt, milliseconds,
// both included.
func (s *Store) Querier(mint, maxt int64) (storage.Querier, error) {
	return &querier{tenants[storage.Querier]{store: s, open: func(d *database) (storage.Querier, error) {
		return d.querier(mint, maxt)
	}}, span{mint, maxt}}, nil
}

// ChunkQuerier is Querier for encoded chunks. Those at the ends are whole.
func (s *Store) ChunkQuerier(mint, maxt int64) (storage.ChunkQuerier, error) {
	return &chunkQuerier{tenants[storage.ChunkQuerier]{store: s, open: func(d *database) (storage.ChunkQuerier, error) {
		return d.chunkQuerier(mint, maxt)
	}}, span{mint, maxt}}, nil
}

// tenants holds the queriers of the tenants that one querier was asked about.
// In practice that is one, and which one is known at the first Select.
type tenants[Q storage.LabelQuerier] struct {
	store *Store
	open  func(*database) (Q, error)

	mu     sync.Mutex
	opened []opened[Q]
}

type opened[Q any] struct {
	db      *database
	querier Q
}

// get returns the querier of the tenant in ctx. ok is false for a tenant that
// has never written anything.
func (t *tenants[Q]) get(ctx context.Context) (q Q, ok bool, err error) {
	id := tenant.ID(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, o := range t.opened {
		if o.db.id == id {
			return o.querier, true, nil
		}
	}
	db, err := t.store.acquire(ctx, id, false)
	if errors.Is(err, errNoTenant) {
		return q, false, nil
	}
	if err != nil {
		return q, false, err
	}
	if q, err = t.open(db); err != nil {
		t.store.release(db)
		return q, false, classify("open querier", err)
	}
	t.opened = append(t.opened, opened[Q]{db, q})
	return q, true, nil
}

func (t *tenants[Q]) LabelValues(ctx context.Context, name string, hints *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	q, ok, err := t.get(ctx)
	if !ok {
		return nil, nil, err
	}
	return q.LabelValues(ctx, name, hints, matchers...)
}

func (t *tenants[Q]) LabelNames(ctx context.Context, hints *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	q, ok, err := t.get(ctx)
	if !ok {
		return nil, nil, err
	}
	return q.LabelNames(ctx, hints, matchers...)
}

func (t *tenants[Q]) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var errs []error
	for _, o := range t.opened {
		errs = append(errs, o.querier.Close())
		t.store.release(o.db)
	}
	t.opened = nil
	return errors.Join(errs...)
}

type querier struct {
	tenants[storage.Querier]
	span span
}

var _ storage.Searcher = (*querier)(nil)

func (q *querier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	inner, ok, err := q.get(ctx)
	switch {
	case err != nil:
		return storage.ErrSeriesSet(err)
	case !ok:
		return storage.EmptySeriesSet()
	}
	hints, bounds, trim := q.span.whole(hints)
	set := inner.Select(ctx, sorted, hints, matchers...)
	if trim {
		set = trimmedSet{set, bounds}
	}
	return set
}

// SearchLabelNames implements storage.Searcher.
func (q *querier) SearchLabelNames(ctx context.Context, hints *storage.SearchHints, matchers ...*labels.Matcher) storage.SearchResultSet {
	return q.search(ctx, func(s storage.Searcher) storage.SearchResultSet {
		return s.SearchLabelNames(ctx, hints, matchers...)
	})
}

// SearchLabelValues implements storage.Searcher.
func (q *querier) SearchLabelValues(ctx context.Context, name string, hints *storage.SearchHints, matchers ...*labels.Matcher) storage.SearchResultSet {
	return q.search(ctx, func(s storage.Searcher) storage.SearchResultSet {
		return s.SearchLabelValues(ctx, name, hints, matchers...)
	})
}

func (q *querier) search(ctx context.Context, do func(storage.Searcher) storage.SearchResultSet) storage.SearchResultSet {
	inner, ok, err := q.get(ctx)
	if err != nil {
		return storage.ErrSearchResultSet(err)
	}
	if searcher, can := inner.(storage.Searcher); ok && can {
		return do(searcher)
	}
	return storage.EmptySearchResultSet()
}

type chunkQuerier struct {
	tenants[storage.ChunkQuerier]
	span span
}

func (q *chunkQuerier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.ChunkSeriesSet {
	inner, ok, err := q.get(ctx)
	switch {
	case err != nil:
		return storage.ErrChunkSeriesSet(err)
	case !ok:
		return storage.EmptyChunkSeriesSet()
	}
	hints, _, _ = q.span.whole(hints)
	return inner.Select(ctx, sorted, hints, matchers...)
}

// ExemplarQuerier returns a querier over the exemplars of the tenant in ctx.
func (s *Store) ExemplarQuerier(ctx context.Context) (storage.ExemplarQuerier, error) {
	return &exemplarQuerier{ctx: ctx, store: s}, nil
}

// exemplarQuerier holds the database for the time of a Select only, for the
// interface has no Close. It keeps the context because Select takes none.
type exemplarQuerier struct {
	ctx   context.Context //nolint:containedctx // see above
	store *Store
}

func (q *exemplarQuerier) Select(start, end int64, matchers ...[]*labels.Matcher) ([]exemplar.QueryResult, error) {
	db, err := q.store.acquire(q.ctx, tenant.ID(q.ctx), false)
	if errors.Is(err, errNoTenant) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer q.store.release(db)
	found, err := db.kept.query(start, end, matchers)
	if err != nil {
		return nil, classify("select exemplars", err)
	}
	return found, nil
}
