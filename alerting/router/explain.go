package router

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	amconfig "github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/alertmanager/marker"
	"github.com/prometheus/alertmanager/silence"
	"github.com/prometheus/common/model"

	"belfry/internal/fault"
)

// Explanation says what would become of an alert with given labels.
type Explanation struct {
	Labels model.LabelSet     `json:"labels"`
	At     time.Time          `json:"at"`
	Routes []RouteExplanation `json:"routes"` // in the order of the routing tree; at least one

	// SilencedBy and InhibitedBy are about the alert on all its routes. They
	// are empty for a configuration that does not run.
	SilencedBy  []SilenceExplanation `json:"silenced_by"`
	InhibitedBy []string             `json:"inhibited_by"` // fingerprints of active alerts
}

// RouteExplanation is one route that the alert matches.
type RouteExplanation struct {
	Receiver       string         `json:"receiver"`
	Integrations   []string       `json:"integrations"` // as in "slack[0]"
	RouteID        string         `json:"route_id"`
	GroupKey       string         `json:"group_key"`
	GroupLabels    model.LabelSet `json:"group_labels"`
	GroupWait      model.Duration `json:"group_wait"`
	GroupInterval  model.Duration `json:"group_interval"`
	RepeatInterval model.Duration `json:"repeat_interval"`
	// MutedBy are the mute time intervals that At is in, or all active time
	// intervals where At is in none.
	MutedBy []string `json:"muted_by"`
	// Notifies is whether people would be told; Why not, or after what time.
	Notifies bool   `json:"notifies"`
	Why      string `json:"why"`
}

// SilenceExplanation is an active silence that matches.
type SilenceExplanation struct {
	ID        string    `json:"id"`
	CreatedBy string    `json:"created_by"`
	Comment   string    `json:"comment"`
	EndsAt    time.Time `json:"ends_at"`
}

// ExplainConfig explains by a configuration alone: no silences, no other alerts.
func ExplainConfig(c *amconfig.Config, labels model.LabelSet, at time.Time) (*Explanation, error) {
	run, err := build(c, url.URL{}, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, fmt.Errorf("router: %w", err)
	}
	return run.explain(labels, at)
}

// Explain explains by the running configuration, the silences and the alerts of
// this moment. It changes nothing.
func (r *Router) Explain(ctx context.Context, labels model.LabelSet, at time.Time) (*Explanation, error) {
	run := r.running.Load()
	if run == nil {
		return nil, fault.Unavailablef(time.Second, "router: not started")
	}
	ex, err := run.explain(labels, at)
	if err != nil {
		return nil, err
	}
	silences, _, err := r.silences.Query(ctx, silence.QState(silence.SilenceStateActive), silence.QMatches(ex.Labels))
	if err != nil {
		return nil, fmt.Errorf("silences: %w", err)
	}
	for _, s := range silences {
		ex.SilencedBy = append(ex.SilencedBy, SilenceExplanation{
			ID: s.Id, CreatedBy: s.CreatedBy, Comment: s.Comment, EndsAt: s.EndsAt.AsTime(),
		})
	}
	m := marker.NewAlertMarker()
	if run.inhibitor.Mutes(marker.WithContext(ctx, m), ex.Labels) {
		ex.InhibitedBy = append(ex.InhibitedBy, m.Status(ex.Labels.Fingerprint()).InhibitedBy...)
	}
	for i := range ex.Routes {
		route := &ex.Routes[i]
		switch {
		case len(ex.InhibitedBy) > 0:
			route.Notifies, route.Why = false, "inhibited by the active alert "+ex.InhibitedBy[0]
		case !route.Notifies:
		case len(ex.SilencedBy) > 0:
			s := ex.SilencedBy[0]
			route.Notifies, route.Why = false, fmt.Sprintf("silenced by %s (%s, by %s)", s.ID, s.Comment, s.CreatedBy)
		}
	}
	return ex, nil
}

