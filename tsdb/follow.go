package tsdb

import (
	"context"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
)

// Appended is a sample that was appended: of the series Ref, the value V at T,
// milliseconds.
type Appended struct {
	Ref storage.SeriesRef
	T   int64
	V   float64
}

// AppendedBatch is what one commit appended. It is not changed any more.
type AppendedBatch struct {
	Floats     []Appended
	Histograms []storage.SeriesRef // that native histograms were appended to

	// Begun is the count of changes when the commit began, Done the one that it
	// made. Of two batches of which one began before the other was done, it is
	// not known which came first where both have a series.
	Begun, Done uint64
}

// Follower is a store that tells what is appended to it, for those who keep the
// newest samples of series in memory. A Queryable may implement it.
type Follower interface {
	// Follow returns a view of what is appended for the tenant in ctx, and false
	// if there is no such tenant or its store does not tell.
	Follow(ctx context.Context) (Following, bool)
}

// Following is a tenant's newest samples. It is used by one goroutine at a time
// and must be closed.
type Following interface {
	// Begin returns the present moment: what is committed after it is kept for
	// Since, a bounded amount of it and only while it is asked for.
	Begin() ChangeMark

	// Since calls f with what was committed after a mark, in the order of the
	// commits, and returns the moment up to which that is all. It returns false,
	// and may have called f, if not all of it is known (any more), if something
	// was deleted since, or if f returned false.
	Since(mark ChangeMark, f func(AppendedBatch) bool) (ChangeMark, bool)

	// MaxTime is the time of the newest sample, milliseconds.
	MaxTime() int64

	// Ref returns the number of a series that is being written to, as batches
	// have it, and its labels in memory that is there anyway.
	Ref(ls labels.Labels) (storage.SeriesRef, labels.Labels, bool)

	// Labels returns the labels of a series, false if it is gone.
	Labels(ref storage.SeriesRef) (labels.Labels, bool)

	// Close lets go of the store.
	Close()
}
