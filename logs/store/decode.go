package store

import (
	"sync"
	"time"

	"belfry/internal/columnar"
	"belfry/internal/otlpwire"
	"belfry/logs"
	"belfry/logs/internal/record"
	"belfry/logs/patterns"
)

// newDecoder returns a columnar.Decoder of OTLP log requests. What is not a
// replay is shown to the miner, which may be nil.
func newDecoder(b record.Bounds, miner *patterns.Miner) columnar.Decoder {
	pool := sync.Pool{New: func() any {
		d := &decoder{records: record.NewDecoder(b), miner: miner}
		if miner != nil {
			d.batch = miner.NewBatch()
		}
		return d
	}}
	return func(payload []byte, receivedAt time.Time, w *columnar.RowWriter) error {
		d, _ := pool.Get().(*decoder)
		defer pool.Put(d)
		d.w = w
		defer func() {
			clear(d.memo)
			d.w, d.memo = nil, d.memo[:0]
		}()
		if miner == nil {
			return d.records.Decode(payload, receivedAt, d)
		}
		tenant, live := w.Tenant()
		d.mine = live
		if err := d.records.Decode(payload, receivedAt, d); err != nil || !live {
			d.batch.Reset()
			return err
		}
		miner.Take(tenant, d.batch)
		return nil
	}
}

// decoder writes records into columns.
type decoder struct {
	records *record.Decoder
	w       *columnar.RowWriter
	name    []byte // scratch
	text    []byte // scratch
	memo    []attributeRef

	miner *patterns.Miner
	batch *patterns.Batch
	mine  bool // the lines of this request
}

// attributeRef is the column of the attribute at a position of a record: the next
// record mostly has the same one there.
type attributeRef struct {
	key  []byte // in the payload
	kind columnar.Kind
	ref  columnar.ColRef
}

// maxMemo bounds the positions that are remembered.
const maxMemo = 64

// Group implements record.Visitor.
func (d *decoder) Group(g *otlpwire.Group) error {
	if d.mine {
		if err := d.batch.Stream(g.Resource, func() ([]logs.Label, error) {
			s, err := record.ParseStream(g)
			if err != nil {
				return nil, err
			}
			return s.Labels, nil
		}); err != nil {
			return err
		}
	}
	if d.w.SelectStream(g.Resource, g.Scope) {
		return nil
	}
	s, err := record.ParseStream(g)
	if err != nil {
		return err
	}
	for _, l := range s.Labels {
		d.w.StreamField(prefixLabel+l.Name, columnar.String(l.Value))
	}
	if len(s.ScopeName) > 0 {
		d.w.StreamField(prefixName+logs.FieldScopeName, columnar.String(string(otlpwire.Text(s.ScopeName, nil))))
	}
	if len(s.ScopeVersion) > 0 {
		d.w.StreamField(prefixName+logs.FieldScopeVersion, columnar.String(string(otlpwire.Text(s.ScopeVersion, nil))))
	}
	if err := d.streamAttributes(prefixResource, s.Resource); err != nil {
		return err
	}
	if err := d.streamAttributes(prefixScope, s.Scope); err != nil {
		return err
	}
	d.w.DefineStream()
	return nil
}

func (d *decoder) streamAttributes(prefix string, attrs []record.Attr) error {
	for i := range attrs {
		v, err := value(&attrs[i].Value)
		if err != nil {
			return err
		}
		d.w.StreamField(prefix+string(attrs[i].Key), v)
	}
	return nil
}

func value(v *otlpwire.AnyValue) (columnar.Value, error) {
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
	case otlpwire.KindArray, otlpwire.KindMap:
		text, err := v.AppendJSON(nil)
		return columnar.JSON(string(text)), err
	}
	return columnar.Value{}, nil
}

// Reject implements record.Visitor.
func (d *decoder) Reject(reason string) { d.w.Reject(reason) }

