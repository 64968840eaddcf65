package column

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"

	"belfry/tsdb"
)

// ErrOverlap says that a series' chunks are not in order.
var ErrOverlap = errors.New("chunks of a series overlap")

// Samples are what a series has, each kind in the order of time, stale markers
// included. They are valid until the reader reads again.
type Samples struct {
	Floats     []promql.FPoint
	Histograms []promql.HPoint // with float counts; a stale marker is one by its sum
}

// Len is how many samples there are.
func (s *Samples) Len() int { return len(s.Floats) + len(s.Histograms) }

// Reader decodes one series after the other. It keeps its buffers, so a reader
// per goroutine allocates only for series longer than those before.
type Reader struct {
	chunks  chunks.Iterator
	samples chunkenc.Iterator
	floats  []promql.FPoint
	columns tsdb.Columns
	xor     xorDecoder
	native  nativeDecoder
	// Of the iterators that yield a chunk's bytes as they are.
	plain, plainNative reflect.Type

	histograms []promql.HPoint
	pool       histogramPool
}

// NewReader returns a reader.
func NewReader() *Reader {
	return &Reader{
		plain:       reflect.TypeOf(chunkenc.NewXORChunk().Iterator(nil)),
		plainNative: reflect.TypeOf(chunkenc.NewHistogramChunk().Iterator(nil)),
	}
}

// Size is how much memory the buffers take, in samples as a query counts them.
func (r *Reader) Size() int { return cap(r.floats) + r.pool.size() }

// Read returns the samples of a series from mint to maxt, milliseconds. There may
// be others before and after them, of the chunks at the ends.
func (r *Reader) Read(s storage.ChunkSeries, mint, maxt int64) (Samples, error) {
	r.floats, r.histograms = r.floats[:0], r.histograms[:0]
	r.pool.reset()
	if err := r.read(s, mint, maxt); err != nil {
		return Samples{}, err
	}
	return Samples{r.floats, r.histograms}, nil
}

// read appends the samples of a series.
func (r *Reader) read(s storage.ChunkSeries, mint, maxt int64) error {
	if columns, ok := s.(tsdb.ColumnReader); ok {
		if ok, err := r.readColumns(columns, mint, maxt); ok || err != nil {
			return err
		}
	}
	switch s := s.(type) {
	case tsdb.SampleReader:
		return r.readSamples(s, mint, maxt)
	case tsdb.SeriesParts:
		return r.readParts(s.Parts(), mint, maxt)
	}
	r.chunks = s.Iterator(r.chunks)
	for r.chunks.Next() {
		if err := r.appendChunk(r.chunks.At().Chunk, mint, maxt); err != nil {
			return err
		}
	}
	return r.chunks.Err()
}

// readSamples reads a series that encodes chunks only for who wants them.
func (r *Reader) readSamples(s tsdb.SampleReader, mint, maxt int64) error {
	all, ok, err := s.Chunks()
	if err != nil {
		return err
	}
	if !ok {
		r.samples = s.Samples().Iterator(r.samples)
		return r.appendSamples()
	}
	for _, c := range all {
		if err := r.appendChunk(c, mint, maxt); err != nil {
			return err
		}
	}
	return nil
}

// readColumns reads a series that keeps columns, unless it has histograms.
func (r *Reader) readColumns(s tsdb.ColumnReader, mint, maxt int64) (bool, error) {
	r.columns.Reset()
	ok, err := s.AppendColumns(&r.columns, mint, maxt)
	if !ok || err != nil {
		return false, err
	}
	r.floats = slices.Grow(r.floats, len(r.columns.Times))
	for i, t := range r.columns.Times {
		r.floats = append(r.floats, promql.FPoint{T: t, F: r.columns.Values[i]})
	}
	return true, nil
}

// readParts reads a series that several blocks have. They come in any order.
func (r *Reader) readParts(parts []storage.ChunkSeries, mint, maxt int64) error {
	type read struct {
		Samples
		first, last int64
	}
	var all []read
	for _, part := range parts {
		floats, histograms := len(r.floats), len(r.histograms)
		if err := r.read(part, mint, maxt); err != nil {
			return err
		}
		s := Samples{r.floats[floats:], r.histograms[histograms:]}
		if s.Len() > 0 {
			all = append(all, read{Samples: s, first: s.first(), last: s.last()})
		}
	}
	byTime := func(a, b read) int { return cmp.Compare(a.first, b.first) }
	sorted := slices.IsSortedFunc(all, byTime)
	slices.SortFunc(all, byTime)
	for i := range all[1:] {
		if all[i+1].first <= all[i].last {
			return ErrOverlap
		}
	}
	if !sorted {
		floats, histograms := make([]promql.FPoint, 0, cap(r.floats)), make([]promql.HPoint, 0, cap(r.histograms))
		for _, s := range all {
			floats, histograms = append(floats, s.Floats...), append(histograms, s.Histograms...)
		}
		r.floats, r.histograms = floats, histograms
	}
	return nil
}

func (s *Samples) first() int64 {
	t := int64(math.MaxInt64)
	if len(s.Floats) > 0 {
		t = s.Floats[0].T
	}
	if len(s.Histograms) > 0 {
		t = min(t, s.Histograms[0].T)
	}
	return t
}

func (s *Samples) last() int64 {
	t := int64(math.MinInt64)
	if n := len(s.Floats); n > 0 {
		t = s.Floats[n-1].T
	}
	if n := len(s.Histograms); n > 0 {
		t = max(t, s.Histograms[n-1].T)
	}
	return t
}

// appendChunk appends the samples of a chunk, which have to be after all others.
func (r *Reader) appendChunk(c chunkenc.Chunk, mint, maxt int64) error {
	before := Samples{r.floats, r.histograms}
	last := before.last()
	if err := r.decode(c, mint, maxt); err != nil {
		return err
	}
	added := Samples{r.floats[len(before.Floats):], r.histograms[len(before.Histograms):]}
	if before.Len() > 0 && added.Len() > 0 && added.first() <= last {
		return ErrOverlap
	}
	return nil
}

func (r *Reader) decode(c chunkenc.Chunk, mint, maxt int64) error {
	// The head's chunks hide, in their iterator, samples whose commit is under
	// way. Where they hide none it is the encoding's own, and the bytes hold
	// the same samples.
	r.samples = c.Iterator(r.samples)
	if c.Encoding() == chunkenc.EncXOR && reflect.TypeOf(r.samples) == r.plain {
		var err error
		if r.floats, err = r.xor.append(r.floats, c.Bytes()); err != nil {
			return fmt.Errorf("decode chunk: %w", err)
		}
		return nil
	}
	if c.Encoding() == chunkenc.EncHistogram && reflect.TypeOf(r.samples) == r.plainNative {
		var (
			known bool
			err   error
		)
		if r.histograms, known, err = r.native.append(r.histograms, &r.pool, c.Bytes(), mint, maxt); err != nil {
			return fmt.Errorf("decode chunk of histograms: %w", err)
		}
		if known {
			return nil
		}
	}
	return r.appendSamples()
}

// appendSamples appends what the iterator has.
func (r *Reader) appendSamples() error {
	for {
		switch r.samples.Next() {
		case chunkenc.ValNone:
			return r.samples.Err()
		case chunkenc.ValFloat:
			t, v := r.samples.At()
			r.floats = append(r.floats, promql.FPoint{T: t, F: v})
		default:
			t, h := r.pool.read(r.samples)
			r.histograms = append(r.histograms, promql.HPoint{T: t, H: h})
		}
	}
}
