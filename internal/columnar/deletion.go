package columnar

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"belfry/internal/fault"
	"belfry/internal/tenant"
	"belfry/internal/wal"
)

// A deletion concerns the rows that were acknowledged before it was accepted.
// Deletions are numbered in that order, and each memtable and part knows the
// number up to which none concerns it any more (clean): those accepted before its
// first row came, and those that were carried out on it. The others that meet its
// tenant and times are owed: queries hide their rows (hide.go), and the eraser
// carries them out (erase.go). The list of deletions is a file of its own
// (deletion_file.go), written before Delete returns.

// DeletionState is how far a deletion has come.
type DeletionState string

// The states of a deletion. While it waits or runs its rows are hidden already.
const (
	DeletionWaiting  DeletionState = "waiting" // may be taken back until it is due
	DeletionRunning  DeletionState = "running"
	DeletionDone     DeletionState = "done" // nothing of the rows is on disk
	DeletionCanceled DeletionState = "canceled"
)

const (
	// So many deletions may wait or run: each costs the queries that it meets.
	maxPendingDeletions = 1000
	// So many that have ended are remembered.
	maxEndedDeletions = 1000
)

// DeletionRequest says which rows are to go for good.
type DeletionRequest struct {
	Tenant string
	From   int64  // nanoseconds, inclusive
	To     int64  // nanoseconds, exclusive
	Filter Filter // nil: all rows; without Func
	Label  string // the caller's words for it, kept with the deletion
	// Delay is how long the rows are only hidden, so that the deletion may be canceled.
	Delay time.Duration
}

// Deletion is a deletion as it stands.
type Deletion struct {
	ID       uint64
	Tenant   string
	From, To int64
	Label    string
	State    DeletionState
	Created  time.Time
	Due      time.Time // when it begins
	Ended    time.Time // zero while it waits or runs
	Rows     int64     // deleted so far
	Parts    int       // rewritten or dropped for it so far
	Left     int       // parts that are yet to be looked at
	// Unread are files that are set aside as damaged and may hold such rows.
	Unread int
	Error  string // why the last try failed; it is tried again
}

// deletion is a deletion in memory. What may change is guarded by DB.mu.
type deletion struct {
	Deletion
	boundary wal.Position // it concerns records that end there or before
	filter   json.RawMessage
	cond     And  // time range, then the filter
	logGone  bool // the log holds its rows no more
	ended    chan struct{}
}

// deletionList is what the DB keeps of deletions.
type deletionList struct {
	saving chan struct{} // held while the file is written: one slot
	nextID uint64        // guarded by DB.mu, like what follows
	// pending are those that wait or run, by number. The slice is never changed in place.
	pending []*deletion
	ended   []*deletion // by number
	signal  chan struct{}
}

func newDeletion(d Deletion, filter Filter, now time.Time) (*deletion, error) {
	if err := tenant.Validate(d.Tenant); err != nil {
		return nil, err
	}
	if d.From >= d.To {
		return nil, fault.Invalidf("deletion of an empty time range")
	}
	text, err := encodeFilter(filter)
	if err != nil {
		return nil, err
	}
	d.State, d.Created = DeletionWaiting, now
	return prepareDeletion(d, text, filter)
}

// prepareDeletion compiles a deletion.
func prepareDeletion(d Deletion, text json.RawMessage, filter Filter) (*deletion, error) {
	cond := And{TimeRange{d.From, d.To}}
	if all, ok := filter.(And); ok {
		cond = append(cond, all...) // flat, so that an ID index is found
	} else if filter != nil {
		cond = append(cond, filter)
	}
	if _, err := compile(cond); err != nil {
		return nil, err
	}
	return &deletion{Deletion: d, filter: text, cond: cond, ended: make(chan struct{})}, nil
}

// Delete accepts a deletion. When it returns nil, the deletion is on disk, no
// query that begins from now on sees its rows, and it will be carried out whatever
// crash or restart comes: parts that hold such rows are rewritten without them, and
// the log's segments that hold them are removed. Rows appended later are not
// concerned; of those appended meanwhile it is decided once whether they are.
func (db *DB) Delete(ctx context.Context, r DeletionRequest) (Deletion, error) {
	now := db.now().UTC()
	d, err := newDeletion(Deletion{
		Tenant: r.Tenant, From: r.From, To: r.To, Label: r.Label, Due: now.Add(max(r.Delay, 0)),
	}, r.Filter, now)
	if err != nil {
		return Deletion{}, err
	}
	if err := db.enter(); err != nil {
		return Deletion{}, err
	}
	defer db.leave()
	if err := db.waitForRoom(ctx); err != nil { // it may freeze a memtable
		return Deletion{}, err
	}
	unlock, err := db.lockDeletions(ctx)
	if err != nil {
		return Deletion{}, err
	}
	defer unlock()
	if err := db.acceptDeletion(d); err != nil {
		return Deletion{}, err
	}
	if err := db.saveDeletions(); err != nil {
		db.mu.Lock()
		db.dropPending(d)
		db.mu.Unlock()
		return Deletion{}, fault.Unavailablef(retryError, "recording a deletion: %w", err)
	}
	db.wakeEraser()
	return db.deletionStatus(d), nil
}

