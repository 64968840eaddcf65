// Package slab is memory for large columns whose end is known: it is taken for an owner,
// grows with it, and is given back as a whole.
//
// It is mapped from the operating system, outside of the Go heap: the garbage collector
// neither looks at it nor lets garbage of the same size stand beside it. What is given
// back is kept for a while for those that come next, then returned to the system.
// Only values without pointers live in it.
//
// # Promises
//
//  1. Memory is its owner's (a Set) until Set.Release; nobody else gets it, and it stays
//     readable. Only what a slice of a Set that is not Shared outgrew goes before.
//  2. What is kept for others never exceeds Options.MaxIdle.
//  3. Where the system does not map memory (or not any more) it comes from the Go heap.
//
// # Finding reads after the end
//
// A Pool with Guard, or any Pool of a process with BELFRY_SLAB_GUARD=1, makes what is given back
// inaccessible instead of handing it out again: who still reads it crashes, at the place
// that does. Under the race detector, which sees nothing outside of the heap, the memory
// is from the heap and is written to when it is given back, so that a reader who did not end before
// is a reported race.
package slab
