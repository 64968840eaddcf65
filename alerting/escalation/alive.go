package escalation

import (
	"context"
	"time"

	"belfry/alerting/incident"
	"belfry/internal/state"
)

// RunHeartbeat calls the URL of the outgoing heartbeat (notify.heartbeat) as long as
// Belfry can page people, until ctx is done: the database answers, and nothing that
// is due has waited for longer than staleAfter. Whoever is called tells people when
// the calls stop.
func (e *Engine) RunHeartbeat(ctx context.Context) error {
	const idle = 15 * time.Second // between looks at the configuration
	for {
		n := e.setup.Load().notifier
		interval := n.BeatInterval()
		if interval > 0 {
			e.beatOut(ctx)
		} else {
			interval = idle
		}
		select {
		case <-e.clock.After(interval):
		case <-ctx.Done():
			return nil
		}
	}
}

// staleAfter is how long a step or a message may be overdue before Belfry is taken
// not to page people any more.
const staleAfter = 2 * time.Minute

func (e *Engine) beatOut(ctx context.Context) {
	result := "sent"
	switch stuck, err := e.stuck(ctx); {
	case err != nil:
		result = "withheld"
		e.log.Error("the heartbeat is withheld: the database does not answer", "error", err)
	case stuck:
		result = "withheld"
		e.log.Error("the heartbeat is withheld: what is due is not done")
	default:
		if err := e.setup.Load().notifier.Beat(ctx); err != nil && ctx.Err() == nil {
			result = "failed"
			e.log.Warn("the heartbeat could not be sent", "error", err)
		}
	}
	e.metrics.beats.WithLabelValues(result).Inc()
}

// stuck reports whether something has been due for too long.
func (e *Engine) stuck(ctx context.Context) (stuck bool, err error) {
	err = e.db.View(ctx, func(tx *state.Tx) error {
		stuck = false
		for _, ask := range []func(context.Context, *state.Tx) (time.Time, error){incident.NextDue, outboxDue} {
			due, err := ask(ctx, tx)
			if err != nil {
				return err
			}
			stuck = stuck || !due.IsZero() && e.now().Sub(due) > staleAfter
		}
		return nil
	})
	return stuck, err
}
