package router

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-openapi/strfmt"
	"github.com/prometheus/alertmanager/api/v2/client"
	"github.com/prometheus/alertmanager/api/v2/client/alert"
	"github.com/prometheus/alertmanager/api/v2/client/alertgroup"
	"github.com/prometheus/alertmanager/api/v2/client/general"
	"github.com/prometheus/alertmanager/api/v2/client/receiver"
	"github.com/prometheus/alertmanager/api/v2/client/silence"
	"github.com/prometheus/alertmanager/api/v2/models"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
)

// served is a router behind a real port, mounted as the application mounts it,
// and Alertmanager's own client of it.
type served struct {
	*rig
	server *httptest.Server
	client *client.AlertmanagerAPI
}

func serve(t *testing.T, config string) *served {
	t.Helper()
	s := &served{rig: newRig(t, config)}
	s.listen()
	return s
}

func (s *served) listen() {
	mux := http.NewServeMux()
	mux.Handle("/alertmanager/", http.StripPrefix("/alertmanager", s.router.Handler()))
	mux.Handle("/explain", s.router.ExplainHandler())
	s.server = httptest.NewServer(mux)
	s.t.Cleanup(s.server.Close)
	s.client = client.NewHTTPClientWithConfig(strfmt.Default, &client.TransportConfig{
		Host: strings.TrimPrefix(s.server.URL, "http://"), BasePath: "/alertmanager/api/v2", Schemes: []string{"http"},
	})
}

func (s *served) post(alerts ...*models.PostableAlert) error {
	_, err := s.client.Alert.PostAlerts(alert.NewPostAlertsParams().WithAlerts(alerts))
	return err
}

func postable(pairs ...string) *models.PostableAlert {
	a := &models.PostableAlert{Alert: models.Alert{Labels: models.LabelSet{}}}
	for name, value := range labelsOf(pairs...) {
		a.Labels[string(name)] = string(value)
	}
	return a
}

// eventually polls until ok: the dispatcher takes alerts in the background.
func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	require.Eventually(t, ok, 10*time.Second, 5*time.Millisecond)
}

func newSilence(comment, name, value string) *models.PostableSilence {
	start, end := strfmt.DateTime(time.Now()), strfmt.DateTime(time.Now().Add(time.Hour))
	return &models.PostableSilence{Silence: models.Silence{
		Comment: &comment, CreatedBy: new("ada"), StartsAt: &start, EndsAt: &end,
		Matchers: models.Matchers{{Name: &name, Value: &value, IsRegex: new(false), IsEqual: new(true)}},
	}}
}

func TestAPIAlerts(t *testing.T) {
	s := serve(t, simple)
	require.NoError(t, s.post(postable("alertname=A", "team=x"), postable("alertname=B", "team=y", "grüße=ü")))

	got, err := s.client.Alert.GetAlerts(alert.NewGetAlertsParams().WithFilter([]string{`team="x"`}))
	require.NoError(t, err)
	require.Len(t, got.Payload, 1)
	require.Equal(t, models.LabelSet{"alertname": "A", "team": "x"}, got.Payload[0].Labels)
	require.Equal(t, "team", *got.Payload[0].Receivers[0].Name)

	got, err = s.client.Alert.GetAlerts(alert.NewGetAlertsParams().WithFilter([]string{`"grüße"=~"ü|u"`}))
	require.NoError(t, err)
	require.Len(t, got.Payload, 1)

	eventually(t, func() bool {
		groups, err := s.client.Alertgroup.GetAlertGroups(alertgroup.NewGetAlertGroupsParams())
		return err == nil && len(groups.Payload) == 2 && groups.Payload[0].Labels["alertname"] == "A"
	})

	_, err = s.client.Alert.GetAlerts(alert.NewGetAlertsParams().WithFilter([]string{`team=~"("`}))
	require.Error(t, err)
}

func TestAPITakesTheGoodBesideTheBad(t *testing.T) {
	s := serve(t, simple)
	bad := postable("alertname=Bad")
	bad.StartsAt, bad.EndsAt = strfmt.DateTime(time.Now()), strfmt.DateTime(time.Now().Add(-time.Hour))
	var refused *alert.PostAlertsBadRequest
	require.ErrorAs(t, s.post(bad, postable("alertname=Good")), &refused)
	require.Contains(t, refused.Payload, "start time must be before end time")
	got, err := s.client.Alert.GetAlerts(alert.NewGetAlertsParams())
	require.NoError(t, err)
	require.Len(t, got.Payload, 1)
	require.Equal(t, "Good", got.Payload[0].Labels["alertname"])
}

func TestAPIStatusAndReceivers(t *testing.T) {
	s := serve(t, simple)
	status, err := s.client.General.GetStatus(general.NewGetStatusParams())
	require.NoError(t, err)
	require.Contains(t, *status.Payload.Config.Original, "group_wait: 10s")
	require.Equal(t, "disabled", *status.Payload.Cluster.Status)
	list, err := s.client.Receiver.GetReceivers(receiver.NewGetReceiversParams())
	require.NoError(t, err)
	require.Len(t, list.Payload, 1)
	require.Equal(t, "team", *list.Payload[0].Name)
	for _, path := range []string{"/-/healthy", "/-/ready"} {
		resp, err := http.Get(s.server.URL + "/alertmanager" + path)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusOK, resp.StatusCode)
	}
}

