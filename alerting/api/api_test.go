package api_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"belfry/alerting/api"
	"belfry/alerting/escalation"
	"belfry/alerting/incident"
	"belfry/alerting/notify"
	"belfry/alerting/oncall"
	"belfry/internal/config"
	"belfry/internal/state/statetest"
	"belfry/internal/tenant"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type stoppedClock struct{ now time.Time }

func (c *stoppedClock) Now() time.Time                       { return c.now }
func (c *stoppedClock) After(time.Duration) <-chan time.Time { return nil }

type fixture struct {
	t      *testing.T
	clock  *stoppedClock
	engine *escalation.Engine
	api    http.Handler
}

func newFixture(t *testing.T) *fixture {
	s := escalation.Settings{Notify: notify.DefaultConfig(), Escalation: escalation.DefaultConfig()}
	for _, id := range []string{"ana", "bo"} {
		s.OnCall.People = append(s.OnCall.People, oncall.Person{ID: id, Name: strings.ToUpper(id), Methods: []oncall.Method{{Type: "inbox"}}})
	}
	s.OnCall.Teams = []oncall.Team{{ID: "shop", Members: []string{"ana", "bo"}}}
	s.OnCall.Schedules = []oncall.ScheduleConfig{{ID: "primary", Name: "Primary; first", TimeZone: "Europe/Berlin",
		Layers: []oncall.LayerConfig{{Rotation: "weekly", Handoff: "09:00", Participants: []string{"ana", "bo"}}}}}
	s.Escalation.Policies = []escalation.PolicyConfig{{Name: "default", Receivers: []string{"oncall"},
		RoutingKeys: []config.Secret{"routing-key-1"}, Steps: []escalation.StepConfig{{Schedules: []string{"primary"}}, {People: []string{"bo"}}}}}
	s.Escalation.Heartbeats = []escalation.Heartbeat{{ID: "backup", Policy: "default", Interval: 60e9}}
	s.Escalation.Mappings = []escalation.MappingConfig{{Name: "pinger", Title: "{{ .check.name }} on {{ .host }}", DedupKey: "{{ .host }}/{{ .check.id }}",
		Status: "{{ .state }}", Resolved: []string{"up"}, Labels: map[string]string{"host": "{{ .host }}"}}}
	f := &fixture{t: t, clock: &stoppedClock{time.Date(2026, 6, 1, 10, 0, 0, 0, time.UTC)}}
	var err error
	f.engine, err = escalation.New(t.Context(), escalation.Options{DB: statetest.SQLite(t).Open(), Settings: s, Clock: f.clock, ExternalURL: "https://belfry.test"})
	require.NoError(t, err)
	f.api = tenant.Middleware(api.New(api.Options{Engine: f.engine}))
	return f
}

func (f *fixture) do(method, path, body string, header ...string) (int, string) {
	f.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	f.api.ServeHTTP(w, r)
	out, err := io.ReadAll(w.Body)
	require.NoError(f.t, err)
	return w.Code, string(out)
}

// get decodes the answer to a request that must succeed.
func get[T any](f *fixture, method, path, body string) T {
	f.t.Helper()
	code, text := f.do(method, path, body)
	require.Less(f.t, code, 300, text)
	var v T
	require.NoError(f.t, json.Unmarshal([]byte(text), &v), text)
	return v
}

const prefix = api.Prefix

func (f *fixture) trigger(dedup, summary string) string {
	f.t.Helper()
	code, text := f.do("POST", "/v2/enqueue", `{"routing_key":"routing-key-1","event_action":"trigger","dedup_key":"`+dedup+`",
		"payload":{"summary":"`+summary+`","source":"shop-1","severity":"critical","custom_details":{"a":[1]}},"client":"nagios"}`)
	require.Equal(f.t, 202, code, text)
	_, err := f.engine.Tick(f.t.Context())
	require.NoError(f.t, err)
	page := get[page](f, "GET", prefix+"/incidents?limit=1", "")
	require.NotEmpty(f.t, page.Incidents)
	return page.Incidents[0].ID
}

type page struct {
	Incidents  []incident.Incident
	NextCursor string `json:"next_cursor"`
}

