package oncall_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"belfry/alerting/oncall"
)

func person(id string) oncall.Person {
	return oncall.Person{ID: id, Methods: []oncall.Method{{Type: oncall.MethodInbox}}}
}

func compile(t testing.TB, s oncall.ScheduleConfig) *oncall.Schedule {
	t.Helper()
	c := oncall.Config{Schedules: []oncall.ScheduleConfig{s}}
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		c.People = append(c.People, person(id))
	}
	d, err := oncall.New(c)
	require.NoError(t, err)
	got, ok := d.Schedule(s.ID)
	require.True(t, ok)
	return got
}

func ts(t testing.TB, text string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, text)
	require.NoError(t, err)
	return v
}

func TestHandoffStaysOnTheWallClock(t *testing.T) {
	s := compile(t, oncall.ScheduleConfig{ID: "s", TimeZone: "Europe/Berlin", Layers: []oncall.LayerConfig{
		{Start: "2026-03-27", Handoff: "02:30", Participants: []string{"a", "b", "c"}},
	}})
	for at, want := range map[string]string{
		"2026-03-27T02:29:59+01:00": "",
		"2026-03-27T02:30:00+01:00": "a",
		"2026-03-29T01:59:59+01:00": "b",
		"2026-03-29T03:00:00+02:00": "c", // 02:30 does not exist: handed over at the change
		"2026-03-30T02:29:59+02:00": "c",
		"2026-03-30T02:30:00+02:00": "a",
		"2026-10-25T02:29:59+02:00": "b", // shift 211
		"2026-10-25T02:30:00+02:00": "c",
		"2026-10-25T02:10:00+01:00": "c", // the second 02:10: stays handed over
		"2026-10-26T02:30:00+01:00": "a",
	} {
		var got string
		if p := s.OnCall(ts(t, at), nil); len(p) > 0 {
			got = p[0]
		}
		require.Equal(t, want, got, at)
	}
	shifts := s.Shifts(ts(t, "2026-10-24T12:00:00+02:00"), ts(t, "2026-10-26T12:00:00+01:00"), nil)
	require.Len(t, shifts, 3)
	require.True(t, shifts[1].Start.Equal(ts(t, "2026-10-25T02:30:00+02:00")))
	require.True(t, shifts[1].End.Equal(ts(t, "2026-10-26T02:30:00+01:00")))
}

func TestLayersOverridesAndGaps(t *testing.T) {
	s := compile(t, oncall.ScheduleConfig{ID: "s", Layers: []oncall.LayerConfig{
		{Name: "night", Participants: []string{"a"}, Restrictions: []oncall.RestrictionConfig{{From: "20:00", To: "06:00"}}},
		{Name: "friday", Participants: []string{"b"}, Restrictions: []oncall.RestrictionConfig{{Days: []string{"fri"}, From: "22:00", To: "23:00"}}},
	}})
	monday := ts(t, "2026-06-01T00:00:00Z")
	gaps := s.Gaps(monday, monday.Add(day), nil)
	require.Len(t, gaps, 1)
	require.Equal(t, 6, gaps[0].Start.Hour())
	require.Equal(t, 20, gaps[0].End.Hour())
	friday := ts(t, "2026-06-05T22:30:00Z")
	require.Equal(t, []string{"b"}, s.OnCall(friday, nil))

	swap := oncall.Override{ID: "1", Person: "c", Replaces: "a", Start: monday, End: monday.Add(7 * day), CreatedAt: monday}
	require.Equal(t, []string{"b"}, s.OnCall(friday, []oncall.Override{swap}), "a swap does not touch others' shifts")
	require.Equal(t, []string{"c"}, s.OnCall(friday.Add(time.Hour), []oncall.Override{swap}))
	require.Nil(t, s.OnCall(monday.Add(12*time.Hour), []oncall.Override{swap}))

	newer := oncall.Override{ID: "2", Person: "d", Start: monday, End: monday.Add(day), CreatedAt: monday.Add(1)}
	for _, list := range [][]oncall.Override{{swap, newer}, {newer, swap}} {
		require.Equal(t, []string{"d"}, s.OnCall(monday, list))
		require.Equal(t, []string{"c"}, s.OnCall(monday.Add(day), list), "an override ends before its end")
	}
	other := oncall.Override{Schedule: "other", Person: "e", Start: monday, End: monday.Add(day)}
	require.Equal(t, []string{"a"}, s.OnCall(monday, []oncall.Override{other}))

	shifts := s.Shifts(monday, monday.Add(2*day), []oncall.Override{newer})
	require.Equal(t, oncall.Source{Override: "2"}, shifts[0].Source)
	require.True(t, shifts[0].End.Equal(monday.Add(day)))
}

