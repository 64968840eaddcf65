package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/alertmanager/alert"
	amconfig "github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"belfry/internal/state"
)

// pass lets virtual time pass.
func pass(d time.Duration) { <-time.After(d) }

// rig is a router on a data folder, with an Escalator that writes down what it
// is told and when.
type rig struct {
	t      *testing.T
	dir    string
	router *Router
	start  time.Time
	db     *state.DB // of maintenance windows and what is shared, where set
	shared bool

	mu sync.Mutex
	heard
	fail func(attempt int) (retry bool, err error)
}

// heard is what a rig was told and what was kept back.
type heard struct {
	told  []string
	notes []GroupNotification
	muted []string
	tries int
}

func newRig(t *testing.T, config string) *rig {
	t.Helper()
	g := &rig{t: t, dir: t.TempDir()}
	g.open(config)
	return g
}

func parse(t *testing.T, config string) *amconfig.Config {
	t.Helper()
	c, err := amconfig.Load(config)
	require.NoError(t, err)
	return c
}

func (g *rig) open(config string) {
	g.t.Helper()
	c := DefaultConfig()
	c.StartDelay = 0
	r, err := New(Options{
		Config: c, Alertmanager: parse(g.t, config), Escalator: g, Dir: g.dir,
		ExternalURL: &url.URL{Scheme: "http", Host: "belfry.test", Path: "/alertmanager"},
		Logger:      slog.New(slog.NewTextHandler(g.t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
		Registerer:  prometheus.NewPedanticRegistry(),
		DB:          g.db, Shared: g.shared,
	})
	require.NoError(g.t, err)
	require.NoError(g.t, r.Start(context.Background()))
	g.router, g.start = r, time.Now()
	g.t.Cleanup(g.close)
}

func (g *rig) close() {
	g.t.Helper()
	require.NoError(g.t, g.router.Shutdown(context.Background()))
}

// Notify writes down "offset receiver status firing/resolved alertnames".
func (g *rig) Notify(_ context.Context, n GroupNotification) (bool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tries++
	if g.fail != nil {
		if retry, err := g.fail(g.tries); err != nil {
			return retry, err
		}
	}
	names := make([]string, 0, len(n.Alerts))
	for _, a := range n.Alerts {
		name := a.Name()
		if i, ok := a.Labels["instance"]; ok {
			name += "/" + string(i)
		}
		if a.ResolvedAt(n.Time) {
			name = "-" + name
		}
		names = append(names, name)
	}
	g.told = append(g.told, fmt.Sprintf("%s %s %s [%s]", time.Since(g.start), n.Receiver, n.Status, strings.Join(names, " ")))
	g.notes = append(g.notes, n)
	return false, nil
}

// Muted writes down what was kept back: "alertname: reason".
func (g *rig) Muted(_ context.Context, m GroupMuting) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, a := range m.Alerts {
		switch {
		case len(m.Intervals) > 0:
			g.muted = append(g.muted, a.Alert.Name()+": "+strings.Join(m.Intervals, " "))
		case len(a.InhibitedBy) > 0:
			g.muted = append(g.muted, a.Alert.Name()+": inhibited")
		case len(a.SilencedBy) > 0:
			g.muted = append(g.muted, a.Alert.Name()+": silenced")
		case a.Flapping != "":
			g.muted = append(g.muted, a.Alert.Name()+": flapping")
		}
	}
}

// want asserts what was told since the last want.
func (g *rig) want(lines ...string) {
	g.t.Helper()
	synctest.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	if lines == nil {
		lines = []string{}
	}
	got := g.told
	if got == nil {
		got = []string{}
	}
	require.Equal(g.t, lines, got)
	g.told = nil
}

// seen returns what was told and muted so far.
func (g *rig) seen() heard {
	g.mu.Lock()
	defer g.mu.Unlock()
	return heard{told: slices.Clone(g.told), notes: slices.Clone(g.notes), muted: slices.Clone(g.muted), tries: g.tries}
}

// reset forgets what was told and muted.
func (g *rig) reset() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.told, g.muted = nil, nil
}