func TestAPISilencesSurviveACrash(t *testing.T) {
	s := serve(t, simple)
	made, err := s.client.Silence.PostSilences(silence.NewPostSilencesParams().WithSilence(newSilence("deploy", "alertname", "A")))
	require.NoError(t, err)
	id := made.Payload.SilenceID
	gone, err := s.client.Silence.PostSilences(silence.NewPostSilencesParams().WithSilence(newSilence("mistake", "alertname", "B")))
	require.NoError(t, err)
	_, err = s.client.Silence.DeleteSilence(silence.NewDeleteSilenceParams().WithSilenceID(strfmt.UUID(gone.Payload.SilenceID)))
	require.NoError(t, err)

	killed := &served{rig: &rig{t: t, dir: t.TempDir()}}
	copyDir(t, s.dir, killed.dir)
	killed.open(simple)
	killed.listen()
	list, err := killed.client.Silence.GetSilences(silence.NewGetSilencesParams().WithFilter([]string{`alertname="A"`}))
	require.NoError(t, err)
	require.Len(t, list.Payload, 1)
	require.Equal(t, id, *list.Payload[0].ID)
	require.Equal(t, "deploy", *list.Payload[0].Comment)
	expired, err := killed.client.Silence.GetSilence(silence.NewGetSilenceParams().WithSilenceID(strfmt.UUID(gone.Payload.SilenceID)))
	require.NoError(t, err)
	require.Equal(t, "expired", *expired.Payload.Status.State)

	require.NoError(t, killed.post(postable("alertname=A"), postable("alertname=B")))
	active, err := killed.client.Alert.GetAlerts(alert.NewGetAlertsParams().WithSilenced(new(false)))
	require.NoError(t, err)
	require.Len(t, active.Payload, 1)
	require.Equal(t, "B", active.Payload[0].Labels["alertname"])

	resp, err := http.Get(killed.server.URL + "/explain?label=alertname=A&label=team=x")
	require.NoError(t, err)
	defer resp.Body.Close()
	var ex Explanation
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&ex))
	require.Equal(t, model.LabelSet{"alertname": "A", "team": "x"}, ex.Labels)
	require.Equal(t, "deploy", ex.SilencedBy[0].Comment)
	require.Equal(t, "team", ex.Routes[0].Receiver)
	require.Equal(t, []string{"belfry[0]"}, ex.Routes[0].Integrations)
	require.Equal(t, labelsOf("alertname=A"), ex.Routes[0].GroupLabels)
	require.False(t, ex.Routes[0].Notifies)
	require.Contains(t, ex.Routes[0].Why, "deploy")

	// A clean restart reads the snapshot; the update of a silence may get a new id.
	killed.close()
	killed.open(simple)
	killed.listen()
	changed := newSilence("longer", "alertname", "C")
	changed.ID = id
	again, err := killed.client.Silence.PostSilences(silence.NewPostSilencesParams().WithSilence(changed))
	require.NoError(t, err)
	require.NotEqual(t, id, again.Payload.SilenceID)
	_, err = killed.client.Silence.GetSilence(silence.NewGetSilenceParams().WithSilenceID("00000000-0000-0000-0000-000000000000"))
	var missing *silence.GetSilenceNotFound
	require.ErrorAs(t, err, &missing)
}

func TestPostedAlertsSurviveACrash(t *testing.T) {
	s := serve(t, simple)
	require.NoError(t, s.post(postable("alertname=Open"), postable("alertname=Over")))
	over := postable("alertname=Over")
	over.EndsAt = strfmt.DateTime(time.Now())
	require.NoError(t, s.post(over))
	s.fire("alertname=FromRules")

	for _, how := range []string{"killed", "stopped"} {
		next := &served{rig: &rig{t: t, dir: t.TempDir()}}
		if how == "stopped" {
			s.close()
		}
		copyDir(t, s.dir, next.dir)
		next.open(simple)
		next.listen()
		got, err := next.client.Alert.GetAlerts(alert.NewGetAlertsParams())
		require.NoError(t, err)
		require.Len(t, got.Payload, 1, how)
		require.Equal(t, "Open", got.Payload[0].Labels["alertname"])
		next.close()
	}
}

func TestExpiredAlertsGetANewTerm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, simple)
		body := `[{"labels":{"alertname":"A"}},{"labels":{"alertname":"B"}}]`
		req := httptest.NewRequest(http.MethodPost, "/api/v2/alerts", strings.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		rec := httptest.NewRecorder()
		g.router.Handler().ServeHTTP(rec, req)
		require.Equal(t, http.StatusOK, rec.Code)
		g.at("15s")
		g.reset()
		g.close()
		pass(10 * time.Minute)
		g.open(simple)
		g.at("4m50s")
		g.want() // not told as resolved: its sender had no chance to renew it
		g.at("7m")
		require.Len(t, g.seen().told, 2, "now it had")
		require.Contains(t, g.seen().told[0], "resolved")
	})
}