// acceptDeletion numbers a deletion and draws the line between rows that it
// concerns and those that it does not.
func (db *DB) acceptDeletion(d *deletion) error {
	db.manifest.mu.Lock()
	flushed := db.manifest.end
	db.manifest.mu.Unlock()
	db.mu.Lock()
	defer db.mu.Unlock()
	l := &db.deletions
	if len(l.pending) >= maxPendingDeletions {
		return fault.Limitedf(time.Minute, "%d deletions wait or run already", maxPendingDeletions)
	}
	d.ID = l.nextID
	l.nextID++
	if db.active.touches(d) {
		db.rotate()
	}
	db.active.clean = d.ID
	if d.boundary = db.active.end; d.boundary.Before(flushed) {
		d.boundary = flushed
	}
	l.pending = append(l.pending[:len(l.pending):len(l.pending)], d)
	return nil
}

// dropPending takes a deletion off the list of those that wait or run. DB.mu is held.
func (db *DB) dropPending(d *deletion) {
	l := &db.deletions
	l.pending = slices.DeleteFunc(slices.Clone(l.pending), func(p *deletion) bool { return p == d })
	for _, h := range db.parts[d.Tenant] {
		delete(h.rid, d.ID)
	}
}

// crossDeletions keeps a replay to the lines that deletions drew: rows of records
// that end at end come behind all deletions whose boundary lies before. DB.mu is held.
func (db *DB) crossDeletions(end wal.Position) {
	for _, d := range db.deletions.pending {
		if d.ID > db.active.clean && d.boundary.Before(end) {
			if db.active.touches(d) {
				db.rotate()
			}
			db.active.clean = d.ID
		}
	}
}

// touches reports whether a deletion may concern rows of the memtable.
func (m *memTable) touches(d *deletion) bool {
	t := m.tenants[d.Tenant]
	return t != nil && slices.ContainsFunc(t.blocks, func(b *memBlock) bool {
		return len(b.times) > 0 && b.max >= d.From && b.min < d.To
	})
}

// owes reports whether a deletion has yet to be carried out on a part. DB.mu is held.
func (h *partHandle) owes(d *deletion) bool {
	return d.ID > h.clean && d.Tenant == h.tenant && h.max >= d.From && h.min < d.To && !h.rid[d.ID]
}

// owed returns the deletions that a part owes. DB.mu is held.
func (db *DB) owed(h *partHandle) []*deletion {
	var out []*deletion
	for _, d := range db.deletions.pending {
		if h.owes(d) {
			out = append(out, d)
		}
	}
	return out
}

// cleanRank is how many of the tenant's pending deletions a part lies behind.
// Parts of one rank may be merged: no deletion concerns rows of one and not, by
// their age, those of another. DB.mu is held.
func (db *DB) cleanRank(h *partHandle) int {
	n := 0
	for _, d := range db.deletions.pending {
		if d.Tenant == h.tenant && d.ID <= h.clean {
			n++
		}
	}
	return n
}

// Deletions returns a tenant's deletions, the newest first; those that ended long ago are forgotten.
func (db *DB) Deletions(tenantID string) []Deletion {
	db.mu.RLock()
	defer db.mu.RUnlock()
	var out []Deletion
	for _, list := range [][]*deletion{db.deletions.ended, db.deletions.pending} {
		for _, d := range list {
			if d.Tenant == tenantID {
				out = append(out, db.statusOf(d))
			}
		}
	}
	slices.SortFunc(out, func(a, b Deletion) int { return int(int64(b.ID) - int64(a.ID)) })
	return out
}

// Deletion returns one of a tenant's deletions; fault.NotFound if there is none of that number.
func (db *DB) Deletion(tenantID string, id uint64) (Deletion, error) {
	d, err := db.findDeletion(tenantID, id)
	if err != nil {
		return Deletion{}, err
	}
	return db.deletionStatus(d), nil
}

