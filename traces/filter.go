package traces

import "github.com/grafana/regexp"

// Scope says where a field is found.
type Scope uint8

// The scopes of fields.
const (
	ScopeIntrinsic       Scope = iota // fields that every span has; Name is one of the constants below
	ScopeSpan                         // attributes of the span
	ScopeResource                     // attributes of its resource
	ScopeInstrumentation              // attributes of its instrumentation scope
	ScopeEvent                        // attributes of its events
	ScopeLink                         // attributes of its links
	ScopeAny                          // attributes of the span, or else of the resource
)

var scopeNames = [...]string{"intrinsic", "span", "resource", "instrumentation", "event", "link", "any"}

// String returns the scope's name.
func (s Scope) String() string {
	if int(s) < len(scopeNames) {
		return scopeNames[s]
	}
	return "invalid"
}

// ParseScope reads what String writes.
func ParseScope(name string) (Scope, bool) {
	for i, n := range scopeNames {
		if n == name {
			return Scope(i), true
		}
	}
	return 0, false
}

// The intrinsic fields that a store can decide on a single span. Kind and status
// are Ints of OTLP's numbers, durations Ints of nanoseconds, IDs strings of hex digits.
const (
	Name                   = "name"
	Duration               = "duration"
	SpanKindField          = "kind"
	StatusField            = "status"
	StatusMessage          = "statusMessage"
	TraceIDField           = "trace:id"
	SpanIDField            = "span:id"
	ParentIDField          = "span:parentID"
	EventName              = "event:name"
	EventTimeSinceStart    = "event:timeSinceStart"
	LinkTraceID            = "link:traceID"
	LinkSpanID             = "link:spanID"
	InstrumentationName    = "instrumentation:name"
	InstrumentationVersion = "instrumentation:version"
)

// Field names something that a span has.
type Field struct {
	Scope Scope
	Name  string
}

// Intrinsic returns an intrinsic field.
func Intrinsic(name string) Field { return Field{ScopeIntrinsic, name} }

// ServiceName is the resource attribute that names a service.
func ServiceName() Field { return Field{ScopeResource, "service.name"} }

// Op compares a field with a value.
type Op uint8

// The comparisons. A field without value, or with a value of another class than
// the one it is compared with, meets none of them; numbers are one class. An
// array meets NotEqual if none of its elements is equal, any other comparison if
// one of its elements meets it. The same goes for fields of events and links,
// of which a span has several.
const (
	OpEqual Op = iota
	OpNotEqual
	OpLess
	OpLessEqual
	OpGreater
	OpGreaterEqual
)

var opNames = [...]string{"=", "!=", "<", "<=", ">", ">="}

// String returns the operator.
func (o Op) String() string {
	if int(o) < len(opNames) {
		return opNames[o]
	}
	return "?"
}

// Filter is a condition on a span, as plain data: one of the types below. A nil
// Filter holds for every span. Filters are read-only once handed over.
type Filter interface{ isFilter() }

type (
	// And holds if all hold; an empty And holds.
	And []Filter
	// Or holds if one holds; an empty Or never does.
	Or []Filter
	// Compare compares a field with a scalar value.
	Compare struct {
		Field Field
		Op    Op
		Value Value
	}
	// Regexp holds if Re, which is anchored, matches a string field; with Negate
	// if the field is a string and Re does not match it.
	Regexp struct {
		Field  Field
		Re     *regexp.Regexp
		Negate bool
	}
	// Exists holds if the field has a value; with Negate if it has none.
	Exists struct {
		Field  Field
		Negate bool
	}
)

func (And) isFilter()     {}
func (Or) isFilter()      {}
func (Compare) isFilter() {}
func (Regexp) isFilter()  {}
func (Exists) isFilter()  {}
