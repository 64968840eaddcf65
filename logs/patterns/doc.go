// Package patterns finds the patterns of log lines as they arrive: lines that say the same
// with other numbers, names and ids are one pattern, whose changing words are
// "<_>", as in LogQL's pattern filter.
//
// # How
//
// Each line has a signature: a hash of its words and what is between them,
// words with digits left out. A batch counts its lines by signature, so that a line costs
// one pass over its first bytes; of long batches a sample is taken, and counted for
// those left out. Only signatures that are not known yet go through the clustering:
// lines with the same punctuation and number of words
// belong to the cluster of their service with which they share most words, if that are
// enough, and make a new one otherwise. This is Drain with a tree of one level:
// P. He, J. Zhu, Z. Zheng, M. R. Lyu, Drain: An Online Log Parsing Approach with
// Fixed Depth Tree, ICWS 2017.
//
// # What is kept
//
// Counts per pattern, stream, level and 30 seconds are entries of a logs store of
// their own, written once a minute: a crash loses at most that. The clusters are
// kept in one file beside it (docs/format/patterns.md), so that a pattern stays known.
//
// # Never seen before
//
// A pattern that a service has not had before is told as an entry of the stream
// {service_name="belfry.patterns"}: its line is the pattern, its metadata
// has pattern, pattern_service and the line's level. A service's first hour teaches only.
// A rule file asks for it as for any other entry:
//
//   - alert: NewErrors
//     type: logs
//     expr: |
//     sum by (pattern_service, pattern) (
//     count_over_time({service_name="belfry.patterns"} | detected_level=~"error|critical" [5m])
//     ) > 0
//
// # Bounds
//
// Services per tenant, clusters per service, signatures and counts held are all bounded: what is
// over a bound is not clustered, and counted in belfry_logs_pattern_lines_skipped_total.
package patterns