type detail struct {
	incident.Incident
	Alerts   []incident.Alert
	Timeline []incident.Event
}

func TestEventToAcknowledgedIncident(t *testing.T) {
	f := newFixture(t)
	id := f.trigger("disk", "Disk is full")
	d := get[detail](f, "GET", prefix+"/incidents/"+id, "")
	require.Equal(t, "Disk is full", d.Title)
	require.Equal(t, incident.Triggered, d.Status)
	require.Len(t, d.Alerts, 1)
	require.JSONEq(t, `{"a":[1]}`, d.Alerts[0].Annotations["custom_details"])
	require.Equal(t, incident.KindDelivered, d.Timeline[len(d.Timeline)-1].Kind)
	require.Equal(t, id, get[detail](f, "GET", prefix+"/incidents/1", "").ID, "by number")

	inbox := get[struct{ Messages []notify.Received }](f, "GET", prefix+"/inbox?recipient=ana", "")
	require.Len(t, inbox.Messages, 1)
	require.Equal(t, "[CRITICAL] #1 Disk is full", inbox.Messages[0].Title)

	after := get[incident.Incident](f, "POST", prefix+"/incidents/"+id+"/acknowledge", `{"by":"ana"}`)
	require.Equal(t, incident.Acknowledged, after.Status)
	require.Equal(t, []string{"ana"}, after.Assignees)
	after = get[incident.Incident](f, "POST", prefix+"/incidents/"+id+"/notes", `{"by":"ana","text":"cleaning up"}`)
	require.Equal(t, incident.Acknowledged, after.Status)
	after = get[incident.Incident](f, "POST", prefix+"/incidents/"+id+"/snooze", `{"by":"ana","duration":"30m"}`)
	require.Equal(t, f.clock.now.Add(30*time.Minute), after.SnoozedUntil)
	after = get[incident.Incident](f, "POST", prefix+"/incidents/"+id+"/unacknowledge", `{}`)
	require.Equal(t, incident.Triggered, after.Status)
	after = get[incident.Incident](f, "POST", prefix+"/incidents/"+id+"/reassign", `{"people":["bo"]}`)
	require.Equal(t, []string{"bo"}, after.Assignees)
	after = get[incident.Incident](f, "POST", prefix+"/incidents/"+id+"/resolve", `{}`)
	require.Equal(t, incident.Resolved, after.Status)

	more := get[struct {
		Timeline []incident.Event
		Next     int64 `json:"timeline_next"`
	}](f, "GET", prefix+"/incidents/"+id+"/timeline?after=2&limit=3", "")
	require.Len(t, more.Timeline, 3)
	require.EqualValues(t, 3, more.Timeline[0].Seq)
	require.EqualValues(t, 5, more.Next)

	code, text := f.do("POST", prefix+"/incidents/"+id+"/acknowledge", `{}`)
	require.Equal(t, 409, code)
	require.JSONEq(t, `{"error":"the incident is resolved","code":"conflict"}`, text)
}

func TestEventsAreDeduplicatedAcknowledgedAndResolved(t *testing.T) {
	f := newFixture(t)
	id := f.trigger("a", "first")
	require.Equal(t, id, f.trigger("a", "first again"), "one incident for one dedup key")
	send := func(action, dedup string) {
		code, text := f.do("POST", "/v2/enqueue", `{"routing_key":"routing-key-1","event_action":"`+action+`","dedup_key":"`+dedup+`"}`)
		require.Equal(t, 202, code, text)
	}
	send("acknowledge", "unknown")
	send("resolve", "unknown")
	send("acknowledge", "a")
	require.Equal(t, incident.Acknowledged, get[detail](f, "GET", prefix+"/incidents/"+id, "").Status)
	send("resolve", "a")
	d := get[detail](f, "GET", prefix+"/incidents/"+id, "")
	require.Equal(t, incident.Resolved, d.Status)
	require.Equal(t, incident.AlertResolved, d.Alerts[0].Status)
	send("acknowledge", "a")
	f.clock.now = f.clock.now.Add(time.Second)
	require.NotEqual(t, id, f.trigger("a", "again"))

	code, text := f.do("POST", "/v2/enqueue", `{"routing_key":"routing-key-1","event_action":"trigger","payload":{"summary":"x","source":"y","severity":"info"}}`)
	require.Equal(t, 202, code)
	require.Regexp(t, `"dedup_key":"[0-9A-Z]{26}"`, text)
}

