// Package query holds the PromQL engine: Prometheus' own language, limits and
// results, with the parts of a query that touch many series evaluated in columns
// (tsdb/query/fragment). What that does not cover, Prometheus' engine does, in
// part or as a whole; belfry_metrics_queries_total counts which.
//
// The tenant of a query is the one that its context carries. Rules and people
// get an engine each, so that a flood of dashboards cannot keep alerts from
// being evaluated.
package query
