package app

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/prometheus/promql"

	"belfry/alerting/rules"
	"belfry/internal/tenant"
	"belfry/logs/logql"
	"belfry/logs/logql/syntax"
	"belfry/traces/traceql"
	"belfry/tsdb/query"
)

// traceRuleWindow is how far back a trace rule's expression looks: rate() and
// its siblings are over the spans that started in it.
const traceRuleWindow = time.Minute

// languages are what rules may be written in, over the stores.
func (s *stores) languages() map[rules.Type]rules.Language {
	return Languages(rules.PromQL(query.NewParser(), s.ruleEngine, s.metrics), s.logql, s.traceql)
}

// Languages are what rules may be written in.
func Languages(metrics rules.Language, logs *logql.Engine, traces *traceql.Engine) map[rules.Type]rules.Language {
	return map[rules.Type]rules.Language{rules.Metrics: metrics, rules.Logs: logLanguage{logs}, rules.Traces: traceLanguage{traces}}
}

// checkLanguages are the same languages where there is no store to ask: for
// checking rule files.
func checkLanguages() map[rules.Type]rules.Language {
	return Languages(rules.PromQL(query.NewParser(), nil, nil), nil, nil)
}

type logLanguage struct{ engine *logql.Engine }

func (logLanguage) Validate(expr string) error {
	_, err := syntax.ParseSample(expr)
	return err
}

// Operand implements rules.Thresholder.
func (logLanguage) Operand(expr string) (string, bool) { return syntax.Threshold(expr) }

func (l logLanguage) Query(ctx context.Context, expr string, at time.Time) (promql.Vector, error) {
	return l.engine.Vector(ctx, tenant.ID(ctx), expr, at)
}

type traceLanguage struct{ engine *traceql.Engine }

func (traceLanguage) Validate(expr string) error {
	q, err := traceql.Parse(expr)
	if err != nil {
		return err
	}
	if q.Metrics == nil && q.Math == nil {
		return fmt.Errorf("the expression selects traces; a rule needs a number, as %s | rate() gives", expr)
	}
	return nil
}

func (l traceLanguage) Query(ctx context.Context, expr string, at time.Time) (promql.Vector, error) {
	return l.engine.Vector(ctx, tenant.ID(ctx), expr, at, traceRuleWindow)
}
