package oncall

import (
	"slices"
	"time"
)

// Shift is a time in which the same people are on call for the same reason.
type Shift struct {
	Start, End time.Time // [Start, End)
	Person     string    // "" is a gap: nobody is on call
	Source     Source
}

// Shifts returns who is on call from start to end, without holes: where nobody
// is, a shift with an empty Person. Shifts are cut at start and end. The cost grows
// with the range: the caller bounds it.
func (s *Schedule) Shifts(start, end time.Time, more []Override) []Shift {
	if !start.Before(end) {
		return nil
	}
	more = newestFirst(s.ID, more)
	var out []Shift
	for _, t := range s.changes(start, end, more) {
		person, source := s.at(t, more)
		if n := len(out); n > 0 {
			if out[n-1].Person == person && out[n-1].Source == source {
				continue
			}
			out[n-1].End = t
		}
		out = append(out, Shift{Start: t, End: end, Person: person, Source: source})
	}
	return out
}

// Gaps returns the shifts of nobody from start to end.
func (s *Schedule) Gaps(start, end time.Time, more []Override) []Shift {
	return slices.DeleteFunc(s.Shifts(start, end, more), func(sh Shift) bool { return sh.Person != "" })
}

// changes returns start and every instant before end at which the answer of at
// may change, in order.
func (s *Schedule) changes(start, end time.Time, more []Override) []time.Time {
	out := []time.Time{start}
	add := func(t time.Time) {
		if t.After(start) && t.Before(end) {
			out = append(out, t)
		}
	}
	for _, o := range slices.Concat(more, s.Overrides) {
		add(o.Start)
		add(o.End)
	}
	first, last := wall(start, s.Location), wall(end, s.Location)
	for _, l := range s.Layers {
		l.eachChange(first, last, func(w time.Time) { add(instant(w, s.Location)) })
	}
	slices.SortFunc(out, time.Time.Compare)
	return slices.CompactFunc(out, time.Time.Equal)
}

// eachChange calls fn with every wall time from first to last at which the
// layer's answer may change.
func (l Layer) eachChange(first, last time.Time, fn func(time.Time)) {
	fn(l.start)
	if !l.end.IsZero() {
		fn(l.end)
		if last.After(l.end) {
			last = l.end
		}
	}
	if first.Before(l.start) {
		first = l.start
	}
	shift := l.anchor.Add(first.Sub(l.anchor) / l.Length * l.Length)
	for ; !shift.After(last); shift = shift.Add(l.Length) {
		fn(shift)
	}
	if len(l.windows) == 0 {
		return
	}
	for d := date(first).Add(-day); !d.After(last); d = d.Add(day) {
		for _, win := range l.windows {
			if win.day == d.Weekday() {
				fn(d.Add(win.from))
				fn(d.Add(win.to))
			}
		}
	}
}
