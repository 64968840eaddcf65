package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/oklog/ulid/v2"

	"belfry/alerting/escalation"
	"belfry/alerting/incident"
	"belfry/internal/fault"
	"belfry/internal/tenant"
)

// The limits of the PagerDuty Events API v2, from its public documentation.
const (
	maxEvent    = 512 << 10
	maxDedupKey = 255
	maxSummary  = 1024
	maxDetails  = 4096 // kept of custom_details and links; ours
)

// pdEvent is an event of the PagerDuty Events API v2.
type pdEvent struct {
	RoutingKey  string `json:"routing_key"`
	EventAction string `json:"event_action"`
	DedupKey    string `json:"dedup_key"`
	Payload     *struct {
		Summary       string          `json:"summary"`
		Source        string          `json:"source"`
		Severity      string          `json:"severity"`
		Timestamp     string          `json:"timestamp"`
		Component     string          `json:"component"`
		Group         string          `json:"group"`
		Class         string          `json:"class"`
		CustomDetails json.RawMessage `json:"custom_details"`
	} `json:"payload"`
	Links     json.RawMessage `json:"links"`
	Images    json.RawMessage `json:"images"`
	Client    string          `json:"client"`
	ClientURL string          `json:"client_url"`
}

type pdAnswer struct {
	Status   string   `json:"status"`
	Message  string   `json:"message"`
	DedupKey string   `json:"dedup_key,omitempty"`
	Errors   []string `json:"errors,omitempty"`
}

// enqueue takes events from any tool that can page PagerDuty. 202 is said when
// the event is stored. Senders repeat on 429 and 5xx.
func (a *API) enqueue(w http.ResponseWriter, r *http.Request) {
	var e pdEvent
	err := decodeBody(r, &e, maxEvent, false)
	if err == nil {
		var faults []string
		if faults = e.faults(); len(faults) == 0 && a.engine.PolicyFor(e.RoutingKey) == nil {
			faults = []string{"'routing_key' is not known"}
		}
		if len(faults) > 0 {
			writeJSON(w, http.StatusBadRequest, pdAnswer{Status: "invalid event", Message: "Event object is invalid", Errors: faults})
			return
		}
		err = a.take(r.Context(), &e)
	}
	if err != nil {
		if k := fault.KindOf(err); k == fault.Invalid || k == fault.TooLarge {
			writeJSON(w, fault.HTTPStatus(err), pdAnswer{Status: "invalid event", Message: err.Error(), Errors: []string{err.Error()}})
			return
		}
		a.fail(w, r, err)
		return
	}
	writeJSON(w, http.StatusAccepted, pdAnswer{Status: "success", Message: "Event processed", DedupKey: e.DedupKey})
}

func (e *pdEvent) faults() (out []string) {
	if e.RoutingKey == "" {
		out = append(out, "'routing_key' is missing")
	}
	if utf8.RuneCountInString(e.DedupKey) > maxDedupKey {
		out = append(out, "'dedup_key' is longer than 255 characters")
	}
	switch e.EventAction {
	case "trigger":
		if e.Payload == nil {
			return append(out, "'payload' is missing")
		}
		if strings.TrimSpace(e.Payload.Summary) == "" {
			out = append(out, "'payload.summary' is missing or blank")
		}
		if strings.TrimSpace(e.Payload.Source) == "" {
			out = append(out, "'payload.source' is missing or blank")
		}
		switch e.Payload.Severity {
		case "critical", "error", "warning", "info":
		default:
			out = append(out, "'payload.severity' is not one of critical, error, warning, info")
		}
	case "acknowledge", "resolve":
		if e.DedupKey == "" {
			out = append(out, "'dedup_key' is missing")
		}
	default:
		out = append(out, "'event_action' is not one of trigger, acknowledge, resolve")
	}
	return out
}

// take makes a signal of a valid event. A missing dedup key is made up.
func (a *API) take(ctx context.Context, e *pdEvent) error {
	if e.DedupKey == "" {
		e.DedupKey = ulid.Make().String()
	}
	now := a.engine.Now()
	key := escalation.SourceKey("events", e.RoutingKey, e.DedupKey)
	id := tenant.ID(ctx)
	by := incident.Clip(e.Client, maxName)
	if by == "" {
		by = "events API"
	}
	switch e.EventAction {
	case "acknowledge":
		i, err := a.engine.OpenIncident(ctx, id, key)
		if err != nil || i == nil {
			return err // an unknown key is dropped
		}
		if _, err = a.engine.Do(ctx, id, i.ID, escalation.Acknowledge{By: by, Via: "events"}); fault.KindOf(err) == fault.Conflict {
			return nil // resolved in between
		}
		return err
	case "resolve":
		_, err := a.engine.Signal(ctx, escalation.Signal{Tenant: id, Key: key, Actor: by, Time: now})
		return err
	}
	_, err := a.engine.Signal(ctx, e.signal(id, key, a.engine.PolicyFor(e.RoutingKey).Name, now))
	return err
}

func (e *pdEvent) signal(tenantID, key, policy string, now time.Time) escalation.Signal {
	p := e.Payload
	labels, annotations := map[string]string{}, map[string]string{}
	put := func(m map[string]string, name, value string, limit int) {
		if value != "" && value != "null" {
			m[name] = incident.Clip(value, limit)
		}
	}
	for name, value := range map[string]string{"source": p.Source, "severity": p.Severity, "component": p.Component, "group": p.Group, "class": p.Class} {
		put(labels, name, value, maxSummary)
	}
	put(annotations, "summary", p.Summary, maxSummary)
	put(annotations, "client", e.Client, maxSummary)
	put(annotations, "custom_details", string(p.CustomDetails), maxDetails)
	put(annotations, "links", string(e.Links), maxDetails)
	put(annotations, "images", string(e.Images), maxDetails)
	starts := now
	if t, err := time.Parse(time.RFC3339, p.Timestamp); err == nil && t.Before(now) && now.Sub(t) < 365*24*time.Hour {
		starts = t
	}
	return escalation.Signal{
		Tenant: tenantID, Source: incident.SourceEvents, Key: key, Policy: policy, Firing: true, Time: now,
		Rule:     strings.Join(strings.Fields(p.Summary), " "),
		GroupKey: incident.Clip(e.DedupKey, maxSummary), Title: strings.Join(strings.Fields(p.Summary), " "), Severity: p.Severity,
		GroupLabels: map[string]string{"dedup_key": incident.Clip(e.DedupKey, maxSummary)}, Labels: labels, Annotations: annotations,
		Alerts: []incident.Alert{{Fingerprint: key[:16], Status: incident.AlertFiring, Labels: labels, Annotations: annotations,
			StartsAt: starts, GeneratorURL: incident.Clip(e.ClientURL, maxSummary)}},
	}
}
