package api

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"belfry/alerting/escalation"
	"belfry/alerting/evidence"
	"belfry/alerting/incident"
	"belfry/internal/fault"
	"belfry/internal/state"
	"belfry/internal/tenant"
)

type incidentPage struct {
	Incidents  []*incident.Incident `json:"incidents"`
	NextCursor string               `json:"next_cursor,omitempty"`
}

func (a *API) listIncidents(r *http.Request) (any, error) {
	q := r.URL.Query()
	f := incident.Filter{Severities: list(q, "severity"), Policy: q.Get("policy"), Assignee: q.Get("assignee"),
		Rule: q.Get("rule"), Search: q.Get("q"), Before: q.Get("cursor")}
	for _, s := range list(q, "status") {
		switch status := incident.Status(s); {
		case s == "open":
			f.Statuses = append(f.Statuses, incident.Triggered, incident.Acknowledged)
		case slices.Contains(incident.Statuses(), status):
			f.Statuses = append(f.Statuses, status)
		default:
			return nil, fault.Invalidf("status %q is not one of open, triggered, acknowledged, resolved", s)
		}
	}
	var err error
	if f.Limit, err = number(q, "limit"); err != nil {
		return nil, err
	}
	if f.From, err = moment(q, "from", time.Time{}); err != nil {
		return nil, err
	}
	if f.To, err = moment(q, "to", time.Time{}); err != nil {
		return nil, err
	}
	page := incidentPage{Incidents: []*incident.Incident{}}
	err = a.engine.DB().View(r.Context(), func(tx *state.Tx) error {
		found, next, err := incident.List(r.Context(), tx, tenant.ID(r.Context()), f)
		page.Incidents, page.NextCursor = append(page.Incidents, found...), next
		return err
	})
	return page, err
}

