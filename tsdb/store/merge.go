package store

import (
	"slices"

	"github.com/prometheus/prometheus/storage"

	metrics "belfry/tsdb"
)

// mergeSeries merges one series of several blocks. The result has columns, too.
func mergeSeries(parts ...storage.Series) storage.Series {
	return &mergedSeries{Series: storage.ChainedSeriesMerge(parts...), parts: parts}
}

type mergedSeries struct {
	storage.Series
	parts []storage.Series
}

var _ metrics.ColumnSeries = (*mergedSeries)(nil)

// AppendColumns implements metrics.ColumnSeries.
func (s *mergedSeries) AppendColumns(c *metrics.Columns, mint, maxt int64) (bool, error) {
	start := len(c.Times)
	runs := make([]run, 0, 8)
	for _, part := range s.parts {
		from := len(c.Times)
		ok, err := metrics.ReadColumns(c, part, mint, maxt)
		if err != nil || !ok {
			c.Truncate(start)
			return false, err
		}
		if to := len(c.Times); to > from {
			runs = append(runs, run{from, to})
		}
	}
	inTurn(c, start, runs)
	c.Sort(start) // looks at them once if blocks do not overlap
	return true, nil
}

// run is a part's samples.
type run struct{ from, to int }

// inTurn puts runs in the order of their first times. Blocks come in any order,
// and rarely overlap.
func inTurn(c *metrics.Columns, start int, runs []run) {
	earlier := func(a, b run) int { return int(min(max(c.Times[a.from]-c.Times[b.from], -1), 1)) }
	if slices.IsSortedFunc(runs, earlier) {
		return
	}
	slices.SortStableFunc(runs, earlier)
	n := len(c.Times) - start
	times, values := make([]int64, 0, n), make([]float64, 0, n)
	for _, r := range runs {
		times = append(times, c.Times[r.from:r.to]...)
		values = append(values, c.Values[r.from:r.to]...)
	}
	copy(c.Times[start:], times)
	copy(c.Values[start:], values)
}
