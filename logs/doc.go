// Package logs is the contract of the logs store: how records go in (Appender)
// and how they are asked for (Querier), as plain data that any engine can
// serve. LogQL, the Loki API and the rules stand above it; package logs/store
// and package logs/memstore stand below it; package logs/logstest says in tests
// what is said here in words.
//
// # Model
//
// An Entry has a time, a line, a stream and metadata. The stream's labels are
// the identifying resource attributes (see package logs/store); every other
// attribute, of the resource, the scope and the record, is metadata. Names are
// given as label names (LabelName): http.route becomes http_route. Values are
// given as text.
//
// One name, one value: a label hides metadata of its name, which is then seen
// under the name with ExtractedSuffix; a record's metadata hides that which its
// stream shares. A value that is empty is the same as none.
//
// # Time
//
// Times are nanoseconds since the epoch. A Query covers [From, To).
//
// # Bounds
//
// Every call stops within milliseconds of its context's end. A query that one
// of its Limits cut short returns what it has, and says so in Stats.Cut.
package logs
