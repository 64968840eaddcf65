package api

import (
	"strconv"
	"strings"
	"time"

	"belfry/traces"
	"belfry/traces/traceql"
)

// spanSearch is a search for traces with a span that meets all conditions, as
// Jaeger and Zipkin ask for it.
type spanSearch struct {
	service, operation       string
	minDuration, maxDuration time.Duration
	tags                     map[string]tagText
	events                   []string // names of events
	foldOperation            bool     // Zipkin shows names in lower case, and asks for them so
}

func (s *spanSearch) query() (*traceql.Query, error) {
	var conditions []string
	if s.service != "" {
		conditions = append(conditions, "resource.service.name = "+strconv.Quote(s.service))
	}
	switch {
	case s.operation == "" || s.operation == "all":
	case s.foldOperation:
		conditions = append(conditions, "name =~ "+strconv.Quote("(?i)"+quoteMeta(s.operation)))
	default:
		conditions = append(conditions, "name = "+strconv.Quote(s.operation))
	}
	if s.minDuration > 0 {
		conditions = append(conditions, "duration >= "+s.minDuration.String())
	}
	if s.maxDuration > 0 {
		conditions = append(conditions, "duration <= "+s.maxDuration.String())
	}
	for key, value := range s.tags {
		conditions = append(conditions, exactTag(key, string(value)))
	}
	for _, e := range s.events {
		conditions = append(conditions, "event:name = "+strconv.Quote(e))
	}
	return traceql.Parse("{ " + strings.Join(conditions, " && ") + " }")
}

// exactTag is the condition that a tag, wherever Jaeger would show it, has a
// value that reads as the text.
func exactTag(key, value string) string {
	switch key {
	case "error":
		if value == "true" {
			return "(status = error || .error = true)"
		}
	case "span.kind":
		if _, ok := traces.ParseSpanKind(strings.ToLower(value)); ok {
			return "kind = " + strings.ToLower(value)
		}
	case "otel.status_code":
		if _, ok := traces.ParseStatus(strings.ToLower(value)); ok {
			return "status = " + strings.ToLower(value)
		}
	case "otel.status_description":
		return "statusMessage = " + strconv.Quote(value)
	case "otel.scope.name", "otel.library.name":
		return "instrumentation:name = " + strconv.Quote(value)
	case "otel.scope.version", "otel.library.version":
		return "instrumentation:version = " + strconv.Quote(value)
	}
	literals := []string{strconv.Quote(value)}
	if f, err := strconv.ParseFloat(value, 64); err == nil && !strings.ContainsAny(value, "xXnNiI_pP") {
		literals = append(literals, strings.TrimPrefix(value, "+"))
		_ = f
	}
	if value == "true" || value == "false" {
		literals = append(literals, value)
	}
	var either []string
	for _, scope := range []traces.Scope{traces.ScopeAny, traces.ScopeEvent} {
		field := traceql.FieldRef{Field: traces.Field{Scope: scope, Name: key}}.String()
		for _, literal := range literals {
			either = append(either, field+" = "+literal)
		}
	}
	return "(" + strings.Join(either, " || ") + ")"
}
