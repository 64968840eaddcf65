package store

import (
	"slices"

	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	metrics "belfry/tsdb"
)

// mergeSeries merges one series of several blocks. The result has columns, too.
func mergeSeries(parts ...storage.Series) storage.Series {
	return &mergedSeries{Series: storage.ChainedSeriesMerge(parts...), parts: parts}
}

type mergedSeries struct {
	storage.Series
	parts []storage.Series
}

var _ metrics.ColumnSeries = (*mergedSeries)(nil)

// AppendColumns implements metrics.ColumnReader.
func (s *mergedSeries) AppendColumns(c *metrics.Columns, mint, maxt int64) (bool, error) {
	return mergeColumns(c, s.parts, func(part storage.Series) (bool, error) {
		return metrics.ReadColumns(c, part, mint, maxt)
	})
}

// mergeChunkSeries is mergeSeries for chunks.
func mergeChunkSeries(parts ...storage.ChunkSeries) storage.ChunkSeries {
	merge := storage.NewCompactingChunkSeriesMerger(storage.ChainedSeriesMerge)
	return &mergedChunkSeries{ChunkSeries: merge(parts...), parts: parts}
}

type mergedChunkSeries struct {
	storage.ChunkSeries
	parts []storage.ChunkSeries
}

var (
	_ metrics.ColumnReader = (*mergedChunkSeries)(nil)
	_ metrics.SeriesParts  = (*mergedChunkSeries)(nil)
)

// Parts implements metrics.SeriesParts.
func (s *mergedChunkSeries) Parts() []storage.ChunkSeries { return s.parts }

// AppendColumns implements metrics.ColumnReader.
func (s *mergedChunkSeries) AppendColumns(c *metrics.Columns, mint, maxt int64) (bool, error) {
	return mergeColumns(c, s.parts, func(part storage.ChunkSeries) (bool, error) {
		if columns, ok := part.(metrics.ColumnReader); ok {
			return columns.AppendColumns(c, mint, maxt)
		}
		return appendChunks(c, part, mint, maxt)
	})
}

// appendChunks appends the samples of chunks.
func appendChunks(c *metrics.Columns, s storage.ChunkSeries, mint, maxt int64) (bool, error) {
	var samples chunkenc.Iterator
	chunks := s.Iterator(nil)
	for chunks.Next() {
		m := chunks.At()
		if m.MinTime > maxt || m.MaxTime < mint {
			continue
		}
		samples = m.Chunk.Iterator(samples)
		for kind := samples.Next(); kind != chunkenc.ValNone; kind = samples.Next() {
			t := samples.AtT()
			switch {
			case t < mint || t > maxt:
			case kind != chunkenc.ValFloat:
				return false, nil
			default:
				c.Append(samples.At())
			}
		}
		if err := samples.Err(); err != nil {
			return false, err
		}
	}
	return true, chunks.Err()
}

// mergeColumns reads parts and puts their samples in the order of time. c is as
// it was where that fails.
func mergeColumns[S any](c *metrics.Columns, parts []S, read func(S) (bool, error)) (bool, error) {
	start := len(c.Times)
	runs := make([]run, 0, 8)
	for _, part := range parts {
		from := len(c.Times)
		ok, err := read(part)
		if err != nil || !ok {
			c.Truncate(start)
			return false, err
		}
		if to := len(c.Times); to > from {
			runs = append(runs, run{from, to})
		}
	}
	inTurn(c, start, runs)
	c.Sort(start) // looks at them once if blocks do not overlap
	return true, nil
}

// run is a part's samples.
type run struct{ from, to int }

// inTurn puts runs in the order of their first times. Blocks come in any order,
// and rarely overlap.
func inTurn(c *metrics.Columns, start int, runs []run) {
	earlier := func(a, b run) int { return int(min(max(c.Times[a.from]-c.Times[b.from], -1), 1)) }
	if slices.IsSortedFunc(runs, earlier) {
		return
	}
	slices.SortStableFunc(runs, earlier)
	n := len(c.Times) - start
	times, values := make([]int64, 0, n), make([]float64, 0, n)
	for _, r := range runs {
		times = append(times, c.Times[r.from:r.to]...)
		values = append(values, c.Values[r.from:r.to]...)
	}
	copy(c.Times[start:], times)
	copy(c.Values[start:], values)
}
