package api_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"belfry/alerting/incident"
)

// post sends a body with the routing key as a bearer token and without any
// Content-Type, as webhooks may.
func (f *fixture) post(path, body string) (int, string) {
	f.t.Helper()
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer routing-key-1")
	w := httptest.NewRecorder()
	f.api.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func (f *fixture) incidents() []incident.Incident {
	f.t.Helper()
	return get[page](f, "GET", prefix+"/incidents", "").Incidents
}

const amGroup = `{"version":"4","groupKey":"{}:{alertname=\"Disk\"}","status":"STATUS","receiver":"belfry","groupLabels":{"alertname":"Disk"},
	"commonLabels":{"alertname":"Disk","severity":"critical"},"commonAnnotations":{"summary":"90 % full"},"externalURL":"http://am",
	"alerts":[{"status":"STATUS","labels":{"alertname":"Disk","severity":"critical","instance":"a"},"annotations":{"summary":"90 % full"},
	"startsAt":"2026-06-01T09:00:00Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"http://prom/graph?g0.expr=x","fingerprint":"abc"}]}`

func TestAlertmanagersWebhook(t *testing.T) {
	f := newFixture(t)
	firing := strings.ReplaceAll(amGroup, "STATUS", "firing")
	for range 2 {
		code, text := f.post(prefix+"/page/alertmanager", firing)
		require.Equal(t, 200, code, text)
	}
	list := f.incidents()
	require.Len(t, list, 1, "a repetition is the same incident")
	require.Equal(t, "Disk", list[0].Title)
	require.Equal(t, "90 % full", list[0].Summary)
	require.Equal(t, "critical", list[0].Severity)
	require.Equal(t, "Disk", list[0].Rule)
	code, _ := f.post(prefix+"/page/alertmanager", strings.ReplaceAll(amGroup, "STATUS", "resolved"))
	require.Equal(t, 200, code)
	require.Equal(t, incident.Resolved, f.incidents()[0].Status)
	for body, want := range map[string]string{"[]": "not the JSON", `{"status":"odd","alerts":[{}]}`: "neither firing", `{"status":"firing"}`: "alerts: is empty"} {
		code, text := f.post(prefix+"/page/alertmanager", body)
		require.Equal(t, 400, code)
		require.Contains(t, text, want)
	}
}

func TestGrafanasWebhook(t *testing.T) {
	f := newFixture(t)
	code, text := f.post(prefix+"/page/grafana", `{"receiver":"belfry","status":"firing","title":"[FIRING:2]","groupKey":"g","commonLabels":{},
		"commonAnnotations":{},"groupLabels":{},"alerts":[
		{"status":"firing","labels":{"alertname":"A","severity":"warning"},"annotations":{},"startsAt":"2026-06-01T09:00:00Z","fingerprint":"1",
		"valueString":"[ var='B' value=7.2 ]","dashboardURL":"https://grafana.test/d/1"},
		{"status":"resolved","labels":{"alertname":"B","severity":"critical"},"annotations":{},"startsAt":"2026-06-01T09:00:00Z","fingerprint":"2"}]}`)
	require.Equal(t, 200, code, text)
	i := get[detail](f, "GET", prefix+"/incidents/1", "")
	require.Equal(t, "[FIRING:2]", i.Title)
	require.Equal(t, "critical", i.Severity)
	require.Equal(t, 1, i.AlertsFiring)
	require.Equal(t, "[ var='B' value=7.2 ]", i.Alerts[0].Annotations["value"])
	require.Equal(t, "https://grafana.test/d/1", i.Annotations["dashboard_url"])
}

func TestAnyJSONByAMapping(t *testing.T) {
	f := newFixture(t)
	body := `{"check":{"name":"ping","id":7},"state":"%","host":"db-1"}`
	code, text := f.post(prefix+"/page/json/pinger", strings.Replace(body, "%", "down", 1))
	require.Equal(t, 200, code, text)
	i := get[detail](f, "GET", prefix+"/incidents/1", "")
	require.Equal(t, "ping on db-1", i.Title)
	require.Equal(t, "db-1", i.Labels["host"])
	require.Equal(t, "critical", i.Severity)
	code, _ = f.post(prefix+"/page/json/pinger", strings.Replace(body, "%", "UP", 1))
	require.Equal(t, 200, code)
	require.Equal(t, incident.Resolved, f.incidents()[0].Status)
	code, text = f.post(prefix+"/page/json/pinger", `{"check":"not an object","host":"x"}`)
	require.Equal(t, 400, code)
	require.Contains(t, text, "does not fit the mapping")
	code, _ = f.post(prefix+"/page/json/unknown", `{}`)
	require.Equal(t, 404, code)
}

func TestWhoMayPage(t *testing.T) {
	f := newFixture(t)
	body := strings.ReplaceAll(amGroup, "STATUS", "firing")
	for _, c := range []struct {
		path, header, value string
		code                int
	}{
		{"", "", "", 401}, {"", "Authorization", "Bearer wrong-key-1", 403}, {"", "Authorization", "GenieKey routing-key-1", 200},
		{"?routing_key=routing-key-1", "", "", 200}, {"", "Authorization", "Basic YW06cm91dGluZy1rZXktMQ==", 200},
	} {
		var header []string
		if c.header != "" {
			header = []string{c.header, c.value}
		}
		code, text := f.do("POST", prefix+"/page/alertmanager"+c.path, body, header...)
		require.Equal(t, c.code, code, text)
	}
}

func TestOpsgenie(t *testing.T) {
	f := newFixture(t)
	code, text := f.post("/v2/alerts", `{"message":"Disk is full","alias":"disk/a b","description":"very","priority":"P1","tags":["x","y"],
		"details":{"host":"a"},"entity":"db","source":"nagios","note":"first","responders":[{"name":"ops","type":"team"}],"user":"zoe"}`)
	require.Equal(t, 202, code, text)
	var said struct {
		Result, RequestID string
		Took              float64
	}
	require.NoError(t, json.Unmarshal([]byte(text), &said))
	require.Equal(t, "Request will be processed", said.Result)
	require.NotEmpty(t, said.RequestID)
	_, _ = f.post("/v2/alerts", `{"message":"Disk is full","alias":"disk/a b","priority":"P1"}`)
	require.Len(t, f.incidents(), 1, "one for an alias")
	alert := func() map[string]any {
		r := httptest.NewRequest(http.MethodGet, "/v2/alerts/disk%2Fa%20b?identifierType=alias", nil)
		r.Header.Set("Authorization", "GenieKey routing-key-1")
		w := httptest.NewRecorder()
		f.api.ServeHTTP(w, r)
		require.Equal(t, 200, w.Code, w.Body)
		var out struct{ Data map[string]any }
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &out))
		return out.Data
	}
	got := alert()
	require.Equal(t, "P1", got["priority"])
	require.Equal(t, "open", got["status"])
	require.Equal(t, false, got["acknowledged"])
	act := func(what, body string) int {
		code, text := f.post("/v2/alerts/disk%2Fa%20b/"+what+"?identifierType=alias", body)
		require.Less(t, code, 300, text)
		return code
	}
	require.Equal(t, 202, act("acknowledge", `{"user":"zoe"}`))
	require.Equal(t, true, alert()["acknowledged"])
	require.Equal(t, 202, act("unacknowledge", `{}`))
	require.Equal(t, false, alert()["acknowledged"])
	require.Equal(t, 202, act("snooze", `{"endTime":"2026-06-01T12:00:00Z"}`))
	require.Equal(t, true, alert()["snoozed"])
	require.Equal(t, 202, act("notes", `{"note":"looking"}`))
	require.Equal(t, 202, act("close", `{"user":"zoe","note":"done"}`))
	require.Equal(t, "closed", alert()["status"])
	require.Equal(t, 202, act("close", ""), "twice is once")
	i := get[detail](f, "GET", prefix+"/incidents/1", "")
	require.Equal(t, "zoe", i.ResolvedBy)
	var notes []string
	for _, e := range i.Timeline {
		if e.Kind == incident.KindNote {
			notes = append(notes, e.Actor+": "+e.Message)
		}
	}
	require.Equal(t, []string{"zoe: first", "Opsgenie API: looking", "zoe: done"}, notes)

	for body, want := range map[string]string{
		`{}`: "message: is missing", `{"message":"a","priority":"P9"}`: "priority:", `{"message":"a","alias":"` + strings.Repeat("x", 600) + `"}`: "alias: is longer",
	} {
		code, text := f.post("/v2/alerts", body)
		require.Equal(t, 422, code)
		require.Contains(t, text, want)
		require.Contains(t, text, "requestId")
	}
	code, _ = f.post("/v2/alerts/nope/close?identifierType=alias", "{}")
	require.Equal(t, 404, code)
	code, _ = f.do("POST", "/v2/alerts", `{"message":"x"}`)
	require.Equal(t, 401, code)
}

