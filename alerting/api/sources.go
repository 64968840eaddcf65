package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"belfry/alerting/escalation"
	"belfry/alerting/incident"
	"belfry/internal/fault"
	"belfry/internal/tenant"
)

// maxPost bounds what a program posts to page.
const maxPost = 4 << 20

// routingKey is the key with which a program says whom it pages: as a bearer token,
// as the password of basic authentication, as Opsgenie's GenieKey, or as the
// parameter routing_key.
func routingKey(r *http.Request) string {
	if _, password, ok := r.BasicAuth(); ok {
		return password
	}
	kind, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(kind, "Bearer") || strings.EqualFold(kind, "GenieKey") {
		return strings.TrimSpace(token)
	}
	return r.URL.Query().Get("routing_key")
}

// source is who pages whom.
type source struct{ tenant, key, policy string }

func (a *API) source(r *http.Request) (source, error) {
	key := routingKey(r)
	if key == "" {
		return source{}, fault.New(fault.Unauthorized, "a routing key is needed: as bearer token, as password, or as the parameter routing_key")
	}
	p := a.engine.PolicyFor(key)
	if p == nil {
		return source{}, fault.New(fault.Forbidden, "the routing key is not known")
	}
	return source{tenant.ID(r.Context()), key, p.Name}, nil
}

// webhookGroup is Alertmanager's webhook payload, version 4, with what Grafana adds.
type webhookGroup struct {
	Version           string            `json:"version"`
	GroupKey          string            `json:"groupKey"`
	Status            string            `json:"status"`
	Receiver          string            `json:"receiver"`
	GroupLabels       map[string]string `json:"groupLabels"`
	CommonLabels      map[string]string `json:"commonLabels"`
	CommonAnnotations map[string]string `json:"commonAnnotations"`
	Title             string            `json:"title"` // Grafana
	Alerts            []struct {
		Status       string            `json:"status"`
		Labels       map[string]string `json:"labels"`
		Annotations  map[string]string `json:"annotations"`
		StartsAt     time.Time         `json:"startsAt"`
		EndsAt       time.Time         `json:"endsAt"`
		GeneratorURL string            `json:"generatorURL"`
		Fingerprint  string            `json:"fingerprint"`
		ValueString  string            `json:"valueString"` // Grafana, as the next ones
		DashboardURL string            `json:"dashboardURL"`
		PanelURL     string            `json:"panelURL"`
		SilenceURL   string            `json:"silenceURL"`
	} `json:"alerts"`
}

func (a *API) pageAlertmanager(r *http.Request) (any, error) { return a.pageWebhook(r, "alertmanager") }
func (a *API) pageGrafana(r *http.Request) (any, error)      { return a.pageWebhook(r, "grafana") }

// pageWebhook takes a group of alerts. Alertmanager and Grafana repeat what is not
// answered with 2xx.
func (a *API) pageWebhook(r *http.Request, from string) (any, error) {
	src, err := a.source(r)
	if err != nil {
		return nil, err
	}
	var g webhookGroup
	if err := decodeBody(r, &g, maxPost, false); err != nil {
		return nil, err
	}
	if g.Status != "firing" && g.Status != "resolved" {
		return nil, fault.Invalidf("status: %q is neither firing nor resolved", g.Status)
	}
	if len(g.Alerts) == 0 {
		return nil, fault.Invalidf("alerts: is empty")
	}
	return a.signal(r.Context(), g.signal(src, from, a.engine.Now()))
}

// signal gives a signal to the engine and says which incident it is about now.
func (a *API) signal(ctx context.Context, s escalation.Signal) (any, error) {
	i, err := a.engine.Signal(ctx, s)
	if err != nil {
		return nil, err
	}
	answer := map[string]any{"status": "ok"}
	if i != nil {
		answer["incident_id"] = i.ID
	}
	return answer, nil
}

func (g *webhookGroup) signal(src source, from string, now time.Time) escalation.Signal {
	group := g.GroupKey
	if group == "" {
		group = labelKey(g.GroupLabels, g.CommonLabels)
	}
	s := escalation.Signal{
		Tenant: src.tenant, Source: incident.SourceWebhook, Key: escalation.SourceKey(from, src.key, g.Receiver, group), Policy: src.policy,
		Firing: g.Status == "firing", Time: now, Receiver: clip(g.Receiver), GroupKey: clip(group),
		GroupLabels: clipped(g.GroupLabels), Labels: clipped(g.CommonLabels), Annotations: clipped(g.CommonAnnotations),
	}
	names := map[string]bool{}
	for n, alert := range g.Alerts {
		if n >= incident.MaxAlerts {
			break
		}
		labels, annotations := clipped(alert.Labels), clipped(alert.Annotations)
		for name, value := range map[string]string{"value": alert.ValueString, "dashboard_url": alert.DashboardURL,
			"panel_url": alert.PanelURL, "silence_url": alert.SilenceURL} {
			if _, own := annotations[name]; !own && value != "" {
				annotations[name] = clip(value)
			}
		}
		out := incident.Alert{Fingerprint: clip(alert.Fingerprint), Status: incident.AlertFiring, Labels: labels, Annotations: annotations,
			StartsAt: alert.StartsAt, GeneratorURL: clip(alert.GeneratorURL)}
		if out.Fingerprint == "" {
			out.Fingerprint = escalation.SourceKey(labelKey(alert.Labels))[:16]
		}
		if alert.Status == "resolved" || !s.Firing {
			out.Status, out.EndsAt = incident.AlertResolved, alert.EndsAt
		}
		names[labels["alertname"]] = true
		s.Severity = escalation.MoreSevere(s.Severity, strings.ToLower(labels["severity"]))
		s.Alerts = append(s.Alerts, out)
	}
	if len(g.Alerts) > 0 && s.Annotations["dashboard_url"] == "" && s.Alerts[0].Annotations["dashboard_url"] != "" {
		s.Annotations["dashboard_url"] = s.Alerts[0].Annotations["dashboard_url"]
	}
	s.Name(names)
	if s.Labels["alertname"] == "" && g.Title != "" && len(names) > 1 {
		s.Title = clip(g.Title)
	}
	return s
}

// maxKept bounds what is kept of a label, an annotation or a name from outside.
const maxKept = 4096

func clip(text string) string { return incident.Clip(text, maxKept) }

func clipped(in map[string]string) map[string]string {
	out := make(map[string]string, len(in))
	for k, v := range in {
		out[clip(k)] = clip(v)
	}
	return out
}

// labelKey is a text that is the same for the same labels.
func labelKey(of ...map[string]string) string {
	var b strings.Builder
	for _, labels := range of {
		for _, k := range sortedKeys(labels) {
			b.WriteString(k + "\xff" + labels[k] + "\xff")
		}
		b.WriteByte('\xfe')
	}
	return b.String()
}
