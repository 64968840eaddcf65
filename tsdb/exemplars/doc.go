// Package exemplars keeps exemplars on disk for as long as the samples that they
// belong to: immutable files, each of the exemplars of some minutes, that are
// merged to one for each six hours. docs/format/exemplars.md says every byte.
//
// A file is written to the side, synced and renamed; a crash leaves it there or
// not. What was written twice, around a crash, is read once. Every byte is under a
// CRC-32C: damage is an error of whoever reads.
//
// A Folder is safe for concurrent use.
package exemplars
