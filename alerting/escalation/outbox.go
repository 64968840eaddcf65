package escalation

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"belfry/alerting/incident"
	"belfry/alerting/notify"
	"belfry/alerting/oncall"
	"belfry/internal/fault"
	"belfry/internal/state"
)

// The statuses of a row of the outbox.
const (
	rowPending  = "pending"
	rowSent     = "sent"
	rowFailed   = "failed"
	rowCanceled = "canceled"
)

// outboxRow is a message to one recipient by one method.
type outboxRow struct {
	id, key, tenant, incident string
	kind                      notify.Kind
	person, channel, method   string
	generation, step, round   int
	due, expires              time.Time
	attempts                  int
}

const outboxColumns = `id, key, tenant, incident_id, kind, person, channel, method, generation, step, round, due_at, expires_at, attempts`

func scanRow(r *sql.Rows) (o outboxRow, err error) {
	var due, expires int64
	err = r.Scan(&o.id, &o.key, &o.tenant, &o.incident, &o.kind, &o.person, &o.channel, &o.method,
		&o.generation, &o.step, &o.round, &due, &expires, &o.attempts)
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
	n, err := tx.Exec(ctx, `INSERT INTO outbox (`+outboxColumns+`, status, created_at, lease_owner, lease_until, last_error, done_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, '', 0, '', 0) ON CONFLICT (key) DO NOTHING`,
		ulid.Make().String(), o.key, o.tenant, o.incident, o.kind, o.person, o.channel, o.method, o.generation, o.step, o.round,
		state.Millis(o.due), state.Millis(o.expires), rowPending, state.Millis(now))
	if err != nil || n == 0 {
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

// cancelPages withdraws what was not sent. A message that is being sent at this
// moment cannot be called back; its result will be recorded.
func cancelPages(ctx context.Context, tx *state.Tx, i *incident.Incident, reason string, now time.Time) error {
	rows, err := tx.Query(ctx, `SELECT `+outboxColumns+` FROM outbox
		WHERE incident_id = ? AND status = ? AND kind = ? ORDER BY id`, i.ID, rowPending, notify.KindPage)
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
// were.
func (e *Engine) tellResolved(ctx context.Context, tx *state.Tx, s *setup, i *incident.Incident, now time.Time) error {
	rows, err := tx.Query(ctx, `SELECT DISTINCT person, channel, method FROM outbox
		WHERE incident_id = ? AND kind = ? AND (status = ? OR lease_until > ?) ORDER BY person, channel, method`,
		i.ID, notify.KindPage, rowSent, state.Millis(now))
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

// claim takes up to limit messages that are due, for the length of a lease.
func (e *Engine) claim(ctx context.Context, limit int) (claimed []outboxRow, err error) {
	now := e.now()
	err = e.db.Update(ctx, func(tx *state.Tx) error {
		claimed = nil
		rows, err := tx.Query(ctx, `SELECT `+outboxColumns+` FROM outbox
			WHERE status = ? AND due_at <= ? AND lease_until <= ? ORDER BY due_at, id LIMIT ?`,
			rowPending, state.Millis(now), state.Millis(now), limit)
		due, err := state.Collect(rows, err, scanRow)
		if err != nil {
			return err
		}
		for _, o := range due {
			n, err := tx.Exec(ctx, `UPDATE outbox SET lease_owner = ?, lease_until = ?, attempts = attempts + 1
				WHERE id = ? AND status = ? AND lease_until <= ?`, e.opts.Name, state.Millis(now.Add(e.opts.Lease)), o.id, rowPending, state.Millis(now))
			if err != nil {
				return err
			}
			if n == 1 {
				o.attempts++
				claimed = append(claimed, o)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("claim messages: %w", err)
	}
	return claimed, nil
}

// deliver sends a claimed message once and records what came of it.
func (e *Engine) deliver(ctx context.Context, o outboxRow) error {
	s := e.setup.Load()
	method, sendErr := s.method(o)
	if sendErr == nil {
		var m *notify.Message
		if m, sendErr = e.message(ctx, o); sendErr == nil {
			sendErr = s.notifier.Send(ctx, method, m)
		}
	}
	if ctx.Err() != nil && sendErr != nil {
		// Stopping is not the service's fault: give the claim back for the next process.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
		defer cancel()
		return e.release(ctx, o)
	}
	// What was sent is recorded even when told to stop meanwhile.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	if err := e.record(ctx, o, method.Type, sendErr); err != nil {
		return fmt.Errorf("record a delivery: %w", err)
	}
	return nil
}

const (
	releaseTimeout = 2 * time.Second
	recordTimeout  = 20 * time.Second
)

func (e *Engine) release(ctx context.Context, o outboxRow) error {
	return e.db.Update(ctx, func(tx *state.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE outbox SET lease_until = 0 WHERE id = ? AND status = ? AND lease_owner = ?`, o.id, rowPending, e.opts.Name)
		return err
	})
}

func (s *setup) method(o outboxRow) (oncall.Method, error) {
	if o.channel != "" {
		if m, ok := s.notifier.Channel(o.channel); ok {
			return m, nil
		}
		return oncall.Method{}, fault.Invalidf("there is no channel %q any more", o.channel)
	}
	person, _ := s.directory.Person(o.person)
	for _, m := range person.Methods {
		if m.Label() == o.method {
			return m, nil
		}
	}
	return oncall.Method{}, fault.Invalidf("%s has no contact method %q any more", o.person, o.method)
}

// maxMessageAlerts bounds the alerts that go with a message.
const maxMessageAlerts = 50

func (e *Engine) message(ctx context.Context, o outboxRow) (*notify.Message, error) {
	m := &notify.Message{Key: o.key, Kind: o.kind, Time: e.now(), Recipient: o.person, Person: o.person != "",
		Step: o.step, Round: o.round, ExternalURL: e.opts.ExternalURL}
	if o.channel != "" {
		m.Recipient = o.channel
	}
	err := e.db.View(ctx, func(tx *state.Tx) error {
		i, err := incident.Get(ctx, tx, o.tenant, o.incident)
		if err != nil {
			return err
		}
		m.Incident = *i
		m.Alerts, err = incident.Alerts(ctx, tx, i.ID)
		return err
	})
	if err != nil {
		return nil, err
	}
	if extra := len(m.Alerts) - maxMessageAlerts; extra > 0 {
		m.Alerts = m.Alerts[:maxMessageAlerts]
	}
	m.MoreAlerts = max(0, m.Incident.AlertsTotal-len(m.Alerts))
	links := e.links.Load()
	m.IncidentURL = links.Incident(o.incident)
	if o.kind == notify.KindPage {
		m.AcknowledgeURL = links.Acknowledge(o.tenant, o.incident, o.person, m.Time)
	}
	return m, nil
}

// The waits between attempts.
const (
	firstBackoff = 5 * time.Second
	maxBackoff   = 2 * time.Minute
)

func backoff(attempts int, asked time.Duration) time.Duration {
	wait := maxBackoff
	if shift := attempts - 1; shift < 8 {
		wait = min(firstBackoff<<max(shift, 0), maxBackoff)
	}
	return max(wait, asked)
}

func (e *Engine) record(ctx context.Context, o outboxRow, methodType string, sendErr error) error {
	now := e.now()
	final := fault.Invalid == fault.KindOf(sendErr) || fault.NotFound == fault.KindOf(sendErr)
	retryAt := now.Add(backoff(o.attempts, fault.RetryAfter(sendErr)))
	giveUp := retryAt.After(o.expires)
	result := "sent"
	err := e.db.Update(ctx, func(tx *state.Tx) error {
		var status, owner string
		err := tx.QueryRow(ctx, `SELECT status, lease_owner FROM outbox WHERE id = ?`, o.id).Scan(&status, &owner)
		if err != nil {
			return err
		}
		i, err := incident.Get(ctx, tx, o.tenant, o.incident)
		if err != nil {
			return err
		}
		d := o.detail()
		d.MethodType = methodType
		event := incident.Event{At: now, Detail: d}
		switch {
		case sendErr == nil:
			if status == rowSent {
				return nil // another process that took over the lease has recorded it
			}
			event.Kind, event.Message = incident.KindDelivered, "told "+o.whom()
			err = finish(ctx, tx, o, rowSent, "", now)
			if err == nil && o.kind == notify.KindPage && !i.Open() {
				// It was on its way when the incident was resolved.
				err = e.tellResolved(ctx, tx, e.setup.Load(), i, now)
			}
		case status != rowPending || owner != e.opts.Name:
			return nil // withdrawn, or taken over, meanwhile
		case final || giveUp:
			result = "failed"
			event.Kind, event.Message = incident.KindFailed, "could not tell "+o.whom()+": "+sendErr.Error()
			if !final {
				event.Message += " (gave up after " + strconv.Itoa(o.attempts) + " attempts)"
			}
			event.Detail.Error = sendErr.Error()
			if err = finish(ctx, tx, o, rowFailed, sendErr.Error(), now); err == nil {
				i.Record(event)
				if err = e.nobodyReached(ctx, tx, i, o); err == nil {
					err = incident.Save(ctx, tx, i)
				}
				return err
			}
		default:
			result = "retry"
			event.Kind, event.Message = incident.KindRetry, "could not tell "+o.whom()+", trying again in "+retryAt.Sub(now).String()+": "+sendErr.Error()
			event.Detail.Error, event.Detail.Until = sendErr.Error(), retryAt
			_, err = tx.Exec(ctx, `UPDATE outbox SET due_at = ?, lease_until = 0, last_error = ? WHERE id = ?`,
				state.Millis(retryAt), incident.Clip(sendErr.Error(), 1000), o.id)
		}
		if err != nil {
			return err
		}
		i.Record(event)
		return incident.Save(ctx, tx, i)
	})
	if err != nil {
		return err
	}
	e.metrics.delivered(methodType, string(o.kind), result, now.Sub(o.due))
	if sendErr != nil {
		e.log.Warn("a message was not delivered", "incident", o.incident, "recipient", o.person+o.channel,
			"method", o.method, "attempt", o.attempts, "result", result, "error", sendErr)
		e.wake()
	}
	return nil
}

func finish(ctx context.Context, tx *state.Tx, o outboxRow, status, lastError string, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE outbox SET status = ?, last_error = ?, done_at = ?, lease_until = 0, attempts = ? WHERE id = ?`,
		status, incident.Clip(lastError, 1000), state.Millis(now), o.attempts, o.id)
	return err
}

// nobodyReached moves the incident on when all messages of its step have failed.
func (e *Engine) nobodyReached(ctx context.Context, tx *state.Tx, i *incident.Incident, o outboxRow) error {
	if o.kind != notify.KindPage || o.step == 0 {
		return nil
	}
	var others int
	err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM outbox WHERE incident_id = ? AND kind = ? AND generation = ? AND round = ?
		AND step = ? AND status IN (?, ?)`, i.ID, notify.KindPage, o.generation, o.round, o.step, rowPending, rowSent).Scan(&others)
	if err != nil || others > 0 {
		return err
	}
	return e.step(ctx, tx, i, Unreached{Generation: o.generation, Round: o.round, Step: o.step})
}

// outboxDue returns when the next message is due; zero for never.
func outboxDue(ctx context.Context, tx *state.Tx) (time.Time, error) {
	var ms sql.NullInt64
	err := tx.QueryRow(ctx, `SELECT MIN(CASE WHEN due_at > lease_until THEN due_at ELSE lease_until END)
		FROM outbox WHERE status = ?`, rowPending).Scan(&ms)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return state.Time(ms.Int64), err
}
