package traces

import (
	"encoding/base64"
	"math"
	"strconv"

	"belfry/internal/otlpwire"
)

// AppendResourceSpansJSON appends what AppendTracesData writes as protobuf's JSON of the
// ResourceSpans, an array: IDs in base64, enumerations by name, 64-bit integers as
// strings, and without fields that are zero.
func AppendResourceSpansJSON(dst []byte, spans []Span) []byte {
	groups, order := groupSpans(spans)
	w := jsonWriter{dst}
	w.open('[')
	for _, key := range order {
		first := groups[key][0].spans[0].Resource
		w.next()
		w.open('{')
		w.object("resource", func() {
			w.attributes(first.Attributes)
			w.number("droppedAttributesCount", uint64(first.DroppedAttributes))
		})
		w.key("scopeSpans")
		w.open('[')
		for _, g := range groups[key] {
			w.next()
			w.scopeSpans(g.spans)
		}
		w.shut(']')
		w.text("schemaUrl", first.SchemaURL)
		w.shut('}')
	}
	w.shut(']')
	return w.b
}

// jsonWriter appends JSON. Commas come by themselves: before a key or an element that does
// not stand first.
type jsonWriter struct{ b []byte }

func (w *jsonWriter) open(c byte) { w.b = append(w.b, c) }
func (w *jsonWriter) shut(c byte) { w.b = append(w.b, c) }

// next begins an element of an array, or a member of an object.
func (w *jsonWriter) next() {
	if c := w.b[len(w.b)-1]; c != '[' && c != '{' {
		w.b = append(w.b, ',')
	}
}

func (w *jsonWriter) key(name string) {
	w.next()
	w.b = append(w.b, '"')
	w.b = append(append(w.b, name...), '"', ':')
}

func (w *jsonWriter) object(name string, fill func()) {
	w.key(name)
	w.open('{')
	fill()
	w.shut('}')
}

func (w *jsonWriter) string(s string) { w.b = otlpwire.AppendJSONString(w.b, []byte(s)) }

func (w *jsonWriter) text(name, s string) {
	if s != "" {
		w.key(name)
		w.string(s)
	}
}

func (w *jsonWriter) base64(name string, raw []byte) {
	w.key(name)
	w.b = append(w.b, '"')
	w.b = append(base64.StdEncoding.AppendEncode(w.b, raw), '"')
}

func (w *jsonWriter) number(name string, n uint64) {
	if n != 0 {
		w.key(name)
		w.b = strconv.AppendUint(w.b, n, 10)
	}
}

// long writes a 64-bit integer.
func (w *jsonWriter) long(name string, n uint64) {
	if n != 0 {
		w.key(name)
		w.b = append(strconv.AppendUint(append(w.b, '"'), n, 10), '"')
	}
}

// enum writes a number by its name; names[0] is that of 1.
func (w *jsonWriter) enum(name, prefix string, n int32, names ...string) {
	if n == 0 {
		return
	}
	w.key(name)
	if n < 0 || int(n) > len(names) {
		w.b = strconv.AppendInt(w.b, int64(n), 10)
		return
	}
	w.b = append(w.b, '"')
	w.b = append(append(append(w.b, prefix...), names[n-1]...), '"')
}

func (w *jsonWriter) scopeSpans(spans []*Span) {
	r := spans[0].Resource
	w.open('{')
	w.object("scope", func() {
		w.text("name", r.ScopeName)
		w.text("version", r.ScopeVersion)
		w.attributes(r.ScopeAttributes)
		w.number("droppedAttributesCount", uint64(r.ScopeDroppedAttributes))
	})
	w.key("spans")
	w.open('[')
	for _, s := range spans {
		w.next()
		w.span(s)
	}
	w.shut(']')
	w.text("schemaUrl", r.ScopeSchemaURL)
	w.shut('}')
}