func TestBadEvents(t *testing.T) {
	f := newFixture(t)
	for body, want := range map[string]string{
		`{`:  "not the JSON",
		`{}`: "'routing_key' is missing",
		`{"routing_key":"nobody-knows","event_action":"resolve","dedup_key":"x"}`:                                                                "'routing_key' is not known",
		`{"routing_key":"routing-key-1","event_action":"explode"}`:                                                                               "'event_action' is not one of",
		`{"routing_key":"routing-key-1","event_action":"resolve"}`:                                                                               "'dedup_key' is missing",
		`{"routing_key":"routing-key-1","event_action":"trigger"}`:                                                                               "'payload' is missing",
		`{"routing_key":"routing-key-1","event_action":"trigger","payload":{"summary":" ","source":"","severity":"bad"}}`:                        "'payload.severity' is not one of",
		`{"routing_key":"routing-key-1","event_action":"resolve","dedup_key":"` + strings.Repeat("x", 256) + `"}`:                                "longer than 255",
		`{"routing_key":"` + strings.Repeat("x", 600<<10) + `"}`:                                                                                 "over 524288 bytes",
		`{"routing_key":"routing-key-1","event_action":"trigger","payload":{"summary":"a","source":"b","severity":"info"}} {"second": "object"}`: "more than one",
	} {
		code, text := f.do("POST", "/v2/enqueue", body)
		require.Contains(t, []int{400, 413}, code, text)
		require.Contains(t, text, want)
		require.Contains(t, text, `"status":"invalid event"`)
	}
	require.Empty(t, get[page](f, "GET", prefix+"/incidents", "").Incidents)
}

func TestSearchAndPaging(t *testing.T) {
	f := newFixture(t)
	for _, name := range []string{"Disk full 100%", "Disk slow", "CPU hot"} {
		f.clock.now = f.clock.now.Add(time.Second)
		f.trigger(name, name)
	}
	titles := func(query string) (out []string) {
		for _, i := range get[page](f, "GET", prefix+"/incidents?"+query, "").Incidents {
			out = append(out, i.Title)
		}
		return out
	}
	require.Equal(t, []string{"CPU hot", "Disk slow", "Disk full 100%"}, titles(""))
	require.Equal(t, []string{"Disk slow", "Disk full 100%"}, titles("q=disk+SHOP-1"))
	require.Equal(t, []string{"Disk full 100%"}, titles("q=100%25"))
	require.Empty(t, titles("status=resolved"))
	require.Len(t, titles("status=open&severity=critical,info&policy=default"), 3)
	require.Len(t, titles("from="+url.QueryEscape(f.clock.now.Format(time.RFC3339))), 1)
	first := get[page](f, "GET", prefix+"/incidents?limit=2", "")
	require.Len(t, first.Incidents, 2)
	second := get[page](f, "GET", prefix+"/incidents?limit=2&cursor="+first.NextCursor, "")
	require.Len(t, second.Incidents, 1)
	require.Empty(t, second.NextCursor)
}

func TestTenantsDoNotSeeEachOther(t *testing.T) {
	f := newFixture(t)
	id := f.trigger("a", "ours")
	code, _ := f.do("GET", prefix+"/incidents/"+id, "", tenant.Header, "other")
	require.Equal(t, 404, code)
	code, text := f.do("GET", prefix+"/inbox", "", tenant.Header, "other")
	require.Equal(t, 200, code)
	require.JSONEq(t, `{"messages":[]}`, text)
}

