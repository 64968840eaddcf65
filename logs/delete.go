package logs

import (
	"context"
	"time"

	"belfry/internal/deletion"
)

// Deleter deletes entries for good.
type Deleter interface {
	// Delete accepts a deletion of what a query selects, as it is stored now.
	// When it returns nil the deletion survives a crash, no query that begins
	// from now on sees the entries, and they will leave the disk; entries that come later are
	// not concerned.
	Delete(ctx context.Context, r DeleteRequest) (deletion.Deletion, error)

	deletion.Keeper
}

// DeleteRequest says what is to be deleted. The query's limits do not count.
type DeleteRequest struct {
	Query
	Label string        // the caller's words for it
	Delay time.Duration // how long it may be canceled before anything leaves the disk
}
