package router

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/alertmanager/silence"
	"github.com/prometheus/alertmanager/timeinterval"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"belfry/internal/state"
	"belfry/internal/state/statetest"
)

// silenceBy posts a silence of an hour on `name op "value"` matchers, and returns
// the answer's code and text.
func (g *rig) silenceBy(query, comment string, matchers ...string) (int, string) {
	g.t.Helper()
	var list []map[string]any
	for i := 0; i < len(matchers); i += 3 {
		list = append(list, map[string]any{
			"name": matchers[i], "value": matchers[i+2], "isRegex": strings.HasSuffix(matchers[i+1], "~"), "isEqual": matchers[i+1][0] == '=',
		})
	}
	body, err := json.Marshal(map[string]any{
		"matchers": list, "createdBy": "ada", "comment": comment,
		"startsAt": time.Now().Format(time.RFC3339), "endsAt": time.Now().Add(time.Hour).Format(time.RFC3339),
	})
	require.NoError(g.t, err)
	return g.ask("POST", "/api/v2/silences"+query, string(body))
}

func (g *rig) ask(method, target, body string) (int, string) {
	req := httptest.NewRequest(method, target, strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	g.router.Handler().ServeHTTP(w, req)
	return w.Code, w.Body.String()
}

func (g *rig) activeSilences() (out []string) {
	list, _, err := g.router.silences.Query(context.Background(), silence.QState(silence.SilenceStateActive))
	require.NoError(g.t, err)
	for _, s := range list {
		out = append(out, s.CreatedBy+": "+s.Comment)
	}
	return out
}

const plainRoute = "route: {receiver: team, group_by: [alertname], group_wait: 1s, group_interval: 10s}\nreceivers: [{name: team}]"

func TestBroadSilencesNeedToBeMeant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, plainRoute)
		for i := range 150 {
			g.fire("alertname=A", "instance="+strconv.Itoa(i))
		}
		g.fire("alertname=B")
		synctest.Wait()
		for _, c := range []struct {
			matchers []string
			says     string
		}{
			{[]string{"alertname", "=", "B"}, ""},
			{[]string{"alertname", "=~", "A|B", "instance", "=", "7"}, ""},
			{[]string{"alertname", "=", "A"}, "matches 150 of 151 active alerts, more than the 100"},
			{[]string{"alertname", "=~", ".+"}, "matches every alert"},
			{[]string{"alertname", "=~", "(?s).*", "severity", "=~", "..*|"}, "matches every alert"},
			{[]string{"alertname", "!=", "B"}, "or all but some"},
		} {
			code, text := g.silenceBy("", "quiet", c.matchers...)
			if c.says == "" {
				require.Equal(t, http.StatusOK, code, text)
				continue
			}
			require.Equal(t, http.StatusBadRequest, code)
			var said string
			require.NoError(t, json.Unmarshal([]byte(text), &said), "a JSON string, as Alertmanager's own")
			require.Contains(t, said, c.says)
			require.Contains(t, said, "?confirm=true")
			code, text = g.silenceBy("?confirm=true", "quiet", c.matchers...)
			if code != http.StatusOK { // what Alertmanager itself refuses stays refused
				require.Contains(t, text, "at least one matcher")
				continue
			}
			code, _ = g.silenceBy("", "quiet [confirm]", c.matchers...)
			require.Equal(t, http.StatusOK, code)
		}
		// What was confirmed can be prolonged without confirming again.
		_, text := g.silenceBy("?confirm=true", "long", "alertname", "=", "A")
		var made struct{ SilenceID string }
		require.NoError(t, json.Unmarshal([]byte(text), &made))
		_, body := g.ask("GET", "/api/v2/silence/"+made.SilenceID, "")
		code, text := g.ask("POST", "/api/v2/silences", strings.Replace(body, "long", "longer", 1))
		require.Equal(t, http.StatusOK, code, text)
		g.close()
	})
}

