// Package keeper shows the deletions of an event engine as stores show them.
package keeper

import (
	"context"
	"strconv"

	"belfry/internal/columnar"
	"belfry/internal/deletion"
	"belfry/internal/fault"
)

// Keeper is the deletion.Keeper of an engine.
type Keeper struct{ db *columnar.DB }

// New returns an engine's keeper.
func New(db *columnar.DB) Keeper { return Keeper{db} }

var _ deletion.Keeper = Keeper{}

// Deletions implements deletion.Keeper.
func (k Keeper) Deletions(ctx context.Context, tenant string) ([]deletion.Deletion, error) {
	var out []deletion.Deletion
	for _, d := range k.db.Deletions(tenant) {
		out = append(out, Of(d))
	}
	return out, ctx.Err()
}

// Deletion implements deletion.Keeper.
func (k Keeper) Deletion(ctx context.Context, tenant, id string) (deletion.Deletion, error) {
	n, err := number(id)
	if err != nil {
		return deletion.Deletion{}, err
	}
	d, err := k.db.Deletion(tenant, n)
	if err == nil {
		err = ctx.Err()
	}
	return Of(d), err
}

// CancelDeletion implements deletion.Keeper.
func (k Keeper) CancelDeletion(ctx context.Context, tenant, id string, force bool) (deletion.Deletion, error) {
	n, err := number(id)
	if err != nil {
		return deletion.Deletion{}, err
	}
	d, err := k.db.CancelDeletion(ctx, tenant, n, force)
	return Of(d), err
}

func number(id string) (uint64, error) {
	n, err := strconv.ParseUint(id, 10, 64)
	if err != nil {
		return 0, fault.NotFoundf("there is no deletion %s", id)
	}
	return n, nil
}

// Of returns an engine's deletion as a store's.
func Of(d columnar.Deletion) deletion.Deletion {
	out := deletion.Deletion{
		ID: strconv.FormatUint(d.ID, 10), Label: d.Label, From: d.From, To: d.To,
		State: deletion.State(d.State), Created: d.Created, Due: d.Due, Ended: d.Ended,
		Records: d.Rows, Unread: d.Unread, Error: d.Error,
	}
	switch d.State {
	case columnar.DeletionDone:
		out.Progress = 1
	case columnar.DeletionRunning:
		out.Progress = float64(d.Parts) / float64(max(d.Parts+d.Left, 1))
	}
	return out
}
