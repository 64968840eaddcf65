package query

import (
	"context"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
)

// untrimmed asks a store for whole chunks. The engine looks at the samples of
// its windows only; cutting chunks at the ends of the query costs a copy of each,
// and fails in Prometheus' tsdb where several deletions are near the end.
type untrimmed struct{ storage.Queryable }

// Querier implements storage.Queryable.
func (u untrimmed) Querier(mint, maxt int64) (storage.Querier, error) {
	q, err := u.Queryable.Querier(mint, maxt)
	if err != nil {
		return nil, err
	}
	return untrimmedQuerier{q}, nil
}

type untrimmedQuerier struct{ storage.Querier }

// Select implements storage.Querier.
func (q untrimmedQuerier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	if hints != nil {
		whole := *hints
		whole.DisableTrimming = true
		hints = &whole
	}
	return q.Querier.Select(ctx, sorted, hints, matchers...)
}
