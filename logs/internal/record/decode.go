package record

import (
	"encoding/binary"
	"errors"
	"strconv"
	"time"

	"belfry/internal/fault"
	"belfry/internal/otlpwire"

	"google.golang.org/protobuf/encoding/protowire"
)

// Reasons for which single records are refused.
const (
	ReasonOld        = "timestamp is too far in the past"
	ReasonFuture     = "timestamp is too far in the future"
	ReasonLarge      = "record is too large"
	ReasonAttributes = "record has too many attributes"
	ReasonDepth      = "value is nested too deeply"
)

// Bounds on single records. Zero values take the defaults named beside them.
type Bounds struct {
	MaxAge        time.Duration // 0: none
	MaxFuture     time.Duration // 1 h
	MaxBytes      int           // of the wire form; 1 MiB
	MaxAttributes int           // 512
}

const (
	defaultMaxFuture     = time.Hour
	defaultMaxBytes      = 1 << 20
	defaultMaxAttributes = 512
)

func (b Bounds) withDefaults() Bounds {
	if b.MaxFuture == 0 {
		b.MaxFuture = defaultMaxFuture
	}
	if b.MaxBytes == 0 {
		b.MaxBytes = defaultMaxBytes
	}
	if b.MaxAttributes == 0 {
		b.MaxAttributes = defaultMaxAttributes
	}
	return b
}

// Attr is an attribute. A value of KindEmpty is none.
type Attr = otlpwire.KeyValue

// Record is one LogRecord; its slices point into the request. It is reused for
// the next record.
type Record struct {
	Time           int64 // never 0
	Observed       int64
	SeverityNumber int32
	SeverityText   []byte
	Body           otlpwire.AnyValue
	Attributes     []Attr
	Dropped        uint32
	Flags          uint32
	TraceID        []byte // 16 bytes, or none
	SpanID         []byte // 8 bytes, or none
	EventName      []byte
}

// Visitor takes what Decode finds.
type Visitor interface {
	// Group begins the records of one resource and scope.
	Group(g *otlpwire.Group) error
	// Record takes a record; a reason other than "" refuses it.
	Record(r *Record) (reason string)
	// Reject counts a record that was refused.
	Reject(reason string)
}

// Decoder reads requests. It may be reused, by one goroutine at a time.
type Decoder struct {
	bounds Bounds
	walker otlpwire.Walker
	rec    Record
}

// NewDecoder returns a Decoder.
func NewDecoder(b Bounds) *Decoder { return &Decoder{bounds: b.withDefaults()} }

// Decode reads an ExportLogsServiceRequest. A request that is malformed is
// refused as a whole (fault.Invalid); v may have seen a part of it.
func (d *Decoder) Decode(request []byte, receivedAt time.Time, v Visitor) error {
	now := receivedAt.UnixNano()
	err := d.walker.Walk(request, v.Group, func(message []byte) error {
		reason, err := d.record(message, now)
		if err != nil {
			return err
		}
		if reason == "" {
			reason = v.Record(&d.rec)
		}
		if reason != "" {
			v.Reject(reason)
		}
		return nil
	})
	if err != nil && (errors.Is(err, otlpwire.ErrMalformed) || errors.Is(err, otlpwire.ErrTooDeep)) {
		return fault.Invalidf("logs request: %w", err)
	}
	return err
}

func (d *Decoder) record(message []byte, now int64) (reason string, err error) {
	r := &d.rec
	*r = Record{Attributes: r.Attributes[:0]}
	for b := message; len(b) > 0; {
		if rest, ok := r.common(b); ok {
			b = rest
			continue
		}
		f, rest, err := otlpwire.Next(b)
		if err != nil {
			return "", err
		}
		b = rest
		if err := r.field(&f); err != nil {
			return "", err
		}
	}
	if r.Time == 0 {
		r.Time = r.Observed
	}
	if r.Time == 0 {
		r.Time = now
	}
	switch {
	case len(message) > d.bounds.MaxBytes:
		return ReasonLarge, nil
	case len(r.Attributes) > d.bounds.MaxAttributes:
		return ReasonAttributes, nil
	case r.Time < 0 || r.Time > now+int64(d.bounds.MaxFuture):
		return ReasonFuture, nil
	case d.bounds.MaxAge > 0 && r.Time < now-int64(d.bounds.MaxAge):
		return ReasonOld, nil
	}
	return "", nil
}

