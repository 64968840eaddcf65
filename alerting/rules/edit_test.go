package rules

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"belfry/internal/state"
)

// ask makes a request of a rule configuration API and returns status and body.
func ask(h http.Handler, method, target, body string) (int, string) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, target, strings.NewReader(body)))
	return w.Code, w.Body.String()
}

const fileRules = "groups: [{name: f, type: logs, rules: [{alert: FromFile, expr: 'count({})'}]}]"

func openState(t *testing.T, dir string) *state.DB {
	t.Helper()
	db, err := state.Open(context.Background(), state.Options{Path: filepath.Join(dir, "belfry.db")})
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestGroupsAreEditedByAPI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, fileRules)
		b.state = openState(t, b.dir)
		b.start()
		mimir, loki := b.engine.EditHandler("/config/v1/rules", Metrics), b.engine.EditHandler("/loki/api/v1/rules", Logs)

		code, body := ask(mimir, "POST", "/config/v1/rules/team%2Fa", "name: g\ninterval: 10s\nlimit: 5\nrules:\n  - alert: A\n    expr: errors > 10\n    for: 10s\n")
		require.Equal(t, http.StatusAccepted, code, body)
		code, body = ask(loki, "POST", "/loki/api/v1/rules/team%2Fa", "name: l\nrules: [{alert: L, expr: 'sum({})', recover: 'x'}]")
		require.Equal(t, http.StatusAccepted, code, body)
		b.put("errors", 50)
		b.logs.answer("sum({})", sample(1, "app", "x"))
		pass(2 * time.Minute)
		require.NotNil(t, b.last("A"))
		require.NotNil(t, b.last("L"))

		// What is listed is what was written, and says where it comes from.
		_, body = ask(mimir, "GET", "/config/v1/rules", "")
		require.Equal(t, `# read-only: a rule file
rules.yaml:
  - name: f
    type: logs
    rules:
      - alert: FromFile
        expr: count({})
team/a:
  - name: g
    interval: 10s
    limit: 5
    rules:
      - alert: A
        expr: errors > 10
        for: 10s
  - name: l
    type: logs
    rules:
      - alert: L
        expr: sum({})
        recover: x
`, body)
		code, body = ask(mimir, "GET", "/config/v1/rules/team%2Fa/g", "")
		require.Equal(t, 200, code)
		require.Contains(t, body, "expr: errors > 10")

		// A client that does not know types does not change one.
		code, body = ask(mimir, "POST", "/config/v1/rules/team%2Fa", "name: l\nrules: [{alert: L2, expr: 'sum({})'}]")
		require.Equal(t, http.StatusAccepted, code, body)
		require.Equal(t, "logs", string(b.engine.List(Logs)[1].Rules[0].Type))
		require.True(t, b.engine.List(Logs)[1].Editable)
		require.False(t, b.engine.List(Logs)[0].Editable)

		// Groups outlive the process and a reload.
		b.stop()
		b.start()
		require.NoError(t, b.engine.Reload(b.config))
		mimir = b.engine.EditHandler("/config/v1/rules", Metrics)
		require.Equal(t, []string{"firing"}, b.states("A"))

		code, _ = ask(mimir, "DELETE", "/config/v1/rules/team%2Fa/g", "")
		require.Equal(t, http.StatusAccepted, code)
		require.Empty(t, b.states("A"))
		code, _ = ask(mimir, "DELETE", "/config/v1/rules/team%2Fa", "")
		require.Equal(t, http.StatusAccepted, code)
		code, _ = ask(mimir, "GET", "/config/v1/rules/team%2Fa", "")
		require.Equal(t, http.StatusNotFound, code)
		require.Len(t, b.engine.List(""), 1)
		b.stop()
		require.NoError(t, b.state.Close())
	})
}

func TestBadEditsChangeNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, fileRules)
		b.state = openState(t, b.dir)
		b.start()
		api := b.engine.EditHandler("/r", Metrics)
		for _, c := range []struct {
			method, target, body string
			code                 int
			says                 []string
		}{
			{"POST", "/r/rules.yaml", "name: g\nrules: []", 403, []string{"is a rule file", "read-only"}},
			{"DELETE", "/r/rules.yaml/f", "", 403, []string{"read-only"}},
			{"DELETE", "/r/none", "", 404, nil},
			{"POST", "/r/ns", "", 400, []string{"name: must not be empty"}},
			{"POST", "/r/ns", "name: g\nrules:\n  - alert: A\n    expr: sum(\n    no_data: maybe\n  - alert: B\n    exp: up\n", 400, []string{"ns:7: rules[1].exp: unknown key"}},
			{
				"POST", "/r/ns", "name: g\nlimit: -1\nrules:\n  - alert: A\n    expr: sum(\n    no_data: maybe\n  - record: b\n    expr: up\n    no_data: keep\n", 400,
				[]string{"ns:2: limit", "ns:5: rules[0] (A)", `ns:6: rules[0] (A).no_data: "maybe" is not known`, "ns:9: rules[1] (b).no_data: only alerting rules"},
			},
			{"POST", "/r/ns", "name: g\nrules: [{alert: A, expr: up, no_data: keep}]", 400, []string{"compares with a threshold"}},
			{"POST", "/r/ns", "a: " + strings.Repeat("x", maxGroupBody), 413, nil},
		} {
			code, body := ask(api, c.method, c.target, c.body)
			require.Equal(t, c.code, code, "%s: %s", c.body, body)
			for _, s := range c.says {
				require.Contains(t, strings.ReplaceAll(body, `\"`, `"`), s)
			}
		}
		cross := httptest.NewRequest(http.MethodPost, "/r/ns", strings.NewReader("name: g\nrules: []"))
		cross.Header.Set("Sec-Fetch-Site", "cross-site")
		w := httptest.NewRecorder()
		api.ServeHTTP(w, cross)
		require.Equal(t, http.StatusForbidden, w.Code)
		require.Len(t, b.engine.List(""), 1)

		// A file that takes a namespace's name wins, and gives it back.
		code, body := ask(api, "POST", "/r/more.yaml", "name: g\nrules: [{alert: ByAPI, expr: up}]")
		require.Equal(t, http.StatusAccepted, code, body)
		b.write("more.yaml", "groups: [{name: g, rules: [{alert: ByFile, expr: up}]}]")
		require.NoError(t, b.engine.Reload(b.config))
		require.Equal(t, "ByFile", b.engine.List(Metrics)[0].Rules[0].Name)
		b.write("more.yaml", "groups: []")
		b.config.Files = []string{"rules.yaml"}
		require.NoError(t, b.engine.Reload(b.config))
		require.Equal(t, "ByAPI", b.engine.List(Metrics)[0].Rules[0].Name)
		b.stop()
		require.NoError(t, b.state.Close())
	})
}

func TestNoData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, `
groups:
  - name: g
    rules:
      - {alert: OK, expr: errors > 10, no_data: ok}
      - {alert: Told, expr: errors > 10, no_data: alert, labels: {severity: page}}
      - {alert: Kept, expr: errors > 10, no_data: keep}
      - {alert: Waits, expr: errors > 10, for: 1m, no_data: alert}
`)
		b.start()
		told := model.LabelSet{"alertname": "Told", "severity": "page", NoDataLabel: "true"}
		pass(11 * time.Second)
		require.True(t, b.hasSent(told), "nothing was ever there")
		require.Empty(t, b.states("OK"))
		require.Empty(t, b.states("Kept"))
		require.Equal(t, []string{"pending"}, b.states("Waits"))

		b.put("errors", 50)
		pass(10 * time.Second)
		require.Equal(t, []string{"firing"}, b.states("Kept"))
		require.Nil(t, b.last("Waits"))
		require.Equal(t, []string{"firing"}, b.states("Told"), "the one about no data is over")

		pass(6 * time.Minute) // over the lookback: the series is gone
		require.Equal(t, []string{"firing"}, b.states("Kept"))
		require.NotContains(t, b.states("OK"), "firing")
		require.Equal(t, []string{"firing"}, b.states("Told"))
		for _, r := range b.engine.AlertingRules() {
			if r.Name() == "Told" {
				require.Equal(t, "true", r.ActiveAlerts()[0].Labels.Get(NoDataLabel))
			}
		}

		b.put("errors", 5) // back, and well
		pass(10 * time.Second)
		require.NotContains(t, b.states("Kept"), "firing")
		require.NotContains(t, b.states("Told"), "firing")
		b.stop()
	})
}