// Record implements record.Visitor.
func (d *decoder) Record(r *record.Record) (reason string) {
	w := d.w
	w.Begin(r.Time)
	switch r.Body.Kind {
	case otlpwire.KindEmpty:
	case otlpwire.KindString:
		if len(r.Body.Raw) > 0 {
			w.SetString(colBody, d.utf8(r.Body.Raw))
		}
	default:
		var err error
		if d.text, err = record.AppendText(d.text[:0], &r.Body); err != nil {
			return record.ReasonDepth
		}
		if r.Body.Kind == otlpwire.KindArray || r.Body.Kind == otlpwire.KindMap {
			w.SetJSON(colBodyJSON, d.text)
		} else if len(d.text) > 0 {
			w.SetString(colBody, d.text)
		}
	}
	if r.SeverityNumber != 0 {
		w.SetInt(colSeverityNumber, int64(r.SeverityNumber))
	}
	if len(r.SeverityText) > 0 {
		w.SetString(colSeverityText, d.utf8(r.SeverityText))
	}
	level := record.Level(r)
	d.text = append(d.text[:0], level...)
	w.SetString(colDetectedLevel, d.text)
	if d.mine && r.Body.Kind == otlpwire.KindString {
		d.batch.Add(r.Time, level, r.Body.Raw)
	}
	if r.Observed != 0 {
		w.SetInt(colObservedTime, r.Observed)
	}
	if r.TraceID != nil {
		w.SetID(colTraceID, r.TraceID)
	}
	if r.SpanID != nil {
		w.SetID(colSpanID, r.SpanID)
	}
	if r.Flags != 0 {
		w.SetInt(colFlags, int64(r.Flags))
	}
	if len(r.EventName) > 0 {
		w.SetString(colEventName, d.utf8(r.EventName))
	}
	if r.Dropped != 0 {
		w.SetInt(colDropped, int64(r.Dropped))
	}
	for i := range r.Attributes {
		if !d.attribute(i, &r.Attributes[i]) {
			return record.ReasonDepth
		}
	}
	w.End()
	return ""
}

// utf8 returns s as UTF-8; what it returns is good until the next call.
func (d *decoder) utf8(s []byte) []byte {
	out := otlpwire.Text(s, d.text)
	if len(out) != len(s) || len(s) > 0 && &out[0] != &s[0] {
		d.text = out
	}
	return out
}

// column returns the column of the attribute at a position.
func (d *decoder) column(at int, key []byte, kind columnar.Kind) columnar.ColRef {
	if at < len(d.memo) {
		if m := &d.memo[at]; m.kind == kind && string(m.key) == string(key) {
			return m.ref
		}
	}
	d.name = attributeColumn(d.name[:0], d.utf8(key))
	ref := d.w.Ref(d.name, kind)
	if m := (attributeRef{key, kind, ref}); at < len(d.memo) {
		d.memo[at] = m
	} else if at == len(d.memo) && at < maxMemo {
		d.memo = append(d.memo, m)
	}
	return ref
}

func (d *decoder) attribute(at int, a *record.Attr) bool {
	v := &a.Value
	if record.IsEmpty(v) {
		return true
	}
	w := d.w
	switch v.Kind {
	case otlpwire.KindString:
		w.SetString(d.column(at, a.Key, columnar.KindString), d.utf8(v.Raw))
	case otlpwire.KindInt:
		w.SetInt(d.column(at, a.Key, columnar.KindInt), v.Int())
	case otlpwire.KindDouble:
		w.SetFloat(d.column(at, a.Key, columnar.KindFloat), v.Double())
	case otlpwire.KindBool:
		w.SetBool(d.column(at, a.Key, columnar.KindBool), v.Bool())
	case otlpwire.KindBytes:
		w.SetBytes(d.column(at, a.Key, columnar.KindBytes), v.Raw)
	default:
		ref := d.column(at, a.Key, columnar.KindJSON)
		var err error
		if d.text, err = v.AppendJSON(d.text[:0]); err != nil {
			return false
		}
		w.SetJSON(ref, d.text)
	}
	return true
}
