package rules

import (
	"context"
	"math"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	promrules "github.com/prometheus/prometheus/rules"
)

// restore puts saved alerts into the rules of groups that do not run yet, and
// hands those that fire to the Sender.
func (e *Engine) restore(ctx context.Context, saved *savedState, now time.Time) {
	var restored, total int
	var firing []*alert.Alert
	for _, g := range e.manager.RuleGroups() {
		sg := saved.groups[promrules.GroupKey(g.File(), g.Name())]
		queue := map[string][]savedRule{} // rules of one name and labels, in order
		for _, sr := range sg.Rules {
			total += len(sr.Alerts)
			queue[sr.Name+sr.Labels] = append(queue[sr.Name+sr.Labels], sr)
		}
		for _, r := range g.Rules() {
			ar, ok := r.(*promrules.AlertingRule)
			if !ok {
				continue
			}
			ar.SetRestored(true)
			key := ar.Name() + ar.Labels().String()
			if len(queue[key]) == 0 {
				continue
			}
			sr := queue[key][0]
			queue[key] = queue[key][1:]
			n, alerts := e.restoreRule(ctx, g, ar, sr.Alerts, saved.at, now)
			restored += n
			firing = append(firing, alerts...)
		}
		if sg.Failing {
			e.health.set(promrules.GroupKey(g.File(), g.Name()), groupHealth{failures: failuresToAlert, since: saved.at})
		}
		e.state.capture(g, sg.Failing)
	}
	e.metrics.restored.Set(float64(restored))
	e.metrics.dropped.Set(float64(total - restored))
	if total > 0 {
		e.logger.Info("alert state restored", "alerts", restored, "not_restored", total-restored, "since_saved", now.Sub(saved.at))
	}
	if len(firing) > 0 {
		e.send(ctx, firing...)
	}
}

// restoreRule puts alerts into one rule. Only a rule's own evaluation can add
// alerts to it: it is evaluated on samples that have the alerts' labels, and
// the alerts that come out get the saved state. An alert whose labels come out
// different, which takes a template over a label that it sets itself, is not
// restored and starts anew.
func (e *Engine) restoreRule(ctx context.Context, g *promrules.Group, rule *promrules.AlertingRule, saved []savedAlert, savedAt, now time.Time) (restored int, firing []*alert.Alert) {
	downtime := now.Sub(savedAt)
	grace := max(2*g.Interval(), time.Duration(e.config.RestartGrace))
	byLabels := make(map[uint64]savedAlert, len(saved))
	vec := make(promql.Vector, 0, len(saved))
	for _, a := range saved {
		if a.State == promrules.StatePending.String() && downtime > time.Duration(e.config.OutageTolerance) {
			continue
		}
		byLabels[a.Labels.Hash()] = a
		vec = append(vec, promql.Sample{Metric: a.Labels, T: savedAt.UnixMilli(), F: float64(a.Value)})
	}
	if len(vec) == 0 {
		return 0, nil
	}
	samples := func(_ context.Context, expr string, _ time.Time) (promql.Vector, error) {
		if expr == rule.Query().String() {
			return vec, nil
		}
		return nil, nil // a template's query: what it makes is replaced below
	}
	if _, err := rule.Eval(ctx, 0, savedAt, samples, e.opts.ExternalURL, 0); err != nil {
		e.logger.Warn("the alerts of a rule could not be restored", "group", g.Name(), "rule", rule.Name(), "err", err)
		return 0, nil
	}
	s, _ := e.spec(promrules.GroupKey(g.File(), g.Name()), rule.Name(), rule.Query().String())
	ends := now.Add(e.validity(g))
	var held []heldAlert
	rule.ForEachActiveAlert(func(a *promrules.Alert) {
		from, ok := byLabels[a.Labels.Hash()]
		if !ok || !labels.Equal(a.Labels, from.Labels) {
			// Pending without a cause: the next evaluation removes it.
			a.State, a.ActiveAt, a.FiredAt = promrules.StatePending, now, time.Time{}
			return
		}
		restored++
		from.into(a)
		switch {
		case a.State == promrules.StatePending && downtime > grace:
			a.ActiveAt = a.ActiveAt.Add(downtime) // nobody saw that it held meanwhile
		case a.State == promrules.StateFiring:
			a.ValidUntil = ends
			firing = append(firing, e.outgoing(s.language, rule.Query().String(), a))
			if a.KeepFiringSince.IsZero() {
				held = append(held, heldAlert{a.Labels, a.Value})
			}
		}
	})
	rule.SetEvaluationTimestamp(savedAt)
	e.grace.hold(rule, held, now.Add(grace))
	return restored, firing
}

// into gives a the saved state. LastSentAt stays zero, so that the next
// evaluation sends it.
func (s *savedAlert) into(a *promrules.Alert) {
	a.Annotations = s.Annotations
	a.Value = float64(s.Value)
	a.ActiveAt, a.FiredAt, a.ResolvedAt, a.KeepFiringSince = s.ActiveAt, s.FiredAt, s.ResolvedAt, s.KeepFiringSince
	a.LastSentAt, a.ValidUntil = time.Time{}, time.Time{}
	switch s.State {
	case promrules.StateFiring.String():
		a.State = promrules.StateFiring
	case promrules.StateInactive.String():
		a.State = promrules.StateInactive
	default:
		a.State = promrules.StatePending
	}
}

// forever is a grace period that no `for` reaches.
const forever = time.Duration(math.MaxInt64)
