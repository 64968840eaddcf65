package api

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"belfry/internal/fault"
	"belfry/internal/tenant"
	"belfry/traces"
	"belfry/traces/traceql"
)

type searchAnswer struct {
	Traces  []traceAnswer `json:"traces"`
	Metrics searchMetrics `json:"metrics"`
}

type searchMetrics struct {
	InspectedTraces int    `json:"inspectedTraces,omitempty"`
	InspectedBytes  string `json:"inspectedBytes,omitempty"`
	InspectedSpans  string `json:"inspectedSpans,omitempty"`
	TotalBlocks     int    `json:"totalBlocks,omitempty"`
	CompletedJobs   int    `json:"completedJobs,omitempty"`
	TotalJobs       int    `json:"totalJobs,omitempty"`
}

type traceAnswer struct {
	TraceID         string                  `json:"traceID"`
	RootServiceName string                  `json:"rootServiceName"`
	RootTraceName   string                  `json:"rootTraceName"`
	Start           string                  `json:"startTimeUnixNano"`
	DurationMs      int64                   `json:"durationMs,omitempty"`
	SpanSet         *spanSetAnswer          `json:"spanSet,omitempty"` // the first of SpanSets, for older clients
	SpanSets        []spanSetAnswer         `json:"spanSets,omitempty"`
	ServiceStats    map[string]serviceStats `json:"serviceStats,omitempty"`
}

type serviceStats struct {
	SpanCount  int `json:"spanCount"`
	ErrorCount int `json:"errorCount,omitempty"`
}

type spanSetAnswer struct {
	Spans      []spanAnswer `json:"spans"`
	Matched    int          `json:"matched"`
	Attributes []keyValue   `json:"attributes,omitempty"`
}

type spanAnswer struct {
	SpanID     string     `json:"spanID"`
	Name       string     `json:"name,omitempty"`
	Start      string     `json:"startTimeUnixNano"`
	Duration   string     `json:"durationNanos"`
	Attributes []keyValue `json:"attributes,omitempty"`
}

func metricsOf(s traces.Stats) searchMetrics {
	return searchMetrics{
		InspectedBytes: strconv.FormatInt(s.Bytes, 10), InspectedSpans: strconv.FormatInt(s.Spans, 10),
		TotalBlocks: s.Blocks, CompletedJobs: 1, TotalJobs: 1,
	}
}

