package query

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/features"

	"belfry/internal/tenant"
	"belfry/tsdb"
	"belfry/tsdb/query/cache"
	"belfry/tsdb/query/fragment"
)

// noStepSubqueryInterval is the resolution of a subquery that names none.
const noStepSubqueryInterval = time.Minute

// minSelectorSteps is the number of steps from which on a selector that is the
// whole query is evaluated in columns.
const minSelectorSteps = 4

// Options configure an engine.
type Options struct {
	// Name tells the engines of one process apart, in the label "engine" of
	// their metrics: "api", "rules".
	Name   string
	Config tsdb.QueryConfig

	// StartTimestamps is the store's treatment of start times.
	StartTimestamps tsdb.StartTimestamps

	Usage *Usage // is told of every query; nil if nobody wants to know

	Logger     *slog.Logger          // nil discards
	Registerer prometheus.Registerer // nil registers nothing
	Features   features.Collector    // nil records nothing
}

// NewParser returns the PromQL parser: the language as Prometheus has it, with
// the experimental functions and modifiers.
func NewParser() parser.Parser {
	return parser.NewParser(parser.Options{
		EnableExperimentalFunctions:  true,
		ExperimentalDurationExpr:     true,
		EnableExtendedRangeSelectors: true,
		EnableBinopFillModifiers:     true,
	})
}

// Engine evaluates PromQL. It implements promql.QueryEngine and is safe for
// concurrent use.
type Engine struct {
	opts    promql.EngineOpts
	parser  *handoff
	general *promql.Engine
	metrics *engineMetrics
	limits  fragment.Limits
	cache   *cache.Cache // nil keeps no results
	usage   *Usage       // nil if nobody wants to know
}

var _ promql.QueryEngine = (*Engine)(nil)

// NewEngine returns a PromQL engine. Queries beyond Config.MaxConcurrency wait;
// one that runs longer than Config.Timeout or needs more than
// Config.MaxSamples in memory fails and says so.
func NewEngine(o Options) *Engine {
	opts := engineOpts(o)
	e := newEngine(opts)
	e.usage = o.Usage
	if o.Config.ResultCache > 0 {
		e.cache = cache.New(int(o.Config.ResultCache), opts.Reg)
	}
	if o.Config.TailCache > 0 {
		e.limits.Tails = fragment.NewTails(int(o.Config.TailCache), opts.Reg)
	}
	return e
}

func newEngine(opts promql.EngineOpts) *Engine {
	e := &Engine{opts: opts, parser: &handoff{Parser: opts.Parser}, metrics: newEngineMetrics(opts.Reg)}
	e.limits.MaxSamples = opts.MaxSamples
	opts.Parser = e.parser
	e.general = promql.NewEngine(opts)
	return e
}

func engineOpts(o Options) promql.EngineOpts {
	reg := o.Registerer
	if reg != nil {
		reg = prometheus.WrapRegistererWith(prometheus.Labels{"engine": o.Name}, reg)
	}
	return promql.EngineOpts{
		Logger:                   o.Logger,
		Reg:                      reg,
		MaxSamples:               o.Config.MaxSamples,
		Timeout:                  time.Duration(o.Config.Timeout),
		ActiveQueryTracker:       newGate(o.Config.MaxConcurrency),
		LookbackDelta:            time.Duration(o.Config.LookbackDelta),
		NoStepSubqueryIntervalFn: func(int64) int64 { return noStepSubqueryInterval.Milliseconds() },
		EnableAtModifier:         true,
		EnableNegativeOffset:     true,
		EnablePerStepStats:       true,
		UseStartTimestamps:       o.StartTimestamps == tsdb.Stored,
		FeatureRegistry:          o.Features,
		Parser:                   NewParser(),
	}
}

// Close releases what the engine holds.
func (e *Engine) Close() error { return e.general.Close() }

// NewInstantQuery implements promql.QueryEngine.
func (e *Engine) NewInstantQuery(ctx context.Context, q storage.Queryable, opts promql.QueryOpts, qs string, ts time.Time) (promql.Query, error) {
	e.use(ctx, qs)
	at := ts.UnixMilli()
	r := request{queryable: q, opts: opts, text: qs, grid: fragment.Grid{Start: at, End: at, Step: 1}}
	r.general = func(text string, q storage.Queryable) (promql.Query, error) {
		return e.general.NewInstantQuery(ctx, q, opts, text, ts)
	}
	return e.newQuery(r)
}

// NewRangeQuery implements promql.QueryEngine.
func (e *Engine) NewRangeQuery(ctx context.Context, q storage.Queryable, opts promql.QueryOpts, qs string, start, end time.Time, interval time.Duration) (promql.Query, error) {
	e.use(ctx, qs)
	r := request{
		queryable: q, opts: opts, text: qs, isRange: true,
		grid: fragment.Grid{Start: start.UnixMilli(), End: end.UnixMilli(), Step: interval.Milliseconds()},
	}
	r.general = func(text string, q storage.Queryable) (promql.Query, error) {
		return e.general.NewRangeQuery(ctx, q, opts, text, start, end, interval)
	}
	if c, ok := e.cached(r); ok {
		c.compute = func(ctx context.Context, start, end int64) (promql.Query, error) {
			part := r
			part.grid.Start, part.grid.End = start, end
			part.general = func(text string, q storage.Queryable) (promql.Query, error) {
				return e.general.NewRangeQuery(ctx, q, opts, text, time.UnixMilli(start), time.UnixMilli(end), interval)
			}
			return e.newQuery(part)
		}
		var err error
		c.statement, err = r.statement()
		return c, err
	}
	return e.newQuery(r)
}

