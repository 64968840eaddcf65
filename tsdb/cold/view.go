package cold

import (
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/tombstones"

	"belfry/tsdb"
)

type storageRef = storage.SeriesRef

// series is a series of a block, as a querier sees it.
type series struct {
	b          *Block
	labels     labels.Labels
	chunks     []chunk
	gone       tombstones.Intervals
	mint, maxt int64
}

var _ tsdb.ColumnSeries = (*series)(nil)

// Labels implements storage.Series.
func (s *series) Labels() labels.Labels { return s.labels }

// AppendColumns implements tsdb.ColumnSeries.
func (s *series) AppendColumns(c *tsdb.Columns, mint, maxt int64) (bool, error) {
	mint, maxt = max(mint, s.mint), min(maxt, s.maxt)
	start := len(c.Times)
	for i := range s.chunks {
		chk := &s.chunks[i]
		if !chk.overlaps(mint, maxt) {
			continue
		}
		if !chk.isColumn() {
			c.Truncate(start)
			return false, nil
		}
		if err := s.b.appendFloats(c, chk, mint, maxt, s.gone); err != nil {
			c.Truncate(start)
			return false, err
		}
	}
	return true, nil
}

// Iterator implements storage.Series.
func (s *series) Iterator(it chunkenc.Iterator) chunkenc.Iterator {
	mine, ok := it.(*iterator)
	if !ok {
		mine = &iterator{}
	}
	mine.reset(s)
	return mine
}

// chunkSeries is a series that hands out chunks.
type chunkSeries struct{ *series }

var (
	_ tsdb.ColumnReader = chunkSeries{}
	_ tsdb.SampleReader = chunkSeries{}
)

// Samples implements tsdb.SampleReader.
func (s chunkSeries) Samples() storage.Series { return s.series }

// Chunks implements tsdb.SampleReader.
func (s chunkSeries) Chunks() (out []chunkenc.Chunk, ok bool, err error) {
	for i := range s.chunks {
		c := &s.chunks[i]
		if !c.overlaps(s.mint, s.maxt) {
			continue
		}
		if c.isColumn() || touches(s.gone, c) {
			return nil, false, nil
		}
		chk, err := s.b.kept(c)
		if err != nil {
			return nil, false, err
		}
		out = append(out, chk)
	}
	return out, true, nil
}

// Iterator implements storage.ChunkSeries.
func (s chunkSeries) Iterator(it chunks.Iterator) chunks.Iterator {
	return storage.NewSeriesToChunkEncoder(s.series).Iterator(it)
}

// iterator goes through the samples of a series, chunk by chunk.
type iterator struct {
	s       *series
	next    int // chunk
	floats  tsdb.Columns
	columns tsdb.ColumnIterator
	kept    chunkenc.Iterator // of the chunk kept as it is that was read last
	at      chunkenc.Iterator // columns or kept; nil between chunks
	kind    chunkenc.ValueType
	err     error
}

func (it *iterator) reset(s *series) {
	it.s, it.next, it.at, it.kind, it.err = s, 0, nil, chunkenc.ValNone, nil
}

// open begins with the next chunk.
func (it *iterator) open() bool {
	if it.err != nil || it.next >= len(it.s.chunks) {
		return false
	}
	c := &it.s.chunks[it.next]
	it.next++
	if c.isColumn() {
		it.floats.Reset()
		if it.err = it.s.b.appendFloats(&it.floats, c, it.s.mint, it.s.maxt, it.s.gone); it.err != nil {
			return false
		}
		it.columns.Reset(it.floats.Times, it.floats.Values)
		it.at = &it.columns
		return true
	}
	chk, err := it.s.b.kept(c)
	if err != nil {
		it.err = err
		return false
	}
	it.kept = chk.Iterator(it.kept)
	it.at = it.kept
	return true
}

// Next implements chunkenc.Iterator.
func (it *iterator) Next() chunkenc.ValueType {
	for {
		if it.at == nil && !it.open() {
			it.kind = chunkenc.ValNone
			return it.kind
		}
		for it.kind = it.at.Next(); it.kind != chunkenc.ValNone; it.kind = it.at.Next() {
			if it.wanted() {
				return it.kind
			}
		}
		it.closeChunk()
	}
}

// wanted reports whether the sample at hand is in range and was not deleted. Of
// columns all are.
func (it *iterator) wanted() bool {
	if it.at == chunkenc.Iterator(&it.columns) {
		return true
	}
	t := it.at.AtT()
	return t >= it.s.mint && t <= it.s.maxt && !contains(it.s.gone, t)
}

func (it *iterator) closeChunk() {
	if err := it.at.Err(); err != nil && it.err == nil {
		it.err = corruptf("chunk in block %s: %v", it.s.b.meta.ULID, err)
	}
	it.at = nil
}

// millis keeps vet from taking Seek for io.Seeker's.
type millis = int64

// Seek implements chunkenc.Iterator.
func (it *iterator) Seek(t millis) chunkenc.ValueType {
	if it.at != nil && it.kind != chunkenc.ValNone && it.at.AtT() >= t {
		return it.kind
	}
	for {
		for it.at == nil && it.next < len(it.s.chunks) && it.s.chunks[it.next].maxt < t {
			it.next++
		}
		if it.at == nil && !it.open() {
			it.kind = chunkenc.ValNone
			return it.kind
		}
		for it.kind = it.at.Seek(t); it.kind != chunkenc.ValNone; it.kind = it.at.Next() {
			if it.wanted() {
				return it.kind
			}
		}
		it.closeChunk()
	}
}

// At implements chunkenc.Iterator.
func (it *iterator) At() (int64, float64) { return it.at.At() }

// AtHistogram implements chunkenc.Iterator.
func (it *iterator) AtHistogram(h *histogram.Histogram) (int64, *histogram.Histogram) {
	return it.at.AtHistogram(h)
}

// AtFloatHistogram implements chunkenc.Iterator.
func (it *iterator) AtFloatHistogram(h *histogram.FloatHistogram) (int64, *histogram.FloatHistogram) {
	return it.at.AtFloatHistogram(h)
}

// AtT implements chunkenc.Iterator.
func (it *iterator) AtT() int64 { return it.at.AtT() }

// AtST implements chunkenc.Iterator.
func (it *iterator) AtST() int64 { return it.at.AtST() }

// Err implements chunkenc.Iterator.
func (it *iterator) Err() error { return it.err }
