// Package collector is Belfry's OpenTelemetry Collector: the way in for all
// telemetry. components.go lists what it is made of; a Collector runs it inside
// the process, without a command line, signal handling, telemetry server or
// global state of its own.
//
// # Configuration
//
// The user's configuration is the Collector's own language, with ${env:NAME},
// ${file:PATH} and ${yaml:...}, and is merged over Defaults the way the
// Collector merges files: maps merge, lists and scalars replace. Then
//
//   - a pipeline that does not mention exporters gets [belfry];
//   - a pipeline that does not mention processors gets [memory_limiter]
//     (an empty list stays empty);
//   - the receiver belfry, through which the process' own telemetry and the
//     paths of the main HTTP listener enter, is added to the pipelines logs,
//     traces and metrics where no pipeline of that signal has it.
//
// Nothing else is added or changed. service::telemetry is accepted and ignored,
// as Belfry reports on itself its own way.
//
// # Acknowledgement
//
// With the default pipelines, and with every processor that works within the
// call, an OK to a sender means that the store has the records in its
// write-ahead log. Processors that answer before they pass data on (batch,
// tail_sampling, ...) and connectors give that up; Start warns about each
// pipeline that has one.
//
// # Lifecycle
//
// Start returns when every receiver listens. Shutdown stops receivers first,
// lets what they took run through, then stops processors and exporters. Reload
// validates and builds the new configuration before it stops the old one, and
// goes back to the old one if the new one does not start; listening sockets and
// callers inside the process wait meanwhile.
package collector
