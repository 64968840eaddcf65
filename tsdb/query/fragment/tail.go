package fragment

import (
	"context"
	"math"
	"slices"
	"sort"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"

	"belfry/tsdb"
)

// tail is the series that a fragment selects, with all samples that it needs to
// be evaluated at a time from at on, up to a moment of the store.
//
// The samples of all series lie in one array each for times and values, room
// for so many a series, in the order of time. Neither has pointers.
type tail struct {
	mark  tsdb.ChangeMark
	at    int64 // milliseconds, less the fragment's offset
	depth int64 // how far before the newest sample evaluations began

	series   []tailSeries
	captured int // series that there were at first
	known    refs
	hashes   map[uint64]struct{} // of the series' labels; nil until needed

	room   int
	base   int64   // of the times
	times  []int32 // milliseconds after base
	values []float64
}

type tailSeries struct {
	labels labels.Labels
	group  uint64 // its key
	done   uint64 // the commit that the last sample came with
	order  int    // in which the store had it
	n      int    // samples
}

func (t *tail) bytes() int {
	const ofSeries = 56
	return ofSeries*cap(t.series) + t.known.bytes() + 16*len(t.hashes) + 4*cap(t.times) + 8*cap(t.values)
}

// firstNeeded is the index of the first sample that a fragment needs to be
// evaluated at a time from at on.
func (f *Fragment) firstNeeded(n int, timeOf func(int) int64, at int64) int {
	if f.call != nil {
		return sort.Search(n, func(i int) bool { return timeOf(i) > at-f.call.span })
	}
	return max(sort.Search(n, func(i int) bool { return timeOf(i) > at })-1, 0)
}

// forget lets go of the samples that are not needed after an evaluation at a
// time, given the newest sample.
func (t *tail) forget(at, newest int64) {
	t.depth = max(t.depth, min(newest-at, maxTailDepth))
	t.at = max(t.at, newest-t.depth-tailSlack)
}

// follow takes over what was appended since. It returns false if the tail is of
// no use any more.
func (t *tail) follow(f *Fragment, in tsdb.Following, maxBytes int) bool {
	mark, ok := in.Since(t.mark, func(b tsdb.AppendedBatch) bool {
		for _, ref := range b.Histograms {
			if i, ok := t.find(f, in, ref); !ok || i != noSeries {
				return false
			}
		}
		for i := range b.Floats {
			s := &b.Floats[i]
			series := t.known.get(s.Ref)
			if series == notKnown {
				var ok bool
				if series, ok = t.find(f, in, s.Ref); !ok {
					return false
				}
			}
			if series != noSeries && !t.append(f, int(series), s, &b) {
				return false
			}
		}
		return true
	})
	t.mark = mark
	return ok && t.bytes() <= maxBytes
}

// find returns the index of a series, and makes it known if it is new. It
// returns false for one that cannot be told from others.
func (t *tail) find(f *Fragment, in tsdb.Following, ref storage.SeriesRef) (int32, bool) {
	if i := t.known.get(ref); i != notKnown {
		return i, true
	}
	ls, ok := in.Labels(ref)
	if !ok {
		return noSeries, false
	}
	if slices.ContainsFunc(f.matchers, func(m *labels.Matcher) bool { return !m.Matches(ls.Get(m.Name)) }) {
		t.known.set(ref, noSeries)
		return noSeries, true
	}
	if len(t.series) >= 2*t.captured+1000 {
		return noSeries, false // too many of them may be gone
	}
	if t.hashes == nil {
		t.hashes = make(map[uint64]struct{}, len(t.series))
		for i := range t.series {
			t.hashes[t.series[i].labels.Hash()] = struct{}{}
		}
	}
	hash := ls.Hash()
	if _, ok := t.hashes[hash]; ok {
		return noSeries, false // it left the head and came back
	}
	t.hashes[hash] = struct{}{}
	i := int32(len(t.series)) //nolint:gosec // bounded by memory
	s := tailSeries{labels: ls, order: len(t.series)}
	if i > 0 {
		s.order = t.series[i-1].order + 1
	}
	if f.agg != nil {
		s.group = newGroups(f).key(ls)
	}
	t.series = append(t.series, s)
	t.times = append(t.times, make([]int32, t.room)...)
	t.values = append(t.values, make([]float64, t.room)...)
	t.known.set(ref, i)
	return i, true
}

