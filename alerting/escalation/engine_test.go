package escalation_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"belfry/alerting/escalation"
	"belfry/alerting/incident"
	"belfry/alerting/oncall"
	"belfry/alerting/router"
	"belfry/internal/fault"
	"belfry/internal/state"
	"belfry/internal/state/statetest"
)

func (w *world) only() *incident.Incident {
	w.t.Helper()
	return (&scenario{w}).newest()
}

func strs(in []received) (out []string) {
	for _, m := range in {
		out = append(out, m.String())
	}
	return out
}

func TestCrashBetweenDecidingAndSending(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place statetest.Database) {
		w := newWorld(t, place)
		w.notify(w.group("oncall", "HighErrors", "critical", router.StatusFiring)) // decided, in the outbox
		w.restart()
		w.runTo(epoch.Add(time.Second))
		require.Equal(t, []string{"0s: bo is paged, step 1 round 1"}, strs(w.phones.take()))
		w.runTo(epoch.Add(2 * time.Minute))
		require.Empty(t, w.phones.take())
	})
}

func TestCrashBetweenSendingAndRecording(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place statetest.Database) {
		w := newWorld(t, place)
		w.notify(w.group("oncall", "HighErrors", "critical", router.StatusFiring))
		w.phones.hook = func(received) { _ = w.db.Close() } // dies when the message has arrived
		_, err := w.engine.Tick(w.ctx)
		require.Error(t, err)
		w.phones.hook = nil
		w.restart()
		w.runTo(epoch.Add(59 * time.Second))
		first := w.phones.take()
		require.Len(t, first, 1, "the dead process's claim holds for a minute")
		w.runTo(epoch.Add(4 * time.Minute))
		second := w.phones.take()
		require.Equal(t, []string{"1m0s: bo is paged, step 1 round 1"}, strs(second), "at least once")
		require.Equal(t, first[0].body.NotificationKey, second[0].body.NotificationKey, "the receiver can tell that it is the same")
	})
}

func TestTheSameNotificationAgainChangesNothing(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place statetest.Database) {
		w := newWorld(t, place)
		n := w.group("oncall", "HighErrors", "critical", router.StatusFiring)
		for range 3 {
			w.notify(n)
			w.runTo(epoch.Add(time.Second))
		}
		require.Len(t, w.phones.take(), 1)
		id := w.only().ID

		resolved := w.group("oncall", "HighErrors", "critical", router.StatusResolved)
		w.notify(resolved)
		w.notify(resolved)
		w.notify(n) // flushed before the end: old news from another process
		w.runTo(epoch.Add(time.Hour))
		require.Len(t, w.phones.take(), 1)
		require.Equal(t, id, w.only().ID)
		require.Equal(t, incident.Resolved, w.only().Status)
	})
}

func TestUnboundReceiverIsIgnored(t *testing.T) {
	w := newWorld(t, statetest.SQLite(t))
	w.notify(w.group("somebody-else", "X", "critical", router.StatusFiring))
	next, err := w.engine.Tick(w.ctx)
	require.NoError(t, err)
	require.True(t, next.IsZero())
}

func TestDatabaseDownIsRetried(t *testing.T) {
	w := newWorld(t, statetest.SQLite(t))
	require.NoError(t, w.db.Close())
	retry, err := w.engine.Notify(w.ctx, w.group("oncall", "X", "critical", router.StatusFiring))
	require.Error(t, err)
	require.True(t, retry)
	w.db, w.engine = w.process()
}

// runners runs n processes on one database until the test stops them.
func (w *world) runners(n int) (engines []*escalation.Engine, stop func()) {
	ctx, cancel := context.WithCancel(w.ctx)
	var running sync.WaitGroup
	for range n {
		_, e := w.process()
		engines = append(engines, e)
		running.Go(func() { _ = e.Run(ctx) })
	}
	return engines, func() { cancel(); running.Wait() }
}

// eventually polls for something that other goroutines bring about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	require.Eventually(t, ok, 20*time.Second, 2*time.Millisecond, what)
}

func (w *world) count(query string) (n int) {
	w.t.Helper()
	require.NoError(w.t, w.db.View(w.ctx, func(tx *state.Tx) error { return tx.QueryRow(w.ctx, query).Scan(&n) }))
	return n
}

