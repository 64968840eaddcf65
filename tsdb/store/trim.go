package store

import (
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	metrics "belfry/tsdb"
)

// Prometheus' tsdb cuts chunks at the ends of a query by way of deletions, and
// panics where a series has several real ones before and after the end. So it is
// always asked for whole chunks. Samples are left out here; chunks stay whole, as
// those who ask for chunks expect.

// span is the range of a Select, milliseconds, both included.
type span struct{ mint, maxt int64 }

// whole returns hints that ask for whole chunks, and whether somebody wants them
// cut and where.
func (s span) whole(hints *storage.SelectHints) (*storage.SelectHints, span, bool) {
	if hints == nil {
		return &storage.SelectHints{Start: s.mint, End: s.maxt, DisableTrimming: true}, s, true
	}
	if hints.DisableTrimming {
		return hints, s, false
	}
	all := *hints
	all.DisableTrimming = true
	return &all, span{hints.Start, hints.End}, true
}

// trimmedSet is a set whose series end where the range does.
type trimmedSet struct {
	storage.SeriesSet
	span span
}

// At implements storage.SeriesSet.
func (s trimmedSet) At() storage.Series { return trimmedSeries{s.SeriesSet.At(), s.span} }

type trimmedSeries struct {
	storage.Series
	span span
}

var _ metrics.ColumnSeries = trimmedSeries{}

// AppendColumns implements metrics.ColumnReader.
func (s trimmedSeries) AppendColumns(c *metrics.Columns, mint, maxt int64) (bool, error) {
	return metrics.ReadColumns(c, s.Series, max(mint, s.span.mint), min(maxt, s.span.maxt))
}

// Iterator implements storage.Series.
func (s trimmedSeries) Iterator(old chunkenc.Iterator) chunkenc.Iterator {
	it, ok := old.(*trimmedIterator)
	if !ok {
		it = &trimmedIterator{}
	}
	it.Iterator = s.Series.Iterator(it.Iterator)
	it.span, it.begun, it.done = s.span, false, false
	return it
}

// trimmedIterator hands out the samples of a range.
type trimmedIterator struct {
	chunkenc.Iterator
	span        span
	begun, done bool
}

// Next implements chunkenc.Iterator.
func (it *trimmedIterator) Next() chunkenc.ValueType {
	if !it.begun {
		return it.Seek(it.span.mint)
	}
	if it.done {
		return chunkenc.ValNone
	}
	return it.end(it.Iterator.Next())
}

// Seek implements chunkenc.Iterator.
func (it *trimmedIterator) Seek(t millis) chunkenc.ValueType {
	it.begun = true
	if it.done || t > it.span.maxt {
		it.done = true
		return chunkenc.ValNone
	}
	return it.end(it.Iterator.Seek(max(t, it.span.mint)))
}

func (it *trimmedIterator) end(kind chunkenc.ValueType) chunkenc.ValueType {
	if kind != chunkenc.ValNone && it.AtT() > it.span.maxt {
		kind = chunkenc.ValNone
	}
	it.done = kind == chunkenc.ValNone
	return kind
}

// millis are milliseconds since 1970-01-01 UTC. The name keeps vet from taking
// Prometheus' Seek for io.Seeker's.
type millis = int64
