// Package spanmetrics turns spans into time series as they are appended: request
// rate, errors and duration of every operation (traces_spanmetrics_*), and the
// calls between services (traces_service_graph_*), with the names and labels
// that Grafana's trace views look for.
//
// A Processor stands in front of a traces.Appender. It counts what that
// acknowledged, in memory, and hands the counters to a SeriesSink at an interval.
// Counters begin at zero with the process, as those of any process do.
//
// # Bounds
//
// Operations, edges and halves of calls that wait for the other half are limited
// in number for all tenants together; what is beyond is counted in
// belfry_spanmetrics_dropped_total, by what it was. Series that nothing was
// counted in for a while are forgotten.
package spanmetrics
