package escalation_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"belfry/alerting/escalation"
	"belfry/alerting/incident"
	"belfry/alerting/oncall"
	"belfry/alerting/router"
	"belfry/internal/state"
	"belfry/internal/state/statetest"
)

// storm is a notification about one group of many alerts.
func (w *world) storm(n int) router.GroupNotification {
	g := w.group("oncall", "Storm", "warning", router.StatusFiring)
	g.Alerts = nil
	for i := range n {
		g.Alerts = append(g.Alerts, &alert.Alert{Alert: model.Alert{StartsAt: epoch, EndsAt: epoch.Add(time.Hour),
			Labels: model.LabelSet{"alertname": "Storm", "instance": model.LabelValue(strconv.Itoa(i))}}})
	}
	return g
}

func TestStormIsBounded(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place statetest.Database) {
		w := newWorld(t, place)
		const alerts = 5000
		w.notify(w.storm(alerts))
		w.notify(w.storm(alerts))
		w.runTo(epoch.Add(time.Second))
		got := w.phones.take()
		require.Len(t, got, 1, "one message instead of 5000")
		require.Len(t, got[0].body.Alerts, 50)
		i := w.only()
		require.Equal(t, alerts, i.AlertsFiring)
		require.Equal(t, alerts, i.AlertsTotal)
		require.NoError(t, w.db.View(w.ctx, func(tx *state.Tx) error {
			kept, err := incident.Alerts(w.ctx, tx, i.ID)
			require.Len(t, kept, incident.MaxAlerts)
			return err
		}))
		timeline := (&scenario{w}).timeline((&scenario{w}).newest().ID)
		require.Less(t, len(timeline), 60)
		require.Contains(t, strings.Join(timeline, "\n"), "more alerts of the same notification are not listed")
		n := w.storm(alerts)
		n.Status = router.StatusResolved
		w.notify(n)
		require.Zero(t, w.only().AlertsFiring)
	})
}

// TestSummaryIsBounded has long titles and many services; what is critical comes
// last, and is named first.
func TestSummaryIsBounded(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place statetest.Database) {
		w := newWorld(t, place)
		const warnings, critical = 300, 3
		for i := range warnings + critical {
			severity := "warning"
			if i >= warnings {
				severity = "critical"
			}
			n := w.group("oncall", strconv.Itoa(i)+strings.Repeat("\nlong ", 300), severity, router.StatusFiring)
			n.CommonLabels["service"] = model.LabelValue("s" + strconv.Itoa(i%150) + strings.Repeat("x", 300))
			w.notify(n)
		}
		w.runTo(epoch.Add(time.Minute))
		got := w.phones.take()
		require.Len(t, got, 11, "ten pages and one summary instead of 303")
		body := got[10].body
		require.Equal(t, "summary", body.Reason)
		require.LessOrEqual(t, len(body.Title), 400)
		require.Less(t, len(body.Message), 6000)
		lines := strings.Split(body.Message, "\n")
		require.Equal(t, "3 critical, 290 warning", lines[0])
		for i := range critical {
			require.Contains(t, lines[1+i], "critical "+strconv.Itoa(warnings+i))
		}
		require.Contains(t, body.Message, "and 273 more\n")
		require.True(t, strings.HasPrefix(body.Title, "[CRITICAL] 293 more incidents: "), body.Title)
		require.NoError(t, w.db.View(w.ctx, func(tx *state.Tx) error {
			a, err := incident.Analyze(w.ctx, tx, "default", epoch, epoch.Add(time.Hour))
			require.Equal(t, []incident.RecipientPages{{Person: "bo", Pages: 11, Incidents: warnings + critical}}, a.People)
			return err
		}))
	})
}