// list returns a parameter's values, given several times or with commas.
func list(q url.Values, name string) (out []string) {
	for _, v := range q[name] {
		for part := range strings.SplitSeq(v, ",") {
			if part = strings.TrimSpace(part); part != "" {
				out = append(out, part)
			}
		}
	}
	return out
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

func number(q url.Values, name string) (int, error) {
	text := q.Get(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		return 0, fault.Invalidf("%s: %q is not a positive number", name, text)
	}
	return n, nil
}

// moment reads a time as RFC 3339 or Unix seconds.
func moment(q url.Values, name string, otherwise time.Time) (time.Time, error) {
	text := q.Get(name)
	if text == "" {
		return otherwise, nil
	}
	if sec, err := strconv.ParseFloat(text, 64); err == nil && sec > 0 && sec < 1<<34 {
		return time.UnixMilli(int64(sec * 1000)).UTC(), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil || t.Year() < 1971 || t.Year() > 9000 {
		return t, fault.Invalidf("%s: %q is not a time such as 2026-01-05T09:00:00Z or Unix seconds", name, text)
	}
	return t.UTC(), nil
}

// The bounds of what one answer holds of a timeline.
const (
	defaultTimeline = 500
	maxTimeline     = 2000
)

type incidentDetail struct {
	*incident.Incident
	Alerts   []incident.Alert `json:"alerts"`
	Timeline []incident.Event `json:"timeline"`
	// TimelineNext is the parameter after of the rest of the timeline.
	TimelineNext int64 `json:"timeline_next,omitempty"`
	// Merged are the incidents that were merged into this one.
	Merged   []*incident.Incident `json:"merged,omitempty"`
	Evidence *evidence.Evidence   `json:"evidence,omitempty"`
}

func (a *API) getIncident(r *http.Request) (any, error) {
	var d incidentDetail
	err := a.view(r, func(ctx context.Context, tx *state.Tx, i *incident.Incident) (err error) {
		d = incidentDetail{Incident: i, Alerts: []incident.Alert{}}
		alerts, err := incident.Alerts(ctx, tx, i.ID)
		if err != nil {
			return err
		}
		d.Alerts = append(d.Alerts, alerts...)
		if d.Merged, err = incident.MergedFrom(ctx, tx, i.Tenant, i.ID); err != nil {
			return err
		}
		d.Timeline, d.TimelineNext, err = timeline(ctx, tx, i.ID, 0, defaultTimeline)
		return err
	})
	if err != nil {
		return nil, err
	}
	d.Evidence, err = a.engine.Evidence(r.Context(), d.ID)
	return d, err
}

func timeline(ctx context.Context, tx *state.Tx, id string, after int64, limit int) ([]incident.Event, int64, error) {
	events, err := incident.Timeline(ctx, tx, id, after, limit+1)
	if err != nil {
		return nil, 0, err
	}
	var next int64
	if len(events) > limit {
		events = events[:limit]
		next = events[limit-1].Seq
	}
	if events == nil {
		events = []incident.Event{}
	}
	return events, next, nil
}

func (a *API) getTimeline(r *http.Request) (any, error) {
	q := r.URL.Query()
	after, err := number(q, "after")
	if err != nil {
		return nil, err
	}
	limit, err := number(q, "limit")
	if err != nil || limit > maxTimeline {
		return nil, fault.Invalidf("limit must be between 1 and %d", maxTimeline)
	}
	if limit == 0 {
		limit = defaultTimeline
	}
	var out struct {
		Timeline []incident.Event `json:"timeline"`
		Next     int64            `json:"timeline_next,omitempty"`
	}
	err = a.view(r, func(ctx context.Context, tx *state.Tx, i *incident.Incident) (err error) {
		out.Timeline, out.Next, err = timeline(ctx, tx, i.ID, int64(after), limit)
		return err
	})
	return out, err
}

// view reads the incident that the path names, by its ID or its number, and more.
func (a *API) view(r *http.Request, fn func(context.Context, *state.Tx, *incident.Incident) error) error {
	ctx := r.Context()
	return a.engine.DB().View(ctx, func(tx *state.Tx) error {
		i, err := find(ctx, tx, r.PathValue("id"))
		if err != nil {
			return err
		}
		return fn(ctx, tx, i)
	})
}

// ulidLength tells an ID from a number.
const ulidLength = 26

func find(ctx context.Context, tx *state.Tx, ref string) (*incident.Incident, error) {
	if n, err := strconv.ParseInt(ref, 10, 64); err == nil && len(ref) < ulidLength {
		return incident.ByNumber(ctx, tx, tenant.ID(ctx), n)
	}
	return incident.Get(ctx, tx, tenant.ID(ctx), ref)
}

func (a *API) act(r *http.Request, ev escalation.Event) (any, error) {
	id, err := a.incidentID(r)
	if err != nil {
		return nil, err
	}
	return a.engine.Do(r.Context(), tenant.ID(r.Context()), id, ev)
}

func (a *API) incidentID(r *http.Request) (id string, err error) {
	err = a.view(r, func(_ context.Context, _ *state.Tx, i *incident.Incident) error {
		id = i.ID
		return nil
	})
	return id, err
}

const viaAPI = "api"

type byBody struct {
	By string `json:"by"`
}

func (a *API) acknowledge(r *http.Request) (any, error) {
	var b byBody
	if err := decode(r, &b); err != nil {
		return nil, err
	}
	return a.act(r, escalation.Acknowledge{By: a.by(r, b.By), Via: viaAPI})
}

func (a *API) unacknowledge(r *http.Request) (any, error) {
	var b byBody
	if err := decode(r, &b); err != nil {
		return nil, err
	}
	return a.act(r, escalation.Unacknowledge{By: a.by(r, b.By), Via: viaAPI})
}

func (a *API) resolve(r *http.Request) (any, error) {
	var b byBody
	if err := decode(r, &b); err != nil {
		return nil, err
	}
	by := a.by(r, b.By)
	if by == "" {
		by = "somebody" // not the alerts themselves
	}
	return a.act(r, escalation.Resolve{By: by, Via: viaAPI})
}

func (a *API) snooze(r *http.Request) (any, error) {
	var b struct {
		By       string    `json:"by"`
		Until    time.Time `json:"until"`
		Duration string    `json:"duration"`
	}
	if err := decode(r, &b); err != nil {
		return nil, err
	}
	if (b.Duration == "") == b.Until.IsZero() {
		return nil, fault.Invalidf("give either until or duration")
	}
	if b.Duration != "" {
		d, err := time.ParseDuration(b.Duration)
		if err != nil || d <= 0 {
			return nil, fault.Invalidf("duration: %q is not a positive duration such as 30m", b.Duration)
		}
		b.Until = a.engine.Now().Add(d)
	}
	if b.Until.Sub(a.engine.Now()) > maxSnooze {
		return nil, fault.Invalidf("an incident can be snoozed for at most %d days", int(maxSnooze.Hours()/24))
	}
	return a.act(r, escalation.Snooze{By: a.by(r, b.By), Via: viaAPI, Until: b.Until.UTC().Truncate(time.Millisecond)})
}

// maxSnooze keeps a snooze from being a resolution in disguise.
const maxSnooze = 30 * 24 * time.Hour

func (a *API) reassign(r *http.Request) (any, error) {
	var b struct {
		By     string   `json:"by"`
		People []string `json:"people"`
		Policy string   `json:"policy"`
	}
	if err := decode(r, &b); err != nil {
		return nil, err
	}
	return a.act(r, escalation.Reassign{By: a.by(r, b.By), Via: viaAPI, People: b.People, Policy: b.Policy})
}

func (a *API) setSeverity(r *http.Request) (any, error) {
	var b struct {
		By       string `json:"by"`
		Severity string `json:"severity"`
	}
	if err := decode(r, &b); err != nil {
		return nil, err
	}
	return a.act(r, escalation.SetSeverity{By: a.by(r, b.By), Via: viaAPI, Severity: strings.ToLower(strings.TrimSpace(b.Severity))})
}

func (a *API) merge(r *http.Request) (any, error) {
	var b struct {
		By   string `json:"by"`
		Into string `json:"into"`
	}
	if err := decode(r, &b); err != nil {
		return nil, err
	}
	id, err := a.incidentID(r)
	if err != nil {
		return nil, err
	}
	ctx := r.Context()
	var into *incident.Incident
	err = a.engine.DB().View(ctx, func(tx *state.Tx) error {
		into, err = find(ctx, tx, b.Into)
		return err
	})
	if err != nil {
		return nil, err
	}
	return a.engine.Merge(ctx, tenant.ID(ctx), id, into.ID, a.by(r, b.By), viaAPI)
}

func (a *API) createIncident(r *http.Request) (any, error) {
	var b struct {
		By       string `json:"by"`
		Title    string `json:"title"`
		Summary  string `json:"summary"`
		Severity string `json:"severity"`
		Policy   string `json:"policy"`
	}
	if err := decode(r, &b); err != nil {
		return nil, err
	}
	return a.engine.Create(r.Context(), tenant.ID(r.Context()), a.by(r, b.By), escalation.Signal{
		Title: strings.Join(strings.Fields(b.Title), " "), Summary: b.Summary, Severity: strings.ToLower(strings.TrimSpace(b.Severity)), Policy: b.Policy})
}

func (a *API) note(r *http.Request) (any, error) {
	var b struct {
		By   string `json:"by"`
		Text string `json:"text"`
	}
	if err := decode(r, &b); err != nil {
		return nil, err
	}
	id, err := a.incidentID(r)
	if err != nil {
		return nil, err
	}
	ctx := r.Context()
	if err := a.engine.Note(ctx, tenant.ID(ctx), id, a.by(r, b.By), strings.TrimSpace(b.Text)); err != nil {
		return nil, err
	}
	return a.engine.Incident(ctx, tenant.ID(ctx), id)
}
