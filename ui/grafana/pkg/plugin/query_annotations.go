package plugin

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/data"

	"belfry/ui/grafana/pkg/belfry"
	"belfry/ui/grafana/pkg/rewrite"
)

// Sources of annotations.
const (
	sourceDeploys   = "deploys"
	sourceIncidents = "incidents"
	sourceSilences  = "silences"
	sourceAlerts    = "alerts"
	sourceMetrics   = "metrics"
	sourceLogs      = "logs"
)

// maxAnnotations bounds what is drawn over a graph.
const maxAnnotations = 500

// note is an annotation; an end of 0 is a moment.
type note struct {
	at, end     time.Time
	title, text string
	tags        []string
	id          string
}

// annotations answers with moments and ranges to draw over graphs.
func (d *Datasource) annotations(ctx context.Context, q *Query) (data.Frames, error) {
	sources := map[string]func(context.Context, *Query) ([]note, error){
		"": d.deploys, sourceDeploys: d.deploys, sourceIncidents: d.incidentNotes, sourceSilences: d.silenceNotes,
		sourceAlerts: d.alertNotes, sourceMetrics: d.metricNotes, sourceLogs: d.logNotes,
	}
	ask, ok := sources[q.Source]
	if !ok {
		return nil, invalidf("%q is not a source of annotations: it is one of deploys, incidents, silences, alerts, metrics, logs", q.Source)
	}
	notes, err := ask(ctx, q)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(notes, func(a, b note) int { return a.at.Compare(b.at) })
	return data.Frames{noteFrame(notes)}, nil
}

func noteFrame(notes []note) *data.Frame {
	cut := len(notes) > maxAnnotations
	notes = notes[:min(len(notes), maxAnnotations)]
	n := len(notes)
	times, ends := make([]time.Time, n), make([]*time.Time, n)
	titles, texts, tags, ids := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	for i := range notes {
		a := &notes[i]
		times[i], titles[i], texts[i], tags[i], ids[i] = a.at, a.title, a.text, strings.Join(a.tags, ","), a.id
		if !a.end.IsZero() {
			ends[i] = &a.end
		}
	}
	f := data.NewFrame("annotations",
		data.NewField("time", nil, times), data.NewField("timeEnd", nil, ends), data.NewField("title", nil, titles),
		data.NewField("text", nil, texts), data.NewField("tags", nil, tags), data.NewField("id", nil, ids),
	)
	f.Meta = &data.FrameMeta{DataTopic: data.DataTopicAnnotations}
	if cut {
		f.AppendNotices(data.Notice{Severity: data.NoticeSeverityWarning, Text: fmt.Sprintf("Only the first %d annotations are drawn.", maxAnnotations)})
	}
	return f
}

// deployExpr finds versions of services where metrics carry them.
const deployExpr = `count by (service_name, service_version) (target_info{service_version!=""})`

// deploys are the moments at which a service was first seen in a version, unless
// it was seen in it from the beginning of the range.
func (d *Datasource) deploys(ctx context.Context, q *Query) ([]note, error) {
	expr := cmp.Or(strings.TrimSpace(q.Expr), deployExpr)
	expr, err := rewrite.PromQL(expr, q.Filters, nil)
	if err != nil {
		return nil, invalid{err}
	}
	// One step of lead shows which versions are older than the range.
	from, to := q.aligned()
	res, err := d.client.MetricsRange(ctx, expr, from.Add(-q.step), to, q.step)
	if err != nil {
		return nil, err
	}
	first := map[string]int64{} // of a service in any version
	for _, s := range res.Series {
		if len(s.Times) > 0 {
			name := s.Labels["service_name"]
			if t, ok := first[name]; !ok || s.Times[0] < t {
				first[name] = s.Times[0]
			}
		}
	}
	var notes []note
	for _, s := range res.Series {
		name, v := s.Labels["service_name"], s.Labels["service_version"]
		if len(s.Times) == 0 || s.Times[0] == first[name] {
			continue
		}
		notes = append(notes, note{
			at: time.UnixMilli(s.Times[0]).UTC(), title: name + " " + v, text: "Deployed " + name + " in version " + v,
			tags: []string{"deploy", name}, id: "deploy:" + name + ":" + v,
		})
	}
	return notes, nil
}

