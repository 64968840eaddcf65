package api

import (
	"encoding/base64"
	"strconv"

	"belfry/traces"
)

type jaegerTrace struct {
	TraceID   string                   `json:"traceID"`
	Spans     []jaegerSpan             `json:"spans"`
	Processes map[string]jaegerProcess `json:"processes"`
	Warnings  []string                 `json:"warnings"`
}

type jaegerSpan struct {
	TraceID       string            `json:"traceID"`
	SpanID        string            `json:"spanID"`
	OperationName string            `json:"operationName"`
	References    []jaegerReference `json:"references"`
	Flags         uint32            `json:"flags,omitempty"`
	StartTime     int64             `json:"startTime"` // microseconds
	Duration      int64             `json:"duration"`  // microseconds
	Tags          []jaegerTag       `json:"tags"`
	Logs          []jaegerLog       `json:"logs"`
	ProcessID     string            `json:"processID"`
	Warnings      []string          `json:"warnings"`
}

type jaegerReference struct {
	RefType string `json:"refType"`
	TraceID string `json:"traceID"`
	SpanID  string `json:"spanID"`
}

type jaegerTag struct {
	Key   string `json:"key"`
	Type  string `json:"type"`
	Value any    `json:"value"`
}

type jaegerLog struct {
	Timestamp int64       `json:"timestamp"` // microseconds
	Fields    []jaegerTag `json:"fields"`
}

type jaegerProcess struct {
	ServiceName string      `json:"serviceName"`
	Tags        []jaegerTag `json:"tags"`
}

func jaegerTraces(f *found) []jaegerTrace {
	out := make([]jaegerTrace, 0, len(f.trees))
	for _, tree := range f.trees {
		trace := jaegerTraceOf(tree)
		if f.cut[tree.Spans[0].TraceID] {
			trace.Warnings = append(trace.Warnings, "the trace may have more spans than can be returned")
		}
		out = append(out, trace)
	}
	return out
}

func jaegerTraceOf(tree *traces.Tree) jaegerTrace {
	out := jaegerTrace{
		TraceID: tree.Spans[0].TraceID.String(), Processes: map[string]jaegerProcess{},
		Spans: make([]jaegerSpan, 0, len(tree.Spans)),
	}
	processes := map[string]string{} // content to ID
	known := map[*traces.Resource]string{}
	for i := range tree.Spans {
		s := &tree.Spans[i]
		id, ok := known[s.Resource]
		if !ok {
			process := jaegerProcessOf(s.Resource)
			key := string(traces.Map(s.Resource.Attributes...).AppendJSON(nil))
			if id, ok = processes[key]; !ok {
				id = "p" + strconv.Itoa(len(processes)+1)
				processes[key] = id
				out.Processes[id] = process
			}
			known[s.Resource] = id
		}
		out.Spans = append(out.Spans, jaegerSpanOf(s, id))
	}
	return out
}

func jaegerProcessOf(r *traces.Resource) jaegerProcess {
	p := jaegerProcess{ServiceName: r.Service(), Tags: []jaegerTag{}}
	if p.ServiceName == "" {
		p.ServiceName = "unknown_service"
	}
	for _, a := range r.Attributes {
		if a.Key != "service.name" {
			p.Tags = append(p.Tags, jaegerTagOf(a.Key, a.Value))
		}
	}
	return p
}

func jaegerSpanOf(s *traces.Span, process string) jaegerSpan {
	out := jaegerSpan{
		TraceID: s.TraceID.String(), SpanID: s.ID.String(), OperationName: s.Name,
		References: []jaegerReference{}, Flags: s.Flags & 0xff, StartTime: s.Start / 1000, Duration: max(0, s.Duration) / 1000,
		Tags: []jaegerTag{}, Logs: []jaegerLog{}, ProcessID: process,
	}
	if !s.ParentID.IsZero() {
		out.References = append(out.References, jaegerReference{"CHILD_OF", out.TraceID, s.ParentID.String()})
	}
	for _, l := range s.Links {
		refType := "FOLLOWS_FROM"
		if v, _ := traces.Lookup(l.Attributes, "opentracing.ref_type"); v.Text() == "child_of" {
			refType = "CHILD_OF"
		}
		out.References = append(out.References, jaegerReference{refType, l.TraceID.String(), l.SpanID.String()})
	}
	for _, a := range s.Attributes {
		out.Tags = append(out.Tags, jaegerTagOf(a.Key, a.Value))
	}
	text := func(key, value string) {
		if value != "" {
			out.Tags = append(out.Tags, jaegerTagOf(key, traces.String(value)))
		}
	}
	if s.Kind != traces.SpanKindUnspecified {
		text("span.kind", s.Kind.String())
	}
	switch s.Status {
	case traces.StatusError:
		text("otel.status_code", "ERROR")
		if _, has := traces.Lookup(s.Attributes, "error"); !has {
			out.Tags = append(out.Tags, jaegerTagOf("error", traces.Bool(true)))
		}
	case traces.StatusOK:
		text("otel.status_code", "OK")
	}
	text("otel.status_description", s.StatusMessage)
	text("otel.scope.name", s.Resource.ScopeName)
	text("otel.scope.version", s.Resource.ScopeVersion)
	text("w3c.tracestate", s.TraceState)
	for _, e := range s.Events {
		log := jaegerLog{Timestamp: e.Time / 1000, Fields: []jaegerTag{}}
		if e.Name != "" {
			log.Fields = append(log.Fields, jaegerTagOf("event", traces.String(e.Name)))
		}
		for _, a := range e.Attributes {
			log.Fields = append(log.Fields, jaegerTagOf(a.Key, a.Value))
		}
		out.Logs = append(out.Logs, log)
	}
	if s.Duration < 0 {
		out.Warnings = append(out.Warnings, "the span ends before it starts")
	}
	return out
}

func jaegerTagOf(key string, v traces.Value) jaegerTag {
	switch v.Kind() {
	case traces.KindInt:
		return jaegerTag{key, "int64", v.Int()}
	case traces.KindFloat:
		if text := string(v.AppendJSON(nil)); text[0] == '"' {
			return jaegerTag{key, "string", v.Text()} // NaN and infinities are no JSON numbers
		}
		return jaegerTag{key, "float64", v.Float()}
	case traces.KindBool:
		return jaegerTag{key, "bool", v.Bool()}
	case traces.KindBytes:
		return jaegerTag{key, "binary", base64.StdEncoding.EncodeToString([]byte(v.Str()))}
	}
	return jaegerTag{key, "string", v.Text()}
}
