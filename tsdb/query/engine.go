package query

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/features"

	"belfry/internal/tenant"
	"belfry/tsdb"
)

// noStepSubqueryInterval is the resolution of a subquery that names none.
const noStepSubqueryInterval = time.Minute

// Options configure an engine.
type Options struct {
	// Name tells the engines of one process apart, in the label "engine" of
	// their metrics: "api", "rules".
	Name   string
	Config tsdb.QueryConfig

	// StartTimestamps is the store's treatment of start times.
	StartTimestamps tsdb.StartTimestamps

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

// NewEngine returns a PromQL engine. Queries beyond Config.MaxConcurrency wait;
// one that runs longer than Config.Timeout or needs more than
// Config.MaxSamples in memory fails and says so.
func NewEngine(o Options) *promql.Engine { return promql.NewEngine(engineOpts(o)) }

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

// RuleFunc returns a function that the rule manager evaluates rules with: an
// instant query of one tenant's data, whose result is a vector.
func RuleFunc(engine promql.QueryEngine, q storage.Queryable, tenantID string) rules.QueryFunc {
	run := rules.EngineQueryFunc(engine, q)
	return func(ctx context.Context, expr string, t time.Time) (promql.Vector, error) {
		return run(tenant.WithID(ctx, tenantID), expr, t)
	}
}

// gate bounds the queries that run at a time. It implements
// promql.QueryTracker.
type gate struct{ slots chan struct{} }

func newGate(n int) *gate { return &gate{make(chan struct{}, n)} }

func (g *gate) GetMaxConcurrent() int { return cap(g.slots) }

func (g *gate) Insert(ctx context.Context, _ string) (int, error) {
	select {
	case g.slots <- struct{}{}:
		return 0, nil
	case <-ctx.Done():
		return 0, fmt.Errorf("wait for other queries: %w", ctx.Err())
	}
}

func (g *gate) Delete(int) { <-g.slots }

func (g *gate) Close() error { return nil }
