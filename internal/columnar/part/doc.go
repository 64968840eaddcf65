// Package part is the file of an immutable part: blocks of column chunks, and
// behind them the directories that find them. docs/format/part.md describes
// every byte.
//
// A part is written front to back, one block after the other, and opened by its
// tail. A Reader is safe for concurrent use; what differs between goroutines
// (buffers, counters) is in the IO that each brings along.
package part
