package fragment

import (
	"context"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/prometheus/prometheus/promql/parser"
)

// collectSteps is how many steps of all series are gathered at a time: as many
// values as a cache line has.
const collectSteps = 8

// collects reports whether an aggregation needs all values of a step at once, in
// the order of their series. The workers keep the series for it.
func (a *aggregation) collects() bool {
	switch a.op {
	case parser.STDDEV, parser.STDVAR, parser.QUANTILE, parser.TOPK, parser.BOTTOMK:
		return true
	}
	return false
}

// members are the series of a group, in order.
type members struct {
	Series // that they become
	of     []Series
}

// collect aggregates the series that the workers have kept.
func (e *evaluation) collect(ctx context.Context, series []Series) ([]Series, error) {
	groups, steps := e.members(series), e.f.grid.Steps()
	if e.f.agg.op == parser.TOPK || e.f.agg.op == parser.BOTTOMK {
		return e.top(ctx, groups)
	}
	if err := e.hold(len(groups) * steps); err != nil {
		return nil, err
	}
	for _, g := range groups {
		g.Values = make([]float64, steps)
	}
	e.eachBlock(ctx, func(first, last int) {
		var columns [collectSteps][]float64
		for _, g := range groups {
			g.gather(&columns, first, last)
			for i := range g.Values[first:last] {
				g.Values[first+i] = e.f.agg.combine(columns[i])
			}
		}
	})
	out := make([]Series, len(groups))
	for i, g := range groups {
		out[i] = g.Series
	}
	return out, context.Cause(ctx)
}

// eachBlock calls f with each block of steps, from the first to before the last, in
// parallel.
func (e *evaluation) eachBlock(ctx context.Context, f func(first, last int)) {
	steps := e.f.grid.Steps()
	var (
		wg    sync.WaitGroup
		taken atomic.Int64 // steps
	)
	for range min(e.limits.Workers, (steps+collectSteps-1)/collectSteps) {
		wg.Go(func() {
			for ctx.Err() == nil {
				first := int(taken.Add(collectSteps)) - collectSteps
				if first >= steps {
					return
				}
				f(first, min(first+collectSteps, steps))
			}
		})
	}
	wg.Wait()
}

// members returns the groups, in the order of the first series of each.
func (e *evaluation) members(series []Series) (groups []*members) {
	slices.SortFunc(series, func(a, b Series) int { return a.order - b.order })
	byKey := map[uint64]*members{}
	for _, s := range series {
		g := byKey[s.group]
		if g == nil {
			g = &members{Series: Series{Labels: e.workers[0].groups.labelsOf(s.Labels), order: s.order}}
			byKey[s.group] = g
			groups = append(groups, g)
		}
		g.of = append(g.of, s)
	}
	return groups
}

// gather puts the values of each of some steps in a column.
func (g *members) gather(columns *[collectSteps][]float64, first, last int) {
	for i := range columns {
		columns[i] = columns[i][:0]
	}
	for _, s := range g.of {
		for i, v := range s.Values[first:last] {
			if !isAbsent(v) {
				columns[i] = append(columns[i], v)
			}
		}
	}
}

// combine aggregates the values of one step, whose order it may change.
func (a *aggregation) combine(values []float64) float64 {
	switch {
	case len(values) == 0:
		return absent()
	case a.op == parser.QUANTILE:
		return quantile(a.param, values)
	case a.op == parser.STDDEV:
		return math.Sqrt(variance(values))
	}
	return variance(values)
}

// variance is Welford's, as Prometheus has it.
func variance(values []float64) float64 {
	mean, squares := values[0], 0.0
	if math.IsNaN(mean) || math.IsInf(mean, 0) {
		squares = math.NaN()
	}
	for i, v := range values[1:] {
		delta := v - mean
		mean += delta / float64(i+2)
		squares += delta * (v - mean)
	}
	return squares / float64(len(values))
}

// quantile interpolates between the two values next to the rank. NaN is less than
// all others.
func quantile(q float64, values []float64) float64 {
	rank := q * float64(len(values)-1)
	lower := int(math.Floor(rank))
	selectNth(values, lower)
	below, above := values[lower], values[lower]
	if rest := values[lower+1:]; len(rest) > 0 {
		above = rest[0]
		for _, v := range rest[1:] {
			if less(v, above) {
				above = v
			}
		}
	}
	weight := rank - math.Floor(rank)
	return below*(1-weight) + above*weight
}

func less(a, b float64) bool { return a < b || (math.IsNaN(a) && !math.IsNaN(b)) }

// selectNth moves the values so that the nth is where it would be if they were
// sorted, with none less behind it and none greater before it: Hoare's quickselect
// with a pivot of three.
func selectNth(values []float64, n int) {
	nans := 0
	for i, v := range values {
		if math.IsNaN(v) {
			values[i], values[nans] = values[nans], v
			nans++
		}
	}
	if n < nans {
		return
	}
	for lo, hi := nans, len(values)-1; lo < hi; {
		a, b, c := values[lo], values[lo+(hi-lo)/2], values[hi]
		pivot := max(min(a, b), min(max(a, b), c))
		i, j := lo, hi
		for i <= j {
			for values[i] < pivot {
				i++
			}
			for pivot < values[j] {
				j--
			}
			if i <= j {
				values[i], values[j] = values[j], values[i]
				i++
				j--
			}
		}
		switch {
		case n <= j:
			hi = j
		case n >= i:
			lo = i
		default:
			return
		}
	}
}
