package traceql

import (
	"cmp"
	"maps"
	"slices"
)

// trimExemplars leaves as many exemplars as the whole answer may have: every group its share, from all over
// the time.
func (a *aggregator) trimExemplars() {
	series := max(len(a.metrics.Quantiles), 1) // that show a group's exemplars
	total := 0
	for _, g := range a.groups {
		total += series * len(g.exemplars)
	}
	left := a.req.Exemplars
	if total <= left {
		return
	}
	for i, key := range slices.Sorted(maps.Keys(a.groups)) {
		g := a.groups[key]
		share := left / (series * (len(a.groups) - i))
		if share == 0 && left >= series {
			share = 1
		}
		g.exemplars = spread(g.exemplars, share)
		left -= series * len(g.exemplars)
	}
}

// spread returns n of a group's exemplars, as far from each other in time as that many are.
func spread(list []Exemplar, n int) []Exemplar {
	slices.SortFunc(list, func(a, b Exemplar) int { return cmp.Compare(a.Time, b.Time) })
	if len(list) <= n {
		return list
	}
	out := make([]Exemplar, 0, n)
	for i := range n {
		out = append(out, list[(2*i+1)*len(list)/(2*n)])
	}
	return out
}
