// Package traces is the contract of a trace store: how spans are appended, what
// a span is, and what can be asked of a store. Engines implement Appender and
// Querier; TraceQL and the HTTP APIs of Tempo, Jaeger and Zipkin are written
// against them and know no engine.
//
// # What a store promises
//
//  1. A span that was acknowledged is found by its trace ID, by a scan and by
//     name and value listings from then on, whatever part of the store holds it.
//  2. Nothing is joined on the way in: spans of one trace may arrive in any
//     order, days apart, twice, or without their root. They are all returned.
//  3. A Filter may be answered with more spans than it holds for, never with
//     fewer: callers evaluate again what must be exact. Match is the meaning of
//     a Filter, and what an exact engine answers with.
//  4. A span belongs to a time range [From, To) if it started before To and ended
//     at From or later. SpanQuery.ByStart narrows that to spans which started in it.
//  5. Every query ends with its context, and says in Stats.Cut when a bound
//     ended it early.
//
// Times are nanoseconds since the Unix epoch, durations nanoseconds.
package traces
