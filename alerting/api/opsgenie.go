package api

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"belfry/alerting/escalation"
	"belfry/alerting/incident"
	"belfry/internal/fault"
	"belfry/internal/state"
)

// The limits of the Opsgenie Alert API, from its public documentation, in
// characters.
const (
	genieMessage     = 130
	genieAlias       = 512
	genieDescription = 15000
	genieNote        = 25000
)

// genieAlert is the body of a request to create an alert.
type genieAlert struct {
	Message     string            `json:"message"`
	Alias       string            `json:"alias"`
	Description string            `json:"description"`
	Details     map[string]string `json:"details"`
	Tags        []string          `json:"tags"`
	Entity      string            `json:"entity"`
	Source      string            `json:"source"`
	Priority    string            `json:"priority"`
	User        string            `json:"user"`
	Note        string            `json:"note"`
	Responders  []struct {
		Name, Username, ID, Type string
	} `json:"responders"`
	Actions []string `json:"actions"`
}

// genie serves a route of the Opsgenie API: its errors have a shape of their own.
func (a *API) genie(handle func(*http.Request, source) (int, any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		requestID := ulid.Make().String()
		w.Header().Set("X-Request-Id", requestID)
		src, err := a.source(r)
		status, answer := 0, any(nil)
		if err == nil {
			status, answer, err = handle(r, src)
		}
		took := time.Since(start).Seconds()
		if err != nil {
			if fault.KindOf(err) == fault.Internal {
				a.log.Error("request failed", "method", r.Method, "path", r.Pattern, "error", err)
				err = fault.New(fault.Internal, "internal error")
			}
			status := fault.HTTPStatus(err)
			if status == http.StatusBadRequest {
				status = http.StatusUnprocessableEntity
			}
			writeJSON(w, status, map[string]any{"message": err.Error(), "took": took, "requestId": requestID})
			return
		}
		body := map[string]any{"took": took, "requestId": requestID}
		if status == http.StatusAccepted {
			body["result"] = "Request will be processed"
		} else {
			body["data"] = answer
		}
		writeJSON(w, status, body)
	}
}

func (g *genieAlert) faults() error {
	for _, c := range []struct {
		name, value string
		limit       int
	}{{"message", g.Message, 0}, {"alias", g.Alias, genieAlias}, {"description", g.Description, genieDescription}, {"note", g.Note, genieNote}} {
		if c.limit > 0 && len([]rune(c.value)) > c.limit {
			return fault.Invalidf("%s: is longer than %d characters", c.name, c.limit)
		}
	}
	if strings.TrimSpace(g.Message) == "" {
		return fault.Invalidf("message: is missing or blank")
	}
	switch g.Priority {
	case "", "P1", "P2", "P3", "P4", "P5":
	default:
		return fault.Invalidf("priority: %q is not one of P1 to P5", g.Priority)
	}
	return nil
}

// genieSeverities are the priorities as severities, and back.
var genieSeverities = [...]string{"critical", "error", "warning", "notice", "info"}

func (a *API) genieCreate(r *http.Request, src source) (int, any, error) {
	var g genieAlert
	if err := decodeBody(r, &g, maxPost, false); err != nil {
		return 0, nil, err
	}
	if err := g.faults(); err != nil {
		return 0, nil, err
	}
	if g.Alias == "" {
		g.Alias = ulid.Make().String()
	}
	i, err := a.engine.Signal(r.Context(), g.signal(src, a.engine.Now()))
	if err != nil {
		return 0, nil, err
	}
	if g.Note != "" && i != nil {
		err = a.engine.Note(r.Context(), src.tenant, i.ID, genieUser(g.User), incident.Clip(g.Note, maxNote))
	}
	return http.StatusAccepted, nil, err
}

// maxNote is what a note of the timeline may have.
const maxNote = 4000

func genieUser(name string) string {
	if name = incident.Clip(strings.TrimSpace(name), maxName); name == "" {
		return "Opsgenie API"
	}
	return name
}

func genieKey(src source, alias string) string {
	return escalation.SourceKey("opsgenie", src.key, alias)
}

func (g *genieAlert) signal(src source, now time.Time) escalation.Signal {
	severity := "warning"
	if g.Priority != "" {
		severity = genieSeverities[g.Priority[1]-'1']
	}
	labels := map[string]string{"severity": severity, "alias": clip(g.Alias)}
	put := func(m map[string]string, name, value string) {
		if value != "" {
			m[clip(name)] = clip(value)
		}
	}
	put(labels, "entity", g.Entity)
	put(labels, "source", g.Source)
	put(labels, "tags", strings.Join(g.Tags, ","))
	annotations := map[string]string{}
	for k, v := range g.Details {
		put(annotations, k, v)
	}
	put(annotations, "summary", incident.Clip(g.Description, maxKept))
	var responders []string
	for _, one := range g.Responders {
		for _, name := range []string{one.Name, one.Username, one.ID} {
			if name != "" {
				responders = append(responders, name)
				break
			}
		}
	}
	put(annotations, "responders", strings.Join(responders, ", "))
	key := genieKey(src, g.Alias)
	title := string([]rune(g.Message)[:min(len([]rune(g.Message)), genieMessage)])
	return escalation.Signal{
		Tenant: src.tenant, Source: incident.SourceOpsgenie, Key: key, Policy: src.policy, Firing: true, Time: now,
		GroupKey: clip(g.Alias), Title: strings.Join(strings.Fields(title), " "), Summary: clip(g.Description), Severity: severity,
		Rule: title, GroupLabels: map[string]string{"alias": clip(g.Alias)}, Labels: labels, Annotations: annotations,
		Alerts: []incident.Alert{{Fingerprint: key[:16], Status: incident.AlertFiring, Labels: labels, Annotations: annotations, StartsAt: now}},
	}
}

