package logs

import "time"

// Label is a named text.
type Label struct {
	Name  string
	Value string
}

// StreamID identifies a stream within a tenant, for ever.
type StreamID [16]byte

// Stream is what many entries share. It is read-only and may be kept. Streams
// of different IDs may have the same labels: they differ in their metadata.
type Stream struct {
	ID       StreamID
	Labels   []Label // sorted by name
	Metadata []Label // sorted by name; of the resource and the scope
}

// Label returns the value of a label, "" if the stream has none of that name.
func (s *Stream) Label(name string) string { return Lookup(s.Labels, name) }

// Lookup returns the value of a name in labels sorted by name, "" if there is none.
func Lookup(labels []Label, name string) string {
	for i := range labels {
		if labels[i].Name == name {
			return labels[i].Value
		}
	}
	return ""
}

// Entry is one log record. It may be kept.
type Entry struct {
	Time     int64
	Stream   *Stream
	Line     string
	Metadata []Label // sorted by name; of the record alone, see Stream.Metadata
	Cursor   Cursor  // where to go on after this entry
}

// Cursor is the place of an entry in Select's order. It stays good while
// entries are added and parts are merged.
type Cursor struct {
	Time   int64
	Stream StreamID
	Nth    int // how many selected entries of the same time and stream come up to and with this one
}

// Names of the metadata that does not come from attributes.
const (
	FieldSeverityNumber   = "severity_number"
	FieldSeverityText     = "severity_text"
	FieldDetectedLevel    = "detected_level" // trace, debug, info, warn, error, critical or unknown
	FieldObservedTime     = "observed_timestamp"
	FieldTraceID          = "trace_id"
	FieldSpanID           = "span_id"
	FieldFlags            = "flags"
	FieldEventName        = "event_name"
	FieldScopeName        = "scope_name"
	FieldScopeVersion     = "scope_version"
	FieldDroppedAttrCount = "dropped_attributes_count"
)

// LabelServiceName is the label that every stream has.
const LabelServiceName = "service_name"

// UnknownService is the service name of senders that give none.
const UnknownService = "unknown_service"

// ExtractedSuffix is added to names that are taken by a label.
const ExtractedSuffix = "_extracted"

// LabelName returns name as a label name: what is not a letter, digit or '_'
// becomes '_', and a leading digit gets "key_" before it.
func LabelName(name string) string {
	if IsLabelName(name) {
		return name
	}
	if name == "" {
		return "_"
	}
	b := make([]byte, 0, len(name)+4)
	if name[0] >= '0' && name[0] <= '9' {
		b = append(b, "key_"...)
	}
	for _, r := range name {
		if r < 0x80 && labelByte(byte(r)) {
			b = append(b, byte(r))
		} else {
			b = append(b, '_')
		}
	}
	return string(b)
}

// IsLabelName reports whether name is a label name as it stands.
func IsLabelName(name string) bool {
	if name == "" || name[0] >= '0' && name[0] <= '9' {
		return false
	}
	for i := 0; i < len(name); i++ {
		if !labelByte(name[i]) {
			return false
		}
	}
	return true
}

func labelByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_'
}

// Stats say what a query did.
type Stats struct {
	Entries      int64 // matched
	RowsScanned  int64 // looked at to find them
	BytesScanned int64 // decoded
	Blocks       int
	BlocksPruned int // of these, decided without decoding them
	Elapsed      time.Duration
	Cut          string // which bound cut the query short, in words; "" for none
}

// Add adds what another call did.
func (s *Stats) Add(o Stats) {
	s.Entries += o.Entries
	s.RowsScanned += o.RowsScanned
	s.BytesScanned += o.BytesScanned
	s.Blocks += o.Blocks
	s.BlocksPruned += o.BlocksPruned
	s.Elapsed += o.Elapsed
	if s.Cut == "" {
		s.Cut = o.Cut
	}
}