func TestSilenceUntilResolved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, plainRoute)
		g.fire("alertname=A")
		code, text := g.silenceBy("?until=resolved", "on it", "alertname", "=", "A")
		require.Equal(t, http.StatusOK, code, text)
		code, _ = g.silenceBy("?until=friday", "on it", "alertname", "=", "A")
		require.Equal(t, http.StatusBadRequest, code)
		code, _ = g.silenceBy("?until=resolved", "never needed", "alertname", "=", "C")
		require.Equal(t, http.StatusOK, code)
		pass(3 * time.Minute)
		require.Len(t, g.activeSilences(), 2, "the alert fires still, and the other may come yet")
		pass(time.Minute)
		g.resolve("alertname=A")
		pass(time.Minute)
		g.fire("alertname=A") // not over yet
		pass(4 * time.Minute)
		require.Contains(t, g.activeSilences(), "ada: on it")
		g.resolve("alertname=A")
		pass(3 * time.Minute)
		require.Empty(t, g.activeSilences())
		g.fire("alertname=A")
		pass(2 * time.Second)
		require.Len(t, g.seen().told, 1, "and the next is told")
		g.close()
	})
}

func window(t *testing.T, text string) Window {
	t.Helper()
	var w Window
	require.NoError(t, yaml.Unmarshal([]byte(text), &w))
	require.NoError(t, w.Validate())
	return w
}

func TestWindowsOpenAndCloseOverClockChanges(t *testing.T) {
	w := window(t, `{name: night, matchers: ['a="b"'], time_zone: Europe/Berlin, time_intervals: [{times: [{start_time: "01:00", end_time: "04:00"}], weekdays: [sunday]}]}`)
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	for day, hours := range map[string]float64{"2026-03-29": 2, "2026-10-25": 4, "2026-11-01": 3} { // clocks go forward, back, on
		at, err := time.ParseInLocation("2006-01-02 15:04", day+" 03:30", berlin)
		require.NoError(t, err)
		require.True(t, w.open(at))
		from, until := w.around(at)
		require.InDelta(t, hours, until.Sub(from).Hours(), 0, day)
		require.False(t, w.open(until))
		require.False(t, w.open(from.Add(-time.Second)))
	}
	at := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	next, ok := w.next(at)
	require.True(t, ok)
	require.Equal(t, "2026-03-08T00:00:00Z", next.UTC().Format(time.RFC3339))
}

func TestFaultyWindows(t *testing.T) {
	c := MaintenanceConfig{Windows: []Window{
		{Name: "a", Matchers: []string{`x=~".*"`}, TimeZone: "Mars/Base"},
		{Name: "a", Matchers: []string{`x=`, `!`}, StartsAt: time.Unix(2, 0), EndsAt: time.Unix(1, 0)},
		{Matchers: []string{`x="y"`}, TimeIntervals: []timeinterval.TimeInterval{{}}},
	}}
	err := c.Validate()
	for _, s := range []string{
		"windows[0].matchers: match every alert", "windows[0].time_zone: unknown time zone", "windows[0].time_intervals: are needed",
		"windows[1].matchers: ", "windows[1].ends_at: must be after", `windows[1].name: "a" is there twice`, "windows[2].name",
	} {
		require.ErrorContains(t, err, s)
	}
}