func TestSeverityMergeAndManual(t *testing.T) {
	f := newFixture(t)
	first := f.trigger("a", "first")
	f.clock.now = f.clock.now.Add(time.Second)
	second := f.trigger("b", "second")
	i := get[incident.Incident](f, "POST", prefix+"/incidents/"+first+"/severity", `{"by":"ana","severity":"Warning"}`)
	require.Equal(t, "warning", i.Severity)
	i = get[incident.Incident](f, "POST", prefix+"/incidents/"+second+"/merge", `{"by":"ana","into":"1"}`)
	require.Equal(t, first, i.ID)
	require.Equal(t, "critical", i.Severity, "the more severe of the two")
	d := get[struct {
		detail
		Merged []incident.Incident
	}](f, "GET", prefix+"/incidents/1", "")
	require.Len(t, d.Merged, 1)
	require.Equal(t, second, d.Merged[0].ID)
	require.Len(t, d.Alerts, 2)
	merged := get[detail](f, "GET", prefix+"/incidents/2", "")
	require.Equal(t, first, merged.MergedInto)
	require.Equal(t, incident.Resolved, merged.Status)
	code, text := f.do("POST", prefix+"/incidents/1/merge", `{"into":"2"}`)
	require.Equal(t, 409, code, text)

	m := get[incident.Incident](f, "POST", prefix+"/incidents", `{"by":"ana","title":"Shop is  slow","policy":"default","summary":"customers call"}`)
	require.Equal(t, "Shop is slow", m.Title)
	require.Equal(t, incident.SourceManual, m.Source)
	require.Equal(t, incident.Triggered, m.Status)
	for _, body := range []string{`{"title":" ","policy":"default"}`, `{"title":"x","policy":"none"}`} {
		code, _ := f.do("POST", prefix+"/incidents", body)
		require.Equal(t, 400, code)
	}
	get[incident.Incident](f, "POST", prefix+"/incidents/3/notes", `{"by":"ana","text":"It is the Database again"}`)
	require.Len(t, get[page](f, "GET", prefix+"/incidents?q=datab+AGAIN", "").Incidents, 1, "notes are searched, by beginnings of words")
	require.Empty(t, get[page](f, "GET", prefix+"/incidents?q=atabase", "").Incidents)
}
