package router

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/alertmanager/marker"
	"github.com/prometheus/alertmanager/silence"
	"github.com/prometheus/common/model"

	"belfry/internal/fault"
)

// Muted reports whether all alerts with these labels are silenced or inhibited
// now; with no labels they are not. The reason and the time are of the mute that
// ends first; the time is zero where only inhibitions mute, which end when another
// alert does. Silences are known from New on, inhibitions from Start.
func (r *Router) Muted(ctx context.Context, labels ...model.LabelSet) (reason string, until time.Time, muted bool, err error) {
	for _, ls := range labels {
		why, end, err := r.mutedOne(ctx, withoutEmpty(ls))
		if err != nil || why == "" {
			return "", time.Time{}, false, err
		}
		if reason == "" || (!end.IsZero() && (until.IsZero() || end.Before(until))) {
			reason, until = why, end
		}
	}
	return reason, until, reason != "", nil
}

// mutedOne returns why an alert is muted, empty if it is not. Of several silences
// the one that ends last counts.
func (r *Router) mutedOne(ctx context.Context, ls model.LabelSet) (why string, until time.Time, err error) {
	silences, _, err := r.silences.Query(ctx, silence.QState(silence.SilenceStateActive), silence.QMatches(ls))
	if err != nil {
		return "", time.Time{}, fmt.Errorf("silences: %w", err)
	}
	for _, s := range silences {
		if end := s.EndsAt.AsTime(); end.After(until) {
			until = end
			why = fmt.Sprintf("silenced by %s (%s) until %s", s.CreatedBy, s.Id, end.UTC().Format(time.RFC3339))
		}
	}
	if why != "" {
		return why, until, nil
	}
	run := r.running.Load()
	if run == nil {
		return "", time.Time{}, fault.Unavailablef(time.Second, "router: not started")
	}
	m := marker.NewAlertMarker()
	if !run.inhibitor.Mutes(marker.WithContext(ctx, m), ls) {
		return "", time.Time{}, nil
	}
	why = "inhibited by another alert"
	if by := m.Status(ls.Fingerprint()).InhibitedBy; len(by) > 0 {
		why = "inhibited by the alert " + by[0]
	}
	return why, time.Time{}, nil
}