func TestOnCallAndOverrides(t *testing.T) {
	f := newFixture(t)
	type now struct {
		Schedules []struct {
			People []struct{ ID, Name string }
			Until  time.Time
		}
	}
	who := func() string {
		return get[now](f, "GET", prefix+"/oncall", "").Schedules[0].People[0].Name
	}
	require.Equal(t, "ANA", who())
	require.Equal(t, time.Date(2026, 6, 8, 7, 0, 0, 0, time.UTC), get[now](f, "GET", prefix+"/oncall", "").Schedules[0].Until)
	o := get[struct{ ID string }](f, "POST", prefix+"/schedules/primary/overrides",
		`{"by":"ana","person":"bo","start":"2026-06-01T09:30:00Z","end":"2026-06-02T00:00:00Z","reason":"dentist"}`)
	require.Equal(t, "BO", who())
	require.Contains(t, get[map[string]any](f, "GET", prefix+"/schedules/primary/overrides", ""), "overrides")
	shifts := get[struct {
		Shifts []struct{ Person *struct{ ID string } }
		Gaps   int
	}](f, "GET", prefix+"/schedules/primary/shifts?from=1780221600&to=2026-06-15T00:00:00Z", "")
	require.Len(t, shifts.Shifts, 5)
	require.Zero(t, shifts.Gaps)
	code, ics := f.do("GET", prefix+"/schedules/primary/calendar.ics", "")
	require.Equal(t, 200, code)
	require.Contains(t, ics, "X-WR-CALNAME:Primary\\; first\r\n")
	require.Contains(t, ics, "DTSTART:20260601T093000Z\r\nDTEND:20260602T000000Z\r\nSUMMARY:BO on call: Primary\\; first\r\n")
	get[struct{}](f, "DELETE", prefix+"/schedules/primary/overrides/"+o.ID, "")
	require.Equal(t, "ANA", who())
	code, _ = f.do("DELETE", prefix+"/schedules/primary/overrides/"+o.ID, "")
	require.Equal(t, 404, code)
}

func TestReadOnlyLists(t *testing.T) {
	f := newFixture(t)
	_, people := f.do("GET", prefix+"/people", "")
	require.JSONEq(t, `{"people":[{"id":"ana","name":"ANA","methods":[{"name":"inbox","type":"inbox"}],"rules":[]},
		{"id":"bo","name":"BO","methods":[{"name":"inbox","type":"inbox"}],"rules":[]}]}`, people)
	_, policies := f.do("GET", prefix+"/policies", "")
	require.JSONEq(t, `{"channels":[],"policies":[{"name":"default","receivers":["oncall"],"repeat":2,
		"steps":[{"schedules":["primary"],"wait":"5m0s"},{"people":["bo"],"wait":"5m0s"}]}]}`, policies)
	_, teams := f.do("GET", prefix+"/teams", "")
	require.Contains(t, teams, `"members":[{"id":"ana","name":"ANA"}`)
	_, schedules := f.do("GET", prefix+"/schedules", "")
	require.Contains(t, schedules, `"shift_length":"168h0m0s"`)
}

func TestAcknowledgeLinkAsksFirst(t *testing.T) {
	f := newFixture(t)
	id := f.trigger("a", "<script>alert(1)</script>")
	messages := get[struct{ Messages []notify.Received }](f, "GET", prefix+"/inbox", "").Messages
	link, err := url.Parse(messages[0].Links["acknowledge"])
	require.NoError(t, err)
	require.Equal(t, "belfry.test", link.Host)
	status := func() incident.Status { return get[detail](f, "GET", prefix+"/incidents/"+id, "").Status }

	code, html := f.do("GET", link.Path, "")
	require.Equal(t, 200, code)
	require.Contains(t, html, "Acknowledge as ana")
	require.NotContains(t, html, "<script>")
	require.Equal(t, incident.Triggered, status(), "looking is not acknowledging")

	code, html = f.do("POST", link.Path, "")
	require.Equal(t, 200, code)
	require.Contains(t, html, "Acknowledged")
	require.Equal(t, incident.Acknowledged, status())
	code, html = f.do("POST", link.Path, "")
	require.Equal(t, 200, code)
	require.Contains(t, html, "is acknowledged", "twice is once")
	code, text := f.do("GET", link.Path, "", "Accept", "application/json")
	require.Equal(t, 200, code)
	require.Contains(t, text, `"acknowledged_by":"ana"`)

	for _, bad := range []string{link.Path + "x", link.Path[:len(link.Path)-1], prefix + "/ack/a.b", prefix + "/ack/" + strings.Repeat("z", 100)} {
		code, html = f.do("POST", bad, "")
		require.Equal(t, 403, code, bad)
		require.Contains(t, html, "This link is not valid.")
	}
	f.clock.now = f.clock.now.Add(25 * time.Hour)
	code, html = f.do("GET", link.Path, "")
	require.Equal(t, 403, code)
	require.Contains(t, html, "This link has expired.")
}

