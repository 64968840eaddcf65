package plugin

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/data"

	"belfry/ui/grafana/pkg/belfry"
)

const maxIncidents = 1000

func (q *Query) incidentQuery(limit int) belfry.IncidentQuery {
	return belfry.IncidentQuery{Status: q.Status, Severity: q.Severity, Text: q.Search, From: q.from, To: q.to, Limit: limit}
}

// incidents answers with a table of incidents, or with all about one.
func (d *Datasource) incidents(ctx context.Context, q *Query) (data.Frames, error) {
	if q.Incident != "" {
		return d.incident(ctx, q)
	}
	list, more, err := d.client.Incidents(ctx, q.incidentQuery(clamp(q.MaxLines, defaultLines, maxIncidents)))
	if err != nil {
		return nil, err
	}
	if q.Service != "" {
		kept := list[:0]
		for _, inc := range list {
			if inc.Label("service_name") == q.Service {
				kept = append(kept, inc)
			}
		}
		list = kept
	}
	f := d.incidentFrame(list)
	if more {
		f.AppendNotices(data.Notice{Severity: data.NoticeSeverityInfo, Text: "There are older incidents than these: raise the limit, or narrow the query."})
	}
	return data.Frames{f}, nil
}

func (d *Datasource) incidentURL(id string) string {
	return strings.TrimRight(d.settings.ExternalURL, "/") + "/incidents/" + id
}

func (d *Datasource) incidentFrame(list []belfry.Incident) *data.Frame {
	n := len(list)
	numbers, firing := make([]int64, n), make([]int64, n)
	opened, resolved := make([]time.Time, n), make([]*time.Time, n)
	text := func() []string { return make([]string, n) }
	ids, titles, severities, states, services := text(), text(), text(), text(), text()
	people, acknowledged, policies, summaries := text(), text(), text(), text()
	lasted := make([]float64, n)
	for i := range list {
		inc := &list[i]
		numbers[i], ids[i], titles[i], severities[i], states[i] = inc.Number, inc.ID, inc.Title, inc.Severity, inc.Status
		services[i], people[i], acknowledged[i] = inc.Label("service_name"), strings.Join(inc.Assignees, ", "), inc.AcknowledgedBy
		policies[i], summaries[i], firing[i] = inc.Policy, inc.Summary, inc.AlertsFiring
		opened[i], resolved[i] = inc.OpenedAt.UTC(), inc.ResolvedAt
		end := d.now()
		if inc.ResolvedAt != nil {
			end = *inc.ResolvedAt
		}
		lasted[i] = end.Sub(inc.OpenedAt).Seconds()
	}
	const service = "${__data.fields.service}"
	f := data.NewFrame("Incidents",
		data.NewField("number", nil, numbers),
		withLinks(data.NewField("title", nil, titles),
			d.ownLink("All of this incident", linkQuery{"queryType": typeIncidents, "incident": "${__data.fields.id}"}),
			data.DataLink{Title: "Open in Belfry", URL: d.incidentURL("${__data.fields.id}"), TargetBlank: true}),
		data.NewField("severity", nil, severities), data.NewField("status", nil, states),
		withLinks(data.NewField("service", nil, services), d.serviceLinks(service)...),
		data.NewField("opened", nil, opened), data.NewField("resolved", nil, resolved),
		withUnit(data.NewField("duration", nil, lasted), "dtdurations"),
		data.NewField("assignees", nil, people), data.NewField("acknowledged by", nil, acknowledged),
		data.NewField("policy", nil, policies), data.NewField("alerts firing", nil, firing),
		data.NewField("summary", nil, summaries), data.NewField("id", nil, ids),
	)
	f.Meta = &data.FrameMeta{Type: data.FrameTypeTable, PreferredVisualization: data.VisTypeTable}
	return f
}

// incident answers with everything about one: itself, its alerts with links to
// what they were computed from, and its timeline.
func (d *Datasource) incident(ctx context.Context, q *Query) (data.Frames, error) {
	inc, err := d.client.Incident(ctx, q.Incident)
	if err != nil {
		return nil, err
	}
	return data.Frames{d.incidentFrame([]belfry.Incident{*inc}), d.alertFrame(inc), timelineFrame(inc)}, nil
}

