package column

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"

	"belfry/tsdb"
)

var (
	// ErrHistogram says that a series has native histograms.
	ErrHistogram = errors.New("series has native histograms")

	// ErrOverlap says that a series' chunks are not in order.
	ErrOverlap = errors.New("chunks of a series overlap")
)

// Reader decodes one series after the other. It keeps its buffers, so a reader
// per goroutine allocates only for series longer than those before.
type Reader struct {
	chunks  chunks.Iterator
	samples chunkenc.Iterator
	points  []promql.FPoint
	columns tsdb.Columns
	xor     xorDecoder
	plain   reflect.Type // of the iterator that yields a chunk's bytes as they are
}

// NewReader returns a reader.
func NewReader() *Reader {
	return &Reader{plain: reflect.TypeOf(chunkenc.NewXORChunk().Iterator(nil))}
}

// Read returns the samples of a series from mint to maxt, milliseconds, in the
// order of time, stale markers included. There may be others before and after
// them, of the chunks at the ends. The slice is valid until the next call.
func (r *Reader) Read(s storage.ChunkSeries, mint, maxt int64) ([]promql.FPoint, error) {
	r.points = r.points[:0]
	if columns, ok := s.(tsdb.ColumnReader); ok {
		if ok, err := r.readColumns(columns, mint, maxt); ok || err != nil {
			return r.points, err
		}
	}
	r.chunks = s.Iterator(r.chunks)
	for r.chunks.Next() {
		from := len(r.points)
		if err := r.appendChunk(r.chunks.At().Chunk); err != nil {
			return nil, err
		}
		if from > 0 && from < len(r.points) && r.points[from].T <= r.points[from-1].T {
			return nil, ErrOverlap
		}
	}
	if err := r.chunks.Err(); err != nil {
		return nil, err
	}
	return r.points, nil
}

// readColumns reads a series that keeps columns, unless it has histograms.
func (r *Reader) readColumns(s tsdb.ColumnReader, mint, maxt int64) (bool, error) {
	r.columns.Reset()
	ok, err := s.AppendColumns(&r.columns, mint, maxt)
	if !ok || err != nil {
		return false, err
	}
	r.points = slices.Grow(r.points, len(r.columns.Times))
	for i, t := range r.columns.Times {
		r.points = append(r.points, promql.FPoint{T: t, F: r.columns.Values[i]})
	}
	return true, nil
}

func (r *Reader) appendChunk(c chunkenc.Chunk) error {
	switch c.Encoding() {
	case chunkenc.EncXOR:
	case chunkenc.EncXOR2:
	default:
		return ErrHistogram
	}
	// The head's chunks hide, in their iterator, samples whose commit is under
	// way. Where they hide none it is the encoding's own, and the bytes hold
	// the same samples.
	r.samples = c.Iterator(r.samples)
	if c.Encoding() == chunkenc.EncXOR && reflect.TypeOf(r.samples) == r.plain {
		var err error
		if r.points, err = r.xor.append(r.points, c.Bytes()); err != nil {
			return fmt.Errorf("decode chunk: %w", err)
		}
		return nil
	}
	for r.samples.Next() == chunkenc.ValFloat {
		t, v := r.samples.At()
		r.points = append(r.points, promql.FPoint{T: t, F: v})
	}
	return r.samples.Err()
}
