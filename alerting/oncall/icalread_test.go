package oncall_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"belfry/alerting/oncall"
	"belfry/internal/fault"
)

func named(text string) (string, bool) {
	for _, id := range []string{"ana", "bo"} {
		if strings.EqualFold(text, id) || strings.EqualFold(text, "mailto:"+id+"@example.com") {
			return id, true
		}
	}
	return "", false
}

func calendar(events ...string) string {
	return "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//EN\r\n" + strings.Join(events, "") + "END:VCALENDAR\r\n"
}

func event(lines ...string) string {
	return "BEGIN:VEVENT\r\nUID:u@test\r\nDTSTAMP:20260101T000000Z\r\n" + strings.Join(lines, "\r\n") + "\r\nEND:VEVENT\r\n"
}

func read(t *testing.T, text string) (out, skipped []string) {
	t.Helper()
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	shifts, skipped, err := oncall.ReadICal(strings.NewReader(text), berlin, ts(t, "2026-03-01T00:00:00Z"), ts(t, "2026-04-30T00:00:00Z"), named)
	require.NoError(t, err)
	for _, s := range shifts {
		out = append(out, s.Person+" "+s.Start.Format(time.RFC3339)+" "+s.End.Format(time.RFC3339))
	}
	return out, skipped
}

func TestCalendarsEvents(t *testing.T) {
	out, skipped := read(t, calendar(
		event("SUMMARY:Ana", "DTSTART:20260302T080000Z", "DTEND:20260302T180000Z"),
		event("SUMMARY:on duty", "ATTENDEE;CN=X:mailto:bo@example.com", "DTSTART;TZID=America/New_York:20260310T090000", "DURATION:PT2H"),
		event("SUMMARY:bo", "DTSTART;VALUE=DATE:20260401", "DTEND;VALUE=DATE:20260402"),
		event("SUMMARY:ana", "DTSTART:20260501T080000Z", "DTEND:20260501T180000Z"), // out of range
		event("SUMMARY:ana", "STATUS:CANCELLED", "DTSTART:20260303T080000Z", "DTEND:20260303T180000Z"),
		event("SUMMARY:Nobody we know", "DTSTART:20260303T080000Z", "DTEND:20260303T180000Z"),
		event("SUMMARY:ana", "DTSTART:20260303T080000Z", "DTEND:20260303T080000Z"),
	))
	require.Equal(t, []string{
		"ana 2026-03-02T08:00:00Z 2026-03-02T18:00:00Z",
		"bo 2026-03-10T13:00:00Z 2026-03-10T15:00:00Z",
		"bo 2026-03-31T22:00:00Z 2026-04-01T22:00:00Z", // a day of Berlin
	}, out)
	require.Len(t, skipped, 2)
	require.Contains(t, skipped[0], "names nobody")
	require.Contains(t, skipped[1], "does not end")
}

func TestCalendarsRepetitionsStayOnTheWallClock(t *testing.T) {
	weekly := []string{"SUMMARY:ana", "DTSTART;TZID=Europe/Berlin:20260313T090000", "DTEND;TZID=Europe/Berlin:20260313T170000",
		"RRULE:FREQ=WEEKLY;COUNT=4", "EXDATE;TZID=Europe/Berlin:20260320T090000"}
	moved := event("SUMMARY:bo", "RECURRENCE-ID;TZID=Europe/Berlin:20260403T090000", "DTSTART;TZID=Europe/Berlin:20260404T090000",
		"DTEND;TZID=Europe/Berlin:20260404T170000")
	out, skipped := read(t, calendar(event(weekly...), moved))
	require.Empty(t, skipped)
	require.Equal(t, []string{
		"ana 2026-03-13T08:00:00Z 2026-03-13T16:00:00Z",
		"ana 2026-03-27T08:00:00Z 2026-03-27T16:00:00Z",
		"bo 2026-04-04T07:00:00Z 2026-04-04T15:00:00Z", // after the change, and moved
	}, out)
}

func TestCalendarsAreBounded(t *testing.T) {
	_, skipped := read(t, calendar(event("SUMMARY:ana", "DTSTART:20260101T000000Z", "DTEND:20260101T000001Z", "RRULE:FREQ=SECONDLY")))
	require.Contains(t, strings.Join(skipped, ""), "repeats too often")
	for text, kind := range map[string]fault.Kind{
		"": fault.Invalid, "BEGIN:VCALENDAR\r\n": fault.Invalid, strings.Repeat("x", 5<<20): fault.TooLarge,
		strings.Repeat("BEGIN:VEVENT\r\n", 30_000): fault.TooLarge,
	} {
		_, _, err := oncall.ReadICal(strings.NewReader(text), time.UTC, time.Unix(0, 0), time.Unix(1, 0), named)
		require.Equal(t, kind, fault.KindOf(err), "%.20q", text)
	}
}

// What Belfry writes, Belfry reads: exporting one schedule and importing it is the
// same people at the same times.
func TestCalendarsGoRound(t *testing.T) {
	s := compile(t, oncall.ScheduleConfig{ID: "s", Name: "Primary; first, \\ line", TimeZone: "Europe/Berlin", Layers: []oncall.LayerConfig{
		{Rotation: "daily", Handoff: "09:00", Participants: []string{"a", "b", "c"}}}})
	from, to := ts(t, "2026-03-20T00:00:00Z"), ts(t, "2026-04-05T00:00:00Z")
	shifts := s.Shifts(from, to, nil)
	var b bytes.Buffer
	require.NoError(t, s.WriteICal(&b, shifts, strings.ToUpper, from))
	back, skipped, err := oncall.ReadICal(&b, time.UTC, from, to, func(text string) (string, bool) {
		name, _, ok := strings.Cut(text, " on call: Primary; first, \\ line")
		return strings.ToLower(name), ok
	})
	require.NoError(t, err)
	require.Empty(t, skipped)
	require.Len(t, back, len(shifts))
	for n, sh := range shifts {
		require.Equal(t, sh.Person, back[n].Person)
		require.True(t, sh.Start.Equal(back[n].Start))
		require.True(t, sh.End.Equal(back[n].End))
	}
}

func FuzzReadICal(f *testing.F) {
	f.Add(calendar(event("SUMMARY:ana", "DTSTART:20260302T080000Z", "DTEND:20260302T180000Z", "RRULE:FREQ=DAILY;BYHOUR=1,2")))
	f.Add(calendar(event("SUMMARY:ana", "DTSTART;TZID=Mars:20260302T080000", "DURATION:-P1W")))
	f.Fuzz(func(t *testing.T, text string) {
		from, to := time.Unix(1_770_000_000, 0), time.Unix(1_780_000_000, 0)
		shifts, _, err := oncall.ReadICal(strings.NewReader(text), time.UTC, from, to, func(string) (string, bool) { return "a", true })
		if err != nil {
			return
		}
		for _, s := range shifts {
			require.True(t, s.End.After(s.Start) && s.End.After(from) && s.Start.Before(to))
		}
	})
}
