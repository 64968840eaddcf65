package notify

import (
	"time"

	"belfry/alerting/incident"
)

// Kind says why somebody is told.
type Kind string

// The kinds.
const (
	KindPage     Kind = "page"     // please take care
	KindResolved Kind = "resolved" // it is over
)

// Message is what somebody is told about an incident.
type Message struct {
	Key  string // idempotency key
	Kind Kind
	Time time.Time // of the attempt

	Recipient string // person ID, or the channel's name
	Person    bool   // Recipient is a person
	Step      int    // from 1; 0 for an assignment
	Round     int    // from 1

	Incident    incident.Incident
	Alerts      []incident.Alert
	MoreAlerts  int // not in Alerts
	ExternalURL string

	// Links. Acknowledge is empty where there is nothing to acknowledge.
	IncidentURL    string
	AcknowledgeURL string
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

// RunbookURL returns the runbook of the alerts, "" if they do not agree on one.
func (m *Message) RunbookURL() string {
	for _, k := range []string{"runbook_url", "runbook"} {
		if v := m.Incident.Annotations[k]; v != "" {
			return v
		}
	}
	return ""
}

// Value returns the value of the first firing alert that says one.
func (m *Message) Value() string {
	for _, a := range m.Firing() {
		if v := a.Annotations["value"]; v != "" {
			return v
		}
	}
	return ""
}
