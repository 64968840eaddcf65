package tsdb

import "context"

// ChangeMark is a moment in the life of a tenant's data.
type ChangeMark struct {
	Epoch uint64 // of the open database
	Count uint64 // changes since it was opened
}

// ChangeTracker tells what has changed, so that results of earlier queries can
// be used again. A Queryable may implement it.
type ChangeTracker interface {
	// ChangeMark returns the present moment of the tenant in ctx: a query that
	// begins now sees every change before it. It returns false for a tenant
	// that has no data.
	ChangeMark(ctx context.Context) (ChangeMark, bool)

	// FirstChange returns the earliest time from mint to maxt, milliseconds,
	// at which samples may have been added or deleted since the mark, and
	// false if there were none.
	FirstChange(ctx context.Context, since ChangeMark, mint, maxt int64) (int64, bool)
}
