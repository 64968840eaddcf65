// Package sender sends what is appended for a tenant on to other systems, by
// Prometheus remote write 1.0 or 2.0, configured in Prometheus' own language.
//
// The queues are Prometheus' own (storage/remote). They follow the tenant's
// write-ahead log from the moment they start, so what is sent was stored, a
// system that is away for less than the log reaches back gets what it has missed,
// and memory is bounded by queue_config whatever the other side does. What was
// appended while the process was down or before a queue began is not sent.
//
// Their metrics are Prometheus', too: prometheus_remote_storage_*.
package sender
