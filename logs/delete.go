package logs

import (
	"context"
	"time"
)

// Deleter deletes entries for good.
type Deleter interface {
	// Delete accepts a deletion of what a query selects, as it is stored now.
	// When it returns nil the deletion survives a crash, no query that begins
	// from now on sees the entries, and they will leave the disk; entries that come later are
	// not concerned.
	Delete(ctx context.Context, r DeleteRequest) (Deletion, error)
	// Deletions returns a tenant's deletions, the newest first. Those that
	// ended long ago may be forgotten.
	Deletions(ctx context.Context, tenant string) ([]Deletion, error)
	// Deletion returns one of them; fault.NotFound if there is none of that ID.
	Deletion(ctx context.Context, tenant, id string) (Deletion, error)
	// CancelDeletion takes a deletion back: what is not gone yet is seen again.
	// One that has ended, and without force one that runs, is a fault.Conflict.
	CancelDeletion(ctx context.Context, tenant, id string, force bool) (Deletion, error)
}

// DeleteRequest says what is to be deleted. The query's limits do not count.
type DeleteRequest struct {
	Query
	Label string        // the caller's words for it
	Delay time.Duration // how long it may be canceled before anything leaves the disk
}

// DeletionState is how far a deletion has come.
type DeletionState string

// The states.
const (
	DeletionWaiting  DeletionState = "waiting"
	DeletionRunning  DeletionState = "running"
	DeletionDone     DeletionState = "done" // no file holds the entries any more
	DeletionCanceled DeletionState = "canceled"
)

// Deletion is a deletion as it stands.
type Deletion struct {
	ID       string
	Label    string
	From, To int64 // nanoseconds, From inclusive, To exclusive
	State    DeletionState
	Created  time.Time
	Due      time.Time // when it may not be canceled any more
	Ended    time.Time // zero while it waits or runs
	Entries  int64     // deleted so far
	Progress float64   // of its work, 0 to 1
	// Unread are files set aside as damaged, which may hold such entries.
	Unread int
	Error  string // why the last attempt failed; it is repeated
}