func (e *Engine) use(ctx context.Context, text string) {
	if e.usage != nil {
		e.usage.Record(ctx, text)
	}
}

// request is what was asked.
type request struct {
	queryable storage.Queryable
	opts      promql.QueryOpts
	text      string
	grid      fragment.Grid
	isRange   bool

	// general makes a query of Prometheus' engine.
	general func(text string, q storage.Queryable) (promql.Query, error)
}

// statement is what the request asks, or what is wrong with it.
func (r request) statement() (parser.Statement, error) {
	q, err := r.general(r.text, untrimmed{r.queryable})
	if err != nil {
		return nil, err
	}
	return q.Statement(), nil
}

// newQuery decides how a request is evaluated. Prometheus' engine parses too,
// so that every complaint about a query is its own.
func (e *Engine) newQuery(r request) (promql.Query, error) {
	general, err := r.general(r.text, untrimmed{r.queryable})
	if err != nil {
		return nil, err
	}
	store, plan, reason := e.plan(r)
	if plan == nil {
		e.metrics.count(pathGeneral, reason)
		return general, nil
	}
	q := &query{engine: e, request: r, general: general, statement: general.Statement()}
	if plan.Root != nil {
		q.path = pathFragments
		q.fast = e.general.NewTestQuery(func(ctx context.Context) error {
			return q.evaluateRoot(ctx, plan.Root, store, e.limits)
		})
		return q, nil
	}
	q.path = pathMixed
	text, done := e.parser.hand(plan.Expr)
	defer done()
	q.fast, err = r.general(text, untrimmed{&fragment.Queryable{Plan: plan, Store: store, Limits: e.limits, Done: q.account}})
	if err != nil {
		return nil, fmt.Errorf("evaluate the rest of a query: %w", err)
	}
	return q, nil
}

// plan splits a request's expression. Without a plan, reason says why it is
// Prometheus' engine's alone.
func (e *Engine) plan(r request) (store tsdbQueryable, plan *fragment.Plan, reason string) {
	store, ok := r.queryable.(tsdbQueryable)
	switch {
	case !ok:
		return nil, nil, "no_chunks"
	case r.opts != nil && r.opts.EnablePerStepStats():
		return nil, nil, "step_statistics"
	case r.grid.Step <= 0 || r.grid.Steps() == 0:
		return nil, nil, "no_steps"
	}
	expr, err := e.opts.Parser.ParseExpr(r.text)
	if err != nil {
		return nil, nil, "no_fragment"
	}
	plan = fragment.Split(expr, fragment.Rules{
		Grid:            r.grid,
		Lookback:        e.lookback(r),
		SubqueryStep:    noStepSubqueryInterval,
		DelayedNames:    e.opts.EnableDelayedNameRemoval,
		StartTimestamps: e.opts.UseStartTimestamps,
		MinSteps:        minSelectorSteps,
	})
	if plan.Empty() {
		return nil, nil, "no_fragment"
	}
	return store, plan, ""
}

// lookback is how old a sample an instant of the request may see.
func (e *Engine) lookback(r request) time.Duration {
	if r.opts != nil && r.opts.LookbackDelta() > 0 {
		return r.opts.LookbackDelta()
	}
	return e.opts.LookbackDelta
}

// tsdbQueryable is a store that hands out chunks.
type tsdbQueryable interface {
	storage.Queryable
	storage.ChunkQueryable
}

// handoff is the parser of the general engine. An expression that is there
// already is handed to it under a name that is no PromQL.
type handoff struct {
	parser.Parser
	last  atomic.Uint64
	exprs sync.Map
}

// hand returns the text that stands for expr until done is called.
func (h *handoff) hand(expr parser.Expr) (text string, done func()) {
	text = fmt.Sprintf("\x00%d", h.last.Add(1))
	h.exprs.Store(text, expr)
	return text, func() { h.exprs.Delete(text) }
}

// ParseExpr implements parser.Parser.
func (h *handoff) ParseExpr(input string) (parser.Expr, error) {
	if len(input) > 0 && input[0] == 0 {
		if expr, ok := h.exprs.Load(input); ok {
			return expr.(parser.Expr), nil
		}
	}
	return h.Parser.ParseExpr(input)
}

// RuleFunc returns a function that the rule manager evaluates rules with: an
// instant query of one tenant's data, whose result is a vector.
func RuleFunc(engine promql.QueryEngine, q storage.Queryable, tenantID string) rules.QueryFunc {
	run := rules.EngineQueryFunc(engine, q)
	return func(ctx context.Context, expr string, t time.Time) (promql.Vector, error) {
		return run(tenant.WithID(ctx, tenantID), expr, t)
	}
}
