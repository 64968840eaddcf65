// Package api serves the Prometheus HTTP API over a metrics store: Prometheus'
// own implementation (web/api/v1), made to answer for the tenant in each
// request's context, and around it what that implementation leaves to its
// server: /federate, /metadata from the store, and pushes of text.
//
// The handler's paths are /api/v1/... and /federate; whoever mounts it below a
// prefix strips the prefix.
package api