func (db *DB) findDeletion(tenantID string, id uint64) (*deletion, error) {
	db.mu.RLock()
	defer db.mu.RUnlock()
	for _, list := range [][]*deletion{db.deletions.pending, db.deletions.ended} {
		for _, d := range list {
			if d.ID == id && d.Tenant == tenantID {
				return d, nil
			}
		}
	}
	return nil, fault.NotFoundf("there is no deletion %d", id)
}

func (db *DB) deletionStatus(d *deletion) Deletion {
	db.mu.RLock()
	defer db.mu.RUnlock()
	return db.statusOf(d)
}

// statusOf returns a deletion as it stands. DB.mu is held.
func (db *DB) statusOf(d *deletion) Deletion {
	s := d.Deletion
	if s.Ended.IsZero() {
		for _, h := range db.parts[d.Tenant] {
			if h.owes(d) {
				s.Left++
			}
		}
	}
	return s
}

// CancelDeletion takes a deletion back. Its rows are seen again, but for those
// that are gone already: unless force is set, one that runs is not canceled
// (fault.Conflict), and one that has ended never is.
func (db *DB) CancelDeletion(ctx context.Context, tenantID string, id uint64, force bool) (Deletion, error) {
	if err := db.enter(); err != nil {
		return Deletion{}, err
	}
	defer db.leave()
	unlock, err := db.lockDeletions(ctx)
	if err != nil {
		return Deletion{}, err
	}
	defer unlock()
	d, err := db.findDeletion(tenantID, id)
	if err != nil {
		return Deletion{}, err
	}
	db.mu.RLock()
	state := d.State
	db.mu.RUnlock()
	if state == DeletionRunning && !force || state != DeletionRunning && state != DeletionWaiting {
		return Deletion{}, fault.New(fault.Conflict, "deletion %d is %s", id, state)
	}
	if err := db.endDeletion(d, DeletionCanceled); err != nil {
		return Deletion{}, err
	}
	return db.deletionStatus(d), nil
}

// WaitDeletion returns when a deletion has ended.
func (db *DB) WaitDeletion(ctx context.Context, tenantID string, id uint64) (Deletion, error) {
	d, err := db.findDeletion(tenantID, id)
	if err != nil {
		return Deletion{}, err
	}
	select {
	case <-d.ended:
		return db.deletionStatus(d), nil
	case <-ctx.Done():
		return Deletion{}, ctx.Err()
	case <-db.closing:
		return Deletion{}, fault.Unavailablef(0, "columnar: closed")
	}
}

// endDeletion records that a deletion has ended. The file's lock is held.
func (db *DB) endDeletion(d *deletion, state DeletionState) error {
	l := &db.deletions
	db.mu.Lock()
	before, pending, ended := d.Deletion, l.pending, l.ended
	d.State, d.Ended, d.Error = state, db.now().UTC(), ""
	l.pending = slices.DeleteFunc(slices.Clone(pending), func(p *deletion) bool { return p == d })
	l.ended = append(slices.Clone(ended), d)
	if n := len(l.ended) - maxEndedDeletions; n > 0 {
		l.ended = l.ended[n:]
	}
	db.mu.Unlock()
	err := db.saveDeletions()
	db.mu.Lock()
	defer db.mu.Unlock()
	if err != nil {
		d.Deletion, l.pending, l.ended = before, pending, ended
		return fault.Unavailablef(retryError, "recording a deletion's end: %w", err)
	}
	for _, h := range db.parts[d.Tenant] {
		delete(h.rid, d.ID)
	}
	close(d.ended)
	db.log.Info("columnar: deletion ended", "id", d.ID, "tenant", d.Tenant, "state", string(state), "rows", d.Rows, "parts", d.Parts)
	return nil
}

// lockDeletions keeps others from changing the list of deletions.
func (db *DB) lockDeletions(ctx context.Context) (unlock func(), err error) {
	select {
	case db.deletions.saving <- struct{}{}:
		return func() { <-db.deletions.saving }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for other deletions: %w", ctx.Err())
	}
}

// deletionTotals returns how many deletions wait or run, and for how many seconds the oldest has been due.
func (db *DB) deletionTotals() (pending int, overdue float64) {
	db.mu.RLock()
	defer db.mu.RUnlock()
	for _, d := range db.deletions.pending {
		overdue = max(overdue, db.now().Sub(d.Due).Seconds())
	}
	return len(db.deletions.pending), overdue
}
