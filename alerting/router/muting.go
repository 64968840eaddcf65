package router

import (
	"context"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/marker"
	"github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/common/model"
)

// MuteObserver is what an Escalator implements besides if it wants to know who
// was not told, and why. Muted is called at every flush of a group that has
// firing alerts which are silenced, inhibited, in a mute time or flapping, so for the same
// alerts again and again while that lasts, in the group's own order with Notify.
// It should return soon.
type MuteObserver interface {
	Muted(ctx context.Context, m GroupMuting)
}

// GroupMuting is what of a group's firing alerts was kept from its receiver.
type GroupMuting struct {
	Receiver    string
	GroupKey    string
	GroupLabels model.LabelSet
	Time        time.Time
	// Intervals are the time intervals that keep the whole group, if any.
	Intervals []string
	Alerts    []MutedAlert // at least one
}

// MutedAlert is a firing alert that was kept back.
type MutedAlert struct {
	Alert       *alert.Alert
	SilencedBy  []string // IDs of silences
	InhibitedBy []string // fingerprints of alerts
	// Flapping is why the end of the alert is not told, empty if it is.
	Flapping string
}

// observe tells the Escalator what the pipeline kept back of alerts. The stages
// leave their reasons in the group's markers.
func (r *Router) observe(ctx context.Context, alerts []*alert.Alert) {
	o, ok := r.opts.Escalator.(MuteObserver)
	if !ok {
		return
	}
	var m GroupMuting
	m.Receiver, _ = notify.ReceiverName(ctx)
	m.GroupKey, _ = notify.GroupKey(ctx)
	m.GroupLabels, _ = notify.GroupLabels(ctx)
	m.Time, _ = notify.Now(ctx)
	routeID, _ := notify.RouteID(ctx)
	m.Intervals, _ = r.groupMarker.Muted(routeID, m.GroupKey)
	marks, ok := marker.FromContext(ctx)
	if !ok {
		return
	}
	for _, a := range alerts {
		if a.ResolvedAt(m.Time) {
			continue
		}
		s := marks.Status(a.Fingerprint())
		flapping := string(a.Annotations[FlappingAnnotation])
		if len(s.SilencedBy) > 0 || len(s.InhibitedBy) > 0 || len(m.Intervals) > 0 || flapping != "" {
			m.Alerts = append(m.Alerts, MutedAlert{Alert: a, SilencedBy: s.SilencedBy, InhibitedBy: s.InhibitedBy, Flapping: flapping})
		}
	}
	if len(m.Alerts) > 0 {
		o.Muted(ctx, m)
	}
}
