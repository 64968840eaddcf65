package traces

import (
	"encoding/hex"
	"strings"

	"belfry/internal/fault"
)

// TraceID identifies a trace. The zero ID is not valid.
type TraceID [16]byte

// SpanID identifies a span within its trace. The zero ID means "none".
type SpanID [8]byte

// String returns the ID as 32 lower-case hex digits.
func (id TraceID) String() string { return hex.EncodeToString(id[:]) }

// String returns the ID as 16 lower-case hex digits.
func (id SpanID) String() string { return hex.EncodeToString(id[:]) }

// IsZero reports whether the ID is not set.
func (id TraceID) IsZero() bool { return id == TraceID{} }

// IsZero reports whether the ID is not set.
func (id SpanID) IsZero() bool { return id == SpanID{} }

// ParseTraceID reads a trace ID from up to 32 hex digits; shorter ones are
// filled with zeros on the left, as systems with 64-bit IDs write them.
func ParseTraceID(s string) (id TraceID, err error) {
	if len(s) == 0 || len(s) > 32 {
		return id, fault.Invalidf("trace ID %.64q must have 1 to 32 hex digits", s)
	}
	if _, err := hex.Decode(id[:], []byte(strings.Repeat("0", 32-len(s))+s)); err != nil {
		return TraceID{}, fault.Invalidf("trace ID %q: %w", s, err)
	}
	return id, nil
}

// SpanKind is the role of a span, with OTLP's numbers.
type SpanKind int32

// The kinds of spans.
const (
	SpanKindUnspecified SpanKind = iota
	SpanKindInternal
	SpanKindServer
	SpanKindClient
	SpanKindProducer
	SpanKindConsumer
)

var spanKindNames = [...]string{"unspecified", "internal", "server", "client", "producer", "consumer"}

// String returns the kind as TraceQL writes it.
func (k SpanKind) String() string {
	if k >= 0 && int(k) < len(spanKindNames) {
		return spanKindNames[k]
	}
	return spanKindNames[0]
}

// ParseSpanKind reads what String writes.
func ParseSpanKind(s string) (SpanKind, bool) {
	for i, name := range spanKindNames {
		if name == s {
			return SpanKind(i), true
		}
	}
	return 0, false
}

// Status is the outcome of a span, with OTLP's numbers.
type Status int32

// The outcomes.
const (
	StatusUnset Status = iota
	StatusOK
	StatusError
)

var statusNames = [...]string{"unset", "ok", "error"}

// String returns the status as TraceQL writes it.
func (s Status) String() string {
	if s >= 0 && int(s) < len(statusNames) {
		return statusNames[s]
	}
	return statusNames[0]
}

// ParseStatus reads what String writes.
func ParseStatus(text string) (Status, bool) {
	for i, name := range statusNames {
		if name == text {
			return Status(i), true
		}
	}
	return 0, false
}

// Span is one span. Which of its fields are filled depends on the Fields that
// were asked for; ID, TraceID, ParentID, Start and Duration always are.
type Span struct {
	TraceID  TraceID
	ID       SpanID
	ParentID SpanID // zero for a root
	Start    int64  // nanoseconds since the epoch
	Duration int64  // nanoseconds; negative if the clock went backwards

	Name          string
	Kind          SpanKind
	Status        Status
	StatusMessage string
	TraceState    string
	Flags         uint32

	Attributes []Attribute // sorted by key; keys are unique
	Events     []Event     // in the order received
	Links      []Link

	DroppedAttributes uint32
	DroppedEvents     uint32
	DroppedLinks      uint32

	Resource *Resource // never nil; shared by many spans
}

// End returns the time at which the span ended.
func (s *Span) End() int64 { return s.Start + s.Duration }

// Resource is what many spans share: who made them, and with what library.
type Resource struct {
	Attributes             []Attribute // of the resource, sorted by key
	DroppedAttributes      uint32
	SchemaURL              string
	ScopeName              string
	ScopeVersion           string
	ScopeAttributes        []Attribute // sorted by key
	ScopeDroppedAttributes uint32
	ScopeSchemaURL         string
}

// Service returns the resource's service.name, "" if it has none.
func (r *Resource) Service() string {
	v, _ := Lookup(r.Attributes, "service.name")
	return v.Text()
}

// Event is something that happened during a span.
type Event struct {
	Time              int64
	Name              string
	Attributes        []Attribute
	DroppedAttributes uint32
}

// Link points to a span of the same or another trace.
type Link struct {
	TraceID           TraceID
	SpanID            SpanID
	TraceState        string
	Attributes        []Attribute
	DroppedAttributes uint32
	Flags             uint32
}

// Lookup returns the first attribute of that key.
func Lookup(attributes []Attribute, key string) (Value, bool) {
	for i := range attributes {
		if attributes[i].Key == key {
			return attributes[i].Value, true
		}
	}
	return Value{}, false
}
