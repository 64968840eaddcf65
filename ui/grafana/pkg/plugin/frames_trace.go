package plugin

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/grafana/grafana-plugin-sdk-go/data"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

// span is a span with what it inherits.
type span struct {
	*tracepb.Span
	resource *resourcepb.Resource
	scope    *commonpb.InstrumentationScope
	service  string
}

func (s *span) failed() bool {
	return s.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR
}

func (s *span) millis() float64 {
	return float64(s.EndTimeUnixNano-min(s.StartTimeUnixNano, s.EndTimeUnixNano)) / 1e6
}

// flatten lists the spans of a trace by their start.
func flatten(td *tracepb.TracesData) []span {
	var out []span
	for _, rs := range td.ResourceSpans {
		service := "unknown_service"
		for _, kv := range rs.GetResource().GetAttributes() {
			if kv.Key == "service.name" {
				service = kv.GetValue().GetStringValue()
			}
		}
		for _, ss := range rs.ScopeSpans {
			for _, s := range ss.Spans {
				out = append(out, span{s, rs.Resource, ss.Scope, service})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b span) int {
		return cmp.Or(cmp.Compare(a.StartTimeUnixNano, b.StartTimeUnixNano), strings.Compare(string(a.SpanId), string(b.SpanId)))
	})
	return out
}

type keyValue struct {
	Key   string `json:"key"`
	Value any    `json:"value"`
	Type  string `json:"type,omitempty"`
}

type traceEvent struct {
	Timestamp float64    `json:"timestamp"` // ms
	Name      string     `json:"name,omitempty"`
	Fields    []keyValue `json:"fields"`
}

type traceReference struct {
	TraceID string     `json:"traceID"`
	SpanID  string     `json:"spanID"`
	Tags    []keyValue `json:"tags"`
}

func keyValues(list []*commonpb.KeyValue) []keyValue {
	out := make([]keyValue, 0, len(list))
	for _, kv := range list {
		v, t := plain(kv.Value)
		out = append(out, keyValue{kv.Key, v, t})
	}
	return out
}

// plain is a value as JSON has it, and its type's name.
func plain(v *commonpb.AnyValue) (any, string) {
	switch x := v.GetValue().(type) {
	case *commonpb.AnyValue_StringValue:
		return x.StringValue, "string"
	case *commonpb.AnyValue_BoolValue:
		return x.BoolValue, "bool"
	case *commonpb.AnyValue_IntValue:
		if x.IntValue > 1<<53 || x.IntValue < -1<<53 {
			return strconv.FormatInt(x.IntValue, 10), "int64" // JavaScript has no such number
		}
		return x.IntValue, "int64"
	case *commonpb.AnyValue_DoubleValue:
		return x.DoubleValue, "float64"
	case *commonpb.AnyValue_BytesValue:
		return hex.EncodeToString(x.BytesValue), "string"
	case *commonpb.AnyValue_ArrayValue:
		out := []any{}
		for _, e := range x.ArrayValue.GetValues() {
			p, _ := plain(e)
			out = append(out, p)
		}
		return asText(out), "string"
	case *commonpb.AnyValue_KvlistValue:
		out := map[string]any{}
		for _, e := range x.KvlistValue.GetValues() {
			out[e.Key], _ = plain(e.Value)
		}
		return asText(out), "string"
	}
	return "", "string"
}

func asText(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(b)
}

func raw(v any) json.RawMessage { return json.RawMessage(asText(v)) }

func events(s *span) json.RawMessage {
	out := make([]traceEvent, 0, len(s.Events))
	for _, e := range s.Events {
		fields := append([]keyValue{{"event", e.Name, "string"}}, keyValues(e.Attributes)...)
		out = append(out, traceEvent{float64(e.TimeUnixNano) / 1e6, e.Name, fields})
	}
	return raw(out)
}

func references(s *span) json.RawMessage {
	out := make([]traceReference, 0, len(s.Links))
	for _, l := range s.Links {
		out = append(out, traceReference{hex.EncodeToString(l.TraceId), hex.EncodeToString(l.SpanId), keyValues(l.Attributes)})
	}
	return raw(out)
}

// stackTraces are those of the exceptions that a span recorded.
func stackTraces(s *span) json.RawMessage {
	out := []string{}
	for _, e := range s.Events {
		for _, kv := range e.Attributes {
			if kv.Key == "exception.stacktrace" {
				out = append(out, kv.GetValue().GetStringValue())
			}
		}
	}
	if len(out) == 0 {
		return json.RawMessage("null")
	}
	return raw(out)
}

var statusNames = []string{"unset", "ok", "error"}

var kindNames = []string{"unspecified", "internal", "server", "client", "producer", "consumer"}

func nameOf(names []string, i int32) string {
	if i >= 0 && int(i) < len(names) {
		return names[i]
	}
	return names[0]
}

// traceFrame has a row a span, in the fields that Grafana's trace view reads.
func (d *Datasource) traceFrame(spans []span) *data.Frame {
	n := len(spans)
	text := func() []string { return make([]string, n) }
	objects := func() []json.RawMessage { return make([]json.RawMessage, n) }
	traceIDs, spanIDs, names, services := text(), text(), text(), text()
	kinds, messages, scopes, scopeVersions, states := text(), text(), text(), text(), text()
	parents := make([]*string, n)
	starts, durations, codes := make([]float64, n), make([]float64, n), make([]int64, n)
	serviceTags, tags, logs, refs, stacks := objects(), objects(), objects(), objects(), objects()
	for i := range spans {
		s := &spans[i]
		traceIDs[i], spanIDs[i] = hex.EncodeToString(s.TraceId), hex.EncodeToString(s.SpanId)
		if len(s.ParentSpanId) > 0 {
			id := hex.EncodeToString(s.ParentSpanId)
			parents[i] = &id
		}
		names[i], services[i], kinds[i] = s.Name, s.service, nameOf(kindNames, int32(s.Kind))
		starts[i], durations[i] = float64(s.StartTimeUnixNano)/1e6, s.millis()
		codes[i], messages[i] = int64(s.GetStatus().GetCode()), s.GetStatus().GetMessage()
		scopes[i], scopeVersions[i], states[i] = s.scope.GetName(), s.scope.GetVersion(), s.TraceState
		serviceTags[i], logs[i], refs[i], stacks[i] = raw(keyValues(s.resource.GetAttributes())), events(s), references(s), stackTraces(s)
		own := append(keyValues(s.Attributes), keyValue{"status", nameOf(statusNames, int32(s.GetStatus().GetCode())), "string"})
		if s.failed() && !slices.ContainsFunc(own, func(kv keyValue) bool { return kv.Key == "error" }) {
			own = append(own, keyValue{"error", true, "bool"})
		}
		tags[i] = raw(own)
	}
	spanField := data.NewField("spanID", nil, spanIDs)
	spanField.Config = &data.FieldConfig{Links: d.spanLinks()}
	return data.NewFrame("Trace",
		data.NewField("traceID", nil, traceIDs), spanField, data.NewField("parentSpanID", nil, parents),
		data.NewField("operationName", nil, names), data.NewField("serviceName", nil, services), data.NewField("kind", nil, kinds),
		data.NewField("statusCode", nil, codes), data.NewField("statusMessage", nil, messages),
		data.NewField("instrumentationLibraryName", nil, scopes), data.NewField("instrumentationLibraryVersion", nil, scopeVersions),
		data.NewField("traceState", nil, states), data.NewField("serviceTags", nil, serviceTags),
		data.NewField("startTime", nil, starts), data.NewField("duration", nil, durations), data.NewField("logs", nil, logs),
		data.NewField("references", nil, refs), data.NewField("tags", nil, tags), data.NewField("stackTraces", nil, stacks),
	)
}

// spanLinks lead from a span to what was logged in it and to its operation's
// series. The front end gives them the trace's range.
func (d *Datasource) spanLinks() []data.DataLink {
	const service = `${__span.tags["service.name"]}`
	return []data.DataLink{
		d.logsLink("Logs of this span", ` | trace_id="${__span.traceId}" | span_id="${__span.spanId}"`),
		d.logsLink("Logs of this trace", ` | trace_id="${__span.traceId}"`),
		d.metricsLink("Rate and errors of this operation",
			`sum by (status_code) (rate(traces_spanmetrics_calls_total{service="`+service+`", span_name="${__span.name}"}[$__rate_interval]))`),
		d.metricsLink("Duration of this operation",
			`histogram_quantile(0.95, sum by (le) (rate(traces_spanmetrics_latency_bucket{service="`+service+`", span_name="${__span.name}"}[$__rate_interval])))`),
	}
}
