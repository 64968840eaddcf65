// Package pushdown turns the part of LogQL that a store can evaluate on its own
// into the filters of the logs contract: what the planner moves to the store, and
// what deletions and retention rules are written in.
package pushdown
