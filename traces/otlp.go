package traces

import (
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"belfry/internal/otlpwire"
)

// FromWire returns an OTLP value as a Value.
func FromWire(v otlpwire.AnyValue) (Value, error) { return fromWire(v, 0) }

func fromWire(v otlpwire.AnyValue, depth int) (Value, error) {
	if depth > otlpwire.MaxDepth {
		return Value{}, otlpwire.ErrTooDeep
	}
	switch v.Kind {
	case otlpwire.KindString:
		return String(string(otlpwire.Text(v.Raw, nil))), nil
	case otlpwire.KindBool:
		return Bool(v.Bool()), nil
	case otlpwire.KindInt:
		return Int(v.Int()), nil
	case otlpwire.KindDouble:
		return Float(v.Double()), nil
	case otlpwire.KindBytes:
		return Bytes(string(v.Raw)), nil
	case otlpwire.KindArray:
		out := Value{kind: KindArray}
		err := v.Elements(func(e otlpwire.AnyValue) error {
			element, err := fromWire(e, depth+1)
			out.list = append(out.list, element)
			return err
		})
		return out, err
	case otlpwire.KindMap:
		out := Value{kind: KindMap}
		err := v.Entries(func(key []byte, e otlpwire.AnyValue) error {
			entry, err := fromWire(e, depth+1)
			out.kvs = append(out.kvs, Attribute{string(otlpwire.Text(key, nil)), entry})
			return err
		})
		return out, err
	}
	return Value{}, nil
}

// AppendTracesData appends spans as an OTLP TracesData message, which is also an
// ExportTraceServiceRequest. Spans with equal resources are put together.
func AppendTracesData(dst []byte, spans []Span) []byte {
	groups, order := groupSpans(spans)
	for _, key := range order {
		dst = appendMessage(dst, otlpwire.RequestResources, func(b []byte) []byte {
			first := groups[key][0].spans[0]
			b = append(b, key...)
			for _, g := range groups[key] {
				b = appendMessage(b, otlpwire.ResourceScopes, func(b []byte) []byte { return appendScopeSpans(b, g.spans) })
			}
			return appendString(b, otlpwire.ResourceSchemaURL, first.Resource.SchemaURL)
		})
	}
	return dst
}

type scopeGroup struct {
	resource *Resource
	spans    []*Span
}

// groupSpans groups spans by resource (the key is its wire form, with the
// field's tag) and, within one, by scope, in order of first appearance.
func groupSpans(spans []Span) (groups map[string][]*scopeGroup, order []string) {
	groups = map[string][]*scopeGroup{}
	byResource := map[*Resource]*scopeGroup{}
	for i := range spans {
		s := &spans[i]
		g := byResource[s.Resource]
		if g == nil {
			g = &scopeGroup{resource: s.Resource}
			byResource[s.Resource] = g
			key := string(appendMessage(nil, otlpwire.ResourceGroup, func(b []byte) []byte {
				b = appendAttributes(b, otlpwire.ResourceAttributes, s.Resource.Attributes)
				return appendUint(b, 2, uint64(s.Resource.DroppedAttributes))
			}))
			if groups[key] == nil {
				order = append(order, key)
			}
			groups[key] = append(groups[key], g)
		}
		g.spans = append(g.spans, s)
	}
	return groups, order
}

func appendScopeSpans(b []byte, spans []*Span) []byte {
	r := spans[0].Resource
	b = appendMessage(b, otlpwire.ScopeGroup, func(b []byte) []byte {
		b = appendString(b, 1, r.ScopeName)
		b = appendString(b, 2, r.ScopeVersion)
		b = appendAttributes(b, otlpwire.ScopeAttributes, r.ScopeAttributes)
		return appendUint(b, 4, uint64(r.ScopeDroppedAttributes))
	})
	for _, s := range spans {
		b = appendMessage(b, otlpwire.ScopeRecords, func(b []byte) []byte { return appendSpan(b, s) })
	}
	return appendString(b, otlpwire.ScopeSchemaURL, r.ScopeSchemaURL)
}

