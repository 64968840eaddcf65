// Package api serves Loki's HTTP API over a logs store, so that Grafana, logcli
// and Loki's shippers work unchanged: push, queries, labels and series, the
// endpoints of Explore and Drilldown, and live tail; and, apart from it, the bulk
// endpoint of Elasticsearch for shippers that speak that.
//
// Paths are Loki's own (/loki/api/v1/…). The tenant is in the request's context.
// Errors are plain text with the status of their fault, as Loki's are.
package api
