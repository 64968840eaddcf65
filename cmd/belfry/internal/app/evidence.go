package app

import (
	"context"
	"math"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"

	"belfry/alerting/evidence"
	"belfry/alerting/rules"
	"belfry/internal/tenant"
	"belfry/logs"
	"belfry/logs/logql"
	"belfry/logs/logql/syntax"
	"belfry/traces/traceql"
	"belfry/tsdb/query"
)

// evidence is where messages find what is behind an alert.
func (s *stores) evidence() evidence.Stores {
	return evidence.Stores{
		Rangers: map[string]evidence.Ranger{
			evidence.Metrics: metricRanger{s, rules.PromQL(query.NewParser(), nil, nil).(rules.Thresholder)},
			evidence.Logs:    logRanger{s.logql},
			evidence.Traces:  traceRanger{s.traceql},
		},
		Lines:  logRanger{s.logql},
		Traces: traceRanger{s.traceql},
	}
}

// metricRanger asks by the engine of the rules: a page must not wait behind
// dashboards.
type metricRanger struct {
	stores *stores
	rules.Thresholder
}

func (m metricRanger) Range(ctx context.Context, id, expr string, from, to time.Time, step time.Duration) ([]evidence.Series, error) {
	ctx = tenant.WithID(ctx, id)
	q, err := m.stores.ruleEngine.NewRangeQuery(ctx, m.stores.metrics, nil, expr, from, to, step)
	if err != nil {
		return nil, err
	}
	defer q.Close()
	result := q.Exec(ctx)
	matrix, err := result.Matrix()
	if err != nil {
		return nil, err
	}
	return seriesOf(matrix), nil
}

func seriesOf(matrix promql.Matrix) []evidence.Series {
	out := make([]evidence.Series, 0, len(matrix))
	for _, one := range matrix {
		s := evidence.Series{Labels: map[string]string{}}
		one.Metric.Range(func(l labels.Label) { s.Labels[l.Name] = l.Value })
		for _, p := range one.Floats {
			if !math.IsNaN(p.F) && !math.IsInf(p.F, 0) {
				s.Points = append(s.Points, evidence.Point{T: p.T, V: p.F})
			}
		}
		out = append(out, s)
	}
	return out
}

type logRanger struct{ engine *logql.Engine }

// Operand implements evidence.Ranger.
func (logRanger) Operand(expr string) (string, bool) { return syntax.Threshold(expr) }

func (l logRanger) Range(ctx context.Context, id, expr string, from, to time.Time, step time.Duration) ([]evidence.Series, error) {
	result, err := l.engine.Range(ctx, logql.Params{Tenant: id, Query: expr, Start: from, End: to, Step: step})
	if err != nil {
		return nil, err
	}
	return seriesOf(result.Matrix), nil
}

// Newest implements evidence.LineFinder.
func (l logRanger) Newest(ctx context.Context, id, expr string, from, to time.Time, limit int) ([]evidence.Line, error) {
	result, err := l.engine.Range(ctx, logql.Params{Tenant: id, Query: expr, Start: from, End: to, Direction: logs.Backward, Limit: limit})
	if err != nil {
		return nil, err
	}
	out := make([]evidence.Line, 0, len(result.Entries))
	for _, e := range result.Entries {
		out = append(out, evidence.Line{At: time.Unix(0, e.Time).UTC(), Text: e.Line})
	}
	return out, nil
}

type traceRanger struct{ engine *traceql.Engine }

// Operand implements evidence.Ranger.
func (traceRanger) Operand(expr string) (string, bool) { return evidence.WithoutThreshold(expr) }

func (t traceRanger) Range(ctx context.Context, id, expr string, from, to time.Time, step time.Duration) ([]evidence.Series, error) {
	q, err := traceql.Parse(expr)
	if err != nil {
		return nil, err
	}
	result, err := t.engine.Range(ctx, id, traceql.RangeRequest{Query: q, From: from.UnixNano(), To: to.UnixNano(), Step: step.Nanoseconds()})
	if err != nil {
		return nil, err
	}
	out := make([]evidence.Series, 0, len(result.Series))
	for _, one := range result.Series {
		s := evidence.Series{Labels: map[string]string{}}
		for _, l := range one.Labels {
			s.Labels[l.Name] = l.Value.Text()
		}
		for _, p := range one.Points {
			if !math.IsNaN(p.Value) && !math.IsInf(p.Value, 0) {
				s.Points = append(s.Points, evidence.Point{T: p.Time / int64(time.Millisecond), V: p.Value})
			}
		}
		out = append(out, s)
	}
	return out, nil
}

// Example implements evidence.TraceFinder.
func (t traceRanger) Example(ctx context.Context, id, expr string, from, to time.Time) (string, error) {
	q, err := traceql.Parse(expr)
	if err != nil {
		return "", err
	}
	result, err := t.engine.Search(ctx, id, traceql.SearchRequest{Query: q, From: from.UnixNano(), To: to.UnixNano(), Limit: 1, SpansPerSet: 1})
	if err != nil || len(result.Traces) == 0 {
		return "", err
	}
	return result.Traces[0].ID.String(), nil
}
