package otlpwire

import "google.golang.org/protobuf/encoding/protowire"

// Scope is the fixed part of an InstrumentationScope; its attributes are field 3.
type Scope struct {
	Name    []byte
	Version []byte
}

// ParseScope reads the fixed part of an InstrumentationScope message.
func ParseScope(message []byte) (s Scope, err error) {
	for b := message; len(b) > 0; {
		f, rest, err := Next(b)
		if err != nil {
			return s, err
		}
		b = rest
		switch f.Number {
		case 1:
			s.Name, err = f.AsBytes()
		case 2:
			s.Version, err = f.AsBytes()
		}
		if err != nil {
			return s, err
		}
	}
	return s, nil
}

// Field numbers of the messages that hold other messages. They are the same for
// all signals: ExportLogsServiceRequest.resource_logs,
// ExportTraceServiceRequest.resource_spans, and so on downward.
const (
	RequestResources    = 1 // repeated ResourceLogs, ResourceSpans, ResourceMetrics
	ResourceGroup       = 1 // Resource, within ResourceLogs, ResourceSpans, ResourceMetrics
	ResourceScopes      = 2 // repeated ScopeLogs, ScopeSpans, ScopeMetrics
	ResourceSchemaURL   = 3
	ScopeGroup          = 1 // InstrumentationScope, within ScopeLogs, ScopeSpans, ScopeMetrics
	ScopeRecords        = 2 // repeated LogRecord, Span, Metric
	ScopeSchemaURL      = 3
	ResourceAttributes  = 1 // of a Resource
	ScopeAttributes     = 3 // of an InstrumentationScope
	LogRecordAttributes = 6
	SpanAttributes      = 9
)

// Walker visits the records of an Export request, of any signal. It can be
// reused; the zero Walker is ready.
type Walker struct {
	joined    [2][]byte // Resource and Scope that came in pieces
	resources int       // seen so far
}

// Group is what the records of one ScopeLogs, ScopeSpans or ScopeMetrics share.
// The slices point into the request or the Walker, and are good until the next
// group.
type Group struct {
	ResourceIndex     int    // of the ResourceLogs, ResourceSpans or ResourceMetrics in the request
	Resource          []byte // the Resource message, "" if there is none
	ResourceSchemaURL []byte
	Scope             []byte // the InstrumentationScope message, "" if there is none
	ScopeSchemaURL    []byte
}

// Walk calls group for each ScopeLogs (ScopeSpans, ScopeMetrics) of a request that
// has records, then record for each of its records, in the order received. The
// first error of either, or of the input, ends the walk.
func (w *Walker) Walk(request []byte, group func(*Group) error, record func(message []byte) error) error {
	w.resources = 0
	for b := request; len(b) > 0; {
		f, rest, err := Next(b)
		if err != nil {
			return err
		}
		b = rest
		if f.Number != RequestResources {
			continue
		}
		raw, err := f.AsBytes()
		if err != nil {
			return err
		}
		if err := w.walkResource(raw, group, record); err != nil {
			return err
		}
	}
	return nil
}

func (w *Walker) walkResource(message []byte, group func(*Group) error, record func([]byte) error) error {
	g := Group{ResourceIndex: w.resources}
	w.resources++
	err := w.shared(message, 0, &g.Resource, &g.ResourceSchemaURL)
	if err != nil {
		return err
	}
	for b := message; len(b) > 0; {
		f, rest, err := Next(b)
		if err != nil {
			return err
		}
		b = rest
		if f.Number != ResourceScopes {
			continue
		}
		raw, err := f.AsBytes()
		if err != nil {
			return err
		}
		if err := w.walkScope(raw, g, group, record); err != nil {
			return err
		}
	}
	return nil
}

func (w *Walker) walkScope(message []byte, g Group, group func(*Group) error, record func([]byte) error) error {
	err := w.shared(message, 1, &g.Scope, &g.ScopeSchemaURL)
	if err != nil {
		return err
	}
	told := false
	for b := message; len(b) > 0; {
		raw, rest, ok := nextRecord(b)
		if !ok {
			var f Field
			if f, rest, err = Next(b); err != nil {
				return err
			}
			if f.Number != ScopeRecords {
				b = rest
				continue
			}
			if raw, err = f.AsBytes(); err != nil {
				return err
			}
		}
		b = rest
		if !told {
			told = true
			if err := group(&g); err != nil {
				return err
			}
		}
		if err := record(raw); err != nil {
			return err
		}
	}
	return nil
}

// nextRecord returns a record that a message begins with; ok is false where Next has to look.
func nextRecord(b []byte) (record, rest []byte, ok bool) {
	if b[0] != ScopeRecords<<3|byte(protowire.BytesType) {
		return nil, nil, false
	}
	return NextBytes(b)
}

// shared finds fields 1 (a message) and 3 (a string), wherever they are.
func (w *Walker) shared(message []byte, level int, msg, url *[]byte) error {
	pieces := 0
	for b := message; len(b) > 0; {
		// ResourceScopes has the same number.
		if _, rest, ok := nextRecord(b); ok {
			b = rest
			continue
		}
		f, rest, err := Next(b)
		if err != nil {
			return err
		}
		b = rest
		switch f.Number {
		case ResourceGroup:
			raw, err := f.AsBytes()
			if err != nil {
				return err
			}
			switch pieces++; pieces {
			case 1:
				*msg = raw
			case 2: // protobuf: one after the other is merged
				w.joined[level] = append(append(w.joined[level][:0], *msg...), raw...)
				*msg = w.joined[level]
			default:
				w.joined[level] = append(w.joined[level], raw...)
				*msg = w.joined[level]
			}
		case ResourceSchemaURL:
			if *url, err = f.AsBytes(); err != nil {
				return err
			}
		}
	}
	return nil
}
