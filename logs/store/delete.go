package store

import (
	"context"
	"strconv"

	"belfry/internal/columnar"
	"belfry/internal/fault"
	"belfry/logs"
)

// Delete implements logs.Deleter.
func (s *Store) Delete(ctx context.Context, r logs.DeleteRequest) (logs.Deletion, error) {
	q, err := s.names(&r.Query).query(ctx, &r.Query)
	if err != nil {
		return logs.Deletion{}, err
	}
	d, err := s.db.Delete(ctx, columnar.DeletionRequest{
		Tenant: r.Tenant, From: r.From, To: r.To, Filter: q.Filter, Label: r.Label, Delay: r.Delay,
	})
	return deletionOf(d), err
}

// Deletions implements logs.Deleter.
func (s *Store) Deletions(ctx context.Context, tenant string) ([]logs.Deletion, error) {
	var out []logs.Deletion
	for _, d := range s.db.Deletions(tenant) {
		out = append(out, deletionOf(d))
	}
	return out, ctx.Err()
}

// Deletion implements logs.Deleter.
func (s *Store) Deletion(ctx context.Context, tenant, id string) (logs.Deletion, error) {
	n, err := deletionID(id)
	if err != nil {
		return logs.Deletion{}, err
	}
	d, err := s.db.Deletion(tenant, n)
	if err == nil {
		err = ctx.Err()
	}
	return deletionOf(d), err
}

// CancelDeletion implements logs.Deleter.
func (s *Store) CancelDeletion(ctx context.Context, tenant, id string, force bool) (logs.Deletion, error) {
	n, err := deletionID(id)
	if err != nil {
		return logs.Deletion{}, err
	}
	d, err := s.db.CancelDeletion(ctx, tenant, n, force)
	return deletionOf(d), err
}

func deletionID(id string) (uint64, error) {
	n, err := strconv.ParseUint(id, 10, 64)
	if err != nil {
		return 0, fault.NotFoundf("there is no deletion %s", id)
	}
	return n, nil
}

func deletionOf(d columnar.Deletion) logs.Deletion {
	out := logs.Deletion{
		ID: strconv.FormatUint(d.ID, 10), Label: d.Label, From: d.From, To: d.To,
		State: logs.DeletionState(d.State), Created: d.Created, Due: d.Due, Ended: d.Ended,
		Entries: d.Rows, Unread: d.Unread, Error: d.Error,
	}
	switch d.State {
	case columnar.DeletionDone:
		out.Progress = 1
	case columnar.DeletionRunning:
		out.Progress = float64(d.Parts) / float64(max(d.Parts+d.Left, 1))
	}
	return out
}
