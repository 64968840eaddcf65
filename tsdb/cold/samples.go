package cold

import (
	"cmp"
	"math"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"belfry/tsdb"
)

// samples are those of one series, in pieces: runs of floats, and chunks that
// are kept as they are.
type samples struct {
	floats tsdb.Columns
	pieces []piece

	it chunkenc.Iterator
}

// piece is a run of floats or a chunk. Its times are from mint to maxt.
type piece struct {
	from, to   int // of floats
	chunk      chunkenc.Chunk
	mint, maxt int64
}

func (s *samples) reset() {
	s.floats.Reset()
	s.pieces = s.pieces[:0]
}

// run makes a piece of the floats from the i-th on.
func (s *samples) run(i int) {
	if n := len(s.floats.Times); n > i {
		s.pieces = append(s.pieces, piece{from: i, to: n, mint: s.floats.Times[i], maxt: s.floats.Times[n-1]})
	}
}

// add adds a chunk: as a run of floats, or as it is.
func (s *samples) add(c chunkenc.Chunk, mint, maxt int64) error {
	start := len(s.floats.Times)
	it := c.Iterator(s.it)
	s.it = it
	for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
		if kind != chunkenc.ValFloat || it.AtST() != 0 {
			s.floats.Truncate(start)
			s.pieces = append(s.pieces, piece{chunk: c, mint: mint, maxt: maxt})
			return nil
		}
		s.floats.Append(it.At())
	}
	if err := it.Err(); err != nil {
		return err
	}
	s.run(start)
	return nil
}

// normalize sorts the pieces by time, merges those that overlap and joins runs
// of floats. Of two samples at one time the one added first counts.
func (s *samples) normalize() error {
	overlap, floats := false, true
	for i := range s.pieces {
		floats = floats && s.pieces[i].chunk == nil
		overlap = overlap || i > 0 && s.pieces[i].mint <= s.pieces[i-1].maxt
	}
	if overlap {
		slices.SortStableFunc(s.pieces, func(a, b piece) int { return cmp.Compare(a.mint, b.mint) })
		overlap = false
		for i := range s.pieces[1:] {
			overlap = overlap || s.pieces[i+1].mint <= s.pieces[i].maxt
		}
	}
	switch {
	case overlap && !floats:
		return s.reencode()
	case overlap:
		s.sortFloats()
	case floats && len(s.pieces) > 1:
		s.joinFloats()
	default:
		s.joinNeighbors()
	}
	return nil
}

// sortFloats merges runs of floats that overlap.
func (s *samples) sortFloats() {
	s.floats.Sort(0)
	s.pieces = s.pieces[:0]
	s.run(0)
}

// joinFloats makes one run of several that are in order of time, though perhaps
// not in memory.
func (s *samples) joinFloats() {
	inOrder := true
	for i := range s.pieces[1:] {
		inOrder = inOrder && s.pieces[i].to == s.pieces[i+1].from
	}
	if !inOrder {
		var c tsdb.Columns
		for _, p := range s.pieces {
			c.Times = append(c.Times, s.floats.Times[p.from:p.to]...)
			c.Values = append(c.Values, s.floats.Values[p.from:p.to]...)
		}
		s.floats = c
	}
	s.pieces = s.pieces[:0]
	s.run(0)
}

// joinNeighbors joins runs of floats that are neighbors in time and in memory.
func (s *samples) joinNeighbors() {
	joined := s.pieces[:0]
	for _, p := range s.pieces {
		if n := len(joined); n > 0 && p.chunk == nil && joined[n-1].chunk == nil && joined[n-1].to == p.from {
			joined[n-1].to, joined[n-1].maxt = p.to, p.maxt
			continue
		}
		joined = append(joined, p)
	}
	s.pieces = joined
}

// reencode merges floats and chunks that overlap, sample by sample.
func (s *samples) reencode() error {
	series := make([]storage.Series, len(s.pieces))
	for i, p := range s.pieces {
		series[i] = &storage.SeriesEntry{SampleIteratorFn: func(chunkenc.Iterator) chunkenc.Iterator {
			if p.chunk != nil {
				return p.chunk.Iterator(nil)
			}
			return tsdb.NewColumnIterator(s.floats.Times[p.from:p.to], s.floats.Values[p.from:p.to])
		}}
	}
	merged := storage.NewSeriesToChunkEncoder(&storage.SeriesEntry{
		Lset:             labels.EmptyLabels(),
		SampleIteratorFn: storage.ChainedSeriesMerge(series...).Iterator,
	}).Iterator(nil)
	var out samples
	for merged.Next() {
		m := merged.At()
		if err := out.add(m.Chunk, m.MinTime, m.MaxTime); err != nil {
			return err
		}
	}
	if err := merged.Err(); err != nil {
		return err
	}
	out.joinNeighbors()
	s.floats, s.pieces = out.floats, out.pieces
	return nil
}

// equal reports whether two series have the same samples, to the bit. Both are
// normalized.
func (s *samples) equal(o *samples) bool {
	return slices.EqualFunc(s.pieces, o.pieces, func(a, b piece) bool {
		if (a.chunk == nil) != (b.chunk == nil) {
			return false
		}
		if a.chunk != nil {
			return a.chunk.Encoding() == b.chunk.Encoding() && slices.Equal(a.chunk.Bytes(), b.chunk.Bytes())
		}
		return slices.Equal(s.floats.Times[a.from:a.to], o.floats.Times[b.from:b.to]) &&
			slices.EqualFunc(s.floats.Values[a.from:a.to], o.floats.Values[b.from:b.to], func(x, y float64) bool {
				return math.Float64bits(x) == math.Float64bits(y)
			})
	})
}
