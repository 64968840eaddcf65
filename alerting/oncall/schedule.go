package oncall

import (
	"slices"
	"time"
)

// Schedule says who is on call at any time. See the package comment.
type Schedule struct {
	ID, Name  string
	Location  *time.Location
	Layers    []Layer    // the last that has somebody wins
	Overrides []Override // of the configuration; the first that applies wins
	Calendars []CalendarConfig
	// HandoverNotice is how long before a shift people are told; 0: not.
	HandoverNotice time.Duration
}

// Layer is a rotation of people, perhaps only in certain windows of the week.
type Layer struct {
	Name         string
	Participants []string      // person IDs, one shift each, in turn
	Length       time.Duration // of a shift, on the wall clock
	anchor       time.Time     // wall time at which the shift of Participants[0] starts
	start, end   time.Time     // wall times; a zero end is never
	windows      []window      // none: always
}

// window is [day+from, day+to) on the wall clock, for one weekday.
type window struct {
	day      time.Weekday
	from, to time.Duration
}

// Participants returns everybody in the schedule's layers, each once.
func (s *Schedule) Participants() (out []string) {
	for _, l := range s.Layers {
		for _, p := range l.Participants {
			if !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
	}
	return out
}

// Override puts a person in the place of who would be on call. With Replaces it
// applies only while that person would be.
type Override struct {
	ID         string
	Schedule   string
	Person     string
	Replaces   string
	Start, End time.Time // [Start, End)
	Reason     string
	CreatedBy  string
	CreatedAt  time.Time
	Calendar   string // that it was imported from; empty for one that a person made
}

func (o Override) covers(t time.Time) bool { return !t.Before(o.Start) && t.Before(o.End) }

// OnCall returns the IDs of the people on call at t: one, or none where nothing
// covers t. More overrides than the schedule's own are an argument, in any order;
// of several that apply the one created last wins.
func (s *Schedule) OnCall(t time.Time, more []Override) []string {
	if p, _ := s.at(t, newestFirst(s.ID, more)); p != "" {
		return []string{p}
	}
	return nil
}

// Source says which part of a schedule put a person on call.
type Source struct {
	Layer    string // name of the layer; empty with an override
	Override string // ID of the override, "config" for one of the configuration
}

func (s *Schedule) at(t time.Time, more []Override) (person string, from Source) {
	w := wall(t, s.Location)
	for _, l := range slices.Backward(s.Layers) {
		if p := l.at(w); p != "" {
			person, from = p, Source{Layer: l.Name}
			break
		}
	}
	for _, list := range [][]Override{more, s.Overrides} {
		for _, o := range list {
			if o.covers(t) && (o.Replaces == "" || o.Replaces == person) {
				id := o.ID
				if id == "" {
					id = "config"
				}
				return o.Person, Source{Override: id}
			}
		}
	}
	return person, from
}

func newestFirst(schedule string, overrides []Override) []Override {
	var out []Override
	for _, o := range overrides {
		if o.Schedule == schedule || o.Schedule == "" {
			out = append(out, o)
		}
	}
	slices.SortStableFunc(out, func(a, b Override) int {
		if c := b.CreatedAt.Compare(a.CreatedAt); c != 0 {
			return c
		}
		return -compareStrings(a.ID, b.ID)
	})
	return out
}

func compareStrings(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// at returns who the layer has on call at wall time w, "" for nobody.
func (l Layer) at(w time.Time) string {
	if w.Before(l.start) || (!l.end.IsZero() && !w.Before(l.end)) || len(l.Participants) == 0 || !l.open(w) {
		return ""
	}
	shift := int64(w.Sub(l.anchor) / l.Length) // anchor <= start <= w
	return l.Participants[shift%int64(len(l.Participants))]
}

func (l Layer) open(w time.Time) bool { return len(l.windows) == 0 || within(l.windows, w) }
