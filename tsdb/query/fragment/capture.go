package fragment

import (
	"cmp"
	"math"
	"slices"
	"sync/atomic"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"

	"belfry/tsdb"
	"belfry/tsdb/query/column"
)

// capture keeps the newest samples of an evaluation, for a tail.
type capture struct {
	at     int64 // see tail
	newest int64 // time of the newest sample; all up to it are read
	mark   tsdb.ChangeMark

	room atomic.Int64 // bytes left; below zero nothing is kept

	workers []captured // when the evaluation is done
}

// captured is what one worker has kept.
type captured struct {
	series []tailSeries
	points []promql.FPoint // of all series, one after the other
}

// keep keeps what a tail needs of a series. The samples are as the fragment
// looks at them. With native histograms there is no tail.
func (c *capture) keep(w *worker, samples column.Samples, ls labels.Labels, group uint64, order int) {
	if len(samples.Histograms) > 0 {
		c.room.Store(math.MinInt64 / 2)
	}
	points := samples.Floats
	points = points[w.e.f.firstNeeded(len(points), func(i int) int64 { return points[i].T }, c.at):]
	if len(points) == 0 || c.room.Load() < 0 {
		return
	}
	const ofSeries, ofSample = 80, 12
	c.room.Add(-int64(ofSeries + ofSample*len(points)))
	k := &w.captured
	k.series = append(k.series, tailSeries{labels: ls, group: group, order: order, n: len(points)})
	k.points = append(k.points, points...)
}

// tail makes a tail of what the workers have kept, nil if it would be too large.
func (c *capture) tail(in tsdb.Following, maxBytes int) *tail {
	if c.room.Load() < 0 {
		return nil
	}
	type one struct {
		tailSeries
		points []promql.FPoint
	}
	var all []one
	longest := 0
	for _, k := range c.workers {
		points := k.points
		for _, s := range k.series {
			all = append(all, one{s, points[:s.n]})
			points = points[s.n:]
			longest = max(longest, s.n)
		}
	}
	slices.SortFunc(all, func(a, b one) int { return cmp.Compare(a.order, b.order) })
	t := &tail{mark: c.mark, at: c.at, base: c.at, captured: len(all), room: longest + longest/8 + 4}
	if len(all)*t.room*12 > maxBytes {
		return nil
	}
	t.series = make([]tailSeries, 0, len(all))
	t.times, t.values = make([]int32, len(all)*t.room), make([]float64, len(all)*t.room)
	for i, s := range all {
		if ref, known, ok := in.Ref(s.labels); ok {
			s.labels = known
			t.known.set(ref, int32(i)) //nolint:gosec // bounded by memory
		}
		for j, p := range s.points {
			dt := p.T - t.base
			if int64(int32(dt)) != dt { //nolint:gosec // that is the question
				return nil
			}
			t.times[i*t.room+j], t.values[i*t.room+j] = int32(dt), p.F //nolint:gosec // it fits
		}
		t.series = append(t.series, s.tailSeries)
	}
	return t
}
