package rules

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/timestamp"
	"github.com/prometheus/prometheus/promql"
	promrules "github.com/prometheus/prometheus/rules"
)

// An alert is held by adding a sample with the alert's own labels to what its
// expression returned: the rule then sees it as still true. Rule labels are set
// over the sample's, so the alert that comes out is the same one.

type heldAlert struct {
	labels labels.Labels
	value  float64
}

func (h heldAlert) sample(at time.Time) promql.Sample {
	return promql.Sample{Metric: h.labels, T: timestamp.FromTime(at), F: h.value}
}

// identity hashes what an alert of a rule and the series that it came from have
// in common: all labels but those that the rule sets.
type identity struct {
	names []string
	buf   []byte
}

func newIdentity(rule *promrules.AlertingRule) *identity {
	names := []string{labels.AlertName}
	rule.Labels().Range(func(l labels.Label) { names = append(names, l.Name) })
	slices.Sort(names)
	return &identity{names: names}
}

func (id *identity) of(ls labels.Labels) uint64 {
	h, buf := ls.HashWithoutLabels(id.buf, id.names...)
	id.buf = buf
	return h
}

func (id *identity) set(vec promql.Vector) map[uint64]struct{} {
	out := make(map[uint64]struct{}, len(vec))
	for _, s := range vec {
		out[id.of(s.Metric)] = struct{}{}
	}
	return out
}

// unrecovered returns samples for the alerts of rule that fire, are not in vec
// any more, and for whose labels the recover expression returns nothing. Where
// the language can tell, alerts whose series is gone altogether are let go.
func unrecovered(ctx context.Context, lang Language, expr string, rule *promrules.AlertingRule, vec promql.Vector, at time.Time) (promql.Vector, error) {
	id := newIdentity(rule)
	there := id.set(vec)
	var gone []heldAlert
	for _, a := range rule.ActiveAlerts() {
		if _, ok := there[id.of(a.Labels)]; !ok && a.State == promrules.StateFiring && a.KeepFiringSince.IsZero() && !a.Labels.Has(NoDataLabel) {
			gone = append(gone, heldAlert{a.Labels, a.Value})
		}
	}
	if len(gone) == 0 {
		return nil, nil
	}
	res, err := lang.Query(ctx, expr, at)
	if err != nil {
		return nil, err
	}
	recovered := id.set(res)
	var operand map[uint64]struct{}
	if t, ok := lang.(Thresholder); ok {
		if of, ok := t.Operand(expr); ok {
			res, err := lang.Query(ctx, of, at)
			if err != nil {
				return nil, err
			}
			operand = id.set(res)
		}
	}
	var out promql.Vector
	for _, h := range gone {
		key := id.of(h.labels)
		_, done := recovered[key]
		_, exists := operand[key]
		if !done && (exists || operand == nil) {
			out = append(out, h.sample(at))
		}
	}
	return out, nil
}

// grace holds alerts that fired before a restart until their data is back, for
// a while.
type grace struct {
	mu    sync.Mutex
	rules map[*promrules.AlertingRule]*graceOfRule
}

type graceOfRule struct {
	until time.Time
	held  map[uint64]heldAlert // by identity
}

func newGrace() *grace { return &grace{rules: map[*promrules.AlertingRule]*graceOfRule{}} }

// hold begins to hold alerts of rule, until a time.
func (g *grace) hold(rule *promrules.AlertingRule, alerts []heldAlert, until time.Time) {
	if len(alerts) == 0 {
		return
	}
	id, held := newIdentity(rule), make(map[uint64]heldAlert, len(alerts))
	for _, a := range alerts {
		held[id.of(a.labels)] = a
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.rules[rule] = &graceOfRule{until: until, held: held}
}

// over reports whether nothing is held any more.
func (g *grace) over() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.rules) == 0
}

// held returns samples for the alerts of rule that are held and not in vec.
// What is in vec is let go: its data is back.
func (g *grace) held(rule *promrules.AlertingRule, vec promql.Vector, at time.Time) promql.Vector {
	g.mu.Lock()
	defer g.mu.Unlock()
	r, ok := g.rules[rule]
	if !ok {
		return nil
	}
	id := newIdentity(rule)
	for _, s := range vec {
		delete(r.held, id.of(s.Metric))
	}
	if len(r.held) == 0 || at.After(r.until) {
		delete(g.rules, rule)
		return nil
	}
	out := make(promql.Vector, 0, len(r.held))
	for _, h := range r.held {
		out = append(out, h.sample(at))
	}
	return out
}
