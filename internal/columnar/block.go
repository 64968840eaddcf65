package columnar

import "iter"

// Block is the selected rows of one block, in the block's order: by (stream,
// time) for blocks on disk, by arrival for blocks in memory. Row numbers run from 0 to Len()-1 over the selected
// rows. It is not safe for concurrent use.
type Block struct {
	times []int64
}

// Len returns the number of selected rows.
func (b *Block) Len() int { return len(b.times) }

// Times returns the selected rows' times. It is read-only.
func (b *Block) Times() []int64 { return b.times }

// Stream returns the stream of row i.
func (b *Block) Stream(i int) *Stream { return nil }

// StreamRuns calls yield for each run of rows [start, end) of one stream, in
// order: cheaper than Stream row by row.
func (b *Block) StreamRuns() iter.Seq2[*Stream, [2]int] {
	return func(func(*Stream, [2]int) bool) {}
}

// Columns returns the keys of all columns that have a value in the block,
// perhaps in rows that are not selected. It is read-only.
func (b *Block) Columns() ([]ColumnKey, error) { return nil, errNotReady }

// Column returns one column of the selected rows; it reads and decodes it when
// first asked. It returns nil if no row of the block has it. A damaged column is an
// error, which the worker should return.
func (b *Block) Column(key ColumnKey) (*Vector, error) { return nil, errNotReady }
