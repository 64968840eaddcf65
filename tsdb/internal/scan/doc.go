// Package scan takes the bytes of a file's sections apart: variable-length
// integers, counts, strings with their length. Any bytes are taken: what does not
// fit is an error, never a panic, and nothing is allocated for what a count
// promises but the bytes cannot hold.
package scan
