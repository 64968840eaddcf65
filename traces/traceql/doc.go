// Package traceql is our own implementation of TraceQL, the public query
// language for traces: a parser whose errors say where, an evaluator of one
// trace, and an Engine that finds the traces (Search), or the numbers
// (Range, Instant), that a query asks a traces.Querier for.
//
// # How a query is answered
//
// What of a {…} can be decided on a single span goes to the store as a
// traces.Filter, which may let too much through and never too little. Where that
// is all there is to decide, the spans found are the answer.
//
// Otherwise a store that knows the structure of traces (traces.Joined) is asked for
// marks: of every span that a {…} selects its trace, its place in it, and the values
// that the pipeline's stages read. One evaluator runs pipelines on marks and on
// whole traces alike (spanTable). Whole traces are fetched for what is shown, and of
// the spans that the store cannot answer for: there the {…} that occur in a trace
// say whether it can match at all.
//
// # Meaning, where the public documentation leaves it open
//
//   - && binds stronger than ||, structural operators bind stronger than &&, all
//     of them to the left.
//   - A comparison with a value that is missing, or of another type, is false, also
//     with != and !~; = nil and != nil ask for presence.
//   - A pipeline in parentheses that ends in a number, ({…} | count()), can be
//     compared with another or with a number. What is shown are the spans that the
//     numbers were made of; a trace of which there are none does not match.
//   - An unscoped .attribute is the span's, or else the resource's.
//   - rate and its siblings count a span in the step in which it started. The
//     point at time t covers [t - step, t). Durations become seconds.
//   - Arithmetic on metrics has the usual precedence; a side without labels goes with
//     every series of the other. There is no NaN: what has no value has no point.
//   - quantile_over_time is exact to within 1 % of the value.
//   - compare() counts exactly as long as an attribute has no more than 10,000 values (fewer
//     with many steps). Of one with more, the values met first are counted on, from
//     every 32nd span where most spans have a value of their own; totals stay exact.
package traceql
