package logql

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"sync/atomic"

	"belfry/logs"
)

// A log query whose stages the store cannot decide may look at very many entries
// to find a few. After examinedInOrder of them in order it goes on without:
// slices of time, each larger than the one before, are scanned in parallel, and the first
// entries of each are sorted. Slices do not overlap, so the query still ends
// with the first slice that has enough.
const (
	examinedInOrder = 8192
	firstSlice      = 64 // part of the remaining time
)

// slicer finds the first entries of a range, slice by slice.
type slicer struct {
	engine    *Engine
	plan      *plan
	query     logs.Query
	direction logs.Direction
}

// run hands the first limit entries of [from, to) to yield, in order.
func (s *slicer) run(ctx context.Context, from, to int64, limit int, stats *logs.Stats, yield func(*logs.Stream, Entry) bool) error {
	width := max((to-from)/firstSlice, 1)
	for from < to && limit > 0 {
		q := s.query
		if q.From, q.To = from, to; to-from > width {
			if s.direction == logs.Backward {
				q.From = to - width
			} else {
				q.To = from + width
			}
		}
		found, err := s.scan(ctx, q, limit, stats)
		if err != nil {
			return err
		}
		for i := range found {
			if !yield(found[i].stream, found[i].entry) {
				return nil
			}
		}
		if limit -= len(found); stats.Cut != "" {
			return nil
		}
		if s.direction == logs.Backward {
			to = q.From
		} else {
			from = q.To
		}
		width *= 2
	}
	return nil
}

type foundEntry struct {
	stream *logs.Stream
	entry  Entry
	seq    int64
}

func (s *slicer) compare(a, b *foundEntry) int {
	byTime := cmp.Compare(a.entry.Time, b.entry.Time)
	if s.direction == logs.Backward {
		byTime = -byTime
	}
	return cmp.Or(byTime, bytes.Compare(a.stream.ID[:], b.stream.ID[:]), cmp.Compare(a.seq, b.seq))
}

func (s *slicer) scan(ctx context.Context, q logs.Query, limit int, stats *logs.Stats) ([]foundEntry, error) {
	var workers []*sliceWorker
	var failed error
	var seq atomic.Int64
	st, err := s.engine.querier.Scan(ctx, logs.ScanQuery{Query: q, Want: logs.Everything()}, func() logs.Worker {
		pl, err := newPipeline(s.plan.rest, nil)
		if err != nil {
			failed = err
			pl = &pipeline{bases: map[*logs.Stream][]item{}}
		}
		w := &sliceWorker{slicer: s, pipeline: pl, limit: limit, seq: &seq}
		workers = append(workers, w)
		return w
	})
	stats.Add(st)
	if failed != nil {
		return nil, failed
	}
	if err != nil {
		return nil, err
	}
	var all []foundEntry
	for _, w := range workers {
		all = append(all, w.found...)
	}
	slices.SortFunc(all, func(a, b foundEntry) int { return s.compare(&a, &b) })
	return all[:min(limit, len(all))], nil
}

// sliceWorker keeps the first entries that it sees.
type sliceWorker struct {
	slicer   *slicer
	pipeline *pipeline
	limit    int
	seq      *atomic.Int64
	found    []foundEntry
	full     bool // found was cut: entries behind its last do not count
}

func (w *sliceWorker) Batch(b *logs.Batch) error {
	p := w.pipeline
	seq := w.seq.Add(int64(len(b.Times)))
	for i, t := range b.Times {
		if w.full && w.behind(t) {
			continue
		}
		s := b.Streams[i]
		p.start(t, s, b.Lines[i])
		for c := range b.Fields {
			if v := b.Fields[c].Values[i]; v != "" {
				p.addMetadata(s, b.Fields[c].Name, v)
			}
		}
		if !p.run() {
			continue
		}
		w.found = append(w.found, foundEntry{s, p.row.entry(), seq + int64(i)})
		if len(w.found) >= 2*w.limit+64 {
			w.cut()
		}
	}
	return nil
}

// behind reports whether an entry of time t cannot be among the first: the
// first limit of found are sorted since the last cut.
func (w *sliceWorker) behind(t int64) bool {
	last := w.found[w.limit-1].entry.Time
	if w.slicer.direction == logs.Backward {
		return t < last
	}
	return t > last
}

// cut keeps the first limit entries, in order.
func (w *sliceWorker) cut() {
	slices.SortFunc(w.found, func(a, b foundEntry) int { return w.slicer.compare(&a, &b) })
	clear(w.found[w.limit:])
	w.found = w.found[:w.limit]
	w.full = true
}