func (d *Datasource) alertFrame(inc *belfry.Incident) *data.Frame {
	n := len(inc.Alerts)
	text := func() []string { return make([]string, n) }
	names, states, services, labels, summaries, exprs, sources := text(), text(), text(), text(), text(), text(), text()
	starts, ends := make([]time.Time, n), make([]*time.Time, n)
	for i := range inc.Alerts {
		a := &inc.Alerts[i]
		names[i], states[i], services[i] = a.Labels["alertname"], a.Status, a.Labels["service_name"]
		labels[i], summaries[i] = seriesName(a.Labels, ""), cmp.Or(a.Annotations["summary"], a.Annotations["description"])
		exprs[i], sources[i] = expressionOf(a.GeneratorURL), a.GeneratorURL
		starts[i], ends[i] = a.StartsAt.UTC(), a.EndsAt
	}
	f := data.NewFrame("Alerts",
		data.NewField("alert", nil, names), data.NewField("status", nil, states),
		withLinks(data.NewField("service", nil, services), d.serviceLinks("${__data.fields.service}")...),
		data.NewField("since", nil, starts), data.NewField("until", nil, ends), data.NewField("summary", nil, summaries),
		data.NewField("labels", nil, labels),
		withLinks(data.NewField("expression", nil, exprs), d.metricsLink("Show the expression", "${__value.raw}")),
		withLinks(data.NewField("source", nil, sources), data.DataLink{Title: "Open the rule", URL: "${__value.raw}", TargetBlank: true}),
	)
	f.Meta = &data.FrameMeta{Type: data.FrameTypeTable, PreferredVisualization: data.VisTypeTable}
	return f
}

// expressionOf finds the rule's expression in a link to its graph.
func expressionOf(link string) string {
	u, err := url.Parse(link)
	if err != nil {
		return ""
	}
	return cmp.Or(u.Query().Get("g0.expr"), u.Query().Get("expr"), u.Query().Get("q"))
}

// timelineFrame is what happened, as lines.
func timelineFrame(inc *belfry.Incident) *data.Frame {
	n := len(inc.Timeline)
	times, kinds, actors, messages := make([]time.Time, n), make([]string, n), make([]string, n), make([]string, n)
	for i, e := range inc.Timeline {
		times[i], kinds[i], actors[i], messages[i] = e.At.UTC(), e.Kind, e.Actor, e.Message
	}
	f := data.NewFrame("Timeline", data.NewField("time", nil, times), data.NewField("what", nil, kinds),
		data.NewField("who", nil, actors), data.NewField("message", nil, messages))
	f.Meta = &data.FrameMeta{Type: data.FrameTypeTable, PreferredVisualization: data.VisTypeTable}
	return f
}

// onCall answers with who is on call at the range's end, or with the shifts of
// the range.
func (d *Datasource) onCall(ctx context.Context, q *Query) (data.Frames, error) {
	switch q.View {
	case "", "now", "shifts":
	default:
		return nil, invalidf("%q is not a view of on-call: it is now or shifts", q.View)
	}
	schedules, err := d.client.OnCallAt(ctx, q.to)
	if err != nil {
		return nil, err
	}
	if q.Schedule != "" {
		kept := schedules[:0]
		for _, s := range schedules {
			if s.Schedule == q.Schedule {
				kept = append(kept, s)
			}
		}
		schedules = kept
	}
	if q.View == "shifts" {
		return d.shifts(ctx, q, schedules)
	}
	n := len(schedules)
	names, people, next, zones := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	until := make([]*time.Time, n)
	for i, s := range schedules {
		names[i], zones[i], until[i] = cmp.Or(s.Name, s.Schedule), s.TimeZone, s.Until
		var list []string
		for _, p := range s.People {
			list = append(list, p.Name)
		}
		people[i] = cmp.Or(strings.Join(list, ", "), "nobody")
		if s.Next != nil {
			next[i] = personName(s.Next.Person)
		}
	}
	f := data.NewFrame("On call", data.NewField("schedule", nil, names), data.NewField("on call", nil, people),
		data.NewField("until", nil, until), data.NewField("next", nil, next), data.NewField("time zone", nil, zones))
	f.Meta = &data.FrameMeta{Type: data.FrameTypeTable, PreferredVisualization: data.VisTypeTable}
	return data.Frames{f}, nil
}

func personName(p *belfry.Person) string {
	if p == nil {
		return "nobody"
	}
	return cmp.Or(p.Name, p.ID)
}

// shifts is a frame a schedule with a state at each change, as a timeline of
// states draws it.
func (d *Datasource) shifts(ctx context.Context, q *Query, schedules []belfry.OnCall) (data.Frames, error) {
	frames := make(data.Frames, 0, len(schedules))
	for _, s := range schedules {
		list, err := d.client.Shifts(ctx, s.Schedule, q.from, q.to)
		if err != nil {
			return nil, fmt.Errorf("schedule %s: %w", s.Schedule, err)
		}
		times, people := make([]time.Time, len(list)), make([]string, len(list))
		for i, shift := range list {
			times[i], people[i] = shift.Start.UTC(), personName(shift.Person)
		}
		f := data.NewFrame(cmp.Or(s.Name, s.Schedule), data.NewField("time", nil, times),
			withName(data.NewField("on call", data.Labels{"schedule": s.Schedule}, people), cmp.Or(s.Name, s.Schedule)))
		f.Meta = &data.FrameMeta{PreferredVisualization: data.VisTypeTable}
		frames = append(frames, f)
	}
	return frames, nil
}
