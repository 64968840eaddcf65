package belfry

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Header of an answer that says which bound ended a query of traces early.
const cutHeader = "X-Belfry-Cut"

// TraceSearch is a search for traces.
type TraceSearch struct {
	Query         string
	Start, End    time.Time
	Limit         int
	SpansPerTrace int
}

// TracePage are the traces found, newest first.
type TracePage struct {
	Traces  []TraceSummary
	Cut     string // the bound that ended the search, if one did
	Spans   float64
	Bytes   float64
	HasMore bool
}

// TraceSummary is a trace as a search shows it.
type TraceSummary struct {
	TraceID     string `json:"traceID"`
	RootService string `json:"rootServiceName"`
	RootName    string `json:"rootTraceName"`
	Start       string `json:"startTimeUnixNano"`
	DurationMs  int64  `json:"durationMs"`
	Services    map[string]struct {
		Spans  int64 `json:"spanCount"`
		Errors int64 `json:"errorCount"`
	} `json:"serviceStats"`
	SpanSets []struct {
		Matched int64          `json:"matched"`
		Spans   []MatchingSpan `json:"spans"`
	} `json:"spanSets"`
}

// MatchingSpan is a span that a search matched.
type MatchingSpan struct {
	SpanID     string      `json:"spanID"`
	Name       string      `json:"name"`
	Start      string      `json:"startTimeUnixNano"`
	Duration   string      `json:"durationNanos"`
	Attributes []Attribute `json:"attributes"`
}

// Attribute is a key with a value of some type.
type Attribute struct {
	Key   string         `json:"key"`
	Value map[string]any `json:"value"`
}

// Text is the value as text.
func (a Attribute) Text() string {
	for _, v := range a.Value {
		return fmt.Sprint(v)
	}
	return ""
}

type searchMetrics struct {
	InspectedBytes string `json:"inspectedBytes"`
	InspectedSpans string `json:"inspectedSpans"`
}

// SearchTraces runs a TraceQL search.
func (c *Client) SearchTraces(ctx context.Context, q TraceSearch) (*TracePage, error) {
	p := url.Values{
		"q":     {q.Query},
		"start": {strconv.FormatInt(q.Start.Unix(), 10)},
		"end":   {strconv.FormatInt(q.End.Add(time.Second-1).Unix(), 10)},
		"limit": {strconv.Itoa(q.Limit)},
		"spss":  {strconv.Itoa(q.SpansPerTrace)},
	}
	const path = "/tempo/api/search"
	a, err := c.get(ctx, path, p)
	if err != nil {
		return nil, err
	}
	var out struct {
		Traces  []TraceSummary `json:"traces"`
		Metrics searchMetrics  `json:"metrics"`
	}
	if err := a.decode(path, &out); err != nil {
		return nil, err
	}
	page := &TracePage{Traces: out.Traces, Cut: a.header.Get(cutHeader), HasMore: a.header.Get("X-Belfry-Next") != ""}
	page.Bytes, _ = strconv.ParseFloat(out.Metrics.InspectedBytes, 64)
	page.Spans, _ = strconv.ParseFloat(out.Metrics.InspectedSpans, 64)
	return page, nil
}

// Trace fetches one trace; cut says that the server left spans out.
func (c *Client) Trace(ctx context.Context, id string) (trace *tracepb.TracesData, cut string, err error) {
	a, err := c.get(ctx, "/tempo/api/traces/"+url.PathEscape(id), nil, "Accept", "application/protobuf")
	if err != nil {
		return nil, "", err
	}
	trace = &tracepb.TracesData{}
	if err := proto.Unmarshal(a.body, trace); err != nil {
		return nil, "", fmt.Errorf("the answer for trace %s is not a trace: %w", id, err)
	}
	return trace, a.header.Get(cutHeader), nil
}

// TraceSeries are numbers over time that TraceQL computed, with exemplars.
type TraceSeries struct {
	Series
	Exemplars []Exemplar
}

type traceSeriesAnswer struct {
	Labels  []Attribute `json:"labels"`
	Value   *float64    `json:"value"` // of an instant query
	Samples []struct {
		TimestampMs string  `json:"timestampMs"`
		Value       float64 `json:"value"`
	} `json:"samples"`
	Exemplars []struct {
		Labels      []Attribute `json:"labels"`
		Value       float64     `json:"value"`
		TimestampMs string      `json:"timestampMs"`
	} `json:"exemplars"`
}

// TraceMetrics runs a TraceQL metrics query; a step of 0 asks for one number
// over the whole range.
func (c *Client) TraceMetrics(ctx context.Context, query string, start, end time.Time, step time.Duration, exemplars int) ([]TraceSeries, string, error) {
	path := "/tempo/api/metrics/query_range"
	p := url.Values{"q": {query}, "start": {nanos(start)}, "end": {nanos(end)}, "exemplars": {strconv.Itoa(max(1, exemplars))}}
	if step > 0 {
		p.Set("step", seconds(step))
	} else {
		path = "/tempo/api/metrics/query"
	}
	a, err := c.get(ctx, path, p)
	if err != nil {
		return nil, "", err
	}
	var out struct {
		Series []traceSeriesAnswer `json:"series"`
	}
	if err := a.decode(path, &out); err != nil {
		return nil, "", err
	}
	series := make([]TraceSeries, 0, len(out.Series))
	for _, s := range out.Series {
		series = append(series, s.decode(end))
	}
	return series, a.header.Get(cutHeader), nil
}

func (s *traceSeriesAnswer) decode(end time.Time) TraceSeries {
	t := TraceSeries{Series: Series{Labels: attributeLabels(s.Labels)}}
	if s.Value != nil {
		t.Times, t.Values = []int64{end.UnixMilli()}, []float64{*s.Value}
	}
	for _, p := range s.Samples {
		ms, _ := strconv.ParseInt(p.TimestampMs, 10, 64)
		t.Times, t.Values = append(t.Times, ms), append(t.Values, p.Value)
	}
	for _, e := range s.Exemplars {
		ms, _ := strconv.ParseInt(e.TimestampMs, 10, 64)
		t.Exemplars = append(t.Exemplars, Exemplar{Labels: attributeLabels(e.Labels), Series: t.Labels, Value: e.Value, Time: ms})
	}
	return t
}

func attributeLabels(list []Attribute) map[string]string {
	m := make(map[string]string, len(list))
	for _, a := range list {
		m[a.Key] = a.Text()
	}
	return m
}

// Call is how often one service called another.
type Call struct {
	Parent string `json:"parent"`
	Child  string `json:"child"`
	Count  int64  `json:"callCount"`
}

// Calls asks for the calls between services, computed from spans.
func (c *Client) Calls(ctx context.Context, start, end time.Time) ([]Call, error) {
	var out struct{ Data []Call }
	err := c.getJSON(ctx, "/jaeger/api/dependencies", url.Values{
		"endTs": {strconv.FormatInt(end.UnixMilli(), 10)}, "lookback": {strconv.FormatInt(end.Sub(start).Milliseconds(), 10)},
	}, &out)
	return out.Data, err
}
