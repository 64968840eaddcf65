package escalation

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/oklog/ulid/v2"

	"belfry/alerting/oncall"
	"belfry/internal/fault"
	"belfry/internal/state"
)

// Swap is a time on call that somebody would like to give away. Taking it makes an
// override.
type Swap struct {
	ID        string    `json:"id"`
	Schedule  string    `json:"schedule"`
	Person    string    `json:"person"` // who gives
	Start     time.Time `json:"start"`
	End       time.Time `json:"end"`
	Reason    string    `json:"reason,omitempty"`
	Status    string    `json:"status"` // open, taken, withdrawn
	TakenBy   string    `json:"taken_by,omitempty"`
	CreatedAt time.Time `json:"created_at"`
}

// The statuses of a swap.
const (
	SwapOpen      = "open"
	SwapTaken     = "taken"
	SwapWithdrawn = "withdrawn"
)

const swapColumns = `id, schedule, person, starts_at, ends_at, reason, status, taken_by, created_at`

func scanSwap(row interface{ Scan(...any) error }) (s Swap, err error) {
	var start, end, created int64
	err = row.Scan(&s.ID, &s.Schedule, &s.Person, &start, &end, &s.Reason, &s.Status, &s.TakenBy, &created)
	s.Start, s.End, s.CreatedAt = state.Time(start), state.Time(end), state.Time(created)
	return s, err
}

// OfferSwap stores that a person would like to give a time away, and tells the
// others of the schedule.
func (e *Engine) OfferSwap(ctx context.Context, tenant string, s Swap) (Swap, error) {
	o, err := e.checkOverride(oncall.Override{Schedule: s.Schedule, Person: s.Person, Start: s.Start, End: s.End})
	if err != nil {
		return s, err
	}
	now := e.now()
	if !o.End.After(now) {
		return s, fault.Invalidf("the time is over")
	}
	s.ID, s.Status, s.Start, s.End, s.CreatedAt = ulid.Make().String(), SwapOpen, o.Start, o.End, now
	schedule, _ := e.Directory().Schedule(s.Schedule)
	err = e.db.Update(ctx, func(tx *state.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO oncall_swaps (id, tenant, schedule, person, starts_at, ends_at, reason, status, taken_by, override_id, created_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, '', '', ?)`, s.ID, tenant, s.Schedule, s.Person, state.Millis(s.Start), state.Millis(s.End),
			s.Reason, s.Status, state.Millis(now))
		if err != nil {
			return err
		}
		for _, p := range schedule.Participants() {
			if p == s.Person {
				continue
			}
			text := e.name(s.Person) + " would like somebody to be on call for " + schedule.Name + " from " +
				when(s.Start, schedule.Location) + " to " + when(s.End, schedule.Location) + "."
			if s.Reason != "" {
				text += " " + s.Reason
			}
			if err := e.notice(ctx, tx, tenant, p, "swap/"+s.ID, "Can you take over "+schedule.Name+"?", text); err != nil {
				return err
			}
		}
		return nil
	})
	e.wake()
	return s, err
}

// Swaps returns a schedule's swaps that are not over, the earliest first.
func (e *Engine) Swaps(ctx context.Context, tenant, schedule string) (out []Swap, err error) {
	err = e.db.View(ctx, func(tx *state.Tx) error {
		rows, err := tx.Query(ctx, `SELECT `+swapColumns+` FROM oncall_swaps WHERE tenant = ? AND schedule = ? AND ends_at > ?
			ORDER BY starts_at, id LIMIT 500`, tenant, schedule, state.Millis(e.now()))
		out, err = state.Collect(rows, err, func(r *sql.Rows) (Swap, error) { return scanSwap(r) })
		return err
	})
	return out, err
}

// TakeSwap puts a person in the place of the one who gives the time away.
func (e *Engine) TakeSwap(ctx context.Context, tenant, schedule, id, person string) (Swap, error) {
	return e.endSwap(ctx, tenant, schedule, id, func(tx *state.Tx, s *Swap) error {
		if person == s.Person {
			return fault.Invalidf("%s cannot take over from himself", person)
		}
		o, err := e.checkOverride(oncall.Override{Schedule: schedule, Person: person, Replaces: s.Person, Start: s.Start, End: s.End,
			Reason: s.Reason, CreatedBy: person})
		if err != nil {
			return err
		}
		s.Status, s.TakenBy = SwapTaken, person
		if err := insertOverride(ctx, tx, tenant, o); err != nil {
			return err
		}
		sched, _ := e.Directory().Schedule(schedule)
		return e.notice(ctx, tx, tenant, s.Person, "swap-taken/"+s.ID, e.name(person)+" takes over "+sched.Name,
			e.name(person)+" is on call for you from "+when(s.Start, sched.Location)+" to "+when(s.End, sched.Location)+".")
	})
}

// WithdrawSwap ends an offer that nobody has taken.
func (e *Engine) WithdrawSwap(ctx context.Context, tenant, schedule, id string) (Swap, error) {
	return e.endSwap(ctx, tenant, schedule, id, func(_ *state.Tx, s *Swap) error {
		s.Status = SwapWithdrawn
		return nil
	})
}

func (e *Engine) endSwap(ctx context.Context, tenant, schedule, id string, end func(*state.Tx, *Swap) error) (s Swap, err error) {
	err = e.db.Update(ctx, func(tx *state.Tx) error {
		s, err = scanSwap(tx.QueryRow(ctx, `SELECT `+swapColumns+` FROM oncall_swaps WHERE tenant = ? AND schedule = ? AND id = ?`, tenant, schedule, id))
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return fault.NotFoundf("there is no swap %q", id)
		case err != nil:
			return err
		case s.Status != SwapOpen:
			return fault.New(fault.Conflict, "the swap is %s already", s.Status)
		}
		if err := end(tx, &s); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE oncall_swaps SET status = ?, taken_by = ? WHERE id = ?`, s.Status, s.TakenBy, s.ID)
		return err
	})
	if err == nil {
		e.rosterChanged()
	}
	return s, err
}

func (e *Engine) name(person string) string {
	if p, ok := e.Directory().Person(person); ok {
		return p.Name
	}
	return person
}

// when writes a time for people, in a schedule's zone.
func when(t time.Time, loc *time.Location) string { return t.In(loc).Format("Mon 2 Jan 15:04 MST") }
