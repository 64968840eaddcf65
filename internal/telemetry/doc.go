// Package telemetry is what Belfry says about itself: structured logs on
// standard error, a metrics registry, and all three of logs, metrics and traces
// as OTLP into its own collector, where they arrive as service "belfry" like
// any other service's.
//
// The path into the collector is an in-process HTTP client over the collector's
// own OTLP handler: the same decoding, limits and answers as on a socket,
// without one. Two rules keep the loop from feeding itself: what the ingest
// path logs while it stores Belfry's own telemetry is not exported (requests
// are marked in their context, see Marked), and the queues in between drop and
// count rather than wait.
package telemetry
