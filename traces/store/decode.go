package store

import (
	"math"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"belfry/internal/columnar"
	"belfry/internal/fault"
	"belfry/internal/otlpwire"
)

// Reasons for which single spans are rejected.
const (
	rejectTraceID    = "invalid trace ID"
	rejectSpanID     = "invalid span ID"
	rejectParentID   = "invalid parent span ID"
	rejectStart      = "start time out of range"
	rejectFuture     = "start time too far in the future"
	rejectAttributes = "too many attributes"
)

// Field numbers of opentelemetry.proto.trace.v1.Span.
const (
	spanTraceID           = 1
	spanSpanID            = 2
	spanTraceState        = 3
	spanParentID          = 4
	spanName              = 5
	spanKind              = 6
	spanStart             = 7
	spanEnd               = 8
	spanDroppedAttributes = 10
	spanEvents            = 11
	spanDroppedEvents     = 12
	spanLinks             = 13
	spanDroppedLinks      = 14
	spanStatus            = 15
	spanFlags             = 16

	eventAttributes = 3
	linkAttributes  = 4
	statusMessage   = 2
	statusCode      = 3
)

// newDecoder returns the decoder of ExportTraceServiceRequest.
func newDecoder(maxFuture time.Duration, maxAttributes int) columnar.Decoder {
	return func(payload []byte, receivedAt time.Time, w *columnar.RowWriter) error {
		d := decoder{w: w, latest: receivedAt.Add(maxFuture).UnixNano(), maxAttributes: maxAttributes}
		var walker otlpwire.Walker
		if err := walker.Walk(payload, d.group, d.span); err != nil {
			return fault.Invalidf("traces: %w", err)
		}
		return nil
	}
}

type decoder struct {
	w             *columnar.RowWriter
	latest        int64
	maxAttributes int

	fields fields
	events []byte
	links  []byte
	text   []byte
	column []byte
}

// fields are the parts of one span, as they stand in the request.
type fields struct {
	traceID, spanID, parentID []byte
	traceState, name          []byte
	kind                      uint64
	start, end                uint64
	dropped                   [3]uint64 // attributes, events, links
	statusCode                uint64
	statusMessage             []byte
	flags                     uint32
	attributes                int
}

// group defines the stream of the spans that follow.
func (d *decoder) group(g *otlpwire.Group) error {
	if d.w.SelectStream(g.Resource, g.ResourceSchemaURL, g.Scope, g.ScopeSchemaURL) {
		return nil
	}
	if err := d.streamAttributes(g.Resource, otlpwire.ResourceAttributes, resourcePrefix); err != nil {
		return err
	}
	if err := d.streamAttributes(g.Scope, otlpwire.ScopeAttributes, scopePrefix); err != nil {
		return err
	}
	scope, err := otlpwire.ParseScope(g.Scope)
	if err != nil {
		return err
	}
	d.streamText(fieldScopeName, scope.Name)
	d.streamText(fieldScopeVersion, scope.Version)
	d.streamText(fieldScopeSchemaURL, g.ScopeSchemaURL)
	d.streamText(fieldResourceSchemaURL, g.ResourceSchemaURL)
	for _, of := range []struct {
		message []byte
		number  int32
		field   string
	}{{g.Resource, 2, fieldResourceDropped}, {g.Scope, 4, fieldScopeDropped}} {
		n, err := lastVarint(of.message, of.number)
		if err != nil {
			return err
		}
		if n > 0 {
			d.w.StreamField(of.field, columnar.Int(int64(uint32(n))))
		}
	}
	d.w.DefineStream()
	return nil
}

func (d *decoder) streamText(name string, v []byte) {
	if len(v) > 0 {
		d.w.StreamField(name, columnar.String(string(otlpwire.Text(v, nil))))
	}
}

