// Package fragment evaluates the parts of a PromQL expression that touch many
// series, column by column and in parallel, and leaves the rest of it to
// Prometheus' engine.
//
// Split finds the fragments of an expression. A fragment is a selector, a function
// over a range of one, an operation of each series of one fragment with one of
// another, or two fragments with `and`, `or` or `unless` between them; then any number
// of operations on each value by itself (arithmetic and comparison with numbers,
// mathematical functions, statistics of native histograms), then possibly
// histogram_quantile or histogram_fraction and more such operations, then possibly an
// aggregation by sum, avg, min, max, count, group, stddev, stdvar, quantile, topk,
// bottomk or count_values. Functions of histograms may be of an aggregation, too. What is left of the
// expression has a selector in the place of each fragment, which the engine reads from
// memory, so joins with what is no fragment and everything else of the language behave
// as they always do.
//
// Results are Prometheus' own: the functions over ranges are its
// implementations, or ours that give the same bits. Only sums over series are
// added in another order. Data that a fragment does not handle (two series that
// become one or match alike) fails with ErrFallback, and the whole query has to be
// given to Prometheus' engine.
//
// Native histograms are decoded a series at a time into memory that the next series
// uses again. Those of a window that have the same buckets are subtracted bucket by
// bucket, and those of a group added bucket by bucket, into an array for all steps of
// each schema, zero bucket and custom bounds; what differs in these goes through
// Prometheus' arithmetic. Where the order in which histograms are added changes more
// than rounding, the query falls back.
//
// A fragment that is evaluated again and again near the present reads nothing:
// Tails keeps its series' newest samples and follows what is appended to them,
// unless there are native histograms among them.
//
// A fragment holds the samples of one series per worker, what it joins and its own
// result, and counts all of them against the limit of samples that a query may have in memory.
package fragment
