package escalation

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"belfry/alerting/incident"
	"belfry/alerting/notify"
	"belfry/alerting/oncall"
	"belfry/internal/fault"
	"belfry/internal/state"
)

// claim takes up to limit messages that are due, for the length of a lease. In a
// storm it puts those beyond what is sent one by one into a summary.
func (e *Engine) claim(ctx context.Context, limit int) (claimed []outboxRow, err error) {
	now := e.now()
	var g *gathering
	err = e.db.Update(ctx, func(tx *state.Tx) error {
		claimed, g = nil, newGathering(e.setup.Load(), now)
		rows, err := tx.Query(ctx, `SELECT `+outboxColumns+` FROM outbox
			WHERE status = ? AND due_at <= ? AND lease_until <= ? ORDER BY due_at, id LIMIT ?`,
			rowPending, state.Millis(now), state.Millis(now), limit)
		due, err := state.Collect(rows, err, scanRow)
		if err != nil {
			return err
		}
		for _, o := range due {
			alone, err := g.take(ctx, tx, e, o)
			if err != nil {
				return err
			}
			if !alone {
				continue
			}
			n, err := tx.Exec(ctx, `UPDATE outbox SET lease_owner = ?, lease_until = ?, attempts = attempts + 1,
				taken_at = CASE WHEN taken_at = 0 THEN ? ELSE taken_at END
				WHERE id = ? AND status = ? AND lease_until <= ?`, e.opts.Name, state.Millis(now.Add(e.opts.Lease)), state.Millis(now), o.id, rowPending, state.Millis(now))
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
	for _, o := range g.gathered {
		e.metrics.gathered.WithLabelValues(o.person + o.channel).Inc()
	}
	return claimed, nil
}

// deliver sends a claimed message once and records what came of it.
func (e *Engine) deliver(ctx context.Context, o outboxRow) error {
	s := e.setup.Load()
	method, sendErr := s.method(o)
	if sendErr == nil {
		var m *notify.Message
		if m, sendErr = e.message(ctx, s, o, method); sendErr == nil {
			o.ref, sendErr = s.notifier.Send(ctx, method, m)
		}
	}
	if errors.Is(sendErr, errSummaryEmpty) {
		return e.dropSummary(ctx, o)
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

// record writes down what came of an attempt, and what follows from it.
func (e *Engine) record(ctx context.Context, o outboxRow, methodType string, sendErr error) error {
	now := e.now()
	result := "sent"
	var paged *incident.Incident
	err := e.db.Update(ctx, func(tx *state.Tx) (err error) {
		paged = nil
		var status, owner string
		if err := tx.QueryRow(ctx, `SELECT status, lease_owner FROM outbox WHERE id = ?`, o.id).Scan(&status, &owner); err != nil {
			return err
		}
		if sendErr == nil && status == rowSent || sendErr != nil && (status != rowPending || owner != e.opts.Name) {
			return nil // another process has recorded it, or it was withdrawn meanwhile
		}
		if o.incident == "" {
			result, err = e.settle(ctx, tx, o, nil, sendErr, now)
			return err
		}
		i, err := incident.Get(ctx, tx, o.tenant, o.incident)
		if err != nil {
			return err
		}
		if result, err = e.settle(ctx, tx, o, i, sendErr, now); err != nil {
			return err
		}
		if err := e.follow(ctx, tx, o, i, result, now); err != nil {
			return err
		}
		if o.kind == notify.KindPage && result == "sent" {
			paged = i
		}
		return incident.Save(ctx, tx, i)
	})
	if err != nil {
		return err
	}
	if paged != nil {
		e.metrics.paged(o.person+o.channel, paged)
	}
	e.metrics.delivered(methodType, string(o.kind), result, now.Sub(o.due))
	if o.kind == notify.KindSummary && result != "retry" {
		if notify.Kind(o.data) == notify.KindPage && result == "sent" {
			e.metrics.pages.WithLabelValues(o.person + o.channel).Inc()
		}
		err = e.settleGathered(ctx)
	}
	if sendErr != nil {
		e.log.Warn("a message was not delivered", "incident", o.incident, "recipient", o.person+o.channel,
			"method", o.method, "attempt", o.attempts, "result", result, "error", sendErr)
		e.wake()
	}
	return err
}

// settle writes an attempt into its row, and into the timeline of its incident
// where it has one. Updates of messages are only worth a word when they fail.
func (e *Engine) settle(ctx context.Context, tx *state.Tx, o outboxRow, i *incident.Incident, sendErr error, now time.Time) (result string, err error) {
	event := incident.Event{At: now, Detail: o.detail()}
	retryAt := now.Add(backoff(o.attempts, fault.RetryAfter(sendErr)))
	final := fault.Invalid == fault.KindOf(sendErr) || fault.NotFound == fault.KindOf(sendErr)
	switch {
	case sendErr == nil:
		result = "sent"
		event.Kind, event.Message = incident.KindDelivered, "told "+o.whom()
		err = finish(ctx, tx, o, rowSent, "", now)
	case final || retryAt.After(o.expires):
		result = "failed"
		event.Kind, event.Message = incident.KindFailed, "could not tell "+o.whom()+": "+sendErr.Error()
		if !final {
			event.Message += " (gave up after " + strconv.Itoa(o.attempts) + " attempts)"
		}
		err = finish(ctx, tx, o, rowFailed, sendErr.Error(), now)
	default:
		result = "retry"
		event.Kind, event.Message = incident.KindRetry, "could not tell "+o.whom()+", trying again in "+retryAt.Sub(now).String()+": "+sendErr.Error()
		event.Detail.Until = retryAt
		_, err = tx.Exec(ctx, `UPDATE outbox SET due_at = ?, lease_until = 0, last_error = ? WHERE id = ?`,
			state.Millis(retryAt), incident.Clip(sendErr.Error(), 1000), o.id)
	}
	if sendErr != nil {
		event.Detail.Error = sendErr.Error()
	}
	if i != nil && (o.kind != notify.KindUpdate || result == "failed") {
		i.Record(event)
	}
	return result, err
}

// follow does what follows from a page's delivery or final failure.
func (e *Engine) follow(ctx context.Context, tx *state.Tx, o outboxRow, i *incident.Incident, result string, now time.Time) error {
	if o.kind != notify.KindPage {
		return nil
	}
	switch {
	case result == "failed":
		return e.nobodyReached(ctx, tx, i, o)
	case result != "sent":
		return nil
	case o.ref != "" && i.Status != incident.Triggered:
		// It was on its way while the incident changed.
		if err := e.updateMessage(ctx, tx, o, now); err != nil {
			return err
		}
	}
	if !i.Open() && i.MergedInto == "" {
		return e.tellResolved(ctx, tx, e.setup.Load(), i, now)
	}
	return nil
}

func finish(ctx context.Context, tx *state.Tx, o outboxRow, status, lastError string, now time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE outbox SET status = ?, last_error = ?, done_at = ?, lease_until = 0, attempts = ?, ref = ? WHERE id = ?`,
		status, incident.Clip(lastError, 1000), state.Millis(now), o.attempts, o.ref, o.id)
	return err
}

// nobodyReached moves the incident on when all messages of its step have failed.
func (e *Engine) nobodyReached(ctx context.Context, tx *state.Tx, i *incident.Incident, o outboxRow) error {
	if o.kind != notify.KindPage || o.step == 0 {
		return nil
	}
	// Machines do not count: they are not somebody.
	machines := []any{}
	for _, m := range e.setup.Load().settings.Notify.Webhooks {
		machines = append(machines, m.Label())
		if m.Label() == o.channel {
			return nil
		}
	}
	marks := strings.TrimSuffix(strings.Repeat("?, ", len(machines)), ", ")
	if marks == "" {
		marks = "''"
	}
	var others int
	err := tx.QueryRow(ctx, `SELECT COUNT(*) FROM outbox WHERE incident_id = ? AND kind = ? AND generation = ? AND round = ?
		AND step = ? AND status IN (?, ?, ?) AND NOT (method = ? AND channel IN (`+marks+`))`,
		append([]any{i.ID, notify.KindPage, o.generation, o.round, o.step, rowPending, rowSent, rowGathered, oncall.MethodWebhook}, machines...)...).Scan(&others)
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