// An alert whose term ran out while it could have been renewed is over: it must
// not come back with the next start, and page somebody again.
func TestEndedAlertsStayEnded(t *testing.T) {
	for _, how := range []string{"killed", "stopped"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t, simple)
				req := httptest.NewRequest(http.MethodPost, "/api/v2/alerts", strings.NewReader(`[{"labels":{"alertname":"A"}}]`))
				req.Header.Set("Content-Type", "application/json")
				rec := httptest.NewRecorder()
				g.router.Handler().ServeHTTP(rec, req)
				require.Equal(t, http.StatusOK, rec.Code)
				g.at("7m")
				require.Len(t, g.seen().told, 2, "fired and resolved")
				require.Contains(t, g.seen().told[1], "resolved")
				g.reset()
				if how == "killed" {
					dir := t.TempDir()
					copyDir(t, g.dir, dir)
					g.close()
					g.dir = dir
				} else {
					g.close()
				}
				g.open(simple)
				g.at("20m")
				g.want()
			})
		})
	}
}

func TestAPIRefuses(t *testing.T) {
	s := serve(t, simple)
	for name, c := range map[string]struct {
		method, path, query, body, origin string
		want                              int
	}{
		"another site's page": {http.MethodPost, "/alertmanager/api/v2/silences", "", "{}", "https://evil.example", http.StatusForbidden},
		"not JSON":            {http.MethodPost, "/alertmanager/api/v2/alerts", "", "{", "", http.StatusBadRequest},
		"not a list":          {http.MethodPost, "/alertmanager/api/v2/alerts", "", `{"labels":{}}`, "", http.StatusBadRequest},
		"a body over the limit": {
			http.MethodPost, "/alertmanager/api/v2/alerts", "", `[{"labels":{"a":"` + strings.Repeat("x", maxBody) + `"}}]`, "", http.StatusBadRequest,
		},
		"version 1":         {http.MethodGet, "/alertmanager/api/v1/alerts", "", "", "", http.StatusGone},
		"no such path":      {http.MethodGet, "/alertmanager/api/v2/nothing", "", "", "", http.StatusNotFound},
		"explain nothing":   {http.MethodGet, "/explain", "", "", "", http.StatusBadRequest},
		"explain not pairs": {http.MethodGet, "/explain", "label=x", "", "", http.StatusBadRequest},
		"explain when":      {http.MethodGet, "/explain", "label=a=b&at=now", "", "", http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequest(c.method, s.server.URL+c.path+"?"+c.query, strings.NewReader(c.body))
			require.NoError(t, err)
			req.Header.Set("Content-Type", "application/json")
			if c.origin != "" {
				req.Header.Set("Origin", c.origin)
				req.Header.Set("Sec-Fetch-Site", "cross-site")
			}
			resp, err := http.DefaultClient.Do(req)
			require.NoError(t, err)
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, c.want, resp.StatusCode, "%s", body)
			require.Empty(t, resp.Header.Get("Access-Control-Allow-Origin"))
		})
	}
}

func TestNotStartedAnswersUnavailable(t *testing.T) {
	r, err := New(Options{
		Config: DefaultConfig(), Alertmanager: parse(t, simple), Dir: t.TempDir(),
		ExternalURL: &url.URL{Scheme: "http", Host: "belfry.test"},
	})
	require.NoError(t, err)
	for _, path := range []string{"/api/v2/status", "/-/ready"} {
		rec := httptest.NewRecorder()
		r.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
		require.Equal(t, http.StatusServiceUnavailable, rec.Code)
	}
	require.Error(t, r.Send(context.Background()))
	require.NoError(t, r.Shutdown(context.Background()))
	require.NoError(t, r.Shutdown(context.Background()))
	require.Error(t, r.Start(context.Background()))
}

func TestWebhookAndTemplatesReachLoopback(t *testing.T) {
	got := make(chan map[string]any, 1)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		var doc map[string]any
		if json.NewDecoder(req.Body).Decode(&doc) == nil {
			got <- doc
		}
	}))
	defer hook.Close()
	s := serve(t, `
route: {receiver: hook, group_wait: 1ms}
receivers:
  - name: hook
    webhook_configs: [{url: `+hook.URL+`}]
`)
	require.NoError(t, s.post(postable("alertname=A")))
	select {
	case doc := <-got:
		require.Equal(t, "hook", doc["receiver"])
		require.Equal(t, "firing", doc["status"])
		require.Equal(t, "http://belfry.test/alertmanager", doc["externalURL"])
		require.Equal(t, "4", doc["version"])
	case <-time.After(10 * time.Second):
		t.Fatal("the webhook was not called")
	}
	eventually(t, func() bool { return len(s.seen().told) == 1 })
	require.FileExists(t, filepath.Join(s.dir, nflogFile+".journal"))
}
