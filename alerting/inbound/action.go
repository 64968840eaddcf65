package inbound

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"belfry/alerting/escalation"
	"belfry/alerting/incident"
	"belfry/alerting/notify"
	"belfry/alerting/oncall"
	"belfry/internal/fault"
)

// press is a button that somebody pressed, or its words in a mail.
type press struct {
	action   string // notify.ActionAcknowledge, …
	incident string // ID
	who      string // person ID or a name
	via      string
	snooze   time.Duration
}

// perform does what was pressed and returns what to answer. What is so already is
// not an error.
func perform(ctx context.Context, e *escalation.Engine, p press) (answer string, err error) {
	i, err := e.FindIncident(ctx, p.incident)
	if err != nil {
		return "", err
	}
	var ev escalation.Event
	done := ""
	switch p.action {
	case notify.ActionAcknowledge:
		ev, done = escalation.Acknowledge{By: p.who, Via: p.via}, "Acknowledged"
		if i.Status == incident.Acknowledged && i.SnoozedUntil.IsZero() {
			return fmt.Sprintf("#%d is acknowledged by %s already", i.Number, i.AcknowledgedBy), nil
		}
	case notify.ActionUnacknowledge:
		ev, done = escalation.Unacknowledge{By: p.who, Via: p.via}, "Given back"
	case notify.ActionResolve:
		ev, done = escalation.Resolve{By: p.who, Via: p.via}, "Resolved"
	case notify.ActionSnooze:
		if p.snooze <= 0 {
			p.snooze = notify.SnoozeButton
		}
		ev, done = escalation.Snooze{By: p.who, Via: p.via, Until: e.Now().Add(p.snooze)}, "Snoozed for "+p.snooze.String()
	default:
		return "", fault.Invalidf("there is no action %q", p.action)
	}
	if !i.Open() {
		return fmt.Sprintf("#%d is resolved already", i.Number), nil
	}
	if _, err := e.Do(ctx, i.Tenant, i.ID, ev); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s: #%d %s", done, i.Number, i.Title), nil
}

// whoHas returns the person with a contact method that fits, else the name that a
// service gives.
func whoHas(e *escalation.Engine, fits func(oncall.Method) bool, name, service string) string {
	for _, p := range e.Directory().People() {
		if slices.ContainsFunc(p.Methods, fits) {
			return p.ID
		}
	}
	name = incident.Clip(strings.TrimSpace(name), maxName)
	if name == "" {
		name = "somebody"
	}
	return name + " (" + service + ")"
}

// maxName bounds what services call people.
const maxName = 100

// faultText is what people are told about an error.
func faultText(err error) string {
	if k := fault.KindOf(err); k == fault.Internal || k == fault.Unavailable {
		return "Something went wrong, please try again"
	}
	return err.Error()
}
