package cold

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"belfry/tsdb/cold/encoding"
)

// writer writes the file of a block. Series are added in the order of their
// labels. What describes them stays in memory until the end: some 100 bytes a
// series.
type writer struct {
	f    *os.File
	w    *bufio.Writer
	meta Meta

	columns uint64   // bytes of columns written
	pages   []uint32 // checksums of full pages
	page    uint32   // of the page that is being filled

	names     *nameTable
	times     *timesTable
	labels    []label
	labelEnds []int
	chunks    []chunk
	chunkEnds []int
	series    uint32
	last      labels.Labels

	enc encoding.Encoder
	buf []byte
}

func newWriter(path string, meta Meta) (*writer, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, err
	}
	w := &writer{f: f, w: bufio.NewWriterSize(f, 1<<20), meta: meta, names: newNameTable(), times: newTimesTable()}
	_, err = w.w.Write(appendHeader(nil))
	return w, err
}

// add adds a series, and nothing if it has no samples.
func (w *writer) add(ls labels.Labels, s *samples) error {
	if len(s.pieces) == 0 {
		return nil
	}
	if w.series > 0 && labels.Compare(w.last, ls) >= 0 {
		return fmt.Errorf("series %s comes after %s", ls, w.last)
	}
	if ls.Len() > MaxLabels {
		return fmt.Errorf("series with %d labels, the most are %d", ls.Len(), MaxLabels)
	}
	w.last = ls
	w.series++
	ls.Range(func(l labels.Label) {
		w.labels = append(w.labels, w.names.add(l.Name, l.Value, w.series))
	})
	for i := range s.pieces {
		p := &s.pieces[i]
		var err error
		if p.chunk != nil {
			err = w.keep(p)
		} else {
			err = w.floats(s.floats.Times[p.from:p.to], s.floats.Values[p.from:p.to])
		}
		if err != nil {
			return err
		}
	}
	w.labelEnds = append(w.labelEnds, len(w.labels))
	w.chunkEnds = append(w.chunkEnds, len(w.chunks))
	return nil
}

// floats writes columns, none of which crosses a day.
func (w *writer) floats(times []int64, values []float64) error {
	for len(times) > 0 {
		n := columnEnd(times)
		w.buf = w.enc.AppendFloats(w.buf[:0], values[:n])
		c := chunk{times: w.times.add(times[:n]), n: uint32(n), mint: times[0], maxt: times[n-1]}
		if err := w.write(c, w.buf); err != nil {
			return err
		}
		w.meta.Stats.NumFloatSamples += uint64(n)
		times, values = times[n:], values[n:]
	}
	return nil
}

// columnEnd returns how many of the times make a column: those of a day. Columns
// of series that began at different times thus end together, and the next ones
// share their times.
func columnEnd(times []int64) int {
	n := min(len(times), MaxColumn)
	midnight := (floorDiv(times[0], dayMillis) + 1) * dayMillis
	end, _ := slices.BinarySearch(times[:n], midnight)
	return end
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// keep writes a chunk as it is.
func (w *writer) keep(p *piece) error {
	c := chunk{n: uint32(p.chunk.NumSamples()), encoding: p.chunk.Encoding(), mint: p.mint, maxt: p.maxt}
	if c.encoding == chunkenc.EncXOR || c.encoding == chunkenc.EncXOR2 {
		w.meta.Stats.NumFloatSamples += uint64(c.n)
	} else {
		w.meta.Stats.NumHistogramSamples += uint64(c.n)
	}
	return w.write(c, p.chunk.Bytes())
}

func (w *writer) write(c chunk, b []byte) error {
	c.offset, c.length = w.columns, uint32(len(b))
	w.chunks = append(w.chunks, c)
	if w.meta.Stats.NumChunks == 0 {
		w.meta.MinTime, w.meta.MaxTime = c.mint, c.maxt+1
	}
	w.meta.MinTime, w.meta.MaxTime = min(w.meta.MinTime, c.mint), max(w.meta.MaxTime, c.maxt+1)
	w.meta.Stats.NumChunks++
	w.meta.Stats.NumSamples += uint64(c.n)
	w.columns += uint64(len(b))
	if _, err := w.w.Write(b); err != nil {
		return err
	}
	for at := c.offset % pageSize; ; at = 0 {
		n := min(pageSize-at, uint64(len(b)))
		w.page = crc32.Update(w.page, castagnoli, b[:n])
		b = b[n:]
		if at+n < pageSize {
			return nil
		}
		w.pages = append(w.pages, w.page)
		w.page = 0
	}
}

// finish writes the rest, syncs and closes the file.
func (w *writer) finish() error {
	if w.columns%pageSize > 0 {
		w.pages = append(w.pages, w.page)
	}
	w.meta.Stats.NumSeries = uint64(w.series)
	meta, err := json.Marshal(w.meta)
	if err != nil {
		return errors.Join(err, w.f.Close())
	}
	names, postings, nameRank, valueRank := w.names.encode()
	series, groups := w.encodeSeries(nameRank, valueRank)
	pages := make([]byte, 0, 4*len(w.pages))
	for _, crc := range w.pages {
		pages = binary.LittleEndian.AppendUint32(pages, crc)
	}
	entries := []sectionAt{{sectionColumns, headerSize, w.columns, 0}}
	offset := headerSize + w.columns
	for i, b := range [][]byte{pages, w.times.columns, w.times.dir, names, postings, series, groups, meta} {
		entries = append(entries, sectionAt{sectionPages + section(i), offset, uint64(len(b)), crc32.Checksum(b, castagnoli)})
		offset += uint64(len(b))
		if _, err := w.w.Write(b); err != nil {
			return errors.Join(err, w.f.Close())
		}
	}
	_, err = w.w.Write(appendFooter(nil, entries))
	return errors.Join(err, w.w.Flush(), w.f.Sync(), w.f.Close())
}

// encodeSeries returns the sections of series and groups.
func (w *writer) encodeSeries(nameRank []uint32, valueRank [][]uint32) (series, groups []byte) {
	for i, l := range w.labels {
		w.labels[i] = label{nameRank[l.name], valueRank[l.name][l.value]}
	}
	var last []label
	labelStart, chunkStart := 0, 0
	for i := range int(w.series) {
		ls, chunks := w.labels[labelStart:w.labelEnds[i]], w.chunks[chunkStart:w.chunkEnds[i]]
		labelStart, chunkStart = w.labelEnds[i], w.chunkEnds[i]
		groupStart := i%seriesGroup == 0
		if groupStart {
			groups = binary.LittleEndian.AppendUint32(groups, uint32(len(series)))
			groups = binary.LittleEndian.AppendUint64(groups, chunks[0].offset)
		}
		series = appendSeries(series, last, ls, groupStart, chunks)
		last = ls
	}
	return series, groups
}

// abort closes and removes the file.
func (w *writer) abort() error {
	return errors.Join(w.f.Close(), os.Remove(w.f.Name()))
}