// Tags of the fields that nearly all records consist of.
const (
	tagTime           = 1<<3 | byte(protowire.Fixed64Type)
	tagObserved       = 11<<3 | byte(protowire.Fixed64Type)
	tagSeverityNumber = 2<<3 | byte(protowire.VarintType)
	tagSeverityText   = 3<<3 | byte(protowire.BytesType)
	tagBody           = 5<<3 | byte(protowire.BytesType)
	tagAttributes     = otlpwire.LogRecordAttributes<<3 | byte(protowire.BytesType)
	tagTraceID        = 9<<3 | byte(protowire.BytesType)
	tagSpanID         = 10<<3 | byte(protowire.BytesType)
)

// common reads the first field of b if it is one of those that nearly all records
// consist of, written as nearly all are; ok is false where field has to look.
func (r *Record) common(b []byte) (rest []byte, ok bool) {
	switch b[0] {
	case tagTime, tagObserved:
		if len(b) < 9 {
			return nil, false
		}
		t := int64(binary.LittleEndian.Uint64(b[1:]))
		if b[0] == tagTime {
			r.Time = t
		} else {
			r.Observed = t
		}
		return b[9:], true
	case tagSeverityNumber:
		if len(b) < 2 || b[1] >= 0x80 {
			return nil, false
		}
		r.SeverityNumber = int32(b[1])
		return b[2:], true
	case tagSeverityText, tagBody, tagAttributes, tagTraceID, tagSpanID:
	default:
		return nil, false
	}
	raw, rest, ok := otlpwire.NextBytes(b)
	if !ok {
		return nil, false
	}
	switch b[0] {
	case tagSeverityText:
		r.SeverityText = raw
	case tagBody:
		ok = r.Body.Merge(raw) == nil // field says what is wrong
	case tagAttributes:
		n := len(r.Attributes)
		if n == cap(r.Attributes) {
			r.Attributes = append(r.Attributes, Attr{})
		}
		r.Attributes = r.Attributes[:n+1]
		if ok = r.Attributes[n].Parse(raw) == nil; !ok {
			r.Attributes = r.Attributes[:n]
		}
	case tagTraceID:
		r.TraceID = idOf(raw, 16)
	case tagSpanID:
		r.SpanID = idOf(raw, 8)
	}
	return rest, ok
}

func (r *Record) field(f *otlpwire.Field) (err error) {
	var n uint64
	switch f.Number {
	case 1:
		n, err = f.AsFixed64()
		r.Time = int64(n)
	case 11:
		n, err = f.AsFixed64()
		r.Observed = int64(n)
	case 2:
		n, err = f.AsVarint()
		r.SeverityNumber = int32(n)
	case 3:
		r.SeverityText, err = f.AsBytes()
	case 5:
		var raw []byte
		if raw, err = f.AsBytes(); err == nil {
			err = r.Body.Merge(raw)
		}
	case otlpwire.LogRecordAttributes:
		var raw []byte
		if raw, err = f.AsBytes(); err != nil {
			return err
		}
		var a Attr
		if a.Key, a.Value, err = otlpwire.ParseKeyValue(raw); err == nil {
			r.Attributes = append(r.Attributes, a)
		}
	case 7:
		n, err = f.AsVarint()
		r.Dropped = uint32(n)
	case 8:
		r.Flags, err = f.AsFixed32()
	case 9:
		r.TraceID, err = id(f, 16)
	case 10:
		r.SpanID, err = id(f, 8)
	case 12:
		r.EventName, err = f.AsBytes()
	}
	return err
}

// id returns an ID, or none if it is zero or of another length, which the
// specification says to treat alike.
func id(f *otlpwire.Field, size int) ([]byte, error) {
	raw, err := f.AsBytes()
	return idOf(raw, size), err
}

func idOf(raw []byte, size int) []byte {
	if len(raw) != size {
		return nil
	}
	for _, c := range raw {
		if c != 0 {
			return raw
		}
	}
	return nil
}

// AppendText appends a value's text: strings as they are, made UTF-8, other
// kinds as JSON, but bytes without quotes.
func AppendText(dst []byte, v *otlpwire.AnyValue) ([]byte, error) {
	switch v.Kind {
	case otlpwire.KindEmpty:
		return dst, nil
	case otlpwire.KindString:
		return append(dst, otlpwire.Text(v.Raw, nil)...), nil
	case otlpwire.KindDouble:
		return strconv.AppendFloat(dst, v.Double(), 'g', -1, 64), nil
	case otlpwire.KindBytes:
		at := len(dst)
		dst, err := v.AppendJSON(dst)
		if err != nil {
			return dst, err
		}
		copy(dst[at:], dst[at+1:])
		return dst[:len(dst)-2], nil
	}
	return v.AppendJSON(dst)
}