func (d *decoder) streamAttributes(message []byte, number int32, prefix string) error {
	return otlpwire.Attributes(message, number, func(key []byte, v otlpwire.AnyValue) error {
		value, err := d.value(&v)
		if err != nil {
			return err
		}
		d.w.StreamField(prefix+string(otlpwire.Text(key, nil)), value)
		return nil
	})
}

func (d *decoder) value(v *otlpwire.AnyValue) (columnar.Value, error) {
	switch v.Kind {
	case otlpwire.KindString:
		return columnar.String(string(otlpwire.Text(v.Raw, nil))), nil
	case otlpwire.KindInt:
		return columnar.Int(v.Int()), nil
	case otlpwire.KindDouble:
		return columnar.Float(v.Double()), nil
	case otlpwire.KindBool:
		return columnar.Bool(v.Bool()), nil
	case otlpwire.KindBytes:
		return columnar.Bytes(v.Raw), nil
	}
	text, err := v.AppendJSON(d.text[:0])
	d.text = text
	return columnar.JSON(string(text)), err
}

func lastVarint(message []byte, number int32) (n uint64, err error) {
	for b := message; len(b) > 0; {
		f, rest, err := otlpwire.Next(b)
		if err != nil {
			return 0, err
		}
		b = rest
		if f.Number == number {
			if n, err = f.AsVarint(); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

// span writes one span. The fields come in any order, so that the first pass
// gathers them, and a second one sets the attributes once the row has begun.
func (d *decoder) span(message []byte) error {
	if err := d.gather(message); err != nil {
		return err
	}
	f := &d.fields
	if reason := d.refuse(f); reason != "" {
		d.w.Reject(reason)
		return nil
	}
	d.w.Begin(int64(f.start))
	d.w.SetID(colTraceID, f.traceID)
	d.w.SetID(colSpanID, f.spanID)
	if !isZero(f.parentID) {
		d.w.SetID(colParentID, f.parentID)
	}
	d.w.SetString(colName, d.valid(f.name))
	d.w.SetInt(colKind, int64(int32(f.kind)))
	d.w.SetInt(colStatus, int64(int32(f.statusCode)))
	d.w.SetInt(colDuration, duration(f.start, f.end))
	if len(f.statusMessage) > 0 {
		d.w.SetString(colStatusMessage, d.valid(f.statusMessage))
	}
	if len(f.traceState) > 0 {
		d.w.SetString(colTraceState, d.valid(f.traceState))
	}
	if f.flags != 0 {
		d.w.SetInt(colFlags, int64(f.flags))
	}
	if len(d.events) > 0 {
		d.w.SetBytes(colEvents, d.events)
	}
	if len(d.links) > 0 {
		d.w.SetBytes(colLinks, d.links)
	}
	for i, c := range [...]columnar.ColRef{colDroppedAttributes, colDroppedEvents, colDroppedLinks} {
		if f.dropped[i] != 0 {
			d.w.SetInt(c, int64(uint32(f.dropped[i])))
		}
	}
	if err := otlpwire.Attributes(message, otlpwire.SpanAttributes, d.attribute); err != nil {
		return err
	}
	d.w.End()
	return nil
}

// duration returns end - start; a span without an end has none.
func duration(start, end uint64) int64 {
	if end == 0 {
		return 0
	}
	return int64(min(end, math.MaxInt64)) - int64(start)
}

func isZero(id []byte) bool {
	for _, c := range id {
		if c != 0 {
			return false
		}
	}
	return true
}

func (d *decoder) refuse(f *fields) string {
	switch {
	case len(f.traceID) != 16 || isZero(f.traceID):
		return rejectTraceID
	case len(f.spanID) != 8 || isZero(f.spanID):
		return rejectSpanID
	case len(f.parentID) != 0 && len(f.parentID) != 8:
		return rejectParentID
	case f.start > math.MaxInt64:
		return rejectStart
	case int64(f.start) > d.latest:
		return rejectFuture
	case f.attributes > d.maxAttributes:
		return rejectAttributes
	}
	return ""
}

// gather reads the fields of a span, and checks all that it holds, so that
// nothing that was stored can fail to be read.
func (d *decoder) gather(message []byte) error {
	d.fields = fields{}
	d.events, d.links = d.events[:0], d.links[:0]
	f := &d.fields
	for b := message; len(b) > 0; {
		field, rest, err := otlpwire.Next(b)
		if err != nil {
			return err
		}
		b = rest
		switch field.Number {
		case spanTraceID:
			f.traceID, err = field.AsBytes()
		case spanSpanID:
			f.spanID, err = field.AsBytes()
		case spanTraceState:
			f.traceState, err = field.AsBytes()
		case spanParentID:
			f.parentID, err = field.AsBytes()
		case spanName:
			f.name, err = field.AsBytes()
		case spanKind:
			f.kind, err = field.AsVarint()
		case spanStart:
			f.start, err = field.AsFixed64()
		case spanEnd:
			f.end, err = field.AsFixed64()
		case otlpwire.SpanAttributes:
			f.attributes++
			_, err = field.AsBytes()
		case spanDroppedAttributes:
			f.dropped[0], err = field.AsVarint()
		case spanDroppedEvents:
			f.dropped[1], err = field.AsVarint()
		case spanDroppedLinks:
			f.dropped[2], err = field.AsVarint()
		case spanEvents:
			d.events, err = keepMessage(d.events, &field, checkEvent)
		case spanLinks:
			d.links, err = keepMessage(d.links, &field, checkLink)
		case spanStatus:
			err = d.status(&field)
		case spanFlags:
			f.flags, err = field.AsFixed32()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) status(field *otlpwire.Field) error {
	message, err := field.AsBytes()
	if err != nil {
		return err
	}
	for b := message; len(b) > 0; {
		f, rest, err := otlpwire.Next(b)
		if err != nil {
			return err
		}
		b = rest
		switch f.Number {
		case statusMessage:
			d.fields.statusMessage, err = f.AsBytes()
		case statusCode:
			d.fields.statusCode, err = f.AsVarint()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// keepMessage appends an event or a link with its tag, after having checked it.
func keepMessage(dst []byte, field *otlpwire.Field, check func(message []byte) error) ([]byte, error) {
	message, err := field.AsBytes()
	if err != nil {
		return dst, err
	}
	if err := check(message); err != nil {
		return dst, err
	}
	dst = protowire.AppendTag(dst, protowire.Number(field.Number), protowire.BytesType)
	return protowire.AppendBytes(dst, message), nil
}

func (d *decoder) valid(s []byte) []byte {
	out := otlpwire.Text(s, d.text)
	if len(out) > 0 && len(s) > 0 && &out[0] != &s[0] {
		d.text = out
	}
	return out
}

// attribute sets the column of one attribute of the current row.
func (d *decoder) attribute(key []byte, v otlpwire.AnyValue) error {
	key = otlpwire.Text(key, nil)
	if len(key) > 0 && key[0] == escape {
		d.column = append(append(d.column[:0], escape), key...)
		key = d.column
	}
	switch v.Kind {
	case otlpwire.KindString:
		d.w.SetString(d.w.Ref(key, columnar.KindString), d.valid(v.Raw))
	case otlpwire.KindInt:
		d.w.SetInt(d.w.Ref(key, columnar.KindInt), v.Int())
	case otlpwire.KindDouble:
		d.w.SetFloat(d.w.Ref(key, columnar.KindFloat), v.Double())
	case otlpwire.KindBool:
		d.w.SetBool(d.w.Ref(key, columnar.KindBool), v.Bool())
	case otlpwire.KindBytes:
		d.w.SetBytes(d.w.Ref(key, columnar.KindBytes), v.Raw)
	default:
		text, err := v.AppendJSON(d.text[:0])
		d.text = text
		if err != nil {
			return err
		}
		d.w.SetJSON(d.w.Ref(key, columnar.KindJSON), text)
	}
	return nil
}
