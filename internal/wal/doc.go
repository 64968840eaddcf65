// Package wal is a write-ahead log: records in segments, committed in groups.
//
// Append returns when its record is written (and, with SyncEach, synced). One
// goroutine writes: it takes all records that wait, whatever their number, and
// writes them at once, so that the cost of a write is shared without a timer's
// delay. The Committed hook sees records in the log's order before Append
// returns, which lets an owner apply them in that order.
//
// A write that fails is cut off the segment again; the records of its group are
// refused, and the next group tries anew, in a new segment if need be. A segment
// that ends in the middle of a record, as after a crash, is cut at Open. Damage
// in the middle of a segment costs the damaged records only.
//
// docs/format/wal.md describes every byte.
package wal
