package audit

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"belfry/internal/fault"
	"belfry/internal/state"
)

// Entry is one thing that someone did.
type Entry struct {
	ID     string            `json:"id"` // a ULID: later entries have greater ones
	At     time.Time         `json:"at"`
	Tenant string            `json:"tenant"`
	Actor  string            `json:"actor"`            // a user or token, or the address of who is not known
	Action string            `json:"action"`           // noun and verb: logs.delete
	Target string            `json:"target,omitempty"` // what it was done to
	Detail map[string]string `json:"detail,omitempty"`
}

// Query says which entries of a tenant are wanted, the newest first.
type Query struct {
	Tenant string
	Action string // exactly, or with all that is below it: logs finds logs.delete; empty: all
	Actor  string // empty: everybody
	From   time.Time
	To     time.Time // zero: no bound
	Before string    // an ID: only older entries; for the next page
	Limit  int       // 1 to MaxLimit
}

// MaxLimit is the most entries that one List returns.
const MaxLimit = 1000

// Log is the audit log. It is safe for concurrent use.
type Log struct {
	db  *state.DB
	now func() time.Time
}

// New returns the log in a database. now may be nil.
func New(db *state.DB, now func() time.Time) *Log {
	if now == nil {
		now = time.Now
	}
	return &Log{db: db, now: now}
}

// Record stores an entry, whose ID and time it sets. When it returns nil the entry is durable.
func (l *Log) Record(ctx context.Context, e Entry) error {
	e.At = l.now().UTC()
	e.ID = ulid.MustNew(ulid.Timestamp(e.At), ulid.DefaultEntropy()).String()
	return l.db.Update(ctx, func(tx *state.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO audit (id, at, tenant, actor, action, target, detail) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			e.ID, state.Millis(e.At), e.Tenant, e.Actor, e.Action, e.Target, state.AsJSON(e.Detail))
		return err
	})
}

// List returns entries, the newest first.
func (l *Log) List(ctx context.Context, q Query) ([]Entry, error) {
	if q.Limit < 1 || q.Limit > MaxLimit {
		return nil, fault.Invalidf("limit: want 1 to %d", MaxLimit)
	}
	where, args := []string{"tenant = ?"}, []any{q.Tenant}
	add := func(cond string, values ...any) {
		where, args = append(where, cond), append(args, values...)
	}
	if q.Action != "" {
		below := q.Action + "."
		add("(action = ? OR substr(action, 1, ?) = ?)", q.Action, len(below), below)
	}
	if q.Actor != "" {
		add("actor = ?", q.Actor)
	}
	if !q.From.IsZero() {
		add("at >= ?", state.Millis(q.From))
	}
	if !q.To.IsZero() {
		add("at < ?", state.Millis(q.To))
	}
	if q.Before != "" {
		add("id < ?", q.Before)
	}
	var out []Entry
	err := l.db.View(ctx, func(tx *state.Tx) error {
		rows, err := tx.Query(ctx, `SELECT id, at, tenant, actor, action, target, detail FROM audit WHERE `+
			strings.Join(where, " AND ")+` ORDER BY id DESC LIMIT ?`, append(args, q.Limit)...)
		out, err = state.Collect(rows, err, scan)
		return err
	})
	return out, err
}

func scan(rows *sql.Rows) (Entry, error) {
	var e Entry
	var at int64
	var detail state.JSON[map[string]string]
	err := rows.Scan(&e.ID, &at, &e.Tenant, &e.Actor, &e.Action, &e.Target, &detail)
	e.At, e.Detail = state.Time(at), detail.V
	return e, err
}
