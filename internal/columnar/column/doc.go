// Package column is the value model of the event engine: typed values, the
// vectors that hold one column of one block, and how a vector is turned into
// bytes and back.
//
// A vector is written once and then only read; any number of goroutines may
// read it. Types are kept: an integer is never stored as its digits.
package column
