package traces

import (
	"context"
	"time"

	"belfry/internal/deletion"
)

// Deleter deletes spans for good.
type Deleter interface {
	// Delete accepts a deletion of the spans that a request selects, as they are
	// stored now. When it returns nil the deletion survives a crash, no query
	// that begins from now on sees the spans, and they will leave the disk; spans
	// that come later are not concerned. Other spans of their traces stay. A
	// filter that the store cannot decide exactly is fault.Invalid.
	Delete(ctx context.Context, r DeleteRequest) (deletion.Deletion, error)

	deletion.Keeper
}

// DeleteRequest says which spans are to be deleted: those that started in the
// range and meet the filter.
type DeleteRequest struct {
	Tenant   string
	From, To int64 // nanoseconds; From inclusive, To exclusive
	Filter   Filter
	Label    string        // the caller's words for it
	Delay    time.Duration // how long it may be canceled before anything leaves the disk
}
