package escalation

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"belfry/alerting/incident"
	"belfry/alerting/router"
	"belfry/internal/fault"
	"belfry/internal/state"
	"belfry/internal/tenant"
)

// Signal is word from a source that something is wrong, still or no more.
type Signal struct {
	Tenant string
	Source string // incident.SourceAlertmanager, …
	Key    string // names what it is about, among all signals of a tenant
	Policy string
	Firing bool
	Actor  string    // who says that it is over; empty: the alerts themselves
	Time   time.Time // when the source knew it
	Reason string    // why the source says it again

	Receiver, GroupKey               string
	Rule                             string // what such incidents are counted by; empty: the source
	Title, Summary, Severity         string
	GroupLabels, Labels, Annotations map[string]string
	Alerts                           []incident.Alert
}

// SourceKey makes the key of a signal of any length.
func SourceKey(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Signal opens an incident, brings the open one about the same up to date, or
// resolves it. It is idempotent. It returns the incident, nil where there is none.
func (e *Engine) Signal(ctx context.Context, s Signal) (*incident.Incident, error) {
	var before incident.Incident
	var after *incident.Incident
	err := e.db.Update(ctx, func(tx *state.Tx) (err error) {
		before, after = incident.Incident{}, nil
		i, err := incident.OpenFor(ctx, tx, s.Tenant, s.Key)
		if err != nil {
			return err
		}
		if i != nil {
			before, after = *i, i
		}
		switch {
		case i == nil && s.Firing:
			after, err = e.open(ctx, tx, s)
		case i == nil:
		case s.Firing:
			err = e.update(ctx, tx, i, s)
		default:
			err = e.resolveBy(ctx, tx, i, s)
		}
		if err != nil || after == nil {
			return err
		}
		return incident.Save(ctx, tx, after)
	})
	if err != nil {
		return nil, err
	}
	if after != nil {
		e.metrics.changed(&before, after, e.now())
		e.wake()
	}
	return after, nil
}

func (e *Engine) open(ctx context.Context, tx *state.Tx, s Signal) (*incident.Incident, error) {
	last, err := incident.LastFor(ctx, tx, s.Tenant, s.Key)
	if err != nil || (last != nil && last.ResolvedAt.After(s.Time)) {
		return nil, err // older than the end of the incident: old news
	}
	now := e.now()
	i := &incident.Incident{Tenant: s.Tenant, Source: s.Source, SourceKey: s.Key, Receiver: s.Receiver, GroupKey: s.GroupKey,
		Title: s.Title, Summary: s.Summary, Severity: s.Severity, GroupLabels: s.GroupLabels, Labels: s.Labels,
		Annotations: s.Annotations, OpenedAt: now, UpdatedAt: now, Rule: incident.Clip(s.Rule, maxRule)}
	if i.Rule == "" {
		i.Rule = s.Source
	}
	i.Status, i.Policy = incident.Triggered, s.Policy
	i.Record(incident.Event{At: now, Kind: incident.KindOpened,
		Message: fmt.Sprintf("incident opened by %s, severity %s, policy %s", s.Source, s.Severity, s.Policy)})
	if err := incident.Insert(ctx, tx, i); err != nil {
		return nil, err
	}
	if _, err := incident.MergeAlerts(ctx, tx, i, s.Key, s.Alerts, now); err != nil {
		return nil, err
	}
	return i, e.step(ctx, tx, i, Opened{})
}

// maxRule bounds the name that incidents are counted by.
const maxRule = 200

func (e *Engine) update(ctx context.Context, tx *state.Tx, i *incident.Incident, s Signal) error {
	now := e.now()
	fired, err := incident.MergeAlerts(ctx, tx, i, s.Key, s.Alerts, now)
	if err != nil {
		return err
	}
	if _, err := incident.SourceFires(ctx, tx, i, s.Key, true); err != nil {
		return err
	}
	if s.Key == i.SourceKey { // not one that was merged into it
		i.Title, i.Summary, i.Labels, i.Annotations = s.Title, s.Summary, s.Labels, s.Annotations
	}
	if severityRank(s.Severity) > severityRank(i.Severity) {
		i.Record(incident.Event{At: now, Kind: incident.KindSeverity, Message: "severity raised from " + i.Severity + " to " + s.Severity})
		i.Severity = s.Severity
	}
	switch {
	case len(fired) > 0:
		return e.step(ctx, tx, i, Remind{Reason: fmt.Sprintf("%d more alert(s) fired", len(fired))})
	case s.Reason == reasonRepeat:
		return e.step(ctx, tx, i, Remind{Reason: s.Reason})
	}
	return nil
}

// reasonRepeat is Alertmanager's word for a notification that only repeats.
const reasonRepeat = "repeat interval elapsed"

func (e *Engine) resolveBy(ctx context.Context, tx *state.Tx, i *incident.Incident, s Signal) error {
	now := e.now()
	if _, err := incident.MergeAlerts(ctx, tx, i, s.Key, s.Alerts, now); err != nil {
		return err
	}
	others, err := incident.SourceFires(ctx, tx, i, s.Key, false)
	if err != nil {
		return err
	}
	if others > 0 {
		i.Record(incident.Event{At: now, Kind: incident.KindAlertResolved, Actor: s.Actor,
			Message: fmt.Sprintf("a part of the incident is over; %d other(s) that were merged into it are not", others)})
		return incident.ResolveAlerts(ctx, tx, i, s.Key, now)
	}
	if err := incident.ResolveAlerts(ctx, tx, i, "", now); err != nil {
		return err
	}
	return e.step(ctx, tx, i, Resolve{By: s.Actor})
}

// severities in rising order; what is not there ranks with "warning".
var severities = [][]string{
	{"none", "debug"}, {"info", "informational", "p5"}, {"notice", "low", "p4"}, {"warning", "warn", "medium", "minor", "p3"},
	{"error", "high", "major", "p2"}, {"critical", "crit", "fatal", "page", "emergency", "disaster", "p1"},
}

func severityRank(s string) int {
	for rank, names := range severities {
		if slices.Contains(names, s) {
			return rank
		}
	}
	return 3
}

// noSeverity is the severity of alerts that say none.
const noSeverity = "none"

var _ router.Escalator = (*Engine)(nil)

// Notify implements router.Escalator. A receiver that no policy is bound to is
// none of the engine's business.
func (e *Engine) Notify(ctx context.Context, n router.GroupNotification) (retry bool, err error) {
	policy, bound := e.setup.Load().receivers[n.Receiver]
	if !bound {
		return false, nil
	}
	if _, err := e.Signal(ctx, fromGroup(tenant.ID(ctx), policy.Name, &n, e.now())); err != nil {
		return fault.KindOf(err) != fault.Invalid, fmt.Errorf("escalate: %w", err)
	}
	return false, nil
}

func fromGroup(tenantID, policy string, n *router.GroupNotification, now time.Time) Signal {
	s := Signal{
		Tenant: tenantID, Source: incident.SourceAlertmanager, Key: SourceKey("alertmanager", n.Receiver, n.GroupKey),
		Policy: policy, Firing: n.Status == router.StatusFiring, Time: n.Time, Reason: n.Reason,
		Receiver: n.Receiver, GroupKey: n.GroupKey, Severity: noSeverity,
		GroupLabels: plain(n.GroupLabels), Labels: plain(n.CommonLabels), Annotations: plain(n.CommonAnnotations),
	}
	if s.Time.IsZero() {
		s.Time = now
	}
	names := map[string]bool{}
	for _, a := range n.Alerts {
		out := incident.Alert{Fingerprint: a.Fingerprint().String(), Status: incident.AlertFiring, Labels: plain(a.Labels),
			Annotations: plain(a.Annotations), StartsAt: a.StartsAt, EndsAt: a.EndsAt, GeneratorURL: a.GeneratorURL}
		if !s.Firing || a.ResolvedAt(s.Time) {
			out.Status = incident.AlertResolved
		} else {
			out.EndsAt = time.Time{} // only when it would be forgotten
		}
		names[a.Name()] = true
		if sev := strings.ToLower(string(a.Labels["severity"])); sev != "" &&
			(s.Severity == noSeverity || severityRank(sev) > severityRank(s.Severity)) {
			s.Severity = sev
		}
		s.Alerts = append(s.Alerts, out)
	}
	s.Name(names)
	return s
}

// Name says what a group of alerts is called, by its labels and annotations and the
// names of its alerts.
func (s *Signal) Name(alerts map[string]bool) {
	s.Title = groupTitle(*s, alerts)
	if s.Rule = s.Labels[model.AlertNameLabel]; s.Rule == "" {
		s.Rule = s.Title
	}
	s.Summary = s.Annotations["summary"]
	if s.Summary == "" {
		s.Summary = s.Annotations["description"]
	}
	if s.Severity == "" {
		s.Severity = noSeverity
	}
}

// MoreSevere returns the more severe of two severities; empty ones count as none.
func MoreSevere(a, b string) string {
	if a == "" || b != "" && severityRank(b) > severityRank(a) {
		return b
	}
	return a
}

// groupTitle names a group: its alert, and what it is grouped by.
func groupTitle(s Signal, names map[string]bool) string {
	title := s.Labels[model.AlertNameLabel]
	if title == "" {
		title = fmt.Sprintf("%d alerts", len(s.Alerts))
		if len(names) > 1 && len(names) <= 3 {
			var list []string
			for n := range names {
				list = append(list, n)
			}
			slices.Sort(list)
			title = strings.Join(list, ", ")
		}
	}
	var by []string
	for k, v := range s.GroupLabels {
		if k != model.AlertNameLabel {
			by = append(by, k+"="+v)
		}
	}
	if len(by) == 0 {
		return title
	}
	slices.Sort(by)
	return title + " (" + strings.Join(by, ", ") + ")"
}

func plain(in model.LabelSet) map[string]string {
	out := make(map[string]string, len(in))
	for k, v := range in {
		out[incident.Clip(string(k), maxLabel)] = incident.Clip(string(v), maxLabel)
	}
	return out
}

// maxLabel bounds a label's name and value as they are kept.
const maxLabel = 4096
