package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"belfry/internal/tenant"
	"belfry/traces"
	"belfry/traces/traceql"
)

type rangeSeries struct {
	Labels     []keyValue       `json:"labels"`
	Samples    []sampleAnswer   `json:"samples"`
	PromLabels string           `json:"promLabels"`
	Exemplars  []exemplarAnswer `json:"exemplars,omitempty"`
}

type sampleAnswer struct {
	TimestampMs string  `json:"timestampMs"`
	Value       float64 `json:"value"`
}

type exemplarAnswer struct {
	Labels      []keyValue `json:"labels"`
	Value       float64    `json:"value"`
	TimestampMs string     `json:"timestampMs"`
}

type instantSeries struct {
	Labels     []keyValue `json:"labels"`
	Value      float64    `json:"value"`
	PromLabels string     `json:"promLabels"`
}

// metricsRange is the range of a metrics query: since, or start and end; the
// last hour if it says nothing.
func (t *tempo) metricsRange(p *params) (from, to int64) {
	lookback := time.Hour
	if since := p.duration("since"); since > 0 {
		lookback = since
	}
	to = p.instant("end", time.Second, t.Now().UnixNano())
	return p.instant("start", time.Second, to-int64(lookback)), to
}

const (
	defaultExemplars = 100
	maxExemplars     = 1000
)

// defaultStep is the step of a range that names none: about 240 points, at a
// round distance where the range is a minute or longer.
func defaultStep(length int64) int64 {
	step := length / 240
	if length < int64(time.Minute) {
		const unit = int64(50 * time.Millisecond)
		return max(unit, step-step%unit)
	}
	for _, unit := range []int64{
		int64(time.Hour), int64(5 * time.Minute), int64(time.Minute),
		int64(15 * time.Second), int64(5 * time.Second), int64(time.Second),
	} {
		if step > unit {
			return step - step%unit
		}
	}
	return int64(time.Second)
}

// stepParam reads a step in seconds or as a duration; a missing one follows from the range.
func stepParam(p *params, length int64) int64 {
	text := p.text("step")
	if text == "" || text == "auto" {
		return defaultStep(length)
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil && f > 0 && f < 1e9 {
		return int64(f * 1e9)
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		p.fail("step", "%q is not a duration such as 15s", text)
		return int64(time.Minute)
	}
	return int64(d)
}

func millis(ns int64) string { return strconv.FormatInt(ns/1e6, 10) }

func labelsOf(labels traceql.Labels) []keyValue {
	out := make([]keyValue, 0, len(labels))
	for _, l := range labels {
		out = append(out, keyValue{l.Name, anyValueOf(l.Value)})
	}
	return out
}

// rangeMetrics runs a metrics query over [from, to).
func (t *tempo) rangeMetrics(ctx context.Context, query string, from, to, step int64, exemplars int) (*traceql.RangeResult, error) {
	q, err := traceql.Parse(query)
	if err != nil {
		return nil, err
	}
	// Steps begin at multiples of the step, so that a graph that is loaded again
	// a moment later has the same points.
	from -= from % step
	if rest := to % step; rest != 0 {
		to += step - rest
	}
	return t.Engine.Range(ctx, tenant.ID(ctx), traceql.RangeRequest{Query: q, From: from, To: to, Step: step, Exemplars: exemplars})
}

func (t *tempo) queryRange(w http.ResponseWriter, r *http.Request) error {
	p := paramsOf(r)
	from, to := t.metricsRange(p)
	step := stepParam(p, to-from)
	exemplars := p.number("exemplars", defaultExemplars, maxExemplars)
	if exemplars == 0 {
		exemplars = defaultExemplars // clients that mean none say so in the query
	}
	if p.err != nil {
		return p.err
	}
	result, err := t.rangeMetrics(r.Context(), p.text("q", "query"), from, to, step, exemplars)
	if err != nil {
		return err
	}
	tellCut(w, result.Stats)
	series := make([]rangeSeries, 0, len(result.Series))
	for _, s := range result.Series {
		series = append(series, rangeSeriesOf(s))
	}
	answer := map[string]any{"series": series, "metrics": metricsOf(result.Stats)}
	if result.Stats.Cut != "" {
		answer["status"], answer["message"] = "PARTIAL", result.Stats.Cut
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}

func rangeSeriesOf(s traceql.Series) rangeSeries {
	out := rangeSeries{Labels: labelsOf(s.Labels), PromLabels: s.Labels.String(), Samples: make([]sampleAnswer, 0, len(s.Points))}
	for _, point := range s.Points {
		out.Samples = append(out.Samples, sampleAnswer{millis(point.Time), point.Value})
	}
	for _, e := range s.Exemplars {
		out.Exemplars = append(out.Exemplars, exemplarAnswer{
			Labels: []keyValue{{"trace:id", anyValueOf(traces.String(e.TraceID.String()))}, {"span:id", anyValueOf(traces.String(e.SpanID.String()))}},
			Value:  e.Value, TimestampMs: millis(e.Time),
		})
	}
	return out
}

// instantMetrics runs a metrics query that has one value for all of [from, to).
func (t *tempo) instantMetrics(ctx context.Context, query string, from, to int64) (*traceql.RangeResult, error) {
	q, err := traceql.Parse(query)
	if err != nil {
		return nil, err
	}
	return t.Engine.Range(ctx, tenant.ID(ctx), traceql.RangeRequest{Query: q, From: from, To: to})
}

func (t *tempo) queryInstant(w http.ResponseWriter, r *http.Request) error {
	p := paramsOf(r)
	from, to := t.metricsRange(p)
	if p.err != nil {
		return p.err
	}
	result, err := t.instantMetrics(r.Context(), p.text("q", "query"), from, to)
	if err != nil {
		return err
	}
	tellCut(w, result.Stats)
	series := make([]instantSeries, 0, len(result.Series))
	for _, s := range result.Series {
		if len(s.Points) > 0 {
			series = append(series, instantSeries{labelsOf(s.Labels), s.Points[0].Value, s.Labels.String()})
		}
	}
	answer := map[string]any{"series": series, "metrics": metricsOf(result.Stats)}
	if result.Stats.Cut != "" {
		answer["status"], answer["message"] = "PARTIAL", result.Stats.Cut
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}
