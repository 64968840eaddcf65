package tsdb

import (
	"errors"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/stretchr/testify/require"
)

type sample struct {
	chunks.Sample
	t int64
	v float64
}

func (s sample) T() int64                 { return s.t }
func (s sample) F() float64               { return s.v }
func (s sample) ST() int64                { return 0 }
func (s sample) Type() chunkenc.ValueType { return chunkenc.ValFloat }

func seriesOf(samples ...chunks.Sample) storage.Series {
	return storage.NewListSeries(labels.FromStrings("__name__", "x"), samples)
}

func TestReadColumnsOfAnySeries(t *testing.T) {
	c := Columns{Times: []int64{1}, Values: []float64{-1}}
	s := seriesOf(sample{t: 10, v: 1}, sample{t: 20, v: 2}, sample{t: 30, v: 3}, sample{t: 40, v: 4})
	for range 2 { // the second time with the first one's iterator
		c.Truncate(1)
		ok, err := ReadColumns(&c, s, 20, 30)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, []int64{1, 20, 30}, c.Times)
		require.Equal(t, []float64{-1, 2, 3}, c.Values)
	}
	ok, err := ReadColumns(&c, s, 50, 60)
	require.NoError(t, err)
	require.True(t, ok)
	require.Len(t, c.Times, 3)
}

type histogramSample struct{ sample }

func (histogramSample) Type() chunkenc.ValueType { return chunkenc.ValHistogram }

func TestHistogramsHaveNoColumns(t *testing.T) {
	c := Columns{Times: []int64{1}, Values: []float64{-1}}
	ok, err := ReadColumns(&c, seriesOf(sample{t: 10}, histogramSample{sample{t: 20}}), 0, 100)
	require.NoError(t, err)
	require.False(t, ok)
	require.Equal(t, []int64{1}, c.Times)
	require.Equal(t, []float64{-1}, c.Values)
}

func TestReadColumnsReportsWhatTheIteratorReports(t *testing.T) {
	broken := errors.New("broken")
	s := &storage.SeriesEntry{SampleIteratorFn: func(chunkenc.Iterator) chunkenc.Iterator { return failing{err: broken} }}
	_, err := ReadColumns(&Columns{}, s, 0, 100)
	require.ErrorIs(t, err, broken)
}

// failing is an iterator without samples that says why.
type failing struct {
	*ColumnIterator
	err error
}

func (failing) Seek(millis) chunkenc.ValueType { return chunkenc.ValNone }
func (f failing) Err() error                   { return f.err }

func TestColumnIterator(t *testing.T) {
	it := NewColumnIterator([]int64{10, 20, 30, 40}, []float64{1, 2, 3, 4})
	require.Equal(t, chunkenc.ValFloat, it.Next())
	require.Equal(t, int64(10), it.AtT())
	require.Equal(t, chunkenc.ValFloat, it.Seek(25))
	require.Equal(t, int64(30), it.AtT())
	require.Equal(t, chunkenc.ValFloat, it.Seek(5), "never backwards")
	require.Equal(t, int64(30), it.AtT())
	require.Equal(t, chunkenc.ValFloat, it.Next())
	ts, v := it.At()
	require.Equal(t, int64(40), ts)
	require.InDelta(t, 4.0, v, 0)
	require.Equal(t, chunkenc.ValNone, it.Next())
	require.Equal(t, chunkenc.ValNone, it.Next())
	require.Equal(t, chunkenc.ValNone, it.Seek(10))
	it.Reset([]int64{7}, []float64{8})
	require.Equal(t, chunkenc.ValFloat, it.Seek(0))
	require.Equal(t, int64(7), it.AtT())
}
