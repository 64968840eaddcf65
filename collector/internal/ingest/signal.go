package ingest

// Signal is a kind of telemetry.
type Signal uint8

// The signals.
const (
	Logs Signal = iota
	Traces
	Metrics
	numSignals
)

// Signals returns all signals.
func Signals() []Signal { return []Signal{Logs, Traces, Metrics} }

// String returns the signal's name in pipeline identifiers.
func (s Signal) String() string { return [...]string{"logs", "traces", "metrics"}[s] }

// Records returns what the signal's records are called.
func (s Signal) Records() string { return [...]string{"log records", "spans", "data points"}[s] }

// Path returns the signal's default path for OTLP over HTTP.
func (s Signal) Path() string { return "/v1/" + s.String() }

// Encoding is the form of a request's body.
type Encoding uint8

// The encodings of OTLP.
const (
	Protobuf Encoding = iota
	JSON
)

// ContentType returns the encoding's media type.
func (e Encoding) ContentType() string {
	return [...]string{"application/x-protobuf", "application/json"}[e]
}