func TestASummaryIsAcknowledgedAtOnce(t *testing.T) {
	f := newFixture(t)
	const alone, together = 10, 4
	var ids []string
	for i := range alone + together {
		f.clock.now = f.clock.now.Add(time.Millisecond) // so that the newest is known
		ids = append(ids, f.trigger(strconv.Itoa(i), "x"))
	}
	f.clock.now = f.clock.now.Add(time.Minute)
	_, err := f.engine.Tick(t.Context())
	require.NoError(t, err)
	summary := get[struct{ Messages []notify.Received }](f, "GET", prefix+"/inbox", "").Messages[0]
	require.Equal(t, notify.KindSummary, summary.Kind)
	require.Equal(t, "critical", summary.Severity)
	require.Equal(t, "https://belfry.test/incidents", summary.Links["incident"])
	link, err := url.Parse(summary.Links["acknowledge"])
	require.NoError(t, err)
	taken := func() (out []string) {
		for _, id := range ids {
			if get[detail](f, "GET", prefix+"/incidents/"+id, "").Status == incident.Acknowledged {
				out = append(out, id)
			}
		}
		return out
	}

	get[detail](f, "POST", prefix+"/incidents/"+ids[alone]+"/acknowledge", `{"by":"bo"}`)
	code, html := f.do("GET", link.Path, "")
	require.Equal(t, 200, code)
	require.Contains(t, html, "Acknowledge 3 incidents?")
	require.Contains(t, html, "Acknowledge as ana")
	require.Len(t, taken(), 1, "looking is not acknowledging")
	code, html = f.do("POST", link.Path, "")
	require.Equal(t, 200, code)
	require.Contains(t, html, "Acknowledged 3 incidents")
	require.Equal(t, ids[alone:], taken(), "those of the summary, and no others")
	require.Equal(t, "bo", get[detail](f, "GET", prefix+"/incidents/"+ids[alone], "").AcknowledgedBy, "who took one keeps it")
	code, html = f.do("GET", link.Path, "")
	require.Equal(t, 200, code)
	require.Contains(t, html, "Nothing is left to acknowledge")
	require.NotContains(t, html, "<form")
	code, text := f.do("POST", link.Path, "", "Accept", "application/json")
	require.Equal(t, 200, code)
	require.JSONEq(t, `{"incidents":0}`, text)
}

func TestInboxIsReadOnce(t *testing.T) {
	f := newFixture(t)
	f.trigger("a", "x")
	type box struct{ Messages []notify.Received }
	m := get[box](f, "GET", prefix+"/inbox?unread=true", "").Messages
	require.Len(t, m, 1)
	get[struct{}](f, "POST", prefix+"/inbox/"+m[0].ID+"/read", `{}`)
	require.Empty(t, get[box](f, "GET", prefix+"/inbox?unread=true", "").Messages)
	code, _ := f.do("POST", prefix+"/inbox/nope/read", `{}`)
	require.Equal(t, 404, code)
}

func TestHeartbeat(t *testing.T) {
	f := newFixture(t)
	_, text := f.do("GET", prefix+"/heartbeats", "")
	require.JSONEq(t, `{"heartbeats":[{"id":"backup","policy":"default","status":"new"}]}`, text)
	code, _ := f.do("POST", prefix+"/heartbeat/backup", "")
	require.Equal(t, 200, code)
	code, _ = f.do("GET", prefix+"/heartbeat/unknown", "")
	require.Equal(t, 404, code)
	_, text = f.do("GET", prefix+"/heartbeats", "")
	require.Contains(t, text, `"alive"`)
}