func TestValidateReportsEveryFault(t *testing.T) {
	c := oncall.Config{
		People: []oncall.Person{
			{ID: "a", TimeZone: "Mars/Base", Methods: []oncall.Method{{Type: "pigeon"}, {Type: "webhook", URL: "ftp://x"}}},
			{ID: "a"},
			{ID: "", Methods: []oncall.Method{{Type: "inbox"}, {Type: "inbox"}, {Type: "email", Address: "nobody"}, {Type: "telegram"}},
				Rules: []oncall.ContactRule{{Methods: []string{"fax"}, After: -1}, {}}},
		},
		Teams: []oncall.Team{{ID: "t"}, {ID: "u", Members: []string{"zoe"}}},
		Schedules: []oncall.ScheduleConfig{
			{ID: "empty"},
			{ID: "bad", TimeZone: "Local", Layers: []oncall.LayerConfig{{
				Rotation: "lunar", Every: -1, Handoff: "25:00", Start: "soon", HandoffDay: "mon", Participants: []string{"zoe"},
				Restrictions: []oncall.RestrictionConfig{{Days: []string{"someday"}, From: "9", To: "24:01"}},
			}, {Rotation: "hours", Every: 1 << 40, Start: "2026-01-02", End: "2026-01-01"}},
				Overrides: []oncall.OverrideConfig{{Person: "zoe", Replaces: "yan"}}},
		},
	}
	err := c.Validate()
	require.Error(t, err)
	for _, want := range []string{
		`people[0].time_zone: "Mars/Base" is not an IANA time zone`,
		`people[0].methods[0].type: "pigeon" is not one of`,
		`people[0].methods[1].url: an http or https URL`,
		`people[1].id: "a" is there twice`,
		`people[1].methods: a person needs at least one`,
		`people[2].id: is missing`,
		`people[2].methods[1]: a method named "inbox"`,
		`people[2].methods[2].address: "nobody"`,
		`people[2].methods[3].chat_id: is missing`,
		`people[2].rules[0].methods[0]: "fax"`,
		`people[2].rules[0].after: must not be negative`,
		`people[2].rules[1].methods: is empty`,
		`teams[0].members: is empty`,
		`teams[1].members[0]: unknown person "zoe"`,
		`schedules[0].layers: a schedule needs at least one layer`,
		`schedules[1].time_zone: "Local"`,
		`schedules[1].layers[0].rotation: "lunar"`,
		`schedules[1].layers[0].handoff: "25:00"`,
		`schedules[1].layers[0].start: "soon"`,
		`schedules[1].layers[0].handoff_day: only a weekly rotation`,
		`schedules[1].layers[0].participants[0]: unknown person "zoe"`,
		`schedules[1].layers[0].restrictions[0].days[0]: "someday"`,
		`schedules[1].layers[0].restrictions[0].from: "9"`,
		`schedules[1].layers[0].restrictions[0].to: "24:01"`,
		`schedules[1].layers[1].participants: is empty`,
		`schedules[1].layers[1].every: must be between`,
		`schedules[1].layers[1].end: must be after start`,
		`schedules[1].overrides[0].person: unknown person "zoe"`,
		`schedules[1].overrides[0].replaces: unknown person "yan"`,
		`schedules[1].overrides[0].to: must be after from`,
	} {
		require.ErrorContains(t, err, want)
	}
}

func FuzzExactlyOneOnCall(f *testing.F) {
	zones := append([]string{"UTC", "Pacific/Apia", "America/Sao_Paulo", "Antarctica/Troll"}, bruteZones...)
	f.Add(uint8(0), uint8(0), int16(1), uint16(0), uint8(3), int64(1e9), int64(86400))
	f.Add(uint8(4), uint8(1), int16(2), uint16(150), uint8(2), int64(5e8), int64(1e6))
	f.Fuzz(func(t *testing.T, zone, kind uint8, every int16, minute uint16, people uint8, after, length int64) {
		if every <= 0 || every > 366 {
			return
		}
		ids := []string{"a", "b", "c", "d", "e"}[:1+people%5]
		minute %= 24 * 60
		s := compile(t, oncall.ScheduleConfig{ID: "s", TimeZone: zones[int(zone)%len(zones)], Layers: []oncall.LayerConfig{{
			Rotation: []string{"daily", "weekly", "hours"}[kind%3], Every: int(every), Start: "2010-01-01",
			Handoff: fmt.Sprintf("%02d:%02d", minute/60, minute%60), Participants: ids,
		}}})
		start := ts(t, "2010-01-03T00:00:00Z").Add(time.Duration(uint64(after)%(20*366*86400)) * time.Second)
		end := start.Add(time.Duration(1+uint64(length)%(60*86400)) * time.Second)
		at := start
		for _, sh := range s.Shifts(start, end, nil) {
			require.True(t, sh.Start.Equal(at), "shifts have no holes")
			require.True(t, sh.End.After(sh.Start))
			for _, moment := range []time.Time{sh.Start, sh.End.Add(-1), sh.Start.Add(sh.End.Sub(sh.Start) / 2)} {
				require.Equal(t, []string{sh.Person}, s.OnCall(moment, nil), "%s", moment)
			}
			at = sh.End
		}
		require.True(t, at.Equal(end))
	})
}