func TestTwoProcessesTellOnce(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place statetest.Database) {
		w := newWorld(t, place)
		engines, stop := w.runners(2)
		defer stop()
		const incidents = 10
		var telling sync.WaitGroup
		for i := range incidents {
			n := w.group("timeout", "Alert"+string(rune('A'+i)), "critical", router.StatusFiring)
			for _, e := range engines { // each process has its own Alertmanager
				telling.Go(func() {
					for {
						if retry, err := e.Notify(w.ctx, n); err == nil || !retry {
							return
						}
					}
				})
			}
		}
		telling.Wait()
		require.Equal(t, incidents, w.count(`SELECT COUNT(*) FROM incidents`))
		settled := func() bool { return w.count(`SELECT COUNT(*) FROM outbox WHERE status <> 'sent'`) == 0 }
		eventually(t, "all pages are sent", settled)

		// Everybody acknowledges while the second round is due in both processes.
		seen := map[string]int{}
		for _, m := range w.phones.take() {
			seen[m.body.NotificationKey]++
		}
		require.Len(t, seen, incidents*3)
		for key, times := range seen {
			require.Equal(t, 1, times, key)
		}
	})
}

// TestAcknowledgeRacesWithStep lets people acknowledge in the moment in which the
// next step is due: either nobody more is told, or the step came first and the
// acknowledgement withdrew what it could; never a page decided afterwards.
func TestAcknowledgeRacesWithStep(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place statetest.Database) {
		w := newWorld(t, place)
		const incidents = 8
		for i := range incidents {
			w.notify(w.group("oncall", "Alert"+string(rune('A'+i)), "critical", router.StatusFiring))
		}
		w.runTo(epoch.Add(4*time.Minute + 59*time.Second))
		w.phones.take()
		w.clock.Set(epoch.Add(5 * time.Minute))
		var ids []string
		require.NoError(t, w.db.View(w.ctx, func(tx *state.Tx) error {
			page, _, err := incident.List(w.ctx, tx, "default", incident.Filter{})
			for _, i := range page {
				ids = append(ids, i.ID)
			}
			return err
		}))
		engines, stop := w.runners(2)
		defer stop()
		var people sync.WaitGroup
		for n, id := range ids {
			people.Go(func() {
				for {
					_, err := engines[n%2].Do(w.ctx, "default", id, escalation.Acknowledge{By: "ana"})
					if fault.KindOf(err) != fault.Unavailable {
						return
					}
				}
			})
		}
		people.Wait()
		eventually(t, "nothing is due", func() bool {
			return w.count(`SELECT COUNT(*) FROM outbox WHERE status = 'pending'`) == 0
		})
		require.NoError(t, w.db.View(w.ctx, func(tx *state.Tx) error {
			for _, id := range ids {
				events, err := incident.Timeline(w.ctx, tx, id, 0, 1000)
				if err != nil {
					return err
				}
				acked := false
				for _, e := range events {
					acked = acked || e.Kind == incident.KindAcknowledged
					require.False(t, acked && e.Kind == incident.KindNotified, "decided to tell somebody after the acknowledgement: %v", e)
				}
				require.True(t, acked)
			}
			return nil
		}))
	})
}

func TestRunDoesWhatIsDueWhenTheClockMoves(t *testing.T) {
	w := newWorld(t, statetest.SQLite(t))
	engines, stop := w.runners(1)
	defer stop()
	_, err := engines[0].Notify(w.ctx, w.group("oncall", "HighErrors", "critical", router.StatusFiring))
	require.NoError(t, err)
	var got []string
	await := func(want ...string) {
		t.Helper()
		eventually(t, strings.Join(want, ", "), func() bool {
			w.clock.FireAll() // the runner may have gone to sleep as the clock was set
			got = append(got, strs(w.phones.take())...)
			return len(got) == len(want) && w.count(`SELECT COUNT(*) FROM outbox WHERE status = 'pending'`) == 0
		})
		require.ElementsMatch(t, want, got)
		got = nil
	}
	await("0s: bo is paged, step 1 round 1")
	// The clock jumps: the runner wakes by its timer and looks again.
	jump := func(to time.Duration) { w.clock.Set(epoch.Add(to)) }
	jump(5 * time.Minute)
	await("5m0s: cem is paged, step 2 round 1")
	_, err = engines[0].Do(w.ctx, "default", w.only().ID, escalation.Acknowledge{By: "cem"})
	require.NoError(t, err)
	jump(10 * time.Hour)
	_, err = engines[0].Notify(w.ctx, w.group("oncall", "HighErrors", "critical", router.StatusResolved))
	require.NoError(t, err)
	await("10h0m0s: bo is told that it is resolved", "10h0m0s: cem is told that it is resolved")
}

