// Package lint holds tests about the source tree itself: which folder may
// import which, how long a file may be, and that every package says what it is
// for.
package lint
