// Package cold keeps old metrics in column files: immutable blocks that hold
// what Prometheus' blocks hold in a fraction of the bytes, and give a series'
// samples back as arrays.
//
// A block is a folder with a file that never changes and, once something was
// deleted from it, Prometheus' tombstones beside it. docs/format/cold.md says
// every byte. Build writes one from other blocks, Prometheus' or cold ones, and
// does not return before it has read it back and compared every sample.
//
// # What replaces what
//
// A block names in its own file which blocks it replaces. Renaming its folder
// into place is therefore the one step that makes it visible and all of these
// invisible; whoever opens the folder again after a crash finds, from the names,
// what is left to be removed. No other record is kept.
//
// # What a block holds
//
// Series have dense numbers, 1 and up, in the order of their labels. Float
// samples are columns of at most MaxColumn samples that do not cross a UTC day;
// series that were scraped together share the column of times. What cannot be a
// column, native histograms and samples with start times, keeps the bytes of
// Prometheus' chunk. No float ever changes a bit.
//
// Every byte is covered by a CRC-32C: of all sections but the columns when a
// block is opened, of the columns, 64 KiB at a time, when they are first read.
// Damage is an error of whoever reads, never a wrong sample.
//
// # Life
//
// A Block is closed when its last reader lets go of it (acquire, release).
// Methods are safe for concurrent use.
package cold