// Field numbers of a Span: see opentelemetry.proto.trace.v1.
func appendSpan(b []byte, s *Span) []byte {
	b = appendBytes(b, 1, s.TraceID[:])
	b = appendBytes(b, 2, s.ID[:])
	b = appendString(b, 3, s.TraceState)
	if !s.ParentID.IsZero() {
		b = appendBytes(b, 4, s.ParentID[:])
	}
	b = appendString(b, 5, s.Name)
	b = appendUint(b, 6, uint64(s.Kind))
	b = appendFixed64(b, 7, uint64(s.Start))
	b = appendFixed64(b, 8, uint64(s.End()))
	b = appendAttributes(b, otlpwire.SpanAttributes, s.Attributes)
	b = appendUint(b, 10, uint64(s.DroppedAttributes))
	for i := range s.Events {
		b = appendMessage(b, 11, func(b []byte) []byte { return appendEvent(b, &s.Events[i]) })
	}
	b = appendUint(b, 12, uint64(s.DroppedEvents))
	for i := range s.Links {
		b = appendMessage(b, 13, func(b []byte) []byte { return appendLink(b, &s.Links[i]) })
	}
	b = appendUint(b, 14, uint64(s.DroppedLinks))
	b = appendMessage(b, 15, func(b []byte) []byte {
		b = appendString(b, 2, s.StatusMessage)
		return appendUint(b, 3, uint64(s.Status))
	})
	return appendFixed32(b, 16, s.Flags)
}

func appendEvent(b []byte, e *Event) []byte {
	b = appendFixed64(b, 1, uint64(e.Time))
	b = appendString(b, 2, e.Name)
	b = appendAttributes(b, 3, e.Attributes)
	return appendUint(b, 4, uint64(e.DroppedAttributes))
}

func appendLink(b []byte, l *Link) []byte {
	b = appendBytes(b, 1, l.TraceID[:])
	b = appendBytes(b, 2, l.SpanID[:])
	b = appendString(b, 3, l.TraceState)
	b = appendAttributes(b, 4, l.Attributes)
	b = appendUint(b, 5, uint64(l.DroppedAttributes))
	return appendFixed32(b, 6, l.Flags)
}

// AppendKeyValue appends an attribute as an OTLP KeyValue message.
func AppendKeyValue(dst []byte, a Attribute) []byte {
	dst = appendString(dst, 1, a.Key)
	return appendMessage(dst, 2, a.Value.appendWire)
}

func appendAttributes(b []byte, number protowire.Number, attributes []Attribute) []byte {
	for i := range attributes {
		b = appendMessage(b, number, func(b []byte) []byte { return AppendKeyValue(b, attributes[i]) })
	}
	return b
}

func (v Value) appendWire(b []byte) []byte {
	switch v.kind {
	case KindString:
		return appendBytes(b, 1, []byte(v.str))
	case KindBool:
		return protowire.AppendVarint(protowire.AppendTag(b, 2, protowire.VarintType), v.num)
	case KindInt:
		return protowire.AppendVarint(protowire.AppendTag(b, 3, protowire.VarintType), v.num)
	case KindFloat:
		return protowire.AppendFixed64(protowire.AppendTag(b, 4, protowire.Fixed64Type), math.Float64bits(v.Float()))
	case KindArray:
		return appendMessage(b, 5, func(b []byte) []byte {
			for _, e := range v.list {
				b = appendMessage(b, 1, e.appendWire)
			}
			return b
		})
	case KindMap:
		return appendMessage(b, 6, func(b []byte) []byte { return appendAttributes(b, 1, v.kvs) })
	case KindBytes:
		return appendBytes(b, 7, []byte(v.str))
	}
	return b
}

// appendMessage appends a message that fill appends; its length, whose size is
// not known before, is put in front afterwards.
func appendMessage(b []byte, number protowire.Number, fill func([]byte) []byte) []byte {
	b = protowire.AppendTag(b, number, protowire.BytesType)
	start := len(b)
	b = fill(b)
	size := len(b) - start
	width := protowire.SizeVarint(uint64(size))
	for range width {
		b = append(b, 0)
	}
	copy(b[start+width:], b[start:start+size])
	protowire.AppendVarint(b[start:start], uint64(size))
	return b
}

func appendBytes(b []byte, number protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, number, protowire.BytesType), v)
}

func appendString(b []byte, number protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, number, protowire.BytesType), s)
}

func appendUint(b []byte, number protowire.Number, n uint64) []byte {
	if n == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, number, protowire.VarintType), n)
}

func appendFixed64(b []byte, number protowire.Number, n uint64) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(b, number, protowire.Fixed64Type), n)
}

func appendFixed32(b []byte, number protowire.Number, n uint32) []byte {
	if n == 0 {
		return b
	}
	return protowire.AppendFixed32(protowire.AppendTag(b, number, protowire.Fixed32Type), n)
}
