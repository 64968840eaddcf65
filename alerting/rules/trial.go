package rules

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	promrules "github.com/prometheus/prometheus/rules"

	"belfry/internal/tenant"
)

// Trial evaluates the groups of rule files when it is told to, at the times that
// it is told: an Engine without a clock, for tests of rules.
type Trial struct {
	engine *Engine
	groups []*promrules.Group
}

// NewTrial reads the files of o.Config. Groups whose names are in order come in
// that order and after the others, which come by file and name. o.Dir and o.DB
// are ignored: a trial keeps no state.
func NewTrial(o Options, order []string) (*Trial, error) {
	o.Dir, o.DB = "", nil
	e, err := New(o)
	if err != nil {
		return nil, err
	}
	manager := promrules.NewManager(&promrules.ManagerOptions{
		ExternalURL: e.opts.ExternalURL, QueryFunc: e.query, NotifyFunc: e.notify, Context: context.Background(),
		Appendable: e.opts.Appendable, Queryable: e.opts.Queryable, Logger: e.logger, Metrics: e.metrics.groups,
		ResendDelay: e.resendDelay, GroupLoader: e.loader, DefaultRuleQueryOffset: e.queryOffset, Parser: e.parser,
	})
	e.metrics.queryOffset.Store(int64(o.Config.QueryOffset))
	loaded, errs := manager.LoadGroups(time.Duration(o.Config.EvaluationInterval), labels.FromMap(o.Config.ExternalLabels),
		e.opts.ExternalURL.String(), e.iterate, false, slices.Sorted(maps.Keys(e.loader.files))...)
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	t := &Trial{engine: e}
	for _, key := range slices.Sorted(maps.Keys(loaded)) {
		t.groups = append(t.groups, loaded[key])
	}
	slices.SortStableFunc(t.groups, func(a, b *promrules.Group) int {
		return slices.Index(order, a.Name()) - slices.Index(order, b.Name())
	})
	for _, ar := range t.AlertingRules() {
		ar.SetRestored(true) // nothing is restored, so ALERTS series are written from the first evaluation on
	}
	return t, nil
}

// Eval evaluates all groups, one after the other, as at a time. The error names
// the rules that could not be evaluated.
func (t *Trial) Eval(ctx context.Context, at time.Time) error {
	ctx = tenant.WithID(ctx, t.engine.opts.Tenant)
	var errs []error
	for _, g := range t.groups {
		t.engine.iterate(ctx, g, at)
		for _, r := range g.Rules() {
			if err := r.LastError(); err != nil {
				errs = append(errs, fmt.Errorf("rule %q: %w", r.Name(), err))
			}
		}
	}
	return errors.Join(errs...)
}

// AlertingRules returns the alerting rules of all groups, in their order.
func (t *Trial) AlertingRules() []*promrules.AlertingRule {
	var out []*promrules.AlertingRule
	for _, g := range t.groups {
		for _, r := range g.Rules() {
			if ar, ok := r.(*promrules.AlertingRule); ok {
				out = append(out, ar)
			}
		}
	}
	return out
}
