package cache

import (
	"maps"
	"sort"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/util/annotations"

	"belfry/tsdb"
)

// maxEntrySteps bounds how far an entry grows by requests that follow each
// other.
const maxEntrySteps = 22_000

// piece is the result of the steps from start to end.
type piece struct {
	start, end int64
	matrix     promql.Matrix
	cached     bool
}

func steps(start, end, step int64) int64 { return max((end-start)/step+1, 0) }

// split says which steps of a request the entry has and which are missing, in
// the order of time, and what that is called.
func (e *entry) split(r Request) (parts []piece, outcome string) {
	if e == nil || e.end < r.Start || e.start > r.End {
		return []piece{{start: r.Start, end: r.End}}, "miss"
	}
	from, to := max(e.start, r.Start), min(e.end, r.End)
	if r.Start < from {
		parts = append(parts, piece{start: r.Start, end: from - r.Step})
	}
	parts = append(parts, piece{from, to, window(e.matrix, from, to), true})
	if to < r.End {
		parts = append(parts, piece{start: to + r.Step, end: r.End})
	}
	if len(parts) == 1 {
		return parts, "hit"
	}
	return parts, "partial"
}

// extended is the entry to keep after a request: what was there and what was
// asked for, if they touch.
func (e *entry) extended(key Key, mark tsdb.ChangeMark, whole piece, r Request, infos annotations.Annotations) *entry {
	n := &entry{key: key, start: whole.start, end: whole.end, mark: mark, matrix: whole.matrix, infos: maps.Clone(infos)}
	if e == nil || e.end < r.Start-r.Step || e.start > r.End+r.Step ||
		steps(min(e.start, n.start), max(e.end, n.end), r.Step) > maxEntrySteps {
		return n
	}
	// What an entry says of its infos is true of the whole of it.
	n.infos.Merge(e.infos)
	if e.start < n.start {
		w := join(piece{start: e.start, end: n.start - r.Step, matrix: window(e.matrix, e.start, n.start-r.Step)}, piece{start: n.start, end: n.end, matrix: n.matrix})
		n.start, n.matrix = w.start, w.matrix
	}
	if e.end > n.end {
		w := join(piece{start: n.start, end: n.end, matrix: n.matrix}, piece{start: n.end + r.Step, end: e.end, matrix: window(e.matrix, n.end+r.Step, e.end)})
		n.end, n.matrix = w.end, w.matrix
	}
	return n
}

// window returns the points from start to end, without copying them.
func window(m promql.Matrix, start, end int64) promql.Matrix {
	out := make(promql.Matrix, 0, len(m))
	for _, s := range m {
		f := between(len(s.Floats), func(i int) int64 { return s.Floats[i].T }, start, end)
		h := between(len(s.Histograms), func(i int) int64 { return s.Histograms[i].T }, start, end)
		if f.from < f.to || h.from < h.to {
			s.Floats, s.Histograms = s.Floats[f.from:f.to:f.to], s.Histograms[h.from:h.to:h.to]
			out = append(out, s)
		}
	}
	return out
}

type indexes struct{ from, to int }

func between(n int, at func(int) int64, start, end int64) indexes {
	return indexes{
		sort.Search(n, func(i int) bool { return at(i) >= start }),
		sort.Search(n, func(i int) bool { return at(i) > end }),
	}
}

// join puts a piece behind another. Neither is changed.
func join(a, b piece) piece {
	out := piece{start: a.start, end: b.end}
	if len(a.matrix) == 0 {
		out.matrix = b.matrix
		return out
	}
	out.matrix = make(promql.Matrix, 0, max(len(a.matrix), len(b.matrix)))
	i, j := 0, 0
	for i < len(a.matrix) || j < len(b.matrix) {
		switch c := order(a.matrix, i, b.matrix, j); {
		case c < 0:
			out.matrix = append(out.matrix, a.matrix[i])
			i++
		case c > 0:
			out.matrix = append(out.matrix, b.matrix[j])
			j++
		default:
			s, t := a.matrix[i], b.matrix[j]
			// The capacity of cached points ends with them, so this copies.
			s.Floats = append(s.Floats[:len(s.Floats):len(s.Floats)], t.Floats...)
			s.Histograms = append(s.Histograms[:len(s.Histograms):len(s.Histograms)], t.Histograms...)
			out.matrix = append(out.matrix, s)
			i++
			j++
		}
	}
	return out
}

func order(a promql.Matrix, i int, b promql.Matrix, j int) int {
	switch {
	case i == len(a):
		return 1
	case j == len(b):
		return -1
	}
	return labels.Compare(a[i].Metric, b[j].Metric)
}

// size is about how much memory an entry takes.
func size(e *entry) int {
	n := 256 + len(e.key.query) + len(e.key.tenant)
	for _, s := range e.matrix {
		n += 96 + labelBytes(s.Metric) + 16*cap(s.Floats)
		for _, h := range s.Histograms {
			n += 64 + h.H.Size()
		}
	}
	return n
}

func labelBytes(ls labels.Labels) (n int) {
	ls.Range(func(l labels.Label) { n += len(l.Name) + len(l.Value) + 2 })
	return n
}
