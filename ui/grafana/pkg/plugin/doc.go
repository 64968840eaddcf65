// Package plugin is Belfry's data source as Grafana's backend runs it: one
// instance a data source, that answers queries with frames, resources with JSON,
// health with a real query of each signal, and live tail with a stream.
//
// A query says what it asks by its type (Query.Type); each type has a file of
// its own, query_*.go for the asking and frames_*.go for the shape that Grafana
// draws. A minimal query, an expression and nothing else, is filled with
// defaults, so that links from other data sources work.
//
// Faults of a query are the query's own (its DataResponse); those that the
// server reported count as downstream, so that Grafana does not blame the plugin
// for them. Alert rules get numbers or a clear refusal. Links between signals
// need no configuration: they lead to this data source itself, unless settings
// name others.
package plugin
