package columnar

import (
	"cmp"
	"slices"
)

// maxFlushDays is how many parts a flush writes for a tenant at most. Senders
// whose clocks are wild must not make a part for every day they name.
const maxFlushDays = 16

// filing says which day's part each row of a flush goes to: that of its own
// day, but if there are too many days, those with the fewest rows share one.
type filing struct {
	own    map[int64]bool // nil: all days have a part of their own
	shared int64          // the last of the days that have not
}

func (f *filing) of(t int64) int64 {
	day := dayOf(t)
	if f.own == nil || f.own[day] {
		return day
	}
	return f.shared
}

// days decides where the tenant's rows are filed.
func (t *memTenant) days() *filing {
	rows := map[int64]int{}
	for _, b := range t.blocks {
		if first := dayOf(b.min); first == dayOf(b.max) {
			rows[first] += len(b.times)
			continue
		}
		for _, ts := range b.times {
			rows[dayOf(int64(ts))]++
		}
	}
	f := &filing{}
	if len(rows) <= maxFlushDays {
		return f
	}
	days := make([]int64, 0, len(rows))
	for day := range rows {
		days = append(days, day)
	}
	slices.SortFunc(days, func(a, b int64) int { return cmp.Or(cmp.Compare(rows[b], rows[a]), cmp.Compare(b, a)) })
	f.own = make(map[int64]bool, maxFlushDays)
	for _, day := range days[:maxFlushDays-1] {
		f.own[day] = true
	}
	f.shared = slices.Max(days[maxFlushDays-1:])
	return f
}
