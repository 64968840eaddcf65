package store

import (
	"context"

	"belfry/internal/columnar"
	"belfry/internal/columnar/keeper"
	"belfry/internal/deletion"
	"belfry/logs"
)

// Delete implements logs.Deleter.
func (s *Store) Delete(ctx context.Context, r logs.DeleteRequest) (deletion.Deletion, error) {
	q, err := s.names(&r.Query).query(ctx, &r.Query)
	if err != nil {
		return deletion.Deletion{}, err
	}
	d, err := s.db.Delete(ctx, columnar.DeletionRequest{
		Tenant: r.Tenant, From: r.From, To: r.To, Filter: q.Filter, Label: r.Label, Delay: r.Delay,
	})
	return keeper.Of(d), err
}