// at sleeps until an offset from the rig's start.
func (g *rig) at(offset string) {
	g.t.Helper()
	d, err := time.ParseDuration(offset)
	require.NoError(g.t, err)
	require.GreaterOrEqual(g.t, d, time.Since(g.start))
	pass(d - time.Since(g.start))
	synctest.Wait()
}

func labelsOf(pairs ...string) model.LabelSet {
	out := model.LabelSet{}
	for _, p := range pairs {
		name, value, _ := strings.Cut(p, "=")
		out[model.LabelName(name)] = model.LabelValue(value)
	}
	return out
}

// fire sends an alert that stays active for an hour if nothing else is sent.
func (g *rig) fire(pairs ...string) {
	g.t.Helper()
	g.send(&alert.Alert{Alert: model.Alert{Labels: labelsOf(pairs...), StartsAt: time.Now(), EndsAt: time.Now().Add(time.Hour)}})
}

func (g *rig) resolve(pairs ...string) {
	g.t.Helper()
	g.send(&alert.Alert{Alert: model.Alert{Labels: labelsOf(pairs...), StartsAt: time.Now().Add(-time.Minute), EndsAt: time.Now()}})
}

func (g *rig) send(a *alert.Alert) {
	g.t.Helper()
	require.NoError(g.t, g.router.Send(context.Background(), a))
}

const simple = `
route:
  receiver: team
  group_by: [alertname]
  group_wait: 10s
  group_interval: 1m
  repeat_interval: 30m
receivers: [{name: team}]
`

func TestGroupingRepeatAndResolve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, simple)
		g.at("1s")
		g.fire("alertname=A", "instance=1", "severity=page")
		g.at("5s")
		g.fire("alertname=A", "instance=2", "severity=page")
		g.fire("alertname=B")
		g.at("14s")
		g.want("11s team firing [A/1 A/2]")
		g.at("60s")
		g.want("15s team firing [B]")
		first := g.seen().notes[0]
		require.Equal(t, labelsOf("alertname=A"), first.GroupLabels)
		require.Equal(t, labelsOf("alertname=A", "severity=page"), first.CommonLabels)
		require.Equal(t, `{}:{alertname="A"}`, first.GroupKey)
		require.Equal(t, "first notification", first.Reason)
		require.Equal(t, 30*time.Minute, first.RepeatInterval)
		require.Equal(t, "http://belfry.test/alertmanager", first.ExternalURL.String())
		require.True(t, first.Time.Equal(g.start.Add(11*time.Second)))

		g.fire("alertname=A", "instance=3", "severity=page")
		g.at("130s")
		g.want("1m11s team firing [A/1 A/2 A/3]")
		require.Equal(t, "new alerts added", g.seen().notes[2].Reason)
		g.resolve("alertname=A", "instance=1", "severity=page")
		g.at("3m")
		g.want("2m11s team firing [A/2 A/3 -A/1]")
		require.Len(t, g.seen().notes[3].Firing(), 2)
		require.Len(t, g.seen().notes[3].Resolved(), 1)
		g.at("32m")
		g.want("31m15s team firing [B]")
		g.at("34m30s")
		g.want("33m11s team firing [A/2 A/3]")
		require.Equal(t, "repeat interval elapsed", g.seen().notes[5].Reason)
		g.resolve("alertname=A", "instance=2", "severity=page")
		g.resolve("alertname=A", "instance=3", "severity=page")
		g.resolve("alertname=B")
		g.at("40m")
		g.want("35m11s team resolved [-A/2 -A/3]", "35m15s team resolved [-B]")
		g.at("3h")
		g.want()
	})
}

func TestEveryReceiverOfAMatchIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, `
route:
  receiver: root
  group_wait: 1s
  routes:
    - matchers: ['severity="page"']
      receiver: page
      continue: true
    - matchers: ['team=~"a|b"']
      receiver: team
      group_by: [team]
receivers: [{name: root}, {name: page}, {name: team}, {name: unused}]
`)
		g.fire("alertname=A", "severity=page", "team=a")
		g.at("2s")
		g.fire("alertname=B")
		g.at("5s")
		require.ElementsMatch(t, []string{"1s page firing [A]", "1s team firing [A]", "3s root firing [B]"}, g.seen().told)
	})
}

