package belfry

import (
	"context"
	"net/url"
	"strconv"
	"time"
)

const own = "/api/belfry/v1"

// Incident is something that people were told of.
type Incident struct {
	ID             string            `json:"id"`
	Number         int64             `json:"number"`
	Title          string            `json:"title"`
	Summary        string            `json:"summary"`
	Severity       string            `json:"severity"`
	Status         string            `json:"status"`
	Policy         string            `json:"policy"`
	Labels         map[string]string `json:"labels"`
	GroupLabels    map[string]string `json:"group_labels"`
	Annotations    map[string]string `json:"annotations"`
	AlertsFiring   int64             `json:"alerts_firing"`
	AlertsTotal    int64             `json:"alerts_total"`
	Assignees      []string          `json:"assignees"`
	OpenedAt       time.Time         `json:"opened_at"`
	UpdatedAt      time.Time         `json:"updated_at"`
	ResolvedAt     *time.Time        `json:"resolved_at"`
	AcknowledgedAt *time.Time        `json:"acknowledged_at"`
	AcknowledgedBy string            `json:"acknowledged_by"`
	Alerts         []Alert           `json:"alerts"`   // with Incident only
	Timeline       []Event           `json:"timeline"` // with Incident only
}

// Label returns a label of the incident or of its group.
func (i *Incident) Label(name string) string {
	if v := i.Labels[name]; v != "" {
		return v
	}
	return i.GroupLabels[name]
}

// Alert is one alert of an incident.
type Alert struct {
	Fingerprint  string            `json:"fingerprint"`
	Status       string            `json:"status"`
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"starts_at"`
	EndsAt       *time.Time        `json:"ends_at"`
	GeneratorURL string            `json:"generator_url"`
}

// Event is an entry of an incident's timeline.
type Event struct {
	At      time.Time `json:"at"`
	Kind    string    `json:"kind"`
	Actor   string    `json:"actor"`
	Message string    `json:"message"`
}

// IncidentQuery narrows a list of incidents.
type IncidentQuery struct {
	Status, Severity, Policy, Text string
	From, To                       time.Time
	Limit                          int
}

// Incidents lists incidents, newest first; more says that there are others.
func (c *Client) Incidents(ctx context.Context, q IncidentQuery) (list []Incident, more bool, err error) {
	p := url.Values{}
	for name, v := range map[string]string{"status": q.Status, "severity": q.Severity, "policy": q.Policy, "q": q.Text} {
		if v != "" {
			p.Set(name, v)
		}
	}
	if !q.From.IsZero() {
		p.Set("from", q.From.UTC().Format(time.RFC3339))
		p.Set("to", q.To.UTC().Format(time.RFC3339))
	}
	for len(list) < q.Limit {
		p.Set("limit", strconv.Itoa(min(100, q.Limit-len(list))))
		var out struct {
			Incidents []Incident `json:"incidents"`
			Next      string     `json:"next_cursor"`
		}
		if err := c.getJSON(ctx, own+"/incidents", p, &out); err != nil {
			return nil, false, err
		}
		list = append(list, out.Incidents...)
		if out.Next == "" || len(out.Incidents) == 0 {
			return list, false, nil
		}
		p.Set("cursor", out.Next)
	}
	return list, true, nil
}

// Incident fetches one, with its alerts and timeline.
func (c *Client) Incident(ctx context.Context, id string) (*Incident, error) {
	var out Incident
	err := c.getJSON(ctx, own+"/incidents/"+url.PathEscape(id), nil, &out)
	return &out, err
}

// Person is somebody who can be told.
type Person struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Shift is a time that somebody, or nobody, is on call.
type Shift struct {
	Start    time.Time `json:"start"`
	End      time.Time `json:"end"`
	Person   *Person   `json:"person"`
	Layer    string    `json:"layer"`
	Override string    `json:"override"`
}

// OnCall is who is on call in a schedule.
type OnCall struct {
	Schedule string     `json:"schedule"`
	Name     string     `json:"name"`
	TimeZone string     `json:"time_zone"`
	People   []Person   `json:"people"`
	Until    *time.Time `json:"until"`
	Next     *Shift     `json:"next"`
}

// OnCallAt asks who is on call at a time in every schedule.
func (c *Client) OnCallAt(ctx context.Context, at time.Time) ([]OnCall, error) {
	var out struct {
		Schedules []OnCall `json:"schedules"`
	}
	err := c.getJSON(ctx, own+"/oncall", url.Values{"at": {at.UTC().Format(time.RFC3339)}}, &out)
	return out.Schedules, err
}

// Shifts asks who is on call in a schedule over a range.
func (c *Client) Shifts(ctx context.Context, schedule string, from, to time.Time) ([]Shift, error) {
	var out struct {
		Shifts []Shift `json:"shifts"`
	}
	err := c.getJSON(ctx, own+"/schedules/"+url.PathEscape(schedule)+"/shifts", url.Values{
		"from": {from.UTC().Format(time.RFC3339)}, "to": {to.UTC().Format(time.RFC3339)},
	}, &out)
	return out.Shifts, err
}

// Silence mutes alerts for a time.
type Silence struct {
	ID        string    `json:"id"`
	Comment   string    `json:"comment"`
	CreatedBy string    `json:"createdBy"`
	StartsAt  time.Time `json:"startsAt"`
	EndsAt    time.Time `json:"endsAt"`
	Status    struct {
		State string `json:"state"`
	} `json:"status"`
	Matchers []struct {
		Name    string `json:"name"`
		Value   string `json:"value"`
		IsRegex bool   `json:"isRegex"`
		IsEqual *bool  `json:"isEqual"`
	} `json:"matchers"`
}

// Silences lists all of them.
func (c *Client) Silences(ctx context.Context) ([]Silence, error) {
	var out []Silence
	err := c.getJSON(ctx, "/alertmanager/api/v2/silences", nil, &out)
	return out, err
}
