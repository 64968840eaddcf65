package escalation

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"belfry/alerting/incident"
	"belfry/alerting/notify"
	"belfry/alerting/oncall"
	"belfry/internal/state"
)

// The statuses of a row of the outbox.
const (
	rowPending  = "pending"
	rowSent     = "sent"
	rowFailed   = "failed"
	rowCanceled = "canceled"
	rowGathered = "gathered" // waits for the summary that tells it
)

// outboxRow is a message to one recipient by one method.
type outboxRow struct {
	id, key, tenant, incident string
	kind                      notify.Kind
	person, channel, method   string
	generation, step, round   int
	due, expires              time.Time
	attempts                  int
	ref, data                 string
	summary                   string    // the key of the row that tells this one, "" for none
	taken                     time.Time // when sending was begun; only scanTaken reads it
}

const outboxColumns = `id, key, tenant, incident_id, kind, person, channel, method, generation, step, round, due_at, expires_at, attempts, ref, data, summary`

func scanRow(r *sql.Rows) (o outboxRow, err error) { return o.scan(r) }

// scanTaken reads the column taken_at after all others.
func scanTaken(r *sql.Rows) (o outboxRow, err error) {
	var taken int64
	o, err = o.scan(r, &taken)
	o.taken = state.Time(taken)
	return o, err
}

func (o outboxRow) scan(r *sql.Rows, more ...any) (outboxRow, error) {
	var due, expires int64
	err := r.Scan(append([]any{&o.id, &o.key, &o.tenant, &o.incident, &o.kind, &o.person, &o.channel, &o.method,
		&o.generation, &o.step, &o.round, &due, &expires, &o.attempts, &o.ref, &o.data, &o.summary}, more...)...)
	o.due, o.expires = state.Time(due), state.Time(expires)
	return o, err
}

func (o outboxRow) detail() incident.Detail {
	return incident.Detail{Person: o.person, Channel: o.channel, Method: o.method, Step: o.step, Round: o.round, Attempt: o.attempts}
}

// whom names the recipient in a sentence.
func (o outboxRow) whom() string {
	if o.channel != "" {
		return "channel " + o.channel
	}
	return o.person + " by " + o.method
}

// put writes an effect in the transaction of its decision.
func (e *Engine) put(ctx context.Context, tx *state.Tx, s *setup, i *incident.Incident, effect Effect, now time.Time) error {
	switch f := effect.(type) {
	case Log:
		i.Record(f.Event)
	case Page:
		for _, to := range f.To {
			if err := e.page(ctx, tx, s, i, to, f, now); err != nil {
				return err
			}
		}
	case CancelPages:
		return cancelPages(ctx, tx, i, f.Reason, now)
	case TellResolved:
		return e.tellResolved(ctx, tx, s, i, now)
	case ChangeSeverity:
		i.Severity = f.To
	case UpdateMessages:
		return e.updateMessages(ctx, tx, i, now)
	}
	return nil
}

func (e *Engine) page(ctx context.Context, tx *state.Tx, s *setup, i *incident.Incident, to Recipient, p Page, now time.Time) error {
	row := outboxRow{tenant: i.Tenant, incident: i.ID, kind: notify.KindPage, person: to.Person, channel: to.Channel,
		generation: i.Generation, step: p.Step, round: p.Round}
	if to.Channel != "" {
		m, _ := s.notifier.Channel(to.Channel)
		row.method, row.due = m.Type, now
		return e.enqueue(ctx, tx, s, i, row, now)
	}
	person, _ := s.directory.Person(to.Person)
	for _, c := range contacts(person, i.Severity) {
		row.method, row.due = c.method, now.Add(c.after)
		if err := e.enqueue(ctx, tx, s, i, row, now); err != nil {
			return err
		}
	}
	return nil
}

type contact struct {
	method string
	after  time.Duration
}

// contacts returns how a person wants to be told: by the rules for the severity,
// the earliest for each method. Where no rule fits, by every method at once: a
// page that nobody gets is worse than one too many.
func contacts(p oncall.Person, severity string) []contact {
	var out []contact
	at := map[string]int{}
	add := func(method string, after time.Duration) {
		if n, ok := at[method]; ok {
			out[n].after = min(out[n].after, after)
			return
		}
		at[method] = len(out)
		out = append(out, contact{method, after})
	}
	for _, r := range p.Rules {
		if !(Step{Severities: r.Severities}).concerns(severity) {
			continue
		}
		for _, m := range r.Methods {
			add(m, time.Duration(r.After))
		}
	}
	if len(out) == 0 {
		for _, m := range p.Methods {
			add(m.Label(), 0)
		}
	}
	return out
}

func (e *Engine) enqueue(ctx context.Context, tx *state.Tx, s *setup, i *incident.Incident, o outboxRow, now time.Time) error {
	recipient := "p:" + o.person
	if o.channel != "" {
		recipient = "c:" + o.channel
	}
	// Of incident, generation, round, step, recipient, method, and kind.
	o.key = strings.Join([]string{i.ID, strconv.Itoa(o.generation), strconv.Itoa(o.round), strconv.Itoa(o.step), recipient, o.method, string(o.kind)}, "/")
	o.expires = o.due.Add(s.notifier.GiveUpAfter())
	if added, err := insertRow(ctx, tx, o, now); err != nil || !added {
		return err
	}
	message := "telling " + o.whom()
	if o.kind == notify.KindResolved {
		message += " that it is resolved"
	}
	d := o.detail()
	if wait := o.due.Sub(now); wait > 0 {
		message += " in " + wait.String()
		d.Until = o.due
	}
	i.Record(incident.Event{At: now, Kind: incident.KindNotified, Message: message, Detail: d})
	return nil
}