func TestMaintenanceWindows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // from Saturday, 2000-01-01 00:00 UTC
		g := &rig{t: t, dir: t.TempDir()}
		db, err := state.Open(context.Background(), state.Options{Path: g.dir + "/belfry.db"})
		require.NoError(t, err)
		g.db = db
		g.open(plainRoute)
		require.NoError(t, g.router.SetMaintenance(MaintenanceConfig{Windows: []Window{
			window(t, `{name: nightly, comment: patches, matchers: ['alertname="A"'], time_intervals: [{times: [{start_time: "02:00", end_time: "03:00"}]}]}`),
		}}))
		h := g.router.MaintenanceHandler("/m")
		ask := func(method, target, body string) (int, string) {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(method, target, strings.NewReader(body)))
			return w.Code, w.Body.String()
		}
		_, body := ask("GET", "/m", "")
		require.Contains(t, body, `"read_only":true,"open":false,"next":"2000-01-01T02:00:00Z"`)
		code, _ := ask("PUT", "/m/nightly", `{"matchers": ["a=b"]}`)
		require.Equal(t, http.StatusForbidden, code)
		code, body = ask("PUT", "/m/once", `{"matchers": ["alertname=B"], "starts_at": "2000-01-01T01:00:00Z"}`)
		require.Equal(t, http.StatusBadRequest, code)
		require.Contains(t, body, "ends_at: must be after starts_at")
		code, body = ask("PUT", "/m/once", `{"matchers": ["alertname=B"], "starts_at": "2000-01-01T01:00:00Z", "ends_at": "2000-01-01T04:00:00Z"}`)
		require.Equal(t, http.StatusNoContent, code, body)
		require.Empty(t, g.activeSilences())

		pass(90 * time.Minute)
		require.Equal(t, []string{"maintenance window once: maintenance"}, g.activeSilences())
		pass(time.Hour)
		require.Len(t, g.activeSilences(), 2)
		g.fire("alertname=A")
		pass(5 * time.Second)
		require.Empty(t, g.seen().told)

		// Who ends a window's silence by hand has ended the window, this time.
		list, _, err := g.router.silences.Query(context.Background(), silence.QState(silence.SilenceStateActive))
		require.NoError(t, err)
		for _, s := range list {
			if s.Annotations[windowAnnotation] == "nightly" {
				require.NoError(t, g.router.silences.Expire(context.Background(), s.Id))
			}
		}
		pass(5 * time.Minute)
		require.Equal(t, []string{"maintenance window once: maintenance"}, g.activeSilences())
		code, _ = ask("DELETE", "/m/once", "")
		require.Equal(t, http.StatusNoContent, code)
		pass(time.Second)
		require.Empty(t, g.activeSilences())
		pass(24 * time.Hour)
		require.Equal(t, []string{"maintenance window nightly: patches"}, g.activeSilences(), "a day later it is open again")
		pass(time.Hour)
		require.Empty(t, g.activeSilences())
		g.close()
		require.NoError(t, db.Close())
	})
}

// Several processes on one database: what one silences the others silence, and
// the second to notify finds that the first has done so.
func TestProcessesShareWhatTheyKnow(t *testing.T) {
	test := func(t *testing.T, open func() *state.DB) {
		t.Helper()
		two := [2]*rig{}
		for i := range two {
			two[i] = &rig{t: t, dir: t.TempDir(), db: open(), shared: true}
			two[i].open(plainRoute)
		}
		pass(8 * time.Second) // they know of each other
		code, text := two[0].silenceBy("", "shared", "alertname", "=", "A")
		require.Equal(t, http.StatusOK, code, text)
		pass(2 * shareInterval)
		require.Equal(t, []string{"ada: shared"}, two[1].activeSilences())
		for _, g := range two {
			g.fire("alertname=A")
			g.fire("alertname=B")
		}
		pass(20 * time.Second)
		told := append(two[0].seen().notes, two[1].seen().notes...)
		require.Len(t, told, 1, "once, by one of them: %v %v", two[0].seen().told, two[1].seen().told)
		require.Equal(t, "B", told[0].Alerts[0].Name())

		// One dies; the other notifies, at once when it has missed the dead.
		two[0].close()
		pass(aliveFor + 2*aliveInterval)
		two[1].reset()
		require.Equal(t, []string{"ada: shared"}, two[1].activeSilences())
		two[1].fire("alertname=C")
		pass(2 * time.Second)
		require.Len(t, two[1].seen().told, 1)
		// A process that starts anew knows what it never heard.
		three := &rig{t: t, dir: t.TempDir(), db: open(), shared: true}
		three.open(plainRoute)
		require.Equal(t, []string{"ada: shared"}, three.activeSilences())
		three.close()
		two[1].close()
	}
	t.Run("sqlite", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			path := t.TempDir() + "/belfry.db"
			test(t, func() *state.DB {
				db, err := state.Open(context.Background(), state.Options{Path: path})
				require.NoError(t, err)
				t.Cleanup(func() { require.NoError(t, db.Close()) })
				return db
			})
		})
	})
	if os.Getenv(statetest.DSNVariable) == "" {
		return // PostgreSQL speaks over a network, which has a clock of its own
	}
	statetest.Each(t, func(t *testing.T, place statetest.Database) { test(t, place.Open) })
}
