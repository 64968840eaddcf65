package rules

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	promrules "github.com/prometheus/prometheus/rules"
)

// GroupFailing is the alert that the engine itself raises about a group of
// which a rule could not be evaluated several times in a row. Its labels are
// rule_file and rule_group.
const GroupFailing = "BelfryRuleGroupFailing"

// failuresToAlert is how many evaluations in a row must fail.
const failuresToAlert = 3

// health counts the failed evaluations of groups, by promrules.GroupKey.
type health struct {
	mu     sync.Mutex
	groups map[string]groupHealth
}

type groupHealth struct {
	failures int       // in a row
	since    time.Time // of the alert; zero while there is none
	sent     time.Time // when it was last sent
	slow     bool      // the last evaluation took longer than the interval
}

func newHealth() *health { return &health{groups: map[string]groupHealth{}} }

func (h *health) get(key string) groupHealth {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.groups[key]
}

func (h *health) set(key string, g groupHealth) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if g == (groupHealth{}) {
		delete(h.groups, key)
		return
	}
	h.groups[key] = g
}

// slow counts the slow groups.
func (h *health) slow() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, g := range h.groups {
		if g.slow {
			n++
		}
	}
	return n
}

// retain forgets groups that are not live.
func (h *health) retain(live map[string]bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	maps.DeleteFunc(h.groups, func(k string, _ groupHealth) bool { return !live[k] })
}

// afterEvaluation looks after what a group's evaluation left undone: a rule that
// failed did not send its alerts, which would let the router take them for
// resolved, and somebody should know that it fails.
func (e *Engine) afterEvaluation(ctx context.Context, g *promrules.Group, at time.Time) {
	failed, cause := 0, ""
	for _, r := range g.Rules() {
		if r.Health() != promrules.HealthBad {
			continue
		}
		if failed++; failed == 1 {
			cause = fmt.Sprintf("rule %q: %v", r.Name(), r.LastError())
		}
		if ar, ok := r.(*promrules.AlertingRule); ok {
			e.resend(ctx, g, ar, at)
		}
	}
	key := promrules.GroupKey(g.File(), g.Name())
	h := e.health.get(key)
	wasSlow := h.slow
	h.slow = g.GetEvaluationTime() > g.Interval()
	if h.slow != wasSlow {
		defer func() { e.metrics.slow.Set(float64(e.health.slow())) }()
	}
	if failed == 0 {
		if !h.since.IsZero() {
			e.sendGroupFailing(ctx, g, h.since, at, "")
		}
		e.health.set(key, groupHealth{slow: h.slow})
		return
	}
	h.failures++
	if h.failures >= failuresToAlert && !at.Before(h.sent.Add(e.resendDelay)) {
		if h.since.IsZero() {
			h.since = at
		}
		h.sent = at
		summary := fmt.Sprintf("%d of %d rules of group %q cannot be evaluated", failed, len(g.Rules()), g.Name())
		e.sendGroupFailing(ctx, g, h.since, at.Add(e.validity(g)), summary+": "+cause)
	}
	e.health.set(key, h)
}

func (e *Engine) sendGroupFailing(ctx context.Context, g *promrules.Group, since, ends time.Time, summary string) {
	a := &alert.Alert{Alert: model.Alert{
		Labels: model.LabelSet{
			model.AlertNameLabel: GroupFailing,
			"rule_file":          model.LabelValue(g.File()),
			"rule_group":         model.LabelValue(g.Name()),
		},
		Annotations: model.LabelSet{"summary": model.LabelValue(summary)},
		StartsAt:    since, EndsAt: ends, GeneratorURL: e.opts.ExternalURL.String(),
	}}
	e.forward.send(a, labels.FromStrings("summary", summary))
	e.send(ctx, a)
}

// validity is how long a firing alert counts as such without being sent again:
// long enough for two evaluations or hand-overs to fail, as in Prometheus.
func (e *Engine) validity(g *promrules.Group) time.Duration {
	return 4 * max(g.Interval(), e.resendDelay)
}

// resend sends the firing alerts of a rule that could not be evaluated.
func (e *Engine) resend(ctx context.Context, g *promrules.Group, rule *promrules.AlertingRule, at time.Time) {
	s, _ := e.spec(promrules.GroupKey(g.File(), g.Name()), rule.Name(), rule.Query().String())
	var out []*alert.Alert
	rule.ForEachActiveAlert(func(a *promrules.Alert) {
		if a.State != promrules.StateFiring || at.Before(a.LastSentAt.Add(e.resendDelay)) {
			return
		}
		a.LastSentAt, a.ValidUntil = at, at.Add(e.validity(g))
		out = append(out, e.outgoing(s.language, rule.Query().String(), a))
		e.forward.send(out[len(out)-1], a.Annotations)
	})
	if len(out) > 0 {
		e.send(ctx, out...)
	}
}

// send hands alerts to the Sender; what it does not take comes again.
func (e *Engine) send(ctx context.Context, alerts ...*alert.Alert) {
	if err := e.opts.Sender.Send(ctx, alerts...); err != nil {
		e.metrics.sendFailures.Add(float64(len(alerts)))
		e.logger.Error("alerts were not taken by the router", "alerts", len(alerts), "err", err)
	}
}

// labelSet turns Prometheus' labels into Alertmanager's.
func labelSet(ls labels.Labels) model.LabelSet {
	out := make(model.LabelSet, ls.Len())
	ls.Range(func(l labels.Label) { out[model.LabelName(l.Name)] = model.LabelValue(l.Value) })
	return out
}