func (t *tempo) search(w http.ResponseWriter, r *http.Request) error {
	p := paramsOf(r)
	req := traceql.SearchRequest{
		Limit:       p.number("limit", 20, t.MaxLimit),
		SpansPerSet: p.number("spss", 3, 1000),
	}
	req.From, req.To = p.secondsRange(t.Now(), t.DefaultLookback)
	minDuration, maxDuration := p.duration("minDuration"), p.duration("maxDuration")
	if after := p.text("after"); after != "" && p.err == nil {
		req.After, p.err = traceql.ParseCursor(after)
	}
	if p.err != nil {
		return p.err
	}
	var err error
	if req.Query, err = searchQuery(p.text("q"), p.text("tags"), minDuration, maxDuration); err != nil {
		return err
	}
	result, err := t.Engine.Search(r.Context(), tenant.ID(r.Context()), req)
	if err != nil {
		return err
	}
	if result.Next != nil {
		w.Header().Set(NextHeader, result.Next.String())
	}
	tellCut(w, result.Stats)
	answer := searchAnswer{Traces: make([]traceAnswer, 0, len(result.Traces)), Metrics: metricsOf(result.Stats)}
	answer.Metrics.InspectedTraces = result.Inspected
	for i := range result.Traces {
		answer.Traces = append(answer.Traces, traceAnswerOf(&result.Traces[i]))
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}

func traceAnswerOf(s *traceql.Summary) traceAnswer {
	out := traceAnswer{
		TraceID: s.ID.String(), RootServiceName: s.RootService, RootTraceName: s.RootName,
		Start: strconv.FormatInt(s.Start, 10), DurationMs: s.Duration / 1e6,
		ServiceStats: make(map[string]serviceStats, len(s.Services)),
	}
	for _, service := range s.Services {
		out.ServiceStats[service.Name] = serviceStats{service.Spans, service.Errors}
	}
	for _, set := range s.SpanSets {
		shown := spanSetAnswer{Matched: set.Matched, Attributes: keyValues(set.Attributes), Spans: make([]spanAnswer, 0, len(set.Spans))}
		for _, span := range set.Spans {
			shown.Spans = append(shown.Spans, spanAnswer{
				SpanID: span.ID.String(), Name: span.Name,
				Start: strconv.FormatInt(span.Start, 10), Duration: strconv.FormatInt(max(0, span.Duration), 10),
				Attributes: keyValues(span.Attributes),
			})
		}
		out.SpanSets = append(out.SpanSets, shown)
	}
	if len(out.SpanSets) > 0 {
		out.SpanSet = &out.SpanSets[0]
	}
	return out
}

// searchQuery is what a search asks for, in TraceQL or by tags.
func searchQuery(q, tags string, minDuration, maxDuration time.Duration) (*traceql.Query, error) {
	switch {
	case q != "" && tags != "":
		return nil, fault.Invalidf("a search takes either q or tags, not both")
	case maxDuration > 0 && maxDuration < minDuration:
		return nil, fault.Invalidf("maxDuration is below minDuration")
	case q != "":
		return traceql.Parse(q)
	}
	return tagQuery(tags, minDuration, maxDuration)
}

// tagQuery makes a query of a search by tags: key=value pairs in logfmt, whose
// values are found anywhere in an attribute's text, in whatever case.
func tagQuery(tags string, minDuration, maxDuration time.Duration) (*traceql.Query, error) {
	pairs, err := parseLogfmt(tags)
	if err != nil {
		return nil, err
	}
	return pairQuery(pairs, minDuration, maxDuration)
}

func pairQuery(pairs map[string]string, minDuration, maxDuration time.Duration) (*traceql.Query, error) {
	var conditions []string
	for _, key := range slices.Sorted(maps.Keys(pairs)) {
		conditions = append(conditions, tagCondition(key, pairs[key]))
	}
	if minDuration > 0 {
		conditions = append(conditions, "traceDuration >= "+minDuration.String())
	}
	if maxDuration > 0 {
		conditions = append(conditions, "traceDuration <= "+maxDuration.String())
	}
	return traceql.Parse("{ " + strings.Join(conditions, " && ") + " }")
}

func tagCondition(key, value string) string {
	pattern := strconv.Quote("(?i).*" + quoteMeta(value) + ".*")
	switch key {
	case "name", "statusMessage":
		return key + " =~ " + pattern
	case "root.name":
		return "rootName =~ " + pattern
	case "root.service.name":
		return "rootServiceName =~ " + pattern
	case "service.name":
		return "resource.service.name =~ " + pattern
	case "error":
		if value == "true" {
			return "(status = error || .error = true)"
		}
	case "status", "status.code":
		if _, ok := traces.ParseStatus(strings.ToLower(value)); ok {
			return "status = " + strings.ToLower(value)
		}
	}
	field := traceql.FieldRef{Field: traces.Field{Scope: traces.ScopeAny, Name: key}}.String()
	condition := field + " =~ " + pattern
	if _, err := strconv.ParseFloat(value, 64); err == nil && !strings.ContainsAny(value, "xXnNiI_pP") {
		condition += " || " + field + " = " + value
	}
	if value == "true" || value == "false" {
		condition += " || " + field + " = " + value
	}
	return "(" + condition + ")"
}

func quoteMeta(s string) string {
	var out strings.Builder
	for _, r := range s {
		if strings.ContainsRune(`\.+*?()|[]{}^$`, r) {
			out.WriteByte('\\')
		}
		out.WriteRune(r)
	}
	return out.String()
}

// parseLogfmt reads key=value and key="value" pairs. No key may come twice.
func parseLogfmt(s string) (map[string]string, error) {
	pairs := map[string]string{}
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		key, rest, ok := strings.Cut(s, "=")
		if !ok || key == "" || strings.ContainsAny(key, " \"") {
			return nil, fault.Invalidf("parameter tags: %q is not key=value", s)
		}
		if _, twice := pairs[key]; twice {
			return nil, fault.Invalidf("parameter tags: %q comes twice", key)
		}
		if strings.HasPrefix(rest, `"`) {
			quoted, err := strconv.QuotedPrefix(rest)
			if err != nil {
				return nil, fault.Invalidf("parameter tags: %q is not a quoted value", rest)
			}
			value, _ := strconv.Unquote(quoted)
			pairs[key] = value
			s = rest[len(quoted):]
			continue
		}
		value, after, _ := strings.Cut(rest, " ")
		pairs[key] = value
		s = after
	}
	return pairs, nil
}
