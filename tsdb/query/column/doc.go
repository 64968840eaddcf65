// Package column decodes series into columns: slices of points that a loop can
// walk, where Prometheus hands out a sample at a time behind an interface.
//
// It reads the chunks of any storage.ChunkQueryable. XOR chunks are decoded
// from their bytes; what else holds floats is read through its iterator, and so are
// native histograms, into memory that is used again for the next series.
package column
