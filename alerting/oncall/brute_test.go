package oncall_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"belfry/alerting/oncall"
)

// slowLayer is a rotation computed the way a person with a wall calendar would:
// watching the clock, and at each hand-over passing the phone on.
type slowLayer struct {
	people   []string
	next     time.Time // the next hand-over on the wall
	hand     func(time.Time) time.Time
	at       int
	from, to int // minutes of the day, from > to reaching into the next day
	days     map[time.Weekday]bool
	shown    time.Time // the latest that the clock has shown
}

func (s *slowLayer) look(local time.Time) string {
	// Compare as calendars do, without zones.
	c := time.Date(local.Year(), local.Month(), local.Day(), local.Hour(), local.Minute(), local.Second(), 0, time.UTC)
	if c.After(s.shown) {
		s.shown = c
	}
	for !s.shown.Before(s.next) {
		s.at++
		s.next = s.hand(s.next)
	}
	if s.days != nil && !s.inWindow() {
		return ""
	}
	if s.at == 0 {
		return ""
	}
	return s.people[(s.at-1)%len(s.people)]
}

func (s *slowLayer) inWindow() bool {
	minute := s.shown.Hour()*60 + s.shown.Minute()
	today, yesterday := s.days[s.shown.Weekday()], s.days[s.shown.AddDate(0, 0, -1).Weekday()]
	if s.from < s.to {
		return today && minute >= s.from && minute < s.to
	}
	return today && minute >= s.from || yesterday && minute < s.to
}

var bruteZones = []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "America/Santiago", "Africa/Casablanca"}

func bruteSchedule(t *testing.T, zone string) (*oncall.Schedule, []*slowLayer) {
	t.Helper()
	s := compile(t, oncall.ScheduleConfig{ID: "s", TimeZone: zone, Layers: []oncall.LayerConfig{
		{Rotation: "weekly", Start: "2025-01-01", HandoffDay: "sun", Handoff: "02:30", Participants: []string{"a", "b", "c"}},
		{Rotation: "hours", Every: 5, Start: "2025-01-02", Handoff: "01:15", Participants: []string{"c", "d"},
			Restrictions: []oncall.RestrictionConfig{{Days: []string{"sat-sun"}, From: "22:30", To: "02:45"}}},
		{Rotation: "daily", Every: 2, Start: "2025-01-03", Handoff: "00:00", Participants: []string{"d", "e", "a"},
			Restrictions: []oncall.RestrictionConfig{{Days: []string{"mon-fri"}, From: "08:00", To: "18:00"}}},
	}})
	at := func(text string) time.Time {
		w, err := time.Parse("2006-01-02 15:04", text)
		require.NoError(t, err)
		return w
	}
	// The first layer starts on a Wednesday, in the middle of the first week.
	firstWeek := true
	slow := []*slowLayer{
		{people: []string{"a", "b", "c"}, next: at("2025-01-01 02:30"), hand: func(w time.Time) time.Time {
			if firstWeek {
				firstWeek = false
				return at("2025-01-05 02:30")
			}
			return w.AddDate(0, 0, 7)
		}},
		{people: []string{"c", "d"}, next: at("2025-01-02 01:15"), hand: func(w time.Time) time.Time { return w.Add(5 * time.Hour) },
			from: 22*60 + 30, to: 2*60 + 45, days: map[time.Weekday]bool{time.Saturday: true, time.Sunday: true}},
		{people: []string{"d", "e", "a"}, next: at("2025-01-03 00:00"), hand: func(w time.Time) time.Time { return w.AddDate(0, 0, 2) },
			from: 8 * 60, to: 18 * 60, days: map[time.Weekday]bool{1: true, 2: true, 3: true, 4: true, 5: true}},
	}
	return s, slow
}

// nearChange reports whether clocks change within two days of t.
func nearChange(local time.Time) bool {
	start, end := local.ZoneBounds()
	return !start.IsZero() && local.Sub(start) < 2*day || !end.IsZero() && end.Sub(local) < 2*day
}

const day = 24 * time.Hour

// bruteVariable makes the comparison look at every 30 seconds of the two years, not
// only around clock changes (and every 13.5 minutes elsewhere).
const bruteVariable = "BELFRY_TEST_BRUTE"

func TestTwoYearsAgainstSlowComputation(t *testing.T) {
	everyStep := os.Getenv(bruteVariable) != ""
	for _, zone := range bruteZones {
		t.Run(zone, func(t *testing.T) {
			s, slow := bruteSchedule(t, zone)
			now := time.Date(2024, 12, 30, 0, 0, 0, 0, time.UTC)
			end := now.AddDate(2, 0, 0)
			shifts := s.Shifts(now, end, nil)
			steps := 0
			for now.Before(end) {
				local := now.In(s.Location)
				want := ""
				for _, l := range slow {
					if p := l.look(local); p != "" {
						want = p
					}
				}
				got := ""
				if people := s.OnCall(now, nil); len(people) > 0 {
					got = people[0]
				}
				if got != want {
					t.Fatalf("at %s: %q is on call, the slow way says %q", local, got, want)
				}
				for !now.Before(shifts[0].End) {
					shifts = shifts[1:]
				}
				if shifts[0].Person != want {
					t.Fatalf("at %s: the shift is %q's, the slow way says %q", local, shifts[0].Person, want)
				}
				steps++
				if everyStep || nearChange(local) {
					now = now.Add(30 * time.Second)
				} else {
					now = now.Add(27 * 30 * time.Second)
				}
			}
			t.Logf("%d steps", steps)
		})
	}
}
