// Package bench loads a process with the three signals over OTLP/HTTP and says
// what that cost: CPU per record, peak memory, bytes on disk per record, and
// how long questions take afterwards.
//
// The load is deterministic: the same seed and counts make the same bytes but
// for the time they start at. CPU and memory are the server process' own, from
// /proc, so that the load generator on the same machine does not count; wall
// times do include it. A figure is worth something only beside another from
// the same run: a peer gets each batch right after Belfry, and each question in
// turn with it.
//
// A resident set has pages of the program's file in it, as many as the kernel
// likes to map: up to a third more for a program just compiled than for one read
// from disk. Compare after the page cache was dropped (/proc/sys/vm/drop_caches).
package bench
