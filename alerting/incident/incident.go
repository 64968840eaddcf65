package incident

import (
	"strings"
	"time"
	"unicode/utf8"
)

// Status of an incident.
type Status string

// The statuses.
const (
	Triggered    Status = "triggered"
	Acknowledged Status = "acknowledged"
	Resolved     Status = "resolved"
)

// Statuses returns all statuses, in the order of an incident's life.
func Statuses() []Status { return []Status{Triggered, Acknowledged, Resolved} }

// Where incidents come from.
const (
	SourceAlertmanager = "alertmanager"
	SourceEvents       = "events"    // the PagerDuty Events API
	SourceHeartbeat    = "heartbeat" // a heartbeat that was not heard
	SourceCoverage     = "coverage"  // a time in which nobody will be on call
	SourceOpsgenie     = "opsgenie"  // the Opsgenie Alert API
	SourceWebhook      = "webhook"   // of Alertmanager, Grafana or any program that speaks JSON
	SourceEmail        = "email"
	SourceManual       = "manual" // a person
)

// Action is what is due at Progress.NextAt.
type Action string

// The actions.
const (
	ActionNone       Action = ""
	ActionStep       Action = "step"        // perform the next step
	ActionAckTimeout Action = "ack_timeout" // nobody resolved it after acknowledging
	ActionUnsnooze   Action = "unsnooze"
)

// Progress is where an incident's escalation stands: all that has to be known to
// go on after a crash.
type Progress struct {
	Status Status `json:"status"`
	Policy string `json:"policy"`
	// Generation counts how often the escalation has started over; it keeps the
	// pages of one start apart from those of another.
	Generation int `json:"generation"`
	// Step is the index of the step to perform next, Round the number of times
	// that all steps were gone through before.
	Step  int `json:"step"`
	Round int `json:"round"`
	// Next is due at NextAt; ActionNone and the zero time when nothing is.
	Next   Action    `json:"next_action,omitempty"`
	NextAt time.Time `json:"next_at,omitzero"`
	// Held is why Next was not done when it was due; NextAt is then when to look
	// again. Empty when nothing is held.
	Held string `json:"-"`

	AcknowledgedBy string    `json:"acknowledged_by,omitempty"`
	AcknowledgedAt time.Time `json:"acknowledged_at,omitzero"`
	SnoozedUntil   time.Time `json:"snoozed_until,omitzero"`
	Assignees      []string  `json:"assignees"` // person IDs
}

// Incident is one incident.
type Incident struct {
	ID     string `json:"id"` // ULID
	Tenant string `json:"-"`
	Number int64  `json:"number"` // for people, from 1 in each tenant

	Source    string `json:"source"`
	SourceKey string `json:"-"`
	Receiver  string `json:"receiver,omitempty"`
	GroupKey  string `json:"group_key,omitempty"`

	// Rule is what incidents like this one are counted by: the name of its alerts,
	// or its source where alerts have none.
	Rule        string            `json:"rule"`
	Title       string            `json:"title"`
	Summary     string            `json:"summary,omitempty"`
	Severity    string            `json:"severity"`
	GroupLabels map[string]string `json:"group_labels"`
	Labels      map[string]string `json:"labels"` // common to the alerts
	Annotations map[string]string `json:"annotations"`

	AlertsFiring int `json:"alerts_firing"`
	AlertsTotal  int `json:"alerts_total"`

	OpenedAt   time.Time `json:"opened_at"`
	UpdatedAt  time.Time `json:"updated_at"`
	ResolvedAt time.Time `json:"resolved_at,omitzero"`
	ResolvedBy string    `json:"resolved_by,omitempty"`
	// FirstAcknowledgedAt stays when the acknowledgement is withdrawn.
	FirstAcknowledgedAt time.Time `json:"first_acknowledged_at,omitzero"`
	MergedInto          string    `json:"merged_into,omitempty"` // an incident ID

	Progress

	eventSeq int64
	pending  []Event
	indexed  string // the text that the words of the search are of
}

// Alert is an alert of an incident.
type Alert struct {
	Fingerprint  string            `json:"fingerprint"`
	Status       string            `json:"status"` // firing, resolved
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"starts_at"`
	EndsAt       time.Time         `json:"ends_at,omitzero"`
	GeneratorURL string            `json:"generator_url,omitempty"`

	sourceKey string
}

// The statuses of an alert.
const (
	AlertFiring   = "firing"
	AlertResolved = "resolved"
)

// Kind of a timeline event.
type Kind string

// The kinds.
const (
	KindOpened         Kind = "opened"
	KindAlertFired     Kind = "alert_fired"
	KindAlertResolved  Kind = "alert_resolved"
	KindSeverity       Kind = "severity_changed"
	KindStep           Kind = "step"           // a step was performed
	KindStepSkipped    Kind = "step_skipped"   // and why
	KindNotified       Kind = "notified"       // decided to tell somebody by a method
	KindNotNotified    Kind = "not_notified"   // decided not to, and why
	KindDelivered      Kind = "delivered"      // the method took the message
	KindRetry          Kind = "delivery_retry" // it did not, and will be tried again
	KindFailed         Kind = "delivery_failed"
	KindCanceled       Kind = "notification_canceled"
	KindExhausted      Kind = "escalation_exhausted"
	KindAcknowledged   Kind = "acknowledged"
	KindUnacknowledged Kind = "unacknowledged"
	KindAckTimeout     Kind = "acknowledgement_timed_out"
	KindSnoozed        Kind = "snoozed"
	KindUnsnoozed      Kind = "unsnoozed"
	KindReassigned     Kind = "reassigned"
	KindResolved       Kind = "resolved"
	KindMerged         Kind = "merged"
	KindNote           Kind = "note"
)

// Event is an entry of the timeline.
type Event struct {
	Seq     int64     `json:"seq"` // from 1 in each incident
	At      time.Time `json:"at"`
	Kind    Kind      `json:"kind"`
	Actor   string    `json:"actor,omitempty"` // who did it; empty: Belfry
	Message string    `json:"message"`
	Detail  Detail    `json:"detail"`
}

// Detail is the machine-readable part of an event.
type Detail struct {
	Person      string            `json:"person,omitempty"`
	Channel     string            `json:"channel,omitempty"`
	Method      string            `json:"method,omitempty"`
	MethodType  string            `json:"method_type,omitempty"`
	Step        int               `json:"step,omitempty"`  // from 1
	Round       int               `json:"round,omitempty"` // from 1
	Attempt     int               `json:"attempt,omitempty"`
	Error       string            `json:"error,omitempty"`
	Via         string            `json:"via,omitempty"` // api, link, events, slack, telegram, email
	Until       time.Time         `json:"until,omitzero"`
	Fingerprint string            `json:"fingerprint,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Value       string            `json:"value,omitempty"`
}

// Record adds an event to the timeline; Save writes it.
func (i *Incident) Record(e Event) { i.pending = append(i.pending, e) }

// Open reports whether the incident still needs somebody.
func (i *Incident) Open() bool { return i.Status != Resolved }

// The bounds of what is kept of a text that came from outside.
const (
	maxTitle   = 256
	maxSummary = 1024
	maxMessage = 4096
)

// Clip cuts text to max bytes at a rune border and replaces invalid UTF-8.
func Clip(text string, limit int) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
	if len(text) <= limit {
		return text
	}
	cut := limit - len("…")
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}