func TestInhibition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, simple+`
inhibit_rules:
  - source_matchers: [alertname="Down"]
    target_matchers: [severity="warning"]
    equal: [cluster]
`)
		g.fire("alertname=Down", "cluster=x")
		g.fire("alertname=Slow", "cluster=x", "severity=warning")
		g.fire("alertname=Lag", "cluster=y", "severity=warning")
		g.at("11s")
		require.ElementsMatch(t, []string{"10s team firing [Down]", "10s team firing [Lag]"}, g.seen().told)
		ex, err := g.router.Explain(context.Background(), labelsOf("alertname=Slow", "cluster=x", "severity=warning"), time.Now())
		require.NoError(t, err)
		require.Len(t, ex.InhibitedBy, 1)
		require.False(t, ex.Routes[0].Notifies)
		require.Contains(t, ex.Routes[0].Why, "inhibited")
		require.Equal(t, []string{"Slow: inhibited"}, g.seen().muted)
		g.reset()
		g.resolve("alertname=Down", "cluster=x")
		g.at("75s")
		require.ElementsMatch(t, []string{"1m10s team resolved [-Down]", "1m10s team firing [Slow]"}, g.seen().told)
	})
}

func TestMuteTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // a bubble begins on a Saturday at midnight UTC
		g := newRig(t, `
route:
  receiver: team
  group_wait: 1s
  group_interval: 1m
  routes:
    - matchers: [team="night"]
      mute_time_intervals: [night]
    - matchers: [team="day"]
      receiver: team
      active_time_intervals: [day]
receivers: [{name: team}]
time_intervals:
  - name: night
    time_intervals: [{times: [{start_time: "00:00", end_time: "01:00"}]}]
  - name: day
    time_intervals: [{times: [{start_time: "02:00", end_time: "24:00"}]}]
`)
		long := func(pairs ...string) {
			g.send(&alert.Alert{Alert: model.Alert{Labels: labelsOf(pairs...), StartsAt: time.Now(), EndsAt: time.Now().Add(24 * time.Hour)}})
		}
		long("alertname=N", "team=night")
		long("alertname=D", "team=day")
		g.at("59m")
		g.want()
		require.Contains(t, g.seen().muted, "N: night")
		require.Contains(t, g.seen().muted, "D: day")
		ex, err := g.router.Explain(context.Background(), labelsOf("team=night"), time.Now())
		require.NoError(t, err)
		require.Equal(t, []string{"night"}, ex.Routes[0].MutedBy)
		ex, err = g.router.Explain(context.Background(), labelsOf("team=day"), time.Now())
		require.NoError(t, err)
		require.Equal(t, "outside the active times day", ex.Routes[0].Why)
		g.at("1h59m")
		g.want("1h0m1s team firing [N]")
		g.at("2h1m")
		g.want("2h0m1s team firing [D]")
	})
}

func TestRetryUntilAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, simple)
		g.fail = func(attempt int) (bool, error) {
			switch {
			case attempt <= 3:
				return true, errors.New("database is locked")
			case attempt == 4:
				return false, errors.New("cannot be")
			}
			return false, nil
		}
		g.fire("alertname=A")
		g.at("60s")
		g.want()
		require.Equal(t, 4, g.seen().tries, "retried with backoff within the group's interval, not after a final error")
		g.at("75s")
		g.want("1m10s team firing [A]")
		g.at("10m")
		g.want()
		require.Equal(t, 5, g.seen().tries)
	})
}

func TestRestartTellsNothingTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, simple)
		g.fire("alertname=A", "instance=1")
		g.fire("alertname=A", "instance=2")
		g.at("15s")
		g.want("10s team firing [A/1 A/2]")
		g.close()

		g.open(simple)
		g.fire("alertname=A", "instance=1") // the rules send again, one after the other
		g.at("30s")
		g.fire("alertname=A", "instance=2")
		g.at("5m")
		g.want()
		g.fire("alertname=A", "instance=3")
		g.at("7m")
		g.want("5m10s team firing [A/1 A/2 A/3]")
		g.resolve("alertname=A", "instance=1")
		g.resolve("alertname=A", "instance=2")
		g.resolve("alertname=A", "instance=3")
		g.close()
		g.open(simple)
		g.resolve("alertname=A", "instance=1")
		g.resolve("alertname=A", "instance=2")
		g.resolve("alertname=A", "instance=3")
		g.at("1m")
		require.Equal(t, StatusResolved, g.seen().notes[len(g.seen().notes)-1].Status, "a resolve that happened meanwhile is told")
	})
}

// copyDir copies what a killed process would leave.
func copyDir(t *testing.T, from, to string) {
	t.Helper()
	entries, err := os.ReadDir(from)
	require.NoError(t, err)
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(from, e.Name()))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(to, e.Name()), b, 0o600))
	}
}

func TestCrashTellsNothingTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, simple)
		g.fire("alertname=A")
		g.at("11s")
		g.want("10s team firing [A]")
		killed := &rig{t: t, dir: t.TempDir()}
		copyDir(t, g.dir, killed.dir)
		g.close()

		killed.open(simple)
		killed.fire("alertname=A")
		killed.at("10m")
		killed.want()
		killed.at("32m")
		killed.want("30m10s team firing [A]")
	})
}

// silence makes a silence for a label that ends after a while, by the API.
func (g *rig) silence(name, value string, d time.Duration) {
	g.t.Helper()
	body := fmt.Sprintf(`{"matchers":[{"name":%q,"value":%q,"isRegex":false}],"startsAt":%q,"endsAt":%q,"createdBy":"ada","comment":"deploy"}`,
		name, value, time.Now().Format(time.RFC3339Nano), time.Now().Add(d).Format(time.RFC3339Nano))
	req := httptest.NewRequest(http.MethodPost, "/api/v2/silences", strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	rec := httptest.NewRecorder()
	g.router.Handler().ServeHTTP(rec, req)
	require.Equal(g.t, http.StatusOK, rec.Code, rec.Body.String())
}

func TestSilences(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, simple)
		g.silence("instance", "1", 10*time.Minute)
		g.fire("alertname=A", "instance=1")
		g.fire("alertname=A", "instance=2")
		g.fire("alertname=B", "instance=1")
		g.at("9m")
		g.want("10s team firing [A/2]")
		require.Contains(t, g.seen().muted, "A: silenced")
		g.reset()
		g.at("12m")
		require.ElementsMatch(t, []string{"10m10s team firing [A/1 A/2]", "10m10s team firing [B/1]"}, g.seen().told)
	})
}

func TestCrashBeforeTheLogTellsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, killed := newRig(t, simple), &rig{t: t, dir: t.TempDir()}
		g.fail = func(int) (bool, error) { // the process dies when the Escalator has answered
			copyDir(t, g.dir, killed.dir)
			return false, nil
		}
		g.fire("alertname=A")
		g.at("11s")
		g.want("10s team firing [A]")
		g.close()
		killed.open(simple)
		killed.fire("alertname=A")
		killed.at("11s")
		killed.want("10s team firing [A]")
	})
}

func TestDamagedSnapshotIsSetAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, simple)
		g.fire("alertname=A")
		g.at("11s")
		g.want("10s team firing [A]")
		g.close()
		for _, name := range []string{silencesFile, nflogFile} {
			require.FileExists(t, filepath.Join(g.dir, name))
			require.NoError(t, os.WriteFile(filepath.Join(g.dir, name), []byte("\xff\xff\xff nonsense"), 0o600))
		}
		g.open(simple)
		for _, name := range []string{silencesFile, nflogFile} {
			aside, err := filepath.Glob(filepath.Join(g.dir, name+".damaged-*"))
			require.NoError(t, err)
			require.Len(t, aside, 1)
		}
		g.fire("alertname=A")
		g.at("11s")
		g.want("10s team firing [A]") // told again rather than never
	})
}

func TestReloadKeepsAlertsAndRefusesFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, simple)
		g.fire("alertname=A", "team=x")
		g.at("15s")
		g.want("10s team firing [A]")
		bad := parse(t, simple)
		bad.Templates = []string{filepath.Join(g.dir, "bad.tmpl")}
		require.NoError(t, os.WriteFile(bad.Templates[0], []byte("{{ define"), 0o600))
		require.ErrorContains(t, g.router.Reload(bad), "templates")
		g.fire("alertname=B")
		g.at("30s")
		g.want("25s team firing [B]")
		require.NoError(t, g.router.Reload(parse(t, strings.Replace(simple, "group_by: [alertname]", "group_by: [team]", 1))))
		g.at("2m")
		require.Contains(t, g.seen().told, "30s team firing [A]", "another group, so told anew, at once because it is old")
	})
}

// Everything at once, for the race detector and for what it leaves behind.
func TestReloadUnderLoad(t *testing.T) {
	g := newRig(t, strings.Replace(simple, "group_wait: 10s", "group_wait: 0s", 1))
	var work sync.WaitGroup
	done := make(chan struct{})
	for i := range 4 {
		work.Go(func() {
			for n := 0; n < 10 || !isClosed(done); n++ {
				g.send(&alert.Alert{Alert: model.Alert{
					Labels:   labelsOf(fmt.Sprintf("alertname=A%d", n%10), fmt.Sprintf("instance=%d", i)),
					StartsAt: time.Now(), EndsAt: time.Now().Add(time.Hour),
				}})
				rec := httptest.NewRecorder()
				g.router.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/api/v2/alerts/groups", nil))
				require.Equal(t, http.StatusOK, rec.Code)
				_, err := g.router.Explain(context.Background(), labelsOf("alertname=A1"), time.Now())
				require.NoError(t, err)
			}
		})
	}
	for range 20 {
		require.NoError(t, g.router.Reload(parse(t, simple)))
	}
	close(done)
	work.Wait()
	eventually(t, func() bool {
		groups, _, err := g.router.running.Load().dispatcher.Groups(context.Background(),
			func(*dispatch.Route) bool { return true }, func(*alert.Alert, time.Time) bool { return true })
		return err == nil && len(groups) == 10
	})
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestSendRefusesWhatIsNotAnAlert(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, simple)
		err := g.router.Send(context.Background(),
			&alert.Alert{Alert: model.Alert{Labels: model.LabelSet{}}},
			&alert.Alert{Alert: model.Alert{Labels: labelsOf("alertname=A", "empty=")}},
		)
		require.ErrorContains(t, err, "at least one label")
		g.at("11s")
		g.want("10s team firing [A]")
		require.Equal(t, labelsOf("alertname=A"), g.seen().notes[0].CommonLabels)
		g.at("10m")
		g.want("5m10s team resolved [-A]") // resolve_timeout after no end was given
	})
}

func TestDefaultConfigurationTellsTheEscalator(t *testing.T) {
	c, err := amconfig.Load(defaultConfiguration)
	require.NoError(t, err)
	ex, err := ExplainConfig(c, labelsOf("alertname=A"), time.Now())
	require.NoError(t, err)
	require.Len(t, ex.Routes, 1)
	require.Equal(t, DefaultReceiver, ex.Routes[0].Receiver)
	c = parse(t, "route: {receiver: x}\nreceivers: [{name: x, webhook_configs: [{url: 'http://127.0.0.1:1'}]}]")
	ex, err = ExplainConfig(c, labelsOf("alertname=A"), time.Now())
	require.NoError(t, err)
	require.Equal(t, []string{"webhook[0]"}, ex.Routes[0].Integrations)
	c.Receivers[0].WebhookConfigs[0].HTTPConfig.TLSConfig.CAFile = "/none"
	require.ErrorContains(t, Check(c), `receiver "x"`)
	_, err = ExplainConfig(parse(t, simple), model.LabelSet{}, time.Now())
	require.ErrorContains(t, err, "at least one label")
}