func TestBadRequests(t *testing.T) {
	f := newFixture(t)
	id := f.trigger("a", "x")
	for _, c := range []struct {
		method, path, body string
		code               int
		want               string
	}{
		{"GET", prefix + "/incidents?status=lost", "", 400, "is not one of"},
		{"GET", prefix + "/incidents?limit=0", "", 400, "positive"},
		{"GET", prefix + "/incidents?limit=501", "", 400, "between"},
		{"GET", prefix + "/incidents?from=yesterday", "", 400, "not a time"},
		{"GET", prefix + "/incidents/99", "", 404, "no incident number 99"},
		{"GET", prefix + "/incidents/nope", "", 404, "no incident"},
		{"GET", prefix + "/nothing", "", 404, "nothing at"},
		{"PUT", prefix + "/incidents", "{}", 405, "not allowed"},
		{"POST", prefix + "/incidents/" + id + "/acknowledge", `{"who":"me"}`, 400, "unknown field"},
		{"POST", prefix + "/incidents/" + id + "/acknowledge", "", 400, "Content-Type"},
		{"POST", prefix + "/incidents/" + id + "/snooze", `{}`, 400, "either until or duration"},
		{"POST", prefix + "/incidents/" + id + "/snooze", `{"duration":"-1h"}`, 400, "positive duration"},
		{"POST", prefix + "/incidents/" + id + "/snooze", `{"duration":"9000h"}`, 400, "at most"},
		{"POST", prefix + "/incidents/" + id + "/snooze", `{"until":"2020-01-01T00:00:00Z"}`, 400, "in the future"},
		{"POST", prefix + "/incidents/" + id + "/reassign", `{"people":["zoe"]}`, 400, "no person"},
		{"POST", prefix + "/incidents/" + id + "/reassign", `{}`, 400, "one of the two"},
		{"POST", prefix + "/incidents/" + id + "/notes", `{"text":" "}`, 400, "a note has"},
		{"GET", prefix + "/schedules/none/shifts", "", 404, "no schedule"},
		{"GET", prefix + "/schedules/primary/shifts?to=2099-01-01T00:00:00Z", "", 400, "at most 400 days"},
		{"POST", prefix + "/schedules/primary/overrides", `{"person":"zoe","start":"2026-06-01T00:00:00Z","end":"2026-06-02T00:00:00Z"}`, 400, "no person"},
		{"POST", prefix + "/schedules/primary/overrides", `{"person":"bo","start":"2026-06-02T00:00:00Z","end":"2026-06-02T00:00:00Z"}`, 400, "end after"},
	} {
		code, text := f.do(c.method, c.path, c.body)
		require.Equal(t, c.code, code, "%s %s: %s", c.method, c.path, text)
		var e struct{ Error, Code string }
		require.NoError(t, json.Unmarshal([]byte(text), &e), text)
		require.Contains(t, e.Error, c.want)
		require.NotEmpty(t, e.Code)
	}
}

func TestOpenAPICoversTheRoutes(t *testing.T) {
	f := newFixture(t)
	var doc struct {
		Paths      map[string]map[string]struct{ OperationID string }
		Components struct{ Schemas map[string]any }
	}
	code, text := f.do("GET", prefix+"/openapi.json", "")
	require.Equal(t, 200, code)
	require.NoError(t, json.Unmarshal([]byte(text), &doc))
	routes, documented := map[string]bool{}, map[string]bool{}
	for _, r := range api.New(api.Options{Engine: f.engine}).Routes() {
		routes[r.Method+" "+r.Pattern] = true
	}
	for p, methods := range doc.Paths {
		for m, op := range methods {
			documented[strings.ToUpper(m)+" "+p] = true
			require.NotEmpty(t, op.OperationID)
		}
	}
	require.Equal(t, routes, documented)
	for _, part := range strings.Split(text, `"#/components/schemas/`)[1:] {
		name, _, _ := strings.Cut(part, `"`)
		require.Contains(t, doc.Components.Schemas, name)
	}
}
