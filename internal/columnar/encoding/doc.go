// Package encoding turns arrays of integers, floats and byte strings into the
// bytes of a part and back, and holds the hash, the words, the Bloom filter and
// the gram filter that parts are pruned with.
//
// Decoders trust nothing: they return ErrCorrupt for any bytes that an encoder
// did not make, and never allocate more than the caller's own counts justify.
package encoding

import "errors"

// ErrCorrupt is returned for bytes that no encoder made.
var ErrCorrupt = errors.New("encoding: corrupt data")

// MaxRows is the largest number of values in one column of one block.
const MaxRows = 1 << 16

// MaxPageBytes is the largest raw page that is decoded. A page holds 64 to 128
// KiB, unless a single value is larger; values come from bounded payloads.
const MaxPageBytes = 256 << 20
