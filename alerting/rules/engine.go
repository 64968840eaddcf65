package rules

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	promrules "github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"

	"belfry/internal/state"
	"belfry/internal/tenant"
)

// Sender takes alerts from the engine: firing ones at every ResendDelay, with
// EndsAt in the future, and resolved ones once. An error means that none was
// taken; firing alerts come again by themselves.
type Sender interface {
	Send(ctx context.Context, alerts ...*alert.Alert) error
}

// Options are what an Engine needs. All but Logger, Registerer, Dir and LinkTo
// are required.
type Options struct {
	Config     Config
	Languages  map[Type]Language  // at least Metrics
	Appendable storage.Appendable // where recording rules and ALERTS go
	Queryable  storage.Queryable  // where ALERTS_FOR_STATE is read back
	Sender     Sender

	// ExternalURL is Belfry's own, for links and templates.
	ExternalURL *url.URL
	// LinkTo returns the page that shows an expression, relative to
	// ExternalURL; by default /graph?g0.expr=, as Prometheus, /logs?q= and
	// /traces?q=.
	LinkTo func(t Type, expr string) string
	// DB keeps the groups that people make by API. nil: there are none.
	DB *state.DB
	// Dir holds the state file. Empty: state is not kept.
	Dir string
	// Tenant whose data the rules see and write; tenant.Default where empty.
	Tenant string

	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// Engine evaluates rule files. Its methods are safe for concurrent use.
type Engine struct {
	opts    Options
	logger  *slog.Logger
	parser  parser.Parser
	metrics *metrics
	state   *stateFile
	stored  *groupStore // nil: no API groups
	grace   *grace
	health  *health
	forward *forward // nil: to no Alertmanager outside
	specs   atomic.Pointer[map[specKey]spec]

	resendDelay time.Duration // of the configuration that the engine was made with

	mu      sync.Mutex // serializes Start, Reload and Shutdown
	config  Config
	disk    map[string]*File // of config.Files
	loader  *loader          // of those and of stored
	groups  []storedGroup    // what loader has of stored
	version int64            // of groups
	manager *promrules.Manager
	cancel  context.CancelFunc
	loops   sync.WaitGroup
	stopped bool
}

// New checks the options and the rule files and returns an engine that does not
// evaluate yet. The error of a faulty file holds config.Faults.
func New(o Options) (*Engine, error) {
	switch {
	case o.Languages[Metrics] == nil:
		return nil, errors.New("rules: no language for metrics")
	case o.Appendable == nil || o.Queryable == nil || o.Sender == nil || o.ExternalURL == nil:
		return nil, errors.New("rules: Appendable, Queryable, Sender and ExternalURL are required")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Tenant == "" {
		o.Tenant = tenant.Default
	}
	if o.LinkTo == nil {
		o.LinkTo = defaultLink
	}
	if err := o.Config.Validate(); err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	files, err := load(o.Config.Files, o.Languages)
	if err != nil {
		return nil, err
	}
	p := parser.NewParser(parser.Options{})
	if l, ok := o.Languages[Metrics].(promQL); ok {
		p = l.parser // what was checked with it must load with it
	}
	e := &Engine{
		opts: o, logger: o.Logger, config: o.Config,
		parser:  p,
		metrics: newMetrics(o.Registerer),
		grace:   newGrace(), health: newHealth(),
		resendDelay: time.Duration(o.Config.ResendDelay),
	}
	if e.forward, err = newForward(o.Config.Alertmanagers, e.logger, o.Registerer); err != nil {
		return nil, fmt.Errorf("rules: alertmanagers: %w", err)
	}
	if o.DB != nil {
		e.stored = &groupStore{db: o.DB, tenant: o.Tenant}
	}
	e.disk = files
	if err := e.refresh(context.Background()); err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	if o.Dir != "" {
		if err := os.MkdirAll(o.Dir, 0o750); err != nil {
			return nil, fmt.Errorf("rules: %w", err)
		}
		e.state = newStateFile(filepath.Join(o.Dir, stateFileName), e.logger, e.metrics)
	}
	return e, nil
}

// Start restores the state of alerts, hands those that fire to the Sender, and
// begins to evaluate. The engine stops when Shutdown is called, not when ctx is
// done.
func (e *Engine) Start(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.manager != nil {
		return errors.New("rules: started already")
	}
	saved, err := e.state.read()
	if err != nil {
		e.logger.Error("rule state is unreadable, falling back to ALERTS_FOR_STATE", "err", err)
	}
	// Prometheus restores alerts whose `for` is at least the grace period: none
	// where our own state is known to be complete.
	forGrace := forever
	if saved == nil {
		forGrace = time.Duration(e.config.ForGracePeriod)
	}
	runCtx, cancel := context.WithCancel(tenant.WithID(context.WithoutCancel(ctx), e.opts.Tenant))
	e.cancel = cancel
	beside := newConcurrency(e.config.MaxConcurrentRules)
	manager := promrules.NewManager(&promrules.ManagerOptions{
		ExternalURL:               e.opts.ExternalURL,
		QueryFunc:                 e.query,
		NotifyFunc:                e.notify,
		Context:                   runCtx,
		Appendable:                e.opts.Appendable,
		Queryable:                 e.opts.Queryable,
		Logger:                    e.logger,
		Metrics:                   e.metrics.groups,
		OutageTolerance:           time.Duration(e.config.OutageTolerance),
		ForGracePeriod:            forGrace,
		ResendDelay:               e.resendDelay,
		GroupLoader:               e.loader,
		RuleConcurrencyController: beside,
		RuleDependencyController:  beside,
		DefaultRuleQueryOffset:    e.queryOffset,
		Parser:                    e.parser,
	})
	if err := e.update(manager, e.config, e.loader); err != nil {
		cancel()
		return err
	}
	e.manager = manager
	if saved != nil {
		e.restore(runCtx, saved, time.Now())
	}
	e.loops.Go(manager.Run)
	e.loops.Go(e.forward.run)
	if e.state != nil {
		e.loops.Go(func() { e.state.run(runCtx, e.liveGroups) })
	}
	if e.stored != nil && e.opts.DB.Dialect() == "postgres" {
		e.loops.Go(func() { e.follow(runCtx) })
	}
	return nil
}

func (e *Engine) queryOffset() time.Duration { return time.Duration(e.metrics.queryOffset.Load()) }

// update makes manager run the loader's files. Prometheus' manager copies the
// state of alerts from groups of the same file and name.
func (e *Engine) update(manager *promrules.Manager, c Config, l *loader) error {
	e.metrics.queryOffset.Store(int64(c.QueryOffset))
	return manager.Update(time.Duration(c.EvaluationInterval), slices.Sorted(maps.Keys(l.files)),
		labels.FromMap(c.ExternalLabels), e.opts.ExternalURL.String(), e.iterate)
}

// Reload reads all files again, with a new configuration. On an error, which
// holds config.Faults where a file is at fault, nothing has changed. Changes of
// resend_delay, outage_tolerance and alertmanagers need a restart.
func (e *Engine) Reload(c Config) error {
	if err := c.Validate(); err != nil {
		return fmt.Errorf("rules: %w", err)
	}
	files, err := load(c.Files, e.opts.Languages)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopped {
		return errors.New("rules: the engine is shut down")
	}
	groups, version, err := e.stored.list(context.Background())
	if err != nil {
		return fmt.Errorf("rules: %w", err)
	}
	if err := e.apply(c, files, groups); err != nil {
		return err
	}
	e.groups, e.version = groups, version
	return nil
}

// apply makes rules of files and of stored groups the running ones. On an error
// nothing has changed. e.mu is held.
func (e *Engine) apply(c Config, disk map[string]*File, groups []storedGroup) error {
	next := &loader{files: e.withStored(disk, groups), parser: e.parser}
	specs, err := next.specs()
	if err != nil {
		return err
	}
	if e.manager != nil {
		// Old and new groups run side by side for a moment; each must find its
		// rules.
		union := maps.Clone(*e.specs.Load())
		maps.Copy(union, specs)
		e.specs.Store(&union)
		previous := *e.loader
		*e.loader = *next
		if err := e.update(e.manager, c, e.loader); err != nil {
			*e.loader = previous
			return err
		}
	} else {
		e.loader = next
	}
	e.specs.Store(&specs)
	e.config, e.disk = c, disk
	if e.manager != nil {
		e.health.retain(e.liveGroups())
	}
	e.state.touch()
	return nil
}

// Shutdown stops evaluating, waits for evaluations that run until ctx is done,
// and writes the state. It may be called without Start, and again.
func (e *Engine) Shutdown(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopped || e.manager == nil {
		e.stopped = true
		return nil
	}
	e.stopped = true
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.manager.Stop()
		e.forward.stop()
		e.cancel()
		e.loops.Wait()
	}()
	select {
	case <-done:
	case <-ctx.Done():
		e.cancel() // ends the queries that Stop waits for
		<-done
	}
	return e.state.write(e.liveGroups())
}

// RuleGroups returns the groups, by file and name, as Prometheus' rules API
// wants them.
func (e *Engine) RuleGroups() []*promrules.Group {
	if m := e.running(); m != nil {
		return m.RuleGroups()
	}
	return nil
}

// AlertingRules returns the alerting rules of all groups.
func (e *Engine) AlertingRules() []*promrules.AlertingRule {
	if m := e.running(); m != nil {
		return m.AlertingRules()
	}
	return nil
}

func (e *Engine) running() *promrules.Manager {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.manager
}

// TypeOf returns the type of a rule of a group that RuleGroups returned.
func (e *Engine) TypeOf(g *promrules.Group, r promrules.Rule) Type {
	s, _ := e.spec(promrules.GroupKey(g.File(), g.Name()), r.Name(), r.Query().String())
	return s.language
}

func (e *Engine) liveGroups() map[string]bool {
	out := map[string]bool{}
	for _, g := range e.manager.RuleGroups() {
		out[promrules.GroupKey(g.File(), g.Name())] = true
	}
	return out
}

// spec finds a rule; known is false for a text that is no rule's expression,
// such as a query in a template, which is PromQL.
func (e *Engine) spec(group, name, expr string) (s spec, known bool) {
	s, known = (*e.specs.Load())[specKey{group, name, expr}]
	if !known {
		s.language = Metrics
	}
	return s, known
}

type groupInContext struct{}

// iterate is one evaluation of a group.
func (e *Engine) iterate(ctx context.Context, g *promrules.Group, at time.Time) {
	promrules.DefaultEvalIterationFunc(context.WithValue(ctx, groupInContext{}, g), g, at)
	e.afterEvaluation(ctx, g, at)
	e.state.capture(g, !e.health.get(promrules.GroupKey(g.File(), g.Name())).since.IsZero())
}

// query evaluates an expression for a rule, or for a template of a rule.
func (e *Engine) query(ctx context.Context, expr string, at time.Time) (promql.Vector, error) {
	g, ok := ctx.Value(groupInContext{}).(*promrules.Group)
	if !ok {
		return e.opts.Languages[Metrics].Query(ctx, expr, at)
	}
	origin := promrules.FromOriginContext(ctx)
	s, isRule := e.spec(promrules.GroupKey(g.File(), g.Name()), origin.Name, expr)
	lang := e.opts.Languages[s.language]
	if lang == nil {
		return nil, fmt.Errorf("rules on %s are not available", s.language)
	}
	vec, err := lang.Query(ctx, expr, at)
	for i := range vec {
		vec[i].T = at.UnixMilli() // what is recorded is recorded at the evaluation's time
	}
	if err != nil || !isRule || origin.Kind != promrules.KindAlerting {
		return vec, err
	}
	if s.recover == "" && (s.noData == "" || s.noData == NoDataOK) && e.grace.over() {
		return vec, nil
	}
	rule := alertingRule(g, origin)
	if rule == nil {
		return vec, nil
	}
	vec = append(vec, e.grace.held(rule, vec, at)...)
	if s.recover != "" {
		held, err := unrecovered(ctx, lang, s.recover, rule, vec, at)
		if err != nil {
			return nil, fmt.Errorf("recover: %w", err)
		}
		vec = append(vec, held...)
	}
	absent, err := missing(ctx, lang, s.noData, rule, expr, vec, at)
	if err != nil {
		return nil, fmt.Errorf("no_data: %w", err)
	}
	return append(vec, absent...), nil
}

func alertingRule(g *promrules.Group, origin promrules.RuleDetail) *promrules.AlertingRule {
	for _, r := range g.Rules() {
		ar, ok := r.(*promrules.AlertingRule)
		if ok && ar.Name() == origin.Name && ar.Query().String() == origin.Query && labels.Equal(ar.Labels(), origin.Labels) {
			return ar
		}
	}
	return nil
}

// notify hands a rule's alerts to the Sender.
func (e *Engine) notify(ctx context.Context, expr string, alerts ...*promrules.Alert) {
	if len(alerts) == 0 {
		return
	}
	t := Metrics
	if g, ok := ctx.Value(groupInContext{}).(*promrules.Group); ok {
		s, _ := e.spec(promrules.GroupKey(g.File(), g.Name()), "", expr)
		t = s.language
	}
	out := make([]*alert.Alert, len(alerts))
	for i, a := range alerts {
		out[i] = e.outgoing(t, expr, a)
		e.forward.send(out[i], a.Annotations)
	}
	e.send(ctx, out...)
}

// outgoing turns a rule's alert into the router's.
func (e *Engine) outgoing(t Type, expr string, a *promrules.Alert) *alert.Alert {
	ends := a.ResolvedAt
	if ends.IsZero() {
		ends = a.ValidUntil
	}
	return &alert.Alert{Alert: model.Alert{
		Labels:       labelSet(a.Labels),
		Annotations:  withValue(labelSet(a.Annotations), a.Value),
		StartsAt:     a.FiredAt,
		EndsAt:       ends,
		GeneratorURL: strings.TrimSuffix(e.opts.ExternalURL.String(), "/") + e.opts.LinkTo(t, expr),
	}}
}

// ValueAnnotation holds what an alert's expression evaluated to, so that who is
// told, and the timeline of the incident, can say it. A rule's own annotation of
// that name stays.
const ValueAnnotation = "value"

func withValue(annotations model.LabelSet, value float64) model.LabelSet {
	if _, own := annotations[ValueAnnotation]; !own {
		annotations[ValueAnnotation] = model.LabelValue(strconv.FormatFloat(value, 'g', 6, 64))
	}
	return annotations
}

func defaultLink(t Type, expr string) string {
	q := url.QueryEscape(expr)
	switch t {
	case Logs:
		return "/logs?q=" + q
	case Traces:
		return "/traces?q=" + q
	}
	return "/graph?g0.expr=" + q + "&g0.tab=1"
}
