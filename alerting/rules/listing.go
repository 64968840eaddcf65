package rules

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	promrules "github.com/prometheus/prometheus/rules"

	"belfry/internal/fault"
)

// GroupStatus is a rule group as it runs, for Belfry's own API: what Prometheus'
// /api/v1/rules says, and the languages.
type GroupStatus struct {
	Name           string         `json:"name"`
	File           string         `json:"file"`
	Interval       model.Duration `json:"interval"`
	Limit          int            `json:"limit,omitzero"`
	LastEvaluation time.Time      `json:"last_evaluation,omitzero"`
	EvaluationTime float64        `json:"evaluation_seconds"`
	Slow           bool           `json:"slow,omitzero"`   // the last evaluation took longer than Interval
	Missed         int            `json:"missed,omitzero"` // evaluations that were due while another ran
	Editable       bool           `json:"editable"`        // made by API
	Rules          []RuleStatus   `json:"rules"`
}

// RuleStatus is a rule as it runs.
type RuleStatus struct {
	Kind           string               `json:"kind"` // alerting or recording
	Type           Type                 `json:"type"`
	Name           string               `json:"name"`
	Expr           string               `json:"expr"`
	Recover        string               `json:"recover,omitzero"`
	NoData         NoData               `json:"no_data,omitzero"`
	For            model.Duration       `json:"for,omitzero"`
	KeepFiringFor  model.Duration       `json:"keep_firing_for,omitzero"`
	Labels         labels.Labels        `json:"labels"`
	Annotations    labels.Labels        `json:"annotations,omitzero"`
	Health         promrules.RuleHealth `json:"health"`
	LastError      string               `json:"last_error,omitzero"`
	EvaluationTime float64              `json:"evaluation_seconds"`
	State          string               `json:"state,omitzero"` // of an alerting rule: its worst alert's
	Alerts         []AlertStatus        `json:"alerts,omitzero"`
}

// AlertStatus is an active alert of a rule.
type AlertStatus struct {
	State           string        `json:"state"`
	Labels          labels.Labels `json:"labels"`
	Annotations     labels.Labels `json:"annotations"`
	Value           savedValue    `json:"value"`
	ActiveAt        time.Time     `json:"active_at"`
	FiredAt         time.Time     `json:"fired_at,omitzero"`
	KeepFiringSince time.Time     `json:"keep_firing_since,omitzero"`
}

// List returns the groups that have a rule of type t, with those rules only; of
// all types where t is empty.
func (e *Engine) List(t Type) []GroupStatus {
	out := []GroupStatus{}
	readOnly := e.readOnly()
	for _, g := range e.RuleGroups() {
		gs := GroupStatus{
			Name: g.Name(), File: g.File(), Interval: model.Duration(g.Interval()), Limit: g.Limit(),
			LastEvaluation: g.GetLastEvaluation(), EvaluationTime: g.GetEvaluationTime().Seconds(),
			Slow: g.GetEvaluationTime() > g.Interval(), Missed: e.metrics.missed(g), Editable: !readOnly[g.File()],
		}
		for _, r := range g.Rules() {
			s, _ := e.spec(promrules.GroupKey(g.File(), g.Name()), r.Name(), r.Query().String())
			if t == "" || t == s.language {
				gs.Rules = append(gs.Rules, ruleStatus(r, s))
			}
		}
		if len(gs.Rules) > 0 || t == "" {
			out = append(out, gs)
		}
	}
	return out
}

func ruleStatus(r promrules.Rule, s spec) RuleStatus {
	rs := RuleStatus{
		Kind: promrules.KindRecording, Type: s.language, Name: r.Name(), Expr: r.Query().String(), Recover: s.recover, NoData: s.noData,
		Labels: r.Labels(), Health: r.Health(), EvaluationTime: r.GetEvaluationDuration().Seconds(),
	}
	if err := r.LastError(); err != nil {
		rs.LastError = err.Error()
	}
	ar, ok := r.(*promrules.AlertingRule)
	if !ok {
		return rs
	}
	rs.Kind, rs.State, rs.Annotations = promrules.KindAlerting, ar.State().String(), ar.Annotations()
	rs.For, rs.KeepFiringFor = model.Duration(ar.HoldDuration()), model.Duration(ar.KeepFiringFor())
	for _, a := range ar.ActiveAlerts() {
		rs.Alerts = append(rs.Alerts, AlertStatus{
			State: a.State.String(), Labels: a.Labels, Annotations: a.Annotations, Value: savedValue(a.Value),
			ActiveAt: a.ActiveAt, FiredAt: a.FiredAt, KeepFiringSince: a.KeepFiringSince,
		})
	}
	slices.SortFunc(rs.Alerts, func(a, b AlertStatus) int { return labels.Compare(a.Labels, b.Labels) })
	return rs
}

// Handler answers GET with List in JSON as {"groups": [...]}; the parameter type
// selects one of metrics, logs and traces.
func (e *Engine) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		t := Type(strings.ToLower(req.URL.Query().Get("type")))
		if t != "" && !slices.Contains(Types(), t) {
			fault.WriteHTTP(w, fault.Invalidf("type: %q is not metrics, logs or traces", t))
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"groups": e.List(t)}) // the client went away
	})
}
