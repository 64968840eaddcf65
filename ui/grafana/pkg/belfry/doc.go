// Package belfry asks a Belfry server for its metrics, logs, traces, incidents
// and people, over the HTTP APIs that it serves: Prometheus', Loki's, Tempo's,
// Alertmanager's and its own. It decodes answers into plain data and knows
// nothing of Grafana.
//
// Every call takes a context and ends with it. Answers are bounded (MaxAnswer).
// A fault that the server reports is an *Error with the status and the words of
// the server; everything else is a failure to reach it.
package belfry
