package escalation

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"belfry/alerting/evidence"
	"belfry/alerting/incident"
	"belfry/alerting/notify"
	"belfry/alerting/oncall"
	"belfry/internal/fault"
	"belfry/internal/state"
)

// maxMessageAlerts bounds the alerts that go with a message.
const maxMessageAlerts = 50

// message says what a row of the outbox is to say now.
func (e *Engine) message(ctx context.Context, s *setup, o outboxRow, to oncall.Method) (*notify.Message, error) {
	m := &notify.Message{Key: o.key, Kind: o.kind, Tenant: o.tenant, Time: e.now(), Recipient: o.person, Person: o.person != "",
		Step: o.step, Round: o.round, ExternalURL: e.opts.ExternalURL}
	if o.channel != "" {
		m.Recipient = o.channel
	}
	if o.kind == notify.KindSummary {
		return m, e.summary(ctx, s, o, m)
	}
	if o.incident == "" {
		if err := json.Unmarshal([]byte(o.data), &m.Notice); err != nil {
			return nil, fault.Invalidf("the message cannot be read: %w", err)
		}
		return m, nil
	}
	err := e.db.View(ctx, func(tx *state.Tx) error {
		i, err := incident.Get(ctx, tx, o.tenant, o.incident)
		if err != nil {
			return err
		}
		m.Incident = *i
		if m.Alerts, err = incident.Alerts(ctx, tx, i.ID); err != nil {
			return err
		}
		m.Ref, err = refFor(ctx, tx, o)
		return err
	})
	if err != nil {
		return nil, err
	}
	m.Evidence = e.evidence(ctx, s, m)
	if extra := len(m.Alerts) - maxMessageAlerts; extra > 0 {
		m.Alerts = m.Alerts[:maxMessageAlerts]
	}
	m.MoreAlerts = max(0, m.Incident.AlertsTotal-len(m.Alerts))
	e.addLinks(m, o, to)
	return m, nil
}

// refFor returns what the service calls the page that a message is about.
func refFor(ctx context.Context, tx *state.Tx, o outboxRow) (ref string, err error) {
	switch o.kind {
	case notify.KindUpdate:
		return o.ref, nil
	case notify.KindResolved:
		err = tx.QueryRow(ctx, `SELECT ref FROM outbox WHERE incident_id = ? AND kind = ? AND person = ? AND channel = ? AND method = ?
			AND ref <> '' ORDER BY id LIMIT 1`, o.incident, notify.KindPage, o.person, o.channel, o.method).Scan(&ref)
		if errors.Is(err, sql.ErrNoRows) {
			err = nil
		}
	}
	return ref, err
}

func (e *Engine) addLinks(m *notify.Message, o outboxRow, to oncall.Method) {
	links := e.links.Load()
	i := &m.Incident
	m.IncidentURL = links.Incident(i.ID)
	if o.kind == notify.KindPage || o.kind == notify.KindUpdate && i.Status == incident.Triggered {
		m.AcknowledgeURL = links.Acknowledge(o.tenant, i.ID, o.person, m.Time)
	}
	if domain := e.opts.ReplyDomain; domain != "" && to.Type == oncall.MethodEmail {
		m.Reply = links.Reply(i.ID, to.Address) + "@" + domain
	}
	if i.Source == incident.SourceAlertmanager && len(i.Labels) > 0 {
		m.SilenceURL = links.Page("/alerts", url.Values{"silence": {matchers(i.Labels)}})
	}
	ev := m.Evidence
	if ev == nil {
		return
	}
	span := func(q url.Values) url.Values {
		q.Set("from", strconv.FormatInt(ev.From.UnixMilli(), 10))
		q.Set("to", strconv.FormatInt(ev.To.UnixMilli(), 10))
		return q
	}
	if ev.Drawable() {
		m.ChartURL = links.Chart(i.ID)
	}
	switch {
	case ev.Watched == "":
	case ev.Signal == evidence.Metrics:
		m.ExploreURL = links.Page("/explore/metrics", span(url.Values{"expr": {ev.Watched}}))
	case ev.Signal == evidence.Logs:
		m.ExploreURL = links.Page("/logs", span(url.Values{"q": {ev.Watched}}))
	case ev.Signal == evidence.Traces:
		m.ExploreURL = links.Page("/traces", span(url.Values{"q": {ev.TraceQuery}}))
	}
	if len(ev.Lines) > 0 {
		m.LogsURL = links.Page("/logs", span(url.Values{"q": {ev.LogQuery}}))
	}
	if ev.TraceID != "" {
		m.TraceURL = links.Page("/traces/"+url.PathEscape(ev.TraceID), url.Values{})
	}
}

// matchers writes labels the way that silences are written.
func matchers(labels map[string]string) string {
	var out []string
	for k, v := range labels {
		out = append(out, k+"="+strconv.Quote(v))
	}
	slices.Sort(out)
	return "{" + strings.Join(out, ",") + "}"
}

// evidence returns what the stores knew when the first page of the incident was
// sent: it is found then, kept, and the same for everybody who is told. Not having
// any never keeps a page back.
func (e *Engine) evidence(ctx context.Context, s *setup, m *notify.Message) *evidence.Evidence {
	i := &m.Incident
	found, err := e.Evidence(ctx, i.ID)
	if err != nil {
		e.log.Error("evidence cannot be read", "incident", i.ID, "error", err)
		return nil
	}
	if found != nil || m.Kind != notify.KindPage || s.collector == nil {
		return found
	}
	// Everybody is told at the same time, and the stores are asked once.
	v, _, _ := e.finding.Do(i.ID, func() (any, error) { return s.collector.Collect(ctx, i, m.Alerts, m.Time), nil })
	if found = v.(*evidence.Evidence); found == nil {
		return nil
	}
	err = e.db.Update(ctx, func(tx *state.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO incident_evidence (incident_id, at, data) VALUES (?, ?, ?) ON CONFLICT (incident_id) DO NOTHING`,
			i.ID, state.Millis(found.At), state.AsJSON(found))
		return err
	})
	if err != nil {
		e.log.Error("evidence cannot be kept", "incident", i.ID, "error", err)
	}
	return found
}

// Evidence returns what was found about an incident when it was first paged, nil
// for nothing.
func (e *Engine) Evidence(ctx context.Context, incidentID string) (*evidence.Evidence, error) {
	var stored state.JSON[*evidence.Evidence]
	err := e.db.View(ctx, func(tx *state.Tx) error {
		return tx.QueryRow(ctx, `SELECT data FROM incident_evidence WHERE incident_id = ?`, incidentID).Scan(&stored)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return stored.V, err
}

// Chart returns the picture that a link of a message shows, as PNG.
func (e *Engine) Chart(ctx context.Context, token string) ([]byte, error) {
	id, err := e.links.Load().VerifyChart(token)
	if err != nil {
		return nil, err
	}
	found, err := e.Evidence(ctx, id)
	if err != nil {
		return nil, err
	}
	picture := found.PNG()
	if picture == nil {
		return nil, fault.NotFoundf("there is no picture of this incident")
	}
	return picture, nil
}

// IncidentLink returns the link to an incident's page, "" without an external URL.
func (e *Engine) IncidentLink(id string) string { return e.links.Load().Incident(id) }

// ChartLink returns the link to the picture of an incident's evidence, "" without an
// external URL.
func (e *Engine) ChartLink(id string) string { return e.links.Load().Chart(id) }
