package cold

import (
	"slices"

	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/tombstones"

	"belfry/tsdb"
	"belfry/tsdb/cold/encoding"
)

// decoder decodes columns. The block keeps some for whoever needs one.
type decoder struct{ floats encoding.Decoder }

// appendFloats appends the samples of a column from mint to maxt but those in
// the intervals. out is as it was where that fails.
func (b *Block) appendFloats(out *tsdb.Columns, c *chunk, mint, maxt int64, gone tombstones.Intervals) error {
	times, err := b.timesOf(c.times)
	if err != nil {
		return err
	}
	bytes, err := b.column(c.offset, c.length)
	if err != nil {
		return err
	}
	start := len(out.Times)
	out.Values = slices.Grow(out.Values, len(times))
	values := out.Values[start : start+len(times)]
	d := b.decoders.Get().(*decoder) //nolint:forcetypeassert // the pool's New
	rest, err := d.floats.DecodeFloats(values, bytes)
	b.decoders.Put(d)
	if err != nil || len(rest) > 0 {
		return corruptf("column of values in block %s", b.meta.ULID)
	}
	from, to := 0, len(times)
	if mint > c.mint {
		from, _ = slices.BinarySearch(times, mint)
	}
	if maxt < c.maxt {
		to, _ = slices.BinarySearch(times, maxt+1)
	}
	if from >= to {
		return nil
	}
	if from > 0 {
		copy(values, values[from:to])
	}
	out.Times = append(out.Times, times[from:to]...)
	out.Values = out.Values[:len(out.Times)]
	if len(gone) > 0 {
		dropDeleted(out, start, gone)
	}
	return nil
}

// dropDeleted drops samples from the i-th on that are in the intervals.
func dropDeleted(c *tsdb.Columns, i int, gone tombstones.Intervals) {
	kept := i
	for ; i < len(c.Times); i++ {
		if !contains(gone, c.Times[i]) {
			c.Times[kept], c.Values[kept] = c.Times[i], c.Values[i]
			kept++
		}
	}
	c.Truncate(kept)
}

func contains(gone tombstones.Intervals, t int64) bool {
	for _, iv := range gone {
		if iv.InBounds(t) {
			return true
		}
	}
	return false
}

// covers reports whether all of a chunk was deleted.
func covers(gone tombstones.Intervals, c *chunk) bool {
	return len(gone) > 0 && tombstones.Interval{Mint: c.mint, Maxt: c.maxt}.IsSubrange(gone)
}

// touches reports whether some of a chunk was deleted.
func touches(gone tombstones.Intervals, c *chunk) bool {
	for _, iv := range gone {
		if c.overlaps(iv.Mint, iv.Maxt) {
			return true
		}
	}
	return false
}

// kept returns a chunk that was kept as it is. Its bytes are the block's.
func (b *Block) kept(c *chunk) (chunkenc.Chunk, error) {
	bytes, err := b.column(c.offset, c.length)
	if err != nil {
		return nil, err
	}
	chk, err := chunkenc.FromData(c.encoding, bytes)
	if err != nil {
		return nil, corruptf("chunk in block %s: %v", b.meta.ULID, err)
	}
	return chk, nil
}
