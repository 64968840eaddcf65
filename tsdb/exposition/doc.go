// Package exposition appends what exporters expose: the Prometheus text format,
// OpenMetrics and the protobuf format, pushed to us or gathered from a registry
// of our own process.
package exposition
