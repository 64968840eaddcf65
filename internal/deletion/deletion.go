package deletion

import (
	"context"
	"time"
)

// State is how far a deletion has come. While it waits or runs its records are
// hidden already.
type State string

// The states.
const (
	Waiting  State = "waiting"
	Running  State = "running"
	Done     State = "done" // no file holds the records any more
	Canceled State = "canceled"
)

// Deletion is a deletion as it stands.
type Deletion struct {
	ID       string
	Label    string // the words of who asked for it
	From, To int64  // nanoseconds, From inclusive, To exclusive
	State    State
	Created  time.Time
	Due      time.Time // when it may not be canceled any more
	Ended    time.Time // zero while it waits or runs
	Records  int64     // deleted so far
	Progress float64   // of its work, 0 to 1
	// Unread are files set aside as damaged, which may hold such records.
	Unread int
	Error  string // why the last attempt failed; it is repeated
}

// Keeper knows the deletions that a store has accepted.
type Keeper interface {
	// Deletions returns a tenant's deletions, the newest first. Those that
	// ended long ago may be forgotten.
	Deletions(ctx context.Context, tenant string) ([]Deletion, error)
	// Deletion returns one of them; fault.NotFound if there is none of that ID.
	Deletion(ctx context.Context, tenant, id string) (Deletion, error)
	// CancelDeletion takes a deletion back: what is not gone yet is seen again.
	// One that has ended, and without force one that runs, is a fault.Conflict.
	CancelDeletion(ctx context.Context, tenant, id string, force bool) (Deletion, error)
}
