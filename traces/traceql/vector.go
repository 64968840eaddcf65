package traceql

import (
	"context"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"

	"belfry/internal/fault"
)

// Vector evaluates a metrics query over the spans that started in the lookback
// before t, as one step, for a rule. A result that a bound cut short is an error:
// an alert must not rest on a part of the data. A query can ask for a lookback of
// its own: { status = error } | rate() with (lookback=5m).
//
// Label names become those that the other signals use: the scope is dropped, and
// what Prometheus names cannot hold becomes "_" (resource.service.name is
// service_name). Where two would then be the same, the scope stays.
func (e *Engine) Vector(ctx context.Context, tenant, query string, t time.Time, lookback time.Duration) (promql.Vector, error) {
	q, err := Parse(query)
	if err != nil {
		return nil, err
	}
	for _, h := range q.Hints {
		if h.Name == "lookback" && h.Value.Type == TypeDuration && h.Value.Value.Int() > 0 {
			lookback = time.Duration(h.Value.Value.Int())
		}
	}
	result, err := e.Range(ctx, tenant, RangeRequest{Query: q, From: t.Add(-lookback).UnixNano(), To: t.UnixNano()})
	if err != nil {
		return nil, err
	}
	if result.Stats.Cut != "" {
		return nil, fault.New(fault.Unprocessable, "query was cut short by its bound on %s", result.Stats.Cut)
	}
	vector := make(promql.Vector, 0, len(result.Series))
	for _, s := range result.Series {
		if len(s.Points) > 0 {
			vector = append(vector, promql.Sample{Metric: metricLabels(s.Labels), T: t.UnixMilli(), F: s.Points[0].Value})
		}
	}
	return vector, nil
}

func metricLabels(l Labels) labels.Labels {
	count := map[string]int{}
	for _, label := range l {
		count[shortLabel(label.Name)]++
	}
	b := labels.NewScratchBuilder(len(l))
	for _, label := range l.withoutName() {
		name := shortLabel(label.Name)
		if count[name] > 1 {
			name = labelName(label.Name)
		}
		b.Add(name, label.Value.Text())
	}
	b.Sort()
	return b.Labels()
}

func shortLabel(name string) string {
	for _, scope := range []string{"resource.", "span.", "event.", "link.", "instrumentation.", "."} {
		if rest, ok := strings.CutPrefix(name, scope); ok {
			return labelName(rest)
		}
	}
	return labelName(name)
}

func labelName(name string) string {
	out := []byte(name)
	for i, c := range out {
		if !isLetter(c) && !isDigit(c) {
			out[i] = '_'
		}
	}
	if len(out) == 0 || isDigit(out[0]) {
		return "_" + string(out)
	}
	return string(out)
}
