// Package store keeps spans in the event engine (internal/columnar): it gives it
// the decoder from OTLP wire bytes to columns and the list of fixed columns, and
// answers the queries of package traces.
//
// # Rows
//
// A row is a span; its time is the span's start. Its stream is resource and
// instrumentation scope, schema URLs included. Every attribute is a column of its
// own type; arrays and maps are JSON. Events and links are kept as they were
// received, one column each.
//
// # Names of columns
//
// Columns of the span itself begin with ":" (":name", ":duration"). An attribute's
// column is called as the attribute; one that begins with ":" gets another ":" in
// front. Fields of streams are "resource.KEY" and "scope.KEY" for attributes, and
// begin with ":" otherwise.
//
// # What is refused
//
// Spans without valid IDs, those that started before the retention or too far
// in the future, and those with too many attributes are rejected one by one. A
// request that is not OTLP is refused whole. Spans that come twice are stored
// twice; whoever builds a trace shows them once.
package store