// explain finds routes, groups and time intervals.
func (run *routing) explain(labels model.LabelSet, at time.Time) (*Explanation, error) {
	labels = withoutEmpty(labels)
	if len(labels) == 0 {
		return nil, fault.Invalidf("at least one label is needed")
	}
	if err := labels.Validate(); err != nil {
		return nil, fault.Invalidf("labels: %w", err)
	}
	ex := &Explanation{Labels: labels, At: at, SilencedBy: []SilenceExplanation{}, InhibitedBy: []string{}}
	for _, route := range run.routes.Match(labels) {
		o := route.RouteOpts
		re := RouteExplanation{
			Receiver: o.Receiver, RouteID: route.ID(), GroupLabels: groupLabels(labels, route),
			GroupWait: model.Duration(o.GroupWait), GroupInterval: model.Duration(o.GroupInterval), RepeatInterval: model.Duration(o.RepeatInterval),
			Integrations: []string{}, MutedBy: []string{}, Notifies: true,
		}
		re.GroupKey = fmt.Sprintf("%s:%s", route.Key(), re.GroupLabels)
		for i := range run.receivers[o.Receiver] {
			re.Integrations = append(re.Integrations, run.receivers[o.Receiver][i].String())
		}
		re.Why = fmt.Sprintf("told %s after the group's first alert, then when the group changes (every %s at most) or after %s",
			re.GroupWait, re.GroupInterval, re.RepeatInterval)
		if err := run.mutedBy(&re, o, at); err != nil {
			return nil, err
		}
		ex.Routes = append(ex.Routes, re)
	}
	return ex, nil
}

func (run *routing) mutedBy(re *RouteExplanation, o dispatch.RouteOpts, at time.Time) error {
	if len(o.MuteTimeIntervals) > 0 {
		muted, by, err := run.intervener.Mutes(o.MuteTimeIntervals, at)
		if err != nil {
			return err
		}
		if muted {
			re.MutedBy, re.Notifies = by, false
			re.Why = "inside the mute time " + strings.Join(by, ", ")
			return nil
		}
	}
	if len(o.ActiveTimeIntervals) > 0 {
		active, _, err := run.intervener.Mutes(o.ActiveTimeIntervals, at)
		if err != nil {
			return err
		}
		if !active {
			re.MutedBy, re.Notifies = slices.Clone(o.ActiveTimeIntervals), false
			re.Why = "outside the active times " + strings.Join(o.ActiveTimeIntervals, ", ")
		}
	}
	return nil
}

func groupLabels(labels model.LabelSet, route *dispatch.Route) model.LabelSet {
	out := model.LabelSet{}
	for name, value := range labels {
		if _, ok := route.RouteOpts.GroupBy[name]; ok || route.RouteOpts.GroupByAll {
			out[name] = value
		}
	}
	return out
}

// ExplainHandler answers GET with label=name=value parameters (or labels, a
// JSON object), and at (RFC 3339, now by default), with an Explanation in JSON.
func (r *Router) ExplainHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		labels, at, err := explainQuery(req)
		if err != nil {
			fault.WriteHTTP(w, err)
			return
		}
		ex, err := r.Explain(req.Context(), labels, at)
		if err != nil {
			fault.WriteHTTP(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(ex) // the client went away
	})
}

func explainQuery(req *http.Request) (model.LabelSet, time.Time, error) {
	q, at := req.URL.Query(), time.Now()
	labels := model.LabelSet{}
	if doc := q.Get("labels"); doc != "" {
		if err := json.Unmarshal([]byte(doc), &labels); err != nil {
			return nil, at, fault.Invalidf("labels: %w", err)
		}
	}
	for _, pair := range q["label"] {
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, at, fault.Invalidf("label: %q is not name=value", pair)
		}
		labels[model.LabelName(name)] = model.LabelValue(value)
	}
	if s := q.Get("at"); s != "" {
		t, err := time.Parse(time.RFC3339, s)
		if err != nil {
			return nil, at, fault.Invalidf("at: %w", err)
		}
		at = t
	}
	return labels, at, nil
}
