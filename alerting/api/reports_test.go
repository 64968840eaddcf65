package api_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"belfry/alerting/incident"
)

func TestAnalytics(t *testing.T) {
	f := newFixture(t)
	start := f.clock.now
	var ids []string
	for n, took := range []time.Duration{time.Minute, 2 * time.Minute, 9 * time.Minute} {
		f.clock.now = start.Add(time.Duration(n) * time.Hour)
		id := f.trigger("a", "again")
		ids = append(ids, id)
		f.clock.now = f.clock.now.Add(took)
		get[incident.Incident](f, "POST", prefix+"/incidents/"+id+"/acknowledge", `{"by":"ana"}`)
		f.clock.now = f.clock.now.Add(took)
		get[incident.Incident](f, "POST", prefix+"/incidents/"+id+"/resolve", `{"by":"ana"}`)
	}
	for range 6 { // one that comes and goes, and nobody looks
		f.clock.now = f.clock.now.Add(time.Minute)
		id := f.trigger("flap", "flaps")
		f.clock.now = f.clock.now.Add(10 * time.Second)
		code, _ := f.do("POST", "/v2/enqueue", `{"routing_key":"routing-key-1","event_action":"resolve","dedup_key":"flap"}`)
		require.Equal(t, 202, code)
		_ = id
	}
	a := get[incident.Analytics](f, "GET", prefix+"/analytics", "")
	require.EqualValues(t, 9, a.Incidents)
	require.EqualValues(t, 3, a.Acknowledged)
	require.EqualValues(t, 9, a.Resolved)
	require.Equal(t, incident.Durations{Count: 3, Mean: 240, Median: 120, P90: 540, Max: 540}, a.TimeToAcknowledge)
	require.EqualValues(t, 9, a.Pages)
	require.Equal(t, []incident.RecipientPages{{Person: "ana", Pages: 9, Incidents: 9}}, a.People)
	require.Len(t, a.Rules, 2)
	require.Equal(t, "flaps", a.Rules[0].Rule)
	require.EqualValues(t, 6, a.Rules[0].Pages)
	require.Len(t, a.Flapping, 1)
	require.Equal(t, "flaps", a.Flapping[0].Rule)
	require.Len(t, get[page](f, "GET", prefix+"/incidents?rule=again", "").Incidents, 3)
	none := get[incident.Analytics](f, "GET", prefix+"/analytics?from=2020-01-01T00:00:00Z&to=2020-02-01T00:00:00Z", "")
	require.Zero(t, none.Incidents+none.Pages)
	code, _ := f.do("GET", prefix+"/analytics?from=2020-01-01T00:00:00Z", "")
	require.Equal(t, 400, code)

	code, text := f.do("GET", prefix+"/incidents/"+ids[0]+"/postmortem.md", "")
	require.Equal(t, 200, code)
	for _, want := range []string{"# Postmortem: #1 again\n", "| Resolved | 2026-06-01 10:02:00 UTC, after 2m0s, by ANA |", "## Action items",
		"| 2026-06-01 10:01:00 | acknowledged | ANA | acknowledged by ana |", "https://belfry.test/incidents/" + ids[0]} {
		require.Contains(t, text, want)
	}
	evil := f.trigger("e", "<img src=x> | [a](b) `c` #1 *d*")
	_, text = f.do("GET", prefix+"/incidents/"+evil+"/postmortem.md", "")
	require.Contains(t, text, "# Postmortem: #10 &lt;img src=x> | \\[a\\](b) \\`c\\` \\#1 \\*d\\*\n")
}

func TestSwapsAndCoverage(t *testing.T) {
	f := newFixture(t)
	type swap struct {
		ID, Status string
		Person     struct{ ID, Name string }
		TakenBy    *struct{ ID string } `json:"taken_by"`
	}
	s := get[swap](f, "POST", prefix+"/schedules/primary/swaps", `{"person":"ana","start":"2026-06-02T00:00:00Z","end":"2026-06-03T00:00:00Z"}`)
	require.Equal(t, "open", s.Status)
	require.Len(t, get[struct{ Swaps []swap }](f, "GET", prefix+"/schedules/primary/swaps", "").Swaps, 1)
	s = get[swap](f, "POST", prefix+"/schedules/primary/swaps/"+s.ID+"/take", `{"person":"bo"}`)
	require.Equal(t, "bo", s.TakenBy.ID)
	code, _ := f.do("DELETE", prefix+"/schedules/primary/swaps/"+s.ID, "")
	require.Equal(t, 409, code)
	code, _ = f.do("GET", prefix+"/schedules/none/swaps", "")
	require.Equal(t, 404, code)
	type coverage struct {
		Schedules []struct {
			ID      string
			Gaps    []any
			Seconds float64 `json:"gap_seconds"`
		}
	}
	c := get[coverage](f, "GET", prefix+"/coverage?from=2023-12-31T00:00:00Z&to=2024-01-02T00:00:00Z", "")
	require.Len(t, c.Schedules[0].Gaps, 1, "before the rotation began")
	require.InDelta(t, 32*3600, c.Schedules[0].Seconds, 0)
	require.Empty(t, get[coverage](f, "GET", prefix+"/coverage", "").Schedules[0].Gaps)
}

func TestCalendarsInAndOut(t *testing.T) {
	f := newFixture(t)
	put := func(kind, body string) (int, string) {
		r := httptest.NewRequest(http.MethodPost, prefix+"/schedules/primary/import?calendar=team", strings.NewReader(body))
		r.Header.Set("Content-Type", kind)
		w := httptest.NewRecorder()
		f.api.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	ics := "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:20260601T000000Z\r\nSUMMARY:BO\r\n" +
		"DTSTART:20260602T000000Z\r\nDTEND:20260603T000000Z\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nUID:2\r\nDTSTAMP:20260601T000000Z\r\nSUMMARY:Zoe\r\n" +
		"DTSTART:20260602T000000Z\r\nDTEND:20260603T000000Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
	code, text := put("text/calendar", ics)
	require.Equal(t, 200, code)
	require.JSONEq(t, `{"imported":1,"skipped":["\"Zoe\": it names nobody who is known"]}`, text)
	code, text = f.do("GET", prefix+"/people/bo/calendar.ics", "")
	require.Equal(t, 200, code)
	require.Contains(t, text, "DTSTART:20260602T000000Z\r\nDTEND:20260603T000000Z\r\nSUMMARY:BO on call")
	require.NotContains(t, text, "ANA on call")
	code, _ = put("application/x-www-form-urlencoded", ics)
	require.Equal(t, 400, code, "no page of another site can post it")
	code, _ = put("text/plain", "nonsense")
	require.Equal(t, 400, code)
	code, _ = f.do("GET", prefix+"/people/zoe/calendar.ics", "")
	require.Equal(t, 404, code)
}
