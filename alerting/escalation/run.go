package escalation

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"belfry/alerting/incident"
	"belfry/internal/fault"
	"belfry/internal/state"
)

// batch bounds what one look at the database takes up.
const batch = 100

// Run performs steps and sends messages until ctx is done; then it waits for the
// messages that are being sent.
func (e *Engine) Run(ctx context.Context) error {
	var sending sync.WaitGroup
	defer func() { e.setup.Load().notifier.Close() }()
	defer sending.Wait()
	slots := make(chan struct{}, e.opts.Workers)
	for {
		sleep := e.opts.Sweep
		// What cannot be decided must not keep back what was decided.
		err := errors.Join(e.decide(ctx), e.dispatch(ctx, slots, &sending))
		var next time.Time
		if err == nil {
			next, err = e.nextDue(ctx, len(slots) == cap(slots))
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			e.metrics.failures.Inc()
			e.log.Error("escalation cannot go on, trying again", "error", err)
			sleep = min(sleep, time.Second)
		case !next.IsZero():
			sleep = min(sleep, max(next.Sub(e.now()), 0))
		}
		if sleep == 0 {
			continue
		}
		select {
		case <-e.clock.After(sleep):
		case <-e.wakeup:
		case <-ctx.Done():
			return nil
		}
	}
}

// dispatch claims due messages as far as there are free slots and sends them in
// the background.
func (e *Engine) dispatch(ctx context.Context, slots chan struct{}, sending *sync.WaitGroup) error {
	free := cap(slots) - len(slots)
	if free == 0 {
		return nil
	}
	rows, err := e.claim(ctx, free)
	if err != nil {
		return err
	}
	for _, o := range rows {
		slots <- struct{}{} // this goroutine alone fills slots: never blocks
		sending.Go(func() {
			defer func() { <-slots; e.wake() }()
			if err := e.deliver(ctx, o); err != nil {
				e.metrics.failures.Inc()
				e.log.Error("a delivery could not be recorded, it will be repeated", "incident", o.incident, "error", err)
			}
		})
	}
	return nil
}

// Tick does everything that is due now, one thing after the other, and returns
// when the next thing is due (zero: nothing). It is Run for a clock that only
// moves when told: tests, and dry runs of a configuration.
func (e *Engine) Tick(ctx context.Context) (next time.Time, err error) {
	for {
		if err := e.decide(ctx); err != nil {
			return time.Time{}, err
		}
		rows, err := e.claim(ctx, batch)
		if err != nil {
			return time.Time{}, err
		}
		for _, o := range rows {
			if err := e.deliver(ctx, o); err != nil {
				return time.Time{}, err
			}
		}
		next, err := e.nextDue(ctx, false)
		if err != nil || next.IsZero() || next.After(e.now()) {
			return next, err
		}
	}
}

// decide performs all actions that are due.
func (e *Engine) decide(ctx context.Context) error {
	if err := e.settleGathered(ctx); err != nil {
		return err
	}
	if err := e.checkHeartbeats(ctx); err != nil {
		return fmt.Errorf("heartbeats: %w", err)
	}
	if err := e.checkRoster(ctx); err != nil {
		return err
	}
	for {
		var due []incident.Ref
		err := e.db.View(ctx, func(tx *state.Tx) (err error) {
			due, err = incident.Due(ctx, tx, e.now(), batch)
			return err
		})
		if err != nil {
			return fmt.Errorf("look for due incidents: %w", err)
		}
		var errs []error
		for _, ref := range due {
			if err := e.act(ctx, ref, Due{}); err != nil {
				errs = append(errs, fmt.Errorf("incident %s: %w", ref.ID, err))
			}
		}
		if err := errors.Join(errs...); err != nil || len(due) < batch {
			return err
		}
	}
}

// act lets an event happen to an incident, in a transaction of its own.
func (e *Engine) act(ctx context.Context, ref incident.Ref, ev Event) error {
	var before, after incident.Incident
	err := e.db.Update(ctx, func(tx *state.Tx) error {
		i, err := incident.Get(ctx, tx, ref.Tenant, ref.ID)
		if err != nil {
			return err
		}
		before = *i
		if err := e.step(ctx, tx, i, ev); err != nil {
			return err
		}
		after = *i
		return incident.Save(ctx, tx, i)
	})
	if err != nil {
		return err
	}
	e.metrics.changed(&before, &after, e.now())
	e.wake()
	return nil
}

// nextDue returns when something is due; messages are left out while nobody is
// free to send them.
func (e *Engine) nextDue(ctx context.Context, busy bool) (next time.Time, err error) {
	err = e.db.View(ctx, func(tx *state.Tx) error {
		next = time.Time{}
		questions := []func(context.Context, *state.Tx) (time.Time, error){incident.NextDue, heartbeatDue, outboxDue}
		if busy {
			questions = questions[:2]
		}
		for _, ask := range questions {
			t, err := ask(ctx, tx)
			if err != nil {
				return err
			}
			if !t.IsZero() && (next.IsZero() || t.Before(next)) {
				next = t
			}
		}
		return nil
	})
	if due := e.rosterDue(); err == nil && !due.IsZero() && (next.IsZero() || due.Before(next)) {
		next = due
	}
	if err != nil && fault.KindOf(err) == fault.Internal {
		err = fmt.Errorf("look for what is next: %w", err)
	}
	return next, err
}
