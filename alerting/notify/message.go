package notify

import (
	"time"

	"belfry/alerting/evidence"
	"belfry/alerting/incident"
)

// Kind says why somebody is told.
type Kind string

// The kinds.
const (
	KindPage     Kind = "page"     // please take care
	KindResolved Kind = "resolved" // it is over
	KindUpdate   Kind = "update"   // a page that was sent is brought up to date
	KindNotice   Kind = "notice"   // about no incident: Notice says it
	KindSummary  Kind = "summary"  // about many incidents: Notice says it
)

// Message is what somebody is told, about an incident or by a Notice.
type Message struct {
	Key    string // idempotency key
	Kind   Kind
	Tenant string
	Time   time.Time // of the attempt

	Recipient string // person ID, or the channel's name
	Person    bool   // Recipient is a person
	Step      int    // from 1; 0 for an assignment
	Round     int    // from 1

	// Ref is what the service calls the page that an update changes, or that a
	// resolution answers; empty where it gave no name.
	Ref string

	Incident    incident.Incident
	Alerts      []incident.Alert
	MoreAlerts  int // not in Alerts
	Evidence    *evidence.Evidence
	ExternalURL string

	// Links; those that lead nowhere are empty. Acknowledge is empty where there is
	// nothing to acknowledge.
	IncidentURL    string
	AcknowledgeURL string
	ChartURL       string
	ExploreURL     string
	TraceURL       string
	LogsURL        string
	SilenceURL     string
	// Reply is the email address at which answers to this recipient arrive.
	Reply string

	Notice Notice
}

// General reports whether the message is not about one incident.
func (m *Message) General() bool { return m.Kind == KindNotice || m.Kind == KindSummary }

// Notice is a message that is about no incident.
type Notice struct {
	Title string `json:"title"`
	Text  string `json:"text"`
}

// Firing returns the alerts that fire.
func (m *Message) Firing() []incident.Alert { return m.withStatus(incident.AlertFiring) }

func (m *Message) withStatus(status string) (out []incident.Alert) {
	for _, a := range m.Alerts {
		if a.Status == status {
			out = append(out, a)
		}
	}
	return out
}

// annotation returns the first of some annotations that the alerts agree on.
func (m *Message) annotation(names ...string) string {
	for _, k := range names {
		if v := m.Incident.Annotations[k]; v != "" {
			return v
		}
	}
	return ""
}

// RunbookURL returns the runbook of the alerts, "" if they do not agree on one.
func (m *Message) RunbookURL() string { return webLink(m.annotation("runbook_url", "runbook")) }

// DashboardURL returns the dashboard of the alerts, "" if they do not agree on one.
func (m *Message) DashboardURL() string {
	return webLink(m.annotation("dashboard_url", "dashboard", "dashboardURL"))
}

// Value returns the value of the first firing alert that says one, else the newest
// that the stores know.
func (m *Message) Value() string {
	for _, a := range m.Firing() {
		if v := a.Annotations["value"]; v != "" {
			return v
		}
	}
	if v, ok := m.Evidence.Last(); ok {
		return evidence.Number(v)
	}
	return ""
}

// Threshold returns the comparison that fired, such as "> 5", "" if it is not known.
func (m *Message) Threshold() string {
	if m.Evidence == nil {
		return ""
	}
	return m.Evidence.Threshold
}

// LogLines returns the newest lines behind the alert.
func (m *Message) LogLines() []evidence.Line {
	if m.Evidence == nil {
		return nil
	}
	return m.Evidence.Lines
}

// State says in a word how the incident stands: triggered, acknowledged, snoozed,
// merged or resolved.
func (m *Message) State() string {
	switch i := m.Incident; {
	case i.MergedInto != "":
		return "merged"
	case i.Status == incident.Acknowledged && !i.SnoozedUntil.IsZero():
		return "snoozed"
	default:
		return string(i.Status)
	}
}

// StateText says for people how the incident stands and who made it so.
func (m *Message) StateText() string {
	i := m.Incident
	by := func(text, who string) string {
		if who != "" {
			text += " by " + who
		}
		return text
	}
	switch m.State() {
	case "merged":
		return by("Merged into another incident", i.ResolvedBy)
	case "snoozed":
		return by("Snoozed", i.AcknowledgedBy) + " until " + i.SnoozedUntil.Format("2006-01-02 15:04 MST")
	case string(incident.Acknowledged):
		return by("Acknowledged", i.AcknowledgedBy)
	case string(incident.Resolved):
		return by("Resolved", i.ResolvedBy) + " after " + durationText(i.OpenedAt, i.ResolvedAt)
	}
	return "Nobody has taken it yet"
}

// Over reports whether there is nothing left to do.
func (m *Message) Over() bool {
	return m.Kind == KindResolved || m.Incident.Status == incident.Resolved
}

// AcknowledgeLabel names what AcknowledgeURL does.
func (m *Message) AcknowledgeLabel() string {
	if m.General() {
		return "Acknowledge all"
	}
	return "Acknowledge"
}

// Link is a place to look at, for people.
type Link struct{ Label, URL string }

// Links returns the links that lead somewhere, the most useful first.
func (m *Message) Links() (out []Link) {
	open := "Open incident"
	if m.General() {
		open = "Incidents"
	}
	for _, l := range []Link{
		{open, m.IncidentURL}, {"Runbook", m.RunbookURL()}, {"Dashboard", m.DashboardURL()},
		{"Explore", m.ExploreURL}, {"Logs", m.LogsURL}, {"Trace", m.TraceURL}, {"Silence", m.SilenceURL},
	} {
		if l.URL != "" && (l.Label != "Silence" || !m.Over()) {
			out = append(out, l)
		}
	}
	return out
}