// TestTwoProcessesGatherOnce: two processes decide together which pages are told
// alone, and tell the rest in one summary.
func TestTwoProcessesGatherOnce(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place statetest.Database) {
		w := newWorld(t, place)
		_, stop := w.runners(2)
		defer stop()
		const incidents, alone = 40, 10
		for i := range incidents {
			w.notify(w.group("oncall", strconv.Itoa(i), "critical", router.StatusFiring))
		}
		eventually(t, "what is told alone is told, and the rest gathered", func() bool {
			w.clock.FireAll()
			return w.count(`SELECT COUNT(*) FROM outbox WHERE status IN ('sent', 'gathered') AND kind = 'page'`) == incidents
		})
		require.Equal(t, 1, w.count(`SELECT COUNT(*) FROM outbox WHERE kind = 'summary'`))
		w.clock.Set(epoch.Add(10 * time.Second))
		eventually(t, "the summary is recorded", func() bool {
			w.clock.FireAll()
			return w.count(`SELECT COUNT(*) FROM outbox WHERE status <> 'sent'`) == 0
		})
		require.Equal(t, incidents, w.count(`SELECT COUNT(*) FROM incident_events WHERE kind = 'delivered'`), "each once")
		keys := map[string]int{}
		for _, m := range w.phones.take() {
			keys[m.body.NotificationKey]++
		}
		require.Len(t, keys, alone+1)
		for key, times := range keys {
			require.Equal(t, 1, times, key)
		}
	})
}

// TestWebhooksAreNotGathered: a machine acts on each incident.
func TestWebhooksAreNotGathered(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place statetest.Database) {
		w := newWorld(t, place)
		const incidents = 15
		for i := range incidents {
			w.notify(w.group("hooked", strconv.Itoa(i), "critical", router.StatusFiring))
		}
		w.runTo(epoch.Add(time.Second))
		got := map[string]int{}
		for _, m := range w.phones.take() {
			got[m.person]++
		}
		require.Equal(t, map[string]int{"restart-shop": incidents, "failover": incidents}, got)
	})
}

func TestHostileTexts(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place statetest.Database) {
		w := newWorld(t, place)
		evil := "\x00\xff'; DROP TABLE incidents; --" + strings.Repeat("ü", 10000)
		n := w.group("oncall", "Evil", "critical", router.StatusFiring)
		n.CommonLabels = n.CommonLabels.Clone()
		n.CommonLabels["alertname"], n.CommonLabels["x\x00y"] = model.LabelValue(evil), model.LabelValue(evil)
		n.CommonAnnotations = model.LabelSet{"summary": model.LabelValue(evil)}
		w.notify(n)
		w.runTo(epoch.Add(time.Second))
		require.Len(t, w.phones.take(), 1)
		_, err := w.engine.Do(w.ctx, "default", w.only().ID, escalation.Acknowledge{By: evil})
		require.NoError(t, err)
		require.NoError(t, w.engine.Note(w.ctx, "default", w.only().ID, evil, "\x00"))
		_, err = w.engine.AddOverride(w.ctx, "default", oncall.Override{Schedule: "primary", Person: "ana", Start: epoch,
			End: epoch.Add(time.Hour), Reason: evil, CreatedBy: evil})
		require.NoError(t, err)
	})
}

// BenchmarkPage measures an incident from the notification over the page in the
// inbox to its end.
func BenchmarkPage(b *testing.B) {
	clock := newClock()
	s := settings("http://127.0.0.1:1")
	s.OnCall.People[0].Methods[0] = oncall.Method{Name: "hook", Type: oncall.MethodInbox}
	s.OnCall.People[1].Methods[0] = oncall.Method{Name: "hook", Type: oncall.MethodInbox}
	e, err := escalation.New(b.Context(), escalation.Options{DB: statetest.SQLite(b).Open(), Settings: s, Clock: clock})
	require.NoError(b, err)
	w := world{clock: clock}
	for i := 0; b.Loop(); i++ {
		for _, status := range []string{router.StatusFiring, router.StatusResolved} {
			clock.Set(clock.Now().Add(time.Second))
			n := w.group("oncall", strconv.Itoa(i), "critical", status)
			if _, err := e.Notify(b.Context(), n); err != nil {
				b.Fatal(err)
			}
			if _, err := e.Tick(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	}
}
