package store

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"belfry/internal/columnar"
	"belfry/logs"
)

// batchRows bounds a batch, and with it what a scan of many fields holds.
const batchRows = 1024

// Scan implements logs.Querier.
func (s *Store) Scan(ctx context.Context, q logs.ScanQuery, newWorker func() logs.Worker) (logs.Stats, error) {
	cq, err := s.names(&q.Query).query(ctx, &q.Query)
	if err != nil {
		return logs.Stats{}, err
	}
	wanted := map[string]bool{}
	for _, name := range q.Want.Fields {
		wanted[name] = true
	}
	stats, err := s.db.Scan(ctx, cq, func() columnar.Worker {
		return &scanWorker{worker: newWorker(), reader: newReader(), want: q.Want, wanted: wanted, bits: map[string]int{}}
	})
	return statsOf(stats), err
}

type scanWorker struct {
	worker  logs.Worker
	reader  *reader
	want    logs.Want
	wanted  map[string]bool
	streams []*logs.Stream // of the block's rows
	batch   logs.Batch
	bits    map[string]int // label name to position in batch.Fields
	text    []byte
	ends    []int
}

// source is a column of the block with the name that it is seen as.
type source struct {
	column string
	label  string
	vector *columnar.Vector
}

// Block implements columnar.Worker.
func (w *scanWorker) Block(b *columnar.Block) error {
	w.streams = w.streams[:0]
	for s, run := range b.StreamRuns() {
		ls := w.reader.stream(s)
		for range run[1] - run[0] {
			w.streams = append(w.streams, ls)
		}
	}
	var lines []*columnar.Vector
	if w.want.Line {
		var err error
		if lines, err = bodies(b); err != nil {
			return err
		}
	}
	sources, err := w.sources(b)
	if err != nil {
		return err
	}
	for lo := 0; lo < b.Len(); lo += batchRows {
		hi := min(lo+batchRows, b.Len())
		w.fill(b, lo, hi, lines, sources)
		if err := w.worker.Batch(&w.batch); err != nil {
			if errors.Is(err, logs.ErrStop) {
				return columnar.ErrStop
			}
			return err
		}
	}
	return nil
}

// bodies returns the columns that hold lines.
func bodies(b *columnar.Block) ([]*columnar.Vector, error) {
	var out []*columnar.Vector
	for _, kind := range [...]columnar.Kind{columnar.KindString, columnar.KindJSON} {
		v, err := b.Column(columnar.ColumnKey{Name: bodyName, Kind: kind})
		if err != nil {
			return nil, err
		}
		if v != nil {
			out = append(out, v)
		}
	}
	return out, nil
}

// sources returns the wanted columns of a block in order of precedence.
func (w *scanWorker) sources(b *columnar.Block) ([]source, error) {
	if !w.want.AllFields && len(w.wanted) == 0 {
		return nil, nil
	}
	keys, err := b.Columns()
	if err != nil {
		return nil, err
	}
	var out []source
	for _, key := range keys {
		label := w.reader.label(key.Name)
		if label == "" || !w.want.AllFields && !w.wanted[label] && !w.wanted[label+logs.ExtractedSuffix] {
			continue
		}
		v, err := b.Column(key)
		if err != nil {
			return nil, err
		}
		if v != nil {
			out = append(out, source{column: key.Name, label: label, vector: v})
		}
	}
	slices.SortStableFunc(out, func(a, b source) int { return comparePrecedence(a.column, b.column) })
	return out, nil
}

// fill makes rows [lo, hi) of a block the batch.
func (w *scanWorker) fill(b *columnar.Block, lo, hi int, lines []*columnar.Vector, sources []source) {
	n := hi - lo
	w.batch = logs.Batch{Times: b.Times()[lo:hi], Streams: w.streams[lo:hi], Fields: w.batch.Fields[:0]}
	if w.want.Line {
		w.batch.Lines = make([]string, n)
		for _, v := range lines {
			w.texts(v, lo, hi, func(i int, s string) { w.batch.Lines[i] = s })
		}
	}
	clear(w.bits)
	for i := range sources {
		src := &sources[i]
		w.texts(src.vector, lo, hi, func(i int, s string) { w.set(src.label, i, n, s) })
	}
	slices.SortFunc(w.batch.Fields, func(a, b logs.Column) int { return cmp.Compare(a.Name, b.Name) })
}

// texts calls set for each value of rows [lo, hi): all texts are one string,
// allocated once.
func (w *scanWorker) texts(v *columnar.Vector, lo, hi int, set func(i int, s string)) {
	w.text, w.ends = w.text[:0], w.ends[:0]
	for i := lo; i < hi; i++ {
		w.text = v.AppendText(w.text, i)
		w.ends = append(w.ends, len(w.text))
	}
	if len(w.text) == 0 {
		return
	}
	all, start := string(w.text), 0
	for i, end := range w.ends {
		if end > start {
			set(i, all[start:end])
		}
		start = end
	}
}

func (w *scanWorker) set(name string, i, n int, value string) {
	if w.batch.Streams[i].Label(name) != "" {
		name += logs.ExtractedSuffix
		if w.batch.Streams[i].Label(name) != "" {
			return
		}
	}
	c, ok := w.bits[name]
	if !ok {
		if !w.want.AllFields && !w.wanted[name] {
			return
		}
		c = len(w.batch.Fields)
		w.bits[name] = c
		w.batch.Fields = append(w.batch.Fields, logs.Column{Name: name, Values: make([]string, n)})
	}
	if values := w.batch.Fields[c].Values; values[i] == "" {
		values[i] = value
	}
}
