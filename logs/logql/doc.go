// Package logql evaluates LogQL over any store that meets the logs.Querier
// contract.
//
// A query is parsed (package syntax), planned and run. Planning moves to the
// store what it can decide early, as plain data: matchers, line filters and
// conditions on metadata up to the first stage that changes what they look at,
// the fields that are wanted, and whole counts where no stage is left. The
// rest is a pipeline of stages, one per goroutine of the store's scan.
//
// Evaluation is bounded: series, points, steps and bytes scanned (Limits). A
// query over a bound of its result fails with fault.Invalid, in the words that
// Loki uses; a log query that the scan bound cut returns what it has and says
// so in Stats.Cut.
package logql
