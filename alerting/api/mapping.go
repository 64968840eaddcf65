package api

import (
	"net/http"

	"belfry/alerting/escalation"
	"belfry/alerting/incident"
	"belfry/internal/fault"
)

// pageJSON takes any JSON that a mapping of the configuration explains.
func (a *API) pageJSON(r *http.Request) (any, error) {
	src, err := a.source(r)
	if err != nil {
		return nil, err
	}
	name := r.PathValue("mapping")
	m, ok := a.engine.Mapping(name)
	if !ok {
		return nil, fault.NotFoundf("there is no mapping %q: it is written under escalation.mappings", name)
	}
	var body any
	if err := decodeBody(r, &body, maxPost, false); err != nil {
		return nil, err
	}
	f, err := m.Apply(body)
	if err != nil {
		return nil, err
	}
	now := a.engine.Now()
	key := escalation.SourceKey("json", src.key, name, f.DedupKey)
	s := escalation.Signal{
		Tenant: src.tenant, Source: incident.SourceWebhook, Key: key, Policy: src.policy, Firing: f.Firing, Time: now,
		Receiver: name, GroupKey: clip(f.DedupKey), Title: clip(f.Title), Summary: clip(f.Summary), Severity: f.Severity, Rule: clip(f.Title),
		GroupLabels: map[string]string{"dedup_key": clip(f.DedupKey)}, Labels: clipped(f.Labels), Annotations: map[string]string{"summary": clip(f.Summary)},
	}
	if f.Firing {
		s.Alerts = []incident.Alert{{Fingerprint: key[:16], Status: incident.AlertFiring, Labels: s.Labels, Annotations: s.Annotations,
			StartsAt: now, GeneratorURL: clip(f.URL)}}
	} else {
		s.Actor = name
	}
	return a.signal(r.Context(), s)
}

// inboundBody reads what a chat service has posted, whole: its signature is over
// all of it.
func inboundBody(r *http.Request) ([]byte, error) { return readBody(r, maxChat) }

// maxChat bounds what a chat service posts.
const maxChat = 1 << 20

func ok(w http.ResponseWriter) { w.WriteHeader(http.StatusOK) }
