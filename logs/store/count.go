package store

import (
	"context"

	"belfry/internal/columnar"
	"belfry/internal/fault"
	"belfry/logs"
)

// Count implements logs.Querier. No line is read but to measure it.
func (s *Store) Count(ctx context.Context, q logs.CountQuery) ([]logs.CountGroup, logs.Stats, error) {
	cq, err := s.names(&q.Query).query(ctx, &q.Query)
	if err != nil {
		return nil, logs.Stats{}, err
	}
	cq.From = max(cq.From, q.Start+1)
	cq.To = min(cq.To, q.Start+q.Width*int64(q.Buckets)+1)
	var workers []*countWorker
	st, err := s.db.Scan(ctx, cq, func() columnar.Worker {
		w := newCountWorker(&q)
		workers = append(workers, w)
		return w
	})
	stats := statsOf(st)
	if err != nil {
		return nil, stats, err
	}
	total := newCountWorker(&q)
	for _, w := range workers {
		for id, g := range w.groups {
			code := uint32(0)
			for i, v := range w.values(uint32(id)) {
				code = total.combine(i, code, total.intern([]byte(v)))
			}
			t, err := total.group(code)
			if err != nil {
				return nil, stats, err
			}
			for b, n := range g {
				t[b] += n
			}
		}
	}
	out := make([]logs.CountGroup, len(total.groups))
	for i, counts := range total.groups {
		out[i] = logs.CountGroup{Values: total.values(uint32(i)), Counts: counts}
	}
	return out, stats, nil
}

// countWorker counts blocks. A group's values are numbered step by step: the
// number of the first i values and that of the next one give the number of i+1.
type countWorker struct {
	q       *logs.CountQuery
	reader  *reader
	codes   map[string]uint32 // value to code; "" is 0
	texts   []string          // code to value
	pairs   []map[uint64]uint32
	prefix  [][]uint64  // per level, number to pair
	small   [][]uint32  // per level, number plus one of pairs of small numbers
	index   []int32     // number of all values to group, -1 for none
	groups  [][]float64 // counts by bucket
	groupOf []uint32    // group to number
	row     []uint32    // of the block's rows: number of the values so far
	level   []uint32    // of the block's rows: code of one value
	dict    []uint32
	text    []byte
}

func newCountWorker(q *logs.CountQuery) *countWorker {
	w := &countWorker{q: q, reader: newReader(), codes: map[string]uint32{"": 0}, texts: []string{""}}
	w.pairs = make([]map[uint64]uint32, len(q.By))
	w.prefix = make([][]uint64, len(q.By))
	w.small = make([][]uint32, len(q.By))
	for i := range w.pairs {
		w.pairs[i] = map[uint64]uint32{}
	}
	return w
}

func (w *countWorker) intern(value []byte) uint32 {
	if code, ok := w.codes[string(value)]; ok {
		return code
	}
	code := uint32(len(w.texts))
	text := string(value)
	w.texts = append(w.texts, text)
	w.codes[text] = code
	return code
}

// Pairs of a number and a code below these bounds are looked up without a map.
const (
	smallNumbers  = 256
	smallCodeBits = 10
)

func (w *countWorker) combine(level int, so, code uint32) uint32 {
	if so >= smallNumbers || code >= 1<<smallCodeBits {
		return w.number(level, so, code)
	}
	at := int(so<<smallCodeBits | code)
	if at >= len(w.small[level]) {
		w.small[level] = append(w.small[level], make([]uint32, at+1-len(w.small[level]))...)
	}
	if known := w.small[level][at]; known > 0 {
		return known - 1
	}
	number := w.number(level, so, code)
	w.small[level][at] = number + 1
	return number
}

func (w *countWorker) number(level int, so, code uint32) uint32 {
	pair := uint64(so)<<32 | uint64(code)
	number, ok := w.pairs[level][pair]
	if !ok {
		number = uint32(len(w.prefix[level]))
		w.pairs[level][pair] = number
		w.prefix[level] = append(w.prefix[level], pair)
	}
	return number
}

// values returns the values of a group.
func (w *countWorker) values(group uint32) []string {
	out := make([]string, len(w.q.By))
	number := w.groupOf[group]
	for level := len(out) - 1; level >= 0; level-- {
		pair := w.prefix[level][number]
		out[level] = w.texts[uint32(pair)]
		number = uint32(pair >> 32)
	}
	return out
}

