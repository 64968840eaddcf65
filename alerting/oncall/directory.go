package oncall

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
)

// Directory is a configuration that was found right: people, teams and schedules
// by their IDs. It does not change.
type Directory struct {
	people    map[string]Person
	teams     map[string]Team
	schedules map[string]*Schedule
	config    Config
}

// New compiles a configuration and returns all its faults, each after the path
// of its field.
func New(c Config) (*Directory, error) {
	var errs []error
	root := faults{"", &errs}
	d := &Directory{people: map[string]Person{}, teams: map[string]Team{}, schedules: map[string]*Schedule{}, config: c}
	seen := map[string]bool{}
	for i, p := range c.People {
		f := root.at("people[%d]", i)
		f.id(p.ID, seen)
		p.check(f)
		if p.Name == "" {
			p.Name = p.ID
		}
		d.people[p.ID] = p
	}
	seen = map[string]bool{}
	for i, t := range c.Teams {
		f := root.at("teams[%d]", i)
		f.id(t.ID, seen)
		if len(t.Members) == 0 {
			f.at(".members").add("is empty")
		}
		for j, m := range t.Members {
			d.needPerson(f.at(".members[%d]", j), m)
		}
		if t.Name == "" {
			t.Name = t.ID
		}
		d.teams[t.ID] = t
	}
	seen = map[string]bool{}
	for i, s := range c.Schedules {
		f := root.at("schedules[%d]", i)
		f.id(s.ID, seen)
		d.schedules[s.ID] = d.compile(s, f)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return d, nil
}

func (d *Directory) needPerson(f faults, id string) {
	if _, ok := d.people[id]; !ok {
		f.add("unknown person %q", id)
	}
}

// Person returns a person by ID.
func (d *Directory) Person(id string) (Person, bool) { p, ok := d.people[id]; return p, ok }

// Team returns a team by ID.
func (d *Directory) Team(id string) (Team, bool) { t, ok := d.teams[id]; return t, ok }

// Schedule returns a schedule by ID.
func (d *Directory) Schedule(id string) (*Schedule, bool) { s, ok := d.schedules[id]; return s, ok }

// Named returns who is meant by a text of a calendar: the person whose ID, name or
// email address it is, or begins with before a word such as "on call".
func (d *Directory) Named(text string) (id string, ok bool) {
	text = strings.ToLower(strings.TrimSpace(strings.TrimPrefix(strings.ToLower(text), "mailto:")))
	head, _, _ := strings.Cut(text, " on call")
	for _, wanted := range []string{text, strings.TrimSpace(head)} {
		for _, p := range d.People() {
			if wanted == strings.ToLower(p.ID) || wanted == strings.ToLower(p.Name) {
				return p.ID, true
			}
			for _, m := range p.Methods {
				if m.Type == MethodEmail && wanted == strings.ToLower(m.Address) {
					return p.ID, true
				}
			}
		}
	}
	return "", false
}

// People returns everybody, in the order of the configuration.
func (d *Directory) People() []Person { return inOrder(d.config.People, d.people, personID) }

// Teams returns all teams, in the order of the configuration.
func (d *Directory) Teams() []Team { return inOrder(d.config.Teams, d.teams, teamID) }

// Schedules returns all schedules, in the order of the configuration.
func (d *Directory) Schedules() []*Schedule {
	return inOrder(d.config.Schedules, d.schedules, scheduleID)
}

func personID(p Person) string           { return p.ID }
func teamID(t Team) string               { return t.ID }
func scheduleID(s ScheduleConfig) string { return s.ID }

func inOrder[C, V any](configs []C, byID map[string]V, id func(C) string) []V {
	out := make([]V, 0, len(configs))
	for _, c := range configs {
		out = append(out, byID[id(c)])
	}
	return out
}

func (d *Directory) compile(c ScheduleConfig, f faults) *Schedule {
	s := &Schedule{ID: c.ID, Name: c.Name, Location: time.UTC, Calendars: c.Calendars, HandoverNotice: time.Duration(c.HandoverNotice)}
	if s.Name == "" {
		s.Name = s.ID
	}
	if c.TimeZone != "" {
		loc, err := time.LoadLocation(c.TimeZone)
		if err != nil || c.TimeZone == "Local" {
			f.at(".time_zone").add("%q is not an IANA time zone", c.TimeZone)
		} else {
			s.Location = loc
		}
	}
	if len(c.Layers) == 0 && len(c.Calendars) == 0 {
		f.at(".layers").add("a schedule needs at least one layer")
	}
	for i, cal := range c.Calendars {
		cal.check(f.at(".calendars[%d]", i))
	}
	if c.HandoverNotice < 0 || c.HandoverNotice > model.Duration(maxNotice) {
		f.at(".handover_notice").add("must be between 0 and %s", maxNotice)
	}
	for i, l := range c.Layers {
		s.Layers = append(s.Layers, d.compileLayer(l, f.at(".layers[%d]", i)))
	}
	for i, o := range c.Overrides {
		of := f.at(".overrides[%d]", i)
		d.needPerson(of.at(".person"), o.Person)
		if o.Replaces != "" {
			d.needPerson(of.at(".replaces"), o.Replaces)
		}
		if !o.To.After(o.From) {
			of.at(".to").add("must be after from")
		}
		s.Overrides = append(s.Overrides, Override{Schedule: c.ID, Person: o.Person, Replaces: o.Replaces, Start: o.From, End: o.To})
	}
	// Of overrides of the configuration, the last written is the newest.
	slices.Reverse(s.Overrides)
	return s
}

const day = 24 * time.Hour

// maxNotice bounds how long before a hand-over people are told.
const maxNotice = 7 * day

// defaultStart is the first day of a rotation that names none: a Monday, so that
// weekly rotations turn over on Mondays.
var defaultStart = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// maxShift keeps a shift's length far from overflow: ten years.
const maxShift = 3660 * day

func (d *Directory) compileLayer(c LayerConfig, f faults) Layer {
	l := Layer{Name: c.Name, Participants: c.Participants}
	if len(c.Participants) == 0 {
		f.at(".participants").add("is empty")
	}
	for i, p := range c.Participants {
		d.needPerson(f.at(".participants[%d]", i), p)
	}
	l.Length = c.shiftLength(f)
	handoff := optionalClock(f.at(".handoff"), c.Handoff, 0, false)
	start := optionalDate(f.at(".start"), c.Start, defaultStart)
	l.start = start.Add(handoff)
	l.anchor = l.start
	if c.HandoffDay != "" {
		wd, ok := weekday(c.HandoffDay)
		switch {
		case !ok:
			f.at(".handoff_day").add("%q is not a weekday", c.HandoffDay)
		case c.Rotation != RotationWeekly:
			f.at(".handoff_day").add("only a weekly rotation has one")
		default:
			l.anchor = l.anchor.Add(-time.Duration((start.Weekday()-wd+7)%7) * day)
		}
	}
	if c.End != "" {
		l.end = optionalDate(f.at(".end"), c.End, time.Time{}).Add(handoff)
		if !l.end.After(l.start) {
			f.at(".end").add("must be after start")
		}
	}
	for i, r := range c.Restrictions {
		l.windows = append(l.windows, r.compile(f.at(".restrictions[%d]", i))...)
	}
	return l
}

func (c LayerConfig) shiftLength(f faults) time.Duration {
	unit, known := map[string]time.Duration{"": day, RotationDaily: day, RotationWeekly: 7 * day, RotationHours: time.Hour}[c.Rotation]
	if !known {
		f.at(".rotation").add("%q is not one of daily, weekly, hours", c.Rotation)
		return day
	}
	every := c.Every
	if every == 0 {
		every = 1
	}
	if every < 0 || every > int(maxShift/unit) {
		f.at(".every").add("must be between 1 and %d", int(maxShift/unit))
		return unit
	}
	return time.Duration(every) * unit
}

func (r RestrictionConfig) compile(f faults) []window {
	from := optionalClock(f.at(".from"), r.From, 0, false)
	to := optionalClock(f.at(".to"), r.To, day, true)
	if to <= from {
		to += day
	}
	days := []time.Weekday{0, 1, 2, 3, 4, 5, 6}
	if len(r.Days) > 0 {
		days = nil
		for i, text := range r.Days {
			some, ok := weekdays(text)
			if !ok {
				f.at(".days[%d]", i).add("%q is not a weekday or a range such as mon-fri", text)
			}
			days = append(days, some...)
		}
	}
	out := make([]window, 0, len(days))
	for _, d := range days {
		out = append(out, window{day: d, from: from, to: to})
	}
	return out
}

func optionalClock(f faults, text string, otherwise time.Duration, endOfDay bool) time.Duration {
	if text == "" {
		return otherwise
	}
	c, ok := clock(text, endOfDay)
	if !ok {
		f.add("%q is not a time of day such as 09:00", text)
	}
	return c
}

func optionalDate(f faults, text string, otherwise time.Time) time.Time {
	if text == "" {
		return otherwise
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		f.add("%q is not a date such as 2026-01-05", text)
		return defaultStart
	}
	return t
}
