package api

import (
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

// stepsWanted is how many points a range gets whose step is not said.
const stepsWanted = 120

// stepParam reads a step in seconds or as a duration; a missing one follows from the range.
func stepParam(p *params, length int64) int64 {
	text := p.text("step")
	if text == "" || text == "auto" {
		step := length / stepsWanted
		return max(int64(time.Second), step-step%int64(time.Second))
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

func (t *tempo) queryRange(w http.ResponseWriter, r *http.Request) error {
	p := paramsOf(r)
	from, to := t.metricsRange(p)
	step := stepParam(p, to-from)
	exemplars := p.number("exemplars", 100, 1000)
	if p.err != nil {
		return p.err
	}
	q, err := traceql.Parse(p.text("q", "query"))
	if err != nil {
		return err
	}
	// Steps begin at multiples of the step, so that a graph that is loaded again
	// a moment later has the same points.
	from -= from % step
	if rest := to % step; rest != 0 {
		to += step - rest
	}
	result, err := t.Engine.Range(r.Context(), tenant.ID(r.Context()), traceql.RangeRequest{Query: q, From: from, To: to, Step: step, Exemplars: exemplars})
	if err != nil {
		return err
	}
	tellCut(w, result.Stats)
	series := make([]rangeSeries, 0, len(result.Series))
	for _, s := range result.Series {
		series = append(series, rangeSeriesOf(s))
	}
	writeJSON(w, http.StatusOK, map[string]any{"series": series, "metrics": metricsOf(result.Stats)})
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

func (t *tempo) queryInstant(w http.ResponseWriter, r *http.Request) error {
	p := paramsOf(r)
	from, to := t.metricsRange(p)
	if p.err != nil {
		return p.err
	}
	q, err := traceql.Parse(p.text("q", "query"))
	if err != nil {
		return err
	}
	result, err := t.Engine.Range(r.Context(), tenant.ID(r.Context()), traceql.RangeRequest{Query: q, From: from, To: to})
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
	writeJSON(w, http.StatusOK, map[string]any{"series": series, "metrics": metricsOf(result.Stats)})
	return nil
}