func (d *Datasource) incidentNotes(ctx context.Context, q *Query) ([]note, error) {
	list, _, err := d.client.Incidents(ctx, q.incidentQuery(maxAnnotations))
	if err != nil {
		return nil, err
	}
	var notes []note
	for i := range list {
		inc := &list[i]
		if q.Service != "" && inc.Label("service_name") != q.Service {
			continue
		}
		n := note{
			at: inc.OpenedAt.UTC(), end: q.to.UTC(), title: fmt.Sprintf("Incident #%d: %s", inc.Number, inc.Title),
			text: inc.Summary, tags: []string{"incident", inc.Severity, inc.Status}, id: inc.ID,
		}
		if inc.ResolvedAt != nil {
			n.end = inc.ResolvedAt.UTC()
		}
		notes = append(notes, n)
	}
	return notes, nil
}

func (d *Datasource) silenceNotes(ctx context.Context, q *Query) ([]note, error) {
	list, err := d.client.Silences(ctx)
	if err != nil {
		return nil, err
	}
	var notes []note
	for _, s := range list {
		if s.StartsAt.After(q.to) || s.EndsAt.Before(q.from) {
			continue
		}
		var matchers []string
		for _, m := range s.Matchers {
			op := "="
			switch negated := m.IsEqual != nil && !*m.IsEqual; {
			case negated && m.IsRegex:
				op = "!~"
			case negated:
				op = "!="
			case m.IsRegex:
				op = "=~"
			}
			matchers = append(matchers, fmt.Sprintf("%s%s%q", m.Name, op, m.Value))
		}
		notes = append(notes, note{
			at: s.StartsAt.UTC(), end: s.EndsAt.UTC(), title: "Silence by " + s.CreatedBy,
			text: s.Comment + " {" + strings.Join(matchers, ", ") + "}", tags: []string{"silence", s.Status.State}, id: s.ID,
		})
	}
	return notes, nil
}

// alertNotes are the times at which alerts fired, from the series ALERTS.
func (d *Datasource) alertNotes(ctx context.Context, q *Query) ([]note, error) {
	if strings.TrimSpace(q.Expr) == "" {
		q.Expr = `ALERTS{alertstate="firing"}`
	}
	if q.Title == "" {
		q.Title = "{{alertname}} {{service_name}}"
	}
	return d.metricNotes(ctx, q)
}

// metricNotes are the stretches of time over which series are not zero.
func (d *Datasource) metricNotes(ctx context.Context, q *Query) ([]note, error) {
	if strings.TrimSpace(q.Expr) == "" {
		return nil, errNoExpr
	}
	expr, err := rewrite.PromQL(q.Expr, q.Filters, nil)
	if err != nil {
		return nil, invalid{err}
	}
	from, to := q.aligned()
	res, err := d.client.MetricsRange(ctx, expr, from, to, q.step)
	if err != nil {
		return nil, err
	}
	var notes []note
	for _, s := range res.Series {
		title := fillLabels(cmp.Or(q.Title, "{{__name__}}"), s.Labels)
		for _, r := range stretches(&s, q.step) {
			notes = append(notes, note{
				at: r[0], end: r[1], title: strings.TrimSpace(title), text: seriesName(s.Labels, expr),
				tags: []string{"metrics"}, id: fmt.Sprintf("%s:%d", seriesName(s.Labels, ""), r[0].UnixMilli()),
			})
		}
	}
	return notes, nil
}

// stretches joins points that are one step apart and not zero.
func stretches(s *belfry.Series, step time.Duration) (out [][2]time.Time) {
	for i, ms := range s.Times {
		if s.Values[i] == 0 {
			continue
		}
		at := time.UnixMilli(ms).UTC()
		if n := len(out); n > 0 && at.Sub(out[n-1][1]) <= step {
			out[n-1][1] = at
			continue
		}
		out = append(out, [2]time.Time{at, at})
	}
	return out
}

// logNotes are lines as annotations.
func (d *Datasource) logNotes(ctx context.Context, q *Query) ([]note, error) {
	if strings.TrimSpace(q.Expr) == "" {
		return nil, errNoExpr
	}
	expr, err := rewrite.LogQL(q.Expr, q.Filters, nil)
	if err != nil {
		return nil, invalid{err}
	}
	if !rewrite.IsLogSelection(expr) {
		return nil, invalidf("annotations need a query of lines")
	}
	res, err := d.client.LogsRange(ctx, belfry.LogRange{Query: expr, Start: q.from, End: q.to, Limit: maxAnnotations})
	if err != nil {
		return nil, err
	}
	rows := rowsOf(res.Streams)
	notes := make([]note, 0, len(rows))
	for i := range rows {
		labels := map[string]string{}
		for _, l := range rows[i].named {
			labels[l.name] = l.value
		}
		notes = append(notes, note{
			at: time.Unix(0, rows[i].time).UTC(), title: fillLabels(q.Title, labels), text: rows[i].line,
			tags: []string{"logs", labels["service_name"]}, id: rows[i].id,
		})
	}
	return notes, nil
}
