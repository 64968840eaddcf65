// Package columnar is the event engine under logs and traces: rows of typed
// columns, appended durably, kept in immutable parts, searched in parallel.
//
// # Model
//
// A row has a time (nanoseconds since the epoch), a stream and columns. A
// stream is a set of fields that many rows share (resource and scope
// attributes); its fields are stored once per part and a filter on them is
// decided once per stream. A column is known by its name and its kind; a row
// has at most one value in it.
//
// # Promises
//
//  1. Append returns nil only when the payload is in the write-ahead log as the
//     kernel holds it (it survives kill -9), and from then on every query sees
//     its rows. The log reaches the disk at the latest SyncInterval later, or
//     before Append returns with DurabilityFsync.
//  2. A row is in the log, in the memtable, or in a part; never twice in an
//     answer, whatever crash or restart lies in between.
//  3. An append is kept whole or not at all, but for rows that the decoder
//     rejected one by one.
//  4. Bytes read from disk are verified before they are used. A damaged part is
//     quarantined (renamed, logged, counted); queries go on without it and say so
//     in Stats.Damaged.
//  5. When Delete returns nil no query sees the rows that it named, whatever
//     crash or restart follows; when the deletion is done, no file has them.
//  6. Every query is bounded, stops within milliseconds of its context's end,
//     and says in Stats.Cut when a bound cut it.
//
// # Life of a row
//
// Append decodes the payload with the signal's Decoder into a private batch,
// hands the payload to the log's writer, which commits what waits in one write and
// publishes the batches to the memtable in the log's order. The memtable is
// flushed into one part per tenant and UTC day (rows of more days than sixteen share
// parts); the manifest records the parts
// together with the log position that they cover, so that a replay starts
// exactly there. Parts are merged within their day, and dropped by age and by
// total size; retention rules and deletions by filter have parts rewritten without
// the rows that are to go, which queries leave out until then. While appends or queries run, all merges together take about half a
// processor, unless they have fallen far behind; one merge takes about
// Options.MergeMemory at most.
//
// What a flush derives from the rows of a group (Options.Grouping) is of no use where
// the group's rows are in several parts. The merge that brings them together derives
// it again; rows of one group in parts of different days stay apart.
//
// # Limits worth knowing
//
// Words, whole values and substrings of three bytes or more are pruned by filters.
// To filters of substrings all digits are alike: a number that may be a piece of a longer
// one is searched in the templates' slots or by unpacking. A part's rows are sorted by stream, so that
// each of its blocks may span the part's whole time. A worker of a Scan must not start
// another query on the same DB: it may wait for itself.
//
// # Memory
//
// Memtables live outside of the Go heap (package slab), each in a set of its own. Its memory goes to
// the next memtables with the last reference: the DB's goes when the rows are in parts, each snapshot that a
// query took holds another. What is derived from a snapshot and kept for longer must be a copy.
// The blocks that flushes and merges read and build take theirs from the same pool, and give it back
// when they end. The cache of what queries for a few rows have read is there, too, and queries get copies
// of it. Pages, filters and dictionaries are encoded in scratch memory on the heap, which goes from one
// flush or merge to the next. What nobody used for ten seconds goes to the system.
//
// # Locks
//
// In the order of taking: DB.flushMu (one flush at a time), DB.partMu (the set
// of parts changes, in the manifest and in memory), manifest.mu, DB.mu; the lock of
// the list of deletions comes before manifest.mu. DB.mu
// guards the memtables and the set of parts; it is never held for I/O, and only for
// pointer work but for the publication of a batch, which copies it. Parts are
// reference counted: a query keeps those it reads alive.
package columnar
