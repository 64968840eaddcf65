// Package e2e drives the real program from outside: a process of its own, real
// ports, the public OpenTelemetry SDK's exporters on one side and the public
// HTTP APIs on the other. Nothing here imports Belfry's packages.
package e2e
