package oncall

import (
	"time"
	_ "time/tzdata" // schedules must not depend on the machine's zones
)

// wall returns the latest local time that the clock of loc has shown up to t, as
// a UTC time with the same fields. It never goes back as t goes on.
func wall(t time.Time, loc *time.Location) time.Time {
	local := t.In(loc)
	_, offset := local.Zone()
	w := t.UTC().Add(time.Duration(offset) * time.Second)
	start, _ := local.ZoneBounds()
	if start.IsZero() {
		return w
	}
	_, before := start.Add(-1).Zone()
	if before <= offset {
		return w
	}
	// Clocks went back at start; until then they had shown just under this.
	if shown := start.UTC().Add(time.Duration(before)*time.Second - 1); shown.After(w) {
		return shown
	}
	return w
}

// instant returns the first moment at which wall is w or later: the inverse of
// wall, where a time that the clock skips is the moment of the skip.
func instant(w time.Time, loc *time.Location) time.Time {
	t := time.Date(w.Year(), w.Month(), w.Day(), w.Hour(), w.Minute(), w.Second(), w.Nanosecond(), loc)
	// t is right, or right in the wrong one of the zones around a change nearby:
	// then the answer is the change itself, or the same clock before it.
	start, end := t.ZoneBounds()
	if !end.IsZero() && wall(t, loc).Before(w) {
		return end
	}
	if start.IsZero() {
		return t
	}
	_, before := start.Add(-1).Zone()
	earlier := w.Add(-time.Duration(before) * time.Second).In(loc)
	switch {
	case earlier.Before(start):
		return earlier
	case !wall(start, loc).Before(w):
		return start
	}
	return t
}

// date returns the midnight of w's day, as wall's times are.
func date(w time.Time) time.Time {
	return time.Date(w.Year(), w.Month(), w.Day(), 0, 0, 0, 0, time.UTC)
}
