// Package record reads OTLP log requests from their wire form, for every
// implementation of the logs store: which resource attributes are a stream's
// labels, what a record's time and level are, and what is refused.
package record