// insertRow queues a message, unless one of its key is there.
func insertRow(ctx context.Context, tx *state.Tx, o outboxRow, now time.Time) (added bool, err error) {
	n, err := tx.Exec(ctx, `INSERT INTO outbox (`+outboxColumns+`, status, created_at, lease_owner, lease_until, last_error, done_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, '', 0, '', 0) ON CONFLICT (key) DO NOTHING`,
		ulid.Make().String(), o.key, o.tenant, o.incident, o.kind, o.person, o.channel, o.method, o.generation, o.step, o.round,
		state.Millis(o.due), state.Millis(o.expires), o.ref, o.data, o.summary, rowPending, state.Millis(now))
	return n > 0, err
}

// updateMessages queues that every page of the incident that can be changed shows
// how it stands. What is queued already and not begun would show the same.
func (e *Engine) updateMessages(ctx context.Context, tx *state.Tx, i *incident.Incident, now time.Time) error {
	if _, err := tx.Exec(ctx, `DELETE FROM outbox WHERE incident_id = ? AND kind = ? AND status = ? AND lease_until <= ?`,
		i.ID, notify.KindUpdate, rowPending, state.Millis(now)); err != nil {
		return err
	}
	rows, err := tx.Query(ctx, `SELECT `+outboxColumns+` FROM outbox WHERE incident_id = ? AND kind = ? AND status = ? AND ref <> ''
		ORDER BY id LIMIT ?`, i.ID, notify.KindPage, rowSent, maxUpdates)
	pages, err := state.Collect(rows, err, scanRow)
	if err != nil {
		return err
	}
	for _, o := range pages {
		if err := e.updateMessage(ctx, tx, o, now); err != nil {
			return err
		}
	}
	return nil
}

// maxUpdates bounds the messages that one change of an incident changes.
const maxUpdates = 200

func (e *Engine) updateMessage(ctx context.Context, tx *state.Tx, page outboxRow, now time.Time) error {
	o := page
	o.kind, o.key = notify.KindUpdate, page.key+"/update/"+ulid.Make().String()
	o.due, o.expires = now, now.Add(e.setup.Load().notifier.GiveUpAfter())
	_, err := insertRow(ctx, tx, o, now)
	return err
}

// cancelPages withdraws what was not sent. A message that is being sent at this
// moment cannot be called back; its result will be recorded. What is in a summary
// that is being sent stays there, for its result.
func cancelPages(ctx context.Context, tx *state.Tx, i *incident.Incident, reason string, now time.Time) error {
	rows, err := tx.Query(ctx, `SELECT `+outboxColumns+` FROM outbox
		WHERE incident_id = ? AND kind = ? AND (status = ? OR status = ? AND EXISTS
			(SELECT 1 FROM outbox AS s WHERE s.key = outbox.summary AND s.status = ? AND s.lease_until <= ?)) ORDER BY id`,
		i.ID, notify.KindPage, rowPending, rowGathered, rowPending, state.Millis(now))
	pending, err := state.Collect(rows, err, scanRow)
	if err != nil {
		return err
	}
	for _, o := range pending {
		if _, err := tx.Exec(ctx, `UPDATE outbox SET status = ?, last_error = ?, done_at = ? WHERE id = ?`,
			rowCanceled, reason, state.Millis(now), o.id); err != nil {
			return err
		}
		i.Record(incident.Event{At: now, Kind: incident.KindCanceled, Message: "not telling " + o.whom() + ": " + reason, Detail: o.detail()})
	}
	return nil
}

// tellResolved queues the good news for everybody who was told, the way they
// were, about this incident or one that was merged into it.
func (e *Engine) tellResolved(ctx context.Context, tx *state.Tx, s *setup, i *incident.Incident, now time.Time) error {
	rows, err := tx.Query(ctx, `SELECT DISTINCT person, channel, method FROM outbox
		WHERE (incident_id = ? OR incident_id IN (SELECT id FROM incidents WHERE tenant = ? AND merged_into = ?))
		AND kind = ? AND (status = ? OR lease_until > ?) ORDER BY person, channel, method`,
		i.ID, i.Tenant, i.ID, notify.KindPage, rowSent, state.Millis(now))
	told, err := state.Collect(rows, err, func(r *sql.Rows) (o outboxRow, err error) {
		return o, r.Scan(&o.person, &o.channel, &o.method)
	})
	if err != nil {
		return err
	}
	for _, o := range told {
		o.tenant, o.incident, o.kind, o.generation, o.due = i.Tenant, i.ID, notify.KindResolved, i.Generation, now
		if err := e.enqueue(ctx, tx, s, i, o, now); err != nil {
			return err
		}
	}
	return nil
}
