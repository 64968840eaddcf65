package rules

import (
	"context"
	"strings"

	promrules "github.com/prometheus/prometheus/rules"
	"golang.org/x/sync/semaphore"
)

// concurrency evaluates rules of a group side by side where their order cannot
// be seen: a group of alerting rules of which none reads ALERTS series. Other
// groups are evaluated in order. Prometheus' own way, which finds out what
// depends on what, walks syntax trees and knows PromQL's nodes only.
type concurrency struct{ slots *semaphore.Weighted }

var (
	_ promrules.RuleConcurrencyController = concurrency{}
	_ promrules.RuleDependencyController  = concurrency{}
)

func newConcurrency(limit int) concurrency {
	return concurrency{semaphore.NewWeighted(int64(limit))}
}

// SplitGroupIntoBatches returns one batch of all rules, or nothing for in order.
func (concurrency) SplitGroupIntoBatches(_ context.Context, g *promrules.Group) []promrules.ConcurrentRules {
	rules := g.Rules()
	batch := make(promrules.ConcurrentRules, len(rules))
	for i, r := range rules {
		if _, ok := r.(*promrules.AlertingRule); !ok || strings.Contains(r.Query().String(), "ALERTS") {
			return nil
		}
		batch[i] = i
	}
	return []promrules.ConcurrentRules{batch}
}

// Allow takes a slot; without one the rule is evaluated by the group's own
// goroutine.
func (c concurrency) Allow(context.Context, *promrules.Group, promrules.Rule) bool {
	return c.slots.TryAcquire(1)
}

// Done gives the slot back.
func (c concurrency) Done(context.Context) { c.slots.Release(1) }

// AnalyseRules does nothing: what depends on what stays unknown.
func (concurrency) AnalyseRules([]promrules.Rule) {}