// genieFind returns the incident that an identifier names: an alias, an incident's
// ID, or with identifierType=tiny its number.
func (a *API) genieFind(r *http.Request, src source) (*incident.Incident, error) {
	id, kind := r.PathValue("identifier"), r.URL.Query().Get("identifierType")
	ctx := r.Context()
	var found *incident.Incident
	err := a.engine.DB().View(ctx, func(tx *state.Tx) (err error) {
		switch kind {
		case "alias":
			key := genieKey(src, id)
			if found, err = incident.OpenFor(ctx, tx, src.tenant, key); err != nil || found != nil {
				return err
			}
			found, err = incident.LastFor(ctx, tx, src.tenant, key)
		case "", "id":
			found, err = incident.Get(ctx, tx, src.tenant, id)
		case "tiny":
			n, perr := strconv.ParseInt(id, 10, 64)
			if perr != nil {
				return fault.Invalidf("identifier: %q is not a number", id)
			}
			found, err = incident.ByNumber(ctx, tx, src.tenant, n)
		default:
			return fault.Invalidf("identifierType: %q is not one of id, tiny, alias", kind)
		}
		return err
	})
	if err == nil && (found == nil || found.Source != incident.SourceOpsgenie || found.Policy != src.policy && kind != "alias") {
		err = fault.NotFoundf("there is no alert %q", id)
	}
	return found, err
}

// genieAction is the body of what is done to an alert.
type genieAction struct {
	User    string    `json:"user"`
	Source  string    `json:"source"`
	Note    string    `json:"note"`
	EndTime time.Time `json:"endTime"`
}

// genieDo lets something happen to an alert. What cannot happen any more is
// accepted all the same, as Opsgenie does.
func (a *API) genieDo(do func(context.Context, source, *incident.Incident, genieAction, string) error) func(*http.Request, source) (int, any, error) {
	return func(r *http.Request, src source) (int, any, error) {
		var body genieAction
		if r.ContentLength != 0 && r.Method != http.MethodDelete {
			if err := decodeBody(r, &body, maxPost, false); err != nil {
				return 0, nil, err
			}
		}
		i, err := a.genieFind(r, src)
		if err != nil {
			return 0, nil, err
		}
		by := genieUser(body.User)
		if body.Note != "" {
			if err := a.engine.Note(r.Context(), src.tenant, i.ID, by, incident.Clip(body.Note, maxNote)); err != nil {
				return 0, nil, err
			}
		}
		if err := do(r.Context(), src, i, body, by); err != nil && fault.KindOf(err) != fault.Conflict {
			return 0, nil, err
		}
		return http.StatusAccepted, nil, nil
	}
}

func (a *API) genieClose(ctx context.Context, src source, i *incident.Incident, _ genieAction, by string) error {
	_, err := a.engine.Signal(ctx, escalation.Signal{Tenant: src.tenant, Key: i.SourceKey, Actor: by, Time: a.engine.Now()})
	return err
}

func (a *API) genieEvent(ev func(genieAction, string) escalation.Event) func(context.Context, source, *incident.Incident, genieAction, string) error {
	return func(ctx context.Context, src source, i *incident.Incident, body genieAction, by string) error {
		_, err := a.engine.Do(ctx, src.tenant, i.ID, ev(body, by))
		return err
	}
}

func genieAcknowledge(_ genieAction, by string) escalation.Event {
	return escalation.Acknowledge{By: by, Via: "opsgenie"}
}

func genieUnacknowledge(_ genieAction, by string) escalation.Event {
	return escalation.Unacknowledge{By: by, Via: "opsgenie"}
}

func genieSnooze(body genieAction, by string) escalation.Event {
	return escalation.Snooze{By: by, Via: "opsgenie", Until: body.EndTime.UTC().Truncate(time.Millisecond)}
}

// genieNothing is for notes, which are written before.
func genieNothing(context.Context, source, *incident.Incident, genieAction, string) error { return nil }

func (a *API) genieGet(r *http.Request, src source) (int, any, error) {
	i, err := a.genieFind(r, src)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusOK, genieView(i), nil
}

// genieView is an incident as Opsgenie shows an alert.
func genieView(i *incident.Incident) map[string]any {
	priority := "P3"
	for n, s := range genieSeverities {
		if s == i.Severity {
			priority = "P" + strconv.Itoa(n+1)
		}
	}
	status := "open"
	if !i.Open() {
		status = "closed"
	}
	tags := []string{}
	if t := i.Labels["tags"]; t != "" {
		tags = strings.Split(t, ",")
	}
	owner := ""
	if len(i.Assignees) > 0 {
		owner = i.Assignees[0]
	}
	return map[string]any{
		"id": i.ID, "tinyId": strconv.FormatInt(i.Number, 10), "alias": i.GroupKey, "message": i.Title, "description": i.Summary,
		"status": status, "acknowledged": i.Status == incident.Acknowledged, "isSeen": i.Status != incident.Triggered,
		"snoozed": !i.SnoozedUntil.IsZero(), "priority": priority, "tags": tags, "entity": i.Labels["entity"], "source": i.Labels["source"],
		"owner": owner, "count": 1, "createdAt": i.OpenedAt, "updatedAt": i.UpdatedAt, "details": i.Annotations,
	}
}
