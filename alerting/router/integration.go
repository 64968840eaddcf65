package router

import (
	"context"
	"errors"
	"net/url"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/common/model"
)

// integrationName is the Escalator's in the notification log and in metrics.
const integrationName = "belfry"

// escalation is the Escalator as an Alertmanager integration.
type escalation struct {
	escalator   Escalator
	externalURL *url.URL
}

var (
	_ notify.Notifier       = escalation{}
	_ notify.ResolvedSender = escalation{}
)

// SendResolved is always true: an escalation ends by it.
func (escalation) SendResolved() bool { return true }

// Notify is called by Alertmanager's retry stage.
func (e escalation) Notify(ctx context.Context, alerts ...*alert.Alert) (bool, error) {
	n, err := groupNotification(ctx, alerts)
	if err != nil {
		return false, err
	}
	u := *e.externalURL
	n.ExternalURL = &u
	return e.escalator.Notify(ctx, n)
}

// groupNotification collects what the pipeline put into the context.
func groupNotification(ctx context.Context, alerts []*alert.Alert) (GroupNotification, error) {
	var n GroupNotification
	var ok [3]bool
	n.Receiver, ok[0] = notify.ReceiverName(ctx)
	n.GroupKey, ok[1] = notify.GroupKey(ctx)
	n.Time, ok[2] = notify.Now(ctx)
	if !ok[0] || !ok[1] || !ok[2] || len(alerts) == 0 {
		return n, errors.New("router: notification without receiver, group, time or alerts")
	}
	n.RouteID, _ = notify.RouteID(ctx)
	n.GroupLabels, _ = notify.GroupLabels(ctx)
	n.RepeatInterval, _ = notify.RepeatInterval(ctx)
	if reason, ok := notify.NotificationReason(ctx); ok {
		n.Reason = reason.String()
	}
	n.Alerts = alerts
	firing := n.Firing()
	n.Alerts = append(firing, n.Resolved()...)
	n.Status = StatusResolved
	if len(firing) > 0 {
		n.Status = StatusFiring
	}
	n.CommonLabels = common(n.Alerts, func(a *alert.Alert) model.LabelSet { return a.Labels })
	n.CommonAnnotations = common(n.Alerts, func(a *alert.Alert) model.LabelSet { return a.Annotations })
	return n, nil
}

// common returns the pairs that all alerts have.
func common(alerts []*alert.Alert, of func(*alert.Alert) model.LabelSet) model.LabelSet {
	out := of(alerts[0]).Clone()
	for _, a := range alerts[1:] {
		ls := of(a)
		for name, value := range out {
			if got, ok := ls[name]; !ok || got != value {
				delete(out, name)
			}
		}
	}
	if out == nil {
		out = model.LabelSet{}
	}
	return out
}