func TestReload(t *testing.T) {
	w := newWorld(t, statetest.SQLite(t))
	w.notify(w.group("oncall", "HighErrors", "critical", router.StatusFiring))
	w.runTo(epoch.Add(time.Second))
	w.phones.take()

	bad := settings(w.phones.server.URL)
	bad.Escalation.Policies[0].Steps[0].People = []string{"zoe"}
	require.ErrorContains(t, w.engine.Apply(bad), `escalation.policies[0].steps[0].people[0]: "zoe" is not defined`)

	good := settings(w.phones.server.URL)
	good.Escalation.Policies[0].Steps[1].People = []string{"dia"}
	good.OnCall.People[3].Rules = nil
	require.NoError(t, w.engine.Apply(good))
	w.runTo(epoch.Add(6 * time.Minute))
	require.Equal(t, []string{"5m0s: dia is paged, step 2 round 1", "5m0s: dia-late is paged, step 2 round 1"}, strs(w.phones.take()))

	good.Escalation.Policies = good.Escalation.Policies[1:]
	good.Escalation.Heartbeats = nil
	require.NoError(t, w.engine.Apply(good))
	w.runTo(epoch.Add(time.Hour))
	require.Empty(t, w.phones.take())
	timeline := (&scenario{w}).timeline((&scenario{w}).newest().ID)
	require.Contains(t, timeline[len(timeline)-1], `there is no policy "default" any more`)
}

func TestOverridesAreChecked(t *testing.T) {
	w := newWorld(t, statetest.SQLite(t))
	for want, o := range map[string]oncall.Override{
		"no schedule":  {Schedule: "x", Person: "ana"},
		"no person":    {Schedule: "primary", Start: epoch, End: epoch.Add(1)},
		`person "zoe"`: {Schedule: "primary", Person: "ana", Replaces: "zoe"},
		"must end":     {Schedule: "primary", Person: "ana", Start: epoch, End: epoch},
		"366 days":     {Schedule: "primary", Person: "ana", Start: epoch, End: epoch.AddDate(2, 0, 0)},
	} {
		_, err := w.engine.AddOverride(w.ctx, "default", o)
		require.ErrorContains(t, err, want)
	}
}

func TestMetrics(t *testing.T) {
	w := newWorld(t, statetest.SQLite(t))
	reg := prometheus.NewRegistry()
	e, err := escalation.New(w.ctx, escalation.Options{DB: w.db, Settings: settings(w.phones.server.URL), Clock: w.clock, Registerer: reg})
	require.NoError(t, err)
	w.engine = e
	w.notify(w.group("oncall", "HighErrors", "critical", router.StatusFiring))
	w.clock.Set(epoch.Add(7 * time.Second))
	require.NoError(t, testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP belfry_escalation_lag_seconds How long the step or message that is longest overdue has been waiting.
# TYPE belfry_escalation_lag_seconds gauge
belfry_escalation_lag_seconds 7
# HELP belfry_incidents_open Open incidents, by status.
# TYPE belfry_incidents_open gauge
belfry_incidents_open{status="acknowledged"} 0
belfry_incidents_open{status="triggered"} 1
# HELP belfry_notification_outbox_depth Messages decided on and not yet delivered, those for later included.
# TYPE belfry_notification_outbox_depth gauge
belfry_notification_outbox_depth 1
`), "belfry_escalation_lag_seconds", "belfry_incidents_open", "belfry_notification_outbox_depth"))
	w.runTo(epoch.Add(10 * time.Second))
	_, err = e.Do(w.ctx, "default", w.only().ID, escalation.Acknowledge{By: "ana"})
	require.NoError(t, err)
	require.NoError(t, testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP belfry_notifications_total Attempts to send a message, by type of contact method, kind (page, resolved, update, notice, summary) and result (sent, retry, failed).
# TYPE belfry_notifications_total counter
belfry_notifications_total{kind="page",method="webhook",result="sent"} 1
`), "belfry_notifications_total"))
	n, err := testutil.GatherAndCount(reg, "belfry_incident_acknowledge_seconds")
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.NoError(t, e.Apply(settings(w.phones.server.URL)))
}