// append adds a sample to a series. It returns false where it cannot be told
// what the store made of it.
func (t *tail) append(f *Fragment, i int, a *tsdb.Appended, b *tsdb.AppendedBatch) bool {
	s := &t.series[i]
	if s.done > b.Begun && s.done != b.Done {
		return false
	}
	s.done = b.Done
	if f.call != nil && value.IsStaleNaN(a.V) {
		return true
	}
	dt := a.T - t.base
	if dt > math.MaxInt32 || dt < math.MinInt32 {
		return false
	}
	if s.n == t.room {
		t.makeRoom(f, i)
	}
	at := i*t.room + s.n
	if s.n > 0 && int64(t.times[at-1]) >= dt {
		// One that was sent twice changes nothing. A late one does, unless it
		// falls where samples were deleted: only the store can tell.
		return t.has(i, dt, a.V)
	}
	t.times[at], t.values[at] = int32(dt), a.V
	s.n++
	return true
}

// has reports whether a series has a sample, as one that was read and is told of
// then.
func (t *tail) has(i int, dt int64, v float64) bool {
	first := i * t.room
	times := t.times[first : first+t.series[i].n]
	at := sort.Search(len(times), func(j int) bool { return int64(times[j]) >= dt })
	return at < len(times) && int64(times[at]) == dt && math.Float64bits(t.values[first+at]) == math.Float64bits(v)
}

// makeRoom drops the samples of a series that are not needed, and gives all
// series more room if it needs all.
func (t *tail) makeRoom(f *Fragment, i int) {
	s, first := &t.series[i], i*t.room
	times, values := t.times[first:first+s.n], t.values[first:first+s.n]
	gone := f.firstNeeded(s.n, func(j int) int64 { return t.base + int64(times[j]) }, t.at)
	s.n = copy(times, times[gone:])
	copy(values, values[gone:])
	if s.n < t.room {
		return
	}
	room := t.room + t.room/2 + 1
	moreTimes, moreValues := make([]int32, len(t.series)*room), make([]float64, len(t.series)*room)
	for j := range t.series {
		copy(moreTimes[j*room:], t.times[j*t.room:(j+1)*t.room])
		copy(moreValues[j*room:], t.values[j*t.room:(j+1)*t.room])
	}
	t.room, t.times, t.values = room, moreTimes, moreValues
}

// points appends the samples of a series.
func (t *tail) points(dst []promql.FPoint, i int) []promql.FPoint {
	first, n := i*t.room, t.series[i].n
	values := t.values[first : first+n]
	for j, dt := range t.times[first : first+n] {
		dst = append(dst, promql.FPoint{T: t.base + int64(dt), F: values[j]})
	}
	return dst
}

// evaluate computes the fragment. The order in which series are added is that
// of an evaluation from the store.
func (t *tail) evaluate(ctx context.Context, f *Fragment, l Limits) (*Result, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	e := &evaluation{f: f, limits: l, cancel: cancel, unique: true}
	e.spread(ctx, len(t.series), func(w *worker, from, to int) error { return w.fromTail(ctx, t, from, to) })
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return e.result(ctx)
}

// fromTail evaluates the series from one index to another.
func (w *worker) fromTail(ctx context.Context, t *tail, from, to int) error {
	direct := w.ranges != nil && w.ranges.direct()
	if ctx.Err() != nil {
		return nil //nolint:nilerr // the evaluation knows
	}
	for i := from; i < to; i++ {
		s := &t.series[i]
		if s.n == 0 {
			continue
		}
		var err error
		if direct {
			first := i * t.room
			w.reset(w.e.f.grid.Steps())
			w.ranges.extrapolatedOf(t.times[first:first+s.n], t.values[first:first+s.n], t.base, w.vals)
			err = w.finish(s.labels, s.group, s.order)
		} else {
			w.points = t.points(w.points[:0], i)
			err = w.evaluate(w.points, s.labels, s.group, s.order)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
