package tsdb

import (
	"cmp"
	"slices"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// ColumnReader decodes samples into arrays, many times faster than an iterator
// hands them out one by one. Series that a Queryable's Select returns may
// implement it, series of samples and of chunks alike.
//
// Different series of one Select may be read at the same time by different
// goroutines, until the querier is closed.
type ColumnReader interface {
	// AppendColumns appends the float samples from mint to maxt,
	// milliseconds, both included, in ascending order of time: times to
	// c.Times, as many values, stale markers among them, to c.Values. What c
	// held before stays, and the series keeps no reference to c.
	//
	// It returns false, with c as it was, if there are native histograms in
	// that range: the caller uses the series' iterator. An error means that
	// samples cannot be read; c is then as it was.
	AppendColumns(c *Columns, mint, maxt int64) (bool, error)
}

// ColumnSeries is a series of samples with columns. Who wants columns calls
// ReadColumns, which takes any series.
type ColumnSeries interface {
	storage.Series
	ColumnReader
}

// SampleReader is a series of chunks that are made of its samples. Who wants
// samples asks for these, or for the chunks that they are stored as.
type SampleReader interface {
	Samples() storage.Series

	// Chunks returns the chunks that have samples in range, in the order of time and
	// as a whole. It returns false if some samples are not stored in chunks, or some
	// of a chunk were deleted.
	Chunks() ([]chunkenc.Chunk, bool, error)
}

// SeriesParts is a series of chunks that several blocks have. Its parts come in any
// order; they may overlap.
type SeriesParts interface{ Parts() []storage.ChunkSeries }

// Columns are samples: Times[i] in milliseconds since 1970-01-01 UTC and
// Values[i]. The zero value is ready; Reset keeps the memory for the next series.
type Columns struct {
	Times  []int64
	Values []float64

	it chunkenc.Iterator // of a series without columns, to be used again
}

// Reset drops the samples and keeps their memory.
func (c *Columns) Reset() { c.Truncate(0) }

// Truncate drops the samples from the i-th on.
func (c *Columns) Truncate(i int) { c.Times, c.Values = c.Times[:i], c.Values[:i] }

// Append appends a sample.
func (c *Columns) Append(t int64, v float64) {
	c.Times = append(c.Times, t)
	c.Values = append(c.Values, v)
}

// Sort puts the samples from the i-th on in the order of their times. Of several
// at one time the first stays.
func (c *Columns) Sort(i int) {
	times, values := c.Times[i:], c.Values[i:]
	if ascending(times) {
		return
	}
	type sample struct {
		t    int64
		v    float64
		rank int
	}
	all := make([]sample, len(times))
	for j, t := range times {
		all[j] = sample{t, values[j], j}
	}
	slices.SortFunc(all, func(a, b sample) int { return cmp.Or(cmp.Compare(a.t, b.t), cmp.Compare(a.rank, b.rank)) })
	c.Truncate(i)
	for j, s := range all {
		if j == 0 || s.t != all[j-1].t {
			c.Append(s.t, s.v)
		}
	}
}

func ascending(times []int64) bool {
	for i := 1; i < len(times); i++ {
		if times[i] <= times[i-1] {
			return false
		}
	}
	return true
}

// ReadColumns is ColumnSeries.AppendColumns for any series: by its columns
// where it has them, else by its iterator.
func ReadColumns(c *Columns, s storage.Series, mint, maxt int64) (bool, error) {
	if cs, ok := s.(ColumnReader); ok {
		return cs.AppendColumns(c, mint, maxt)
	}
	start := len(c.Times)
	it := s.Iterator(c.it)
	c.it = it
	for kind := it.Seek(mint); kind != chunkenc.ValNone; kind = it.Next() {
		if it.AtT() > maxt {
			break
		}
		if kind != chunkenc.ValFloat {
			c.Truncate(start)
			return false, nil
		}
		c.Append(it.At())
	}
	if err := it.Err(); err != nil {
		c.Truncate(start)
		return false, err
	}
	return true, nil
}

// millis are milliseconds since 1970-01-01 UTC. The name keeps vet from taking
// Prometheus' Seek for io.Seeker's.
type millis = int64

// ColumnIterator iterates over columns as a chunk's iterator does. It does not
// change them.
type ColumnIterator struct {
	times  []int64
	values []float64
	at     int // index of the sample at hand; -1 before the first
}

var _ chunkenc.Iterator = (*ColumnIterator)(nil)

// NewColumnIterator returns an iterator over columns.
func NewColumnIterator(times []int64, values []float64) *ColumnIterator {
	it := &ColumnIterator{}
	it.Reset(times, values)
	return it
}

// Reset makes the iterator one over other columns.
func (it *ColumnIterator) Reset(times []int64, values []float64) {
	it.times, it.values, it.at = times, values, -1
}

// Next implements chunkenc.Iterator.
func (it *ColumnIterator) Next() chunkenc.ValueType {
	if it.at >= len(it.times) {
		return chunkenc.ValNone
	}
	it.at++
	return it.kind()
}

// Seek implements chunkenc.Iterator: to the first sample at t or after, and
// never backwards.
func (it *ColumnIterator) Seek(t millis) chunkenc.ValueType {
	it.at = max(it.at, 0)
	lo, hi := it.at, len(it.times)
	for lo < hi {
		if mid := int(uint(lo+hi) >> 1); it.times[mid] < t {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	it.at = lo
	return it.kind()
}

func (it *ColumnIterator) kind() chunkenc.ValueType {
	if it.at >= len(it.times) {
		return chunkenc.ValNone
	}
	return chunkenc.ValFloat
}

// At implements chunkenc.Iterator.
func (it *ColumnIterator) At() (int64, float64) { return it.times[it.at], it.values[it.at] }

// AtT implements chunkenc.Iterator.
func (it *ColumnIterator) AtT() int64 { return it.times[it.at] }

// AtST implements chunkenc.Iterator. Columns hold no start times.
func (*ColumnIterator) AtST() int64 { return 0 }

// AtHistogram implements chunkenc.Iterator. Columns hold no histograms.
func (it *ColumnIterator) AtHistogram(*histogram.Histogram) (int64, *histogram.Histogram) {
	return it.AtT(), nil
}

// AtFloatHistogram implements chunkenc.Iterator. Columns hold no histograms.
func (it *ColumnIterator) AtFloatHistogram(*histogram.FloatHistogram) (int64, *histogram.FloatHistogram) {
	return it.AtT(), nil
}

// Err implements chunkenc.Iterator.
func (*ColumnIterator) Err() error { return nil }
