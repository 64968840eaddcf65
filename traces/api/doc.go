// Package api serves traces to the clients that exist: Tempo's, Jaeger's and
// Zipkin's HTTP query APIs, each a handler of its own with its native paths, and
// over gRPC Tempo's streaming queries, Jaeger's query services and what Jaeger
// asks of a remote storage. All of them find traces with the same TraceQL engine; the tenant is that of the
// request's context.
//
// What Belfry adds stays invisible to clients that do not know it: Tempo's
// search answers with the header NextHeader where there is more, and takes it
// back as the parameter "after"; Jaeger's search works without a service.
package api
