package tsdb

import (
	"context"

	"github.com/prometheus/prometheus/model/labels"

	"belfry/internal/deletion"
)

// DeleteRequest asks for samples to be deleted for good.
type DeleteRequest struct {
	Tenant     string
	Matchers   []*labels.Matcher
	Mint, Maxt int64  // milliseconds, both included
	Label      string // the words of who asks for it
}

// Deleter deletes samples and tells how far that is.
type Deleter interface {
	deletion.Keeper

	// DeleteSeries deletes the samples that a request says. When it returns no
	// query sees them, and that is on disk; the deletion is done when no file
	// holds them any more.
	DeleteSeries(ctx context.Context, r DeleteRequest) (deletion.Deletion, error)
}
