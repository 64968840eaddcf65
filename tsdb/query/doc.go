// Package query holds the PromQL engine: Prometheus' own, with Belfry's limits.
// The tenant of a query is the one that its context carries.
//
// Rules and people get an engine each, so that a flood of dashboards cannot
// keep alerts from being evaluated.
package query
