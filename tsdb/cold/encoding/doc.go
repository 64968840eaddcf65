// Package encoding turns columns of times and values into bytes and back.
//
// No value ever changes a bit: what an encoding cannot give back exactly is kept
// beside it as it is. A column does not know its own length; who stores it does.
//
// Integers are differenced up to two times, whichever is smallest, divided by
// what divides them all, and packed in mini-blocks of 128 with a minimum and a
// width each; the few that would make all others wide are patched in (patched
// frame of reference: Zukowski et al., "Super-Scalar RAM-CPU Cache
// Compression", 2006).
//
// Floats that are decimals become integers by a power of ten (the idea of
// Afroozeh et al., "ALP: Adaptive Lossless floating-Point Compression", 2023),
// all others by the order of their bits, in which neighbors in value are
// neighbors as integers.
//
// Decoders take any bytes: they return ErrCorrupt or values, and never read or
// allocate beyond what they were given.
package encoding