// group returns the counts of the group with a number.
func (w *countWorker) group(number uint32) ([]float64, error) {
	for int(number) >= len(w.index) {
		w.index = append(w.index, -1)
	}
	g := w.index[number]
	if g < 0 {
		if w.q.MaxGroups > 0 && len(w.groups) >= w.q.MaxGroups {
			return nil, fault.New(fault.Unprocessable, "more than %d groups", w.q.MaxGroups)
		}
		g = int32(len(w.groups))
		w.index[number] = g
		w.groups = append(w.groups, make([]float64, w.q.Buckets))
		w.groupOf = append(w.groupOf, number)
	}
	return w.groups[g], nil
}

// Block implements columnar.Worker.
func (w *countWorker) Block(b *columnar.Block) error {
	n := b.Len()
	w.row = append(w.row[:0], make([]uint32, n)...)
	for level, name := range w.q.By {
		if err := w.codesOf(b, name); err != nil {
			return err
		}
		var lastSo, lastCode, last uint32
		have := false
		for i := range n {
			if !have || w.row[i] != lastSo || w.level[i] != lastCode {
				lastSo, lastCode, have = w.row[i], w.level[i], true
				last = w.combine(level, lastSo, lastCode)
			}
			w.row[i] = last
		}
	}
	var lines []*columnar.Vector
	if w.q.Bytes {
		var err error
		if lines, err = bodies(b); err != nil {
			return err
		}
	}
	var counts []float64
	lastNumber := uint32(0)
	bucket, from, to := 0, int64(0), int64(-1) // the bucket covers (from, to]
	for i, t := range b.Times() {
		if counts == nil || w.row[i] != lastNumber {
			var err error
			if counts, err = w.group(w.row[i]); err != nil {
				return err
			}
			lastNumber = w.row[i]
		}
		if t > to || t <= from {
			bucket = int((t - w.q.Start - 1) / w.q.Width)
			from = w.q.Start + int64(bucket)*w.q.Width
			to = from + w.q.Width
		}
		if !w.q.Bytes {
			counts[bucket]++
			continue
		}
		for _, v := range lines {
			if v.Has(i) {
				counts[bucket] += float64(len(v.Bytes(i)))
			}
		}
	}
	return nil
}

// codesOf sets level to the code of a name's value in each row of a block.
func (w *countWorker) codesOf(b *columnar.Block, name string) error {
	w.level = append(w.level[:0], make([]uint32, b.Len())...)
	keys, err := b.Columns()
	if err != nil {
		return err
	}
	var found []columnar.ColumnKey
	for _, key := range keys {
		if w.reader.label(key.Name) == name {
			found = append(found, key)
		}
	}
	sortKeys(found)
	for _, key := range found {
		v, err := b.Column(key)
		if err != nil {
			return err
		}
		if v != nil {
			w.addCodes(v)
		}
	}
	// Labels go before columns, the stream's metadata behind them.
	for s, run := range b.StreamRuns() {
		ls := w.reader.stream(s)
		if label := ls.Label(name); label != "" {
			code := w.intern([]byte(label))
			for i := run[0]; i < run[1]; i++ {
				w.level[i] = code
			}
			continue
		}
		if shared := logs.Lookup(ls.Metadata, name); shared != "" {
			code := w.intern([]byte(shared))
			for i := run[0]; i < run[1]; i++ {
				if w.level[i] == 0 {
					w.level[i] = code
				}
			}
		}
	}
	return nil
}

const noCode = ^uint32(0)

func (w *countWorker) addCodes(v *columnar.Vector) {
	if d := v.DictLen(); d > 0 && v.Kind() == columnar.KindString {
		w.dict = w.dict[:0]
		for range d {
			w.dict = append(w.dict, noCode)
		}
		for i := range w.level {
			if w.level[i] != 0 || !v.Has(i) {
				continue
			}
			id := v.DictID(i)
			if w.dict[id] == noCode {
				w.dict[id] = w.intern(v.DictBytes(id))
			}
			w.level[i] = w.dict[id]
		}
		return
	}
	for i := range w.level {
		if w.level[i] == 0 && v.Has(i) {
			w.text = v.AppendText(w.text[:0], i)
			w.level[i] = w.intern(w.text)
		}
	}
}