func (w *jsonWriter) span(s *Span) {
	w.open('{')
	w.base64("traceId", s.TraceID[:])
	w.base64("spanId", s.ID[:])
	w.text("traceState", s.TraceState)
	if !s.ParentID.IsZero() {
		w.base64("parentSpanId", s.ParentID[:])
	}
	w.text("name", s.Name)
	w.enum("kind", "SPAN_KIND_", int32(s.Kind), "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
	w.long("startTimeUnixNano", uint64(s.Start))
	w.long("endTimeUnixNano", uint64(s.End()))
	w.attributes(s.Attributes)
	w.number("droppedAttributesCount", uint64(s.DroppedAttributes))
	if len(s.Events) > 0 {
		w.key("events")
		w.open('[')
		for i := range s.Events {
			w.event(&s.Events[i])
		}
		w.shut(']')
	}
	w.number("droppedEventsCount", uint64(s.DroppedEvents))
	if len(s.Links) > 0 {
		w.key("links")
		w.open('[')
		for i := range s.Links {
			w.link(&s.Links[i])
		}
		w.shut(']')
	}
	w.number("droppedLinksCount", uint64(s.DroppedLinks))
	w.object("status", func() {
		w.text("message", s.StatusMessage)
		w.enum("code", "STATUS_CODE_", int32(s.Status), "OK", "ERROR")
	})
	w.number("flags", uint64(s.Flags))
	w.shut('}')
}

func (w *jsonWriter) event(e *Event) {
	w.next()
	w.open('{')
	w.long("timeUnixNano", uint64(e.Time))
	w.text("name", e.Name)
	w.attributes(e.Attributes)
	w.number("droppedAttributesCount", uint64(e.DroppedAttributes))
	w.shut('}')
}

func (w *jsonWriter) link(l *Link) {
	w.next()
	w.open('{')
	w.base64("traceId", l.TraceID[:])
	w.base64("spanId", l.SpanID[:])
	w.text("traceState", l.TraceState)
	w.attributes(l.Attributes)
	w.number("droppedAttributesCount", uint64(l.DroppedAttributes))
	w.number("flags", uint64(l.Flags))
	w.shut('}')
}

func (w *jsonWriter) attributes(list []Attribute) {
	if len(list) > 0 {
		w.keyValues("attributes", list)
	}
}

func (w *jsonWriter) keyValues(name string, list []Attribute) {
	w.key(name)
	w.open('[')
	for i := range list {
		w.next()
		w.open('{')
		w.text("key", list[i].Key)
		w.key("value")
		w.value(&list[i].Value)
		w.shut('}')
	}
	w.shut(']')
}

// value writes an AnyValue.
func (w *jsonWriter) value(v *Value) {
	w.open('{')
	switch v.kind {
	case KindString:
		w.key("stringValue")
		w.string(v.str)
	case KindBool:
		w.key("boolValue")
		w.b = strconv.AppendBool(w.b, v.Bool())
	case KindInt:
		w.key("intValue")
		w.b = append(strconv.AppendInt(append(w.b, '"'), v.Int(), 10), '"')
	case KindFloat:
		w.key("doubleValue")
		w.float(v.Float())
	case KindBytes:
		w.base64("bytesValue", []byte(v.str))
	case KindArray:
		w.object("arrayValue", func() {
			if len(v.list) == 0 {
				return
			}
			w.key("values")
			w.open('[')
			for i := range v.list {
				w.next()
				w.value(&v.list[i])
			}
			w.shut(']')
		})
	case KindMap:
		w.object("kvlistValue", func() {
			if len(v.kvs) > 0 {
				w.keyValues("values", v.kvs)
			}
		})
	}
	w.shut('}')
}

func (w *jsonWriter) float(f float64) {
	switch {
	case math.IsNaN(f):
		w.b = append(w.b, `"NaN"`...)
	case math.IsInf(f, 1):
		w.b = append(w.b, `"Infinity"`...)
	case math.IsInf(f, -1):
		w.b = append(w.b, `"-Infinity"`...)
	default:
		w.b = strconv.AppendFloat(w.b, f, 'g', -1, 64)
	}
}
