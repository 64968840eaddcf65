package router

import (
	"context"
	"time"

	"github.com/prometheus/alertmanager/silence"
	"github.com/prometheus/alertmanager/silence/silencepb"
	"github.com/prometheus/common/model"
)

const (
	chores = 15 * time.Second // between two looks after silences and windows
	// resolvedFor is how long nothing that a silence matches must have fired
	// before it ends: longer than an evaluation or two may take.
	resolvedFor = 2 * time.Minute
	// neverFired is the same for a silence of which nobody has seen an alert yet.
	neverFired = 10 * time.Minute
)

// untilResolved ends silences that last until what they silence is resolved.
type untilResolved struct {
	router *Router
	known  map[string]idle // by silence
}

// idle is since when a silence matches nothing.
type idle struct {
	since time.Time
	seen  bool // it has matched something before
}

func (u *untilResolved) look(ctx context.Context, now time.Time) error {
	list, _, err := u.router.silences.Query(ctx, silence.QState(silence.SilenceStateActive))
	if err != nil {
		return err
	}
	known := map[string]idle{}
	for _, s := range list {
		if s.Annotations[UntilAnnotation] != UntilResolved {
			continue
		}
		state, ok := u.known[s.Id]
		if !ok {
			state = idle{since: now}
		}
		if u.firing(s, now) {
			known[s.Id] = idle{since: now, seen: true}
			continue
		}
		wait := neverFired
		if state.seen {
			wait = resolvedFor
		}
		if now.Sub(state.since) < wait {
			known[s.Id] = state
			continue
		}
		u.router.logger.Info("silence ends: nothing that it matches fires any more", "silence", s.Id, "created_by", s.CreatedBy)
		if err := u.router.silences.Expire(ctx, s.Id); err != nil {
			return err
		}
	}
	u.known = known
	return nil
}

func (u *untilResolved) firing(s *silencepb.Silence, now time.Time) (firing bool) {
	sets := matcherSets(s)
	u.router.eachFiring(now, func(ls model.LabelSet) {
		for _, ms := range sets {
			firing = firing || ms.Matches(ls)
		}
	})
	return firing
}
