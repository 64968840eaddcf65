package escalation_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"belfry/alerting/escalation"
	"belfry/alerting/incident"
	"belfry/alerting/notify"
	"belfry/alerting/oncall"
	"belfry/internal/config"
	"belfry/internal/fault"
	"belfry/internal/state"
	"belfry/internal/state/statetest"
)

// titles of what people received since the last look.
func (w *world) titles() (out []string) {
	for _, m := range w.phones.take() {
		out = append(out, m.at.Sub(epoch).String()+" "+m.person+": "+m.body.Title+" | "+m.body.Message)
	}
	return out
}

func TestHandoversAreToldOnce(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place statetest.Database) {
		w := newWorld(t, place)
		s := settings(w.phones.server.URL)
		s.OnCall.Schedules[0].HandoverNotice = model.Duration(30 * time.Minute)
		require.NoError(t, w.engine.Apply(s))
		w.runTo(epoch.Add(11 * time.Hour))
		require.Empty(t, w.titles())
		w.runTo(epoch.Add(11*time.Hour + 31*time.Minute))
		require.Equal(t, []string{
			"11h30m0s ana: You are on call next: primary | You are on call for primary from Mon 1 Jun 12:00 UTC to Tue 2 Jun 12:00 UTC. You take over from bo.",
			"11h30m0s bo: Your time on call ends: primary | Your time on call for primary ends at Mon 1 Jun 12:00 UTC. ana takes over.",
		}, sorted(w.titles()))
		_, second := w.process()
		require.NoError(t, second.Apply(s))
		_, err := second.Tick(w.ctx)
		require.NoError(t, err)
		w.runTo(epoch.Add(30 * time.Hour))
		require.Empty(t, w.titles(), "not by another process, not at the hand-over, not again")
		require.NoError(t, second.Apply(s))
	})
}

func sorted(in []string) []string {
	for i := range in {
		for j := i; j > 0 && in[j] < in[j-1]; j-- {
			in[j], in[j-1] = in[j-1], in[j]
		}
	}
	return in
}

func TestGapsAreAnIncident(t *testing.T) {
	w := newWorld(t, statetest.SQLite(t))
	s := settings(w.phones.server.URL)
	s.Escalation.Coverage = []escalation.Coverage{{Schedule: "office", Policy: "default", Within: model.Duration(24 * time.Hour)}}
	require.NoError(t, w.engine.Apply(s))
	w.runTo(epoch.Add(time.Second))
	i := (&scenario{w}).newest()
	require.Equal(t, "Nobody will be on call: office", i.Title)
	require.Contains(t, i.Summary, "Mon 1 Jun 18:00 UTC to Tue 2 Jun 00:00 UTC")
	require.Len(t, w.phones.take(), 1)
	_, err := w.engine.AddOverride(w.ctx, "default", oncall.Override{Schedule: "office", Person: "ana", Start: epoch, End: epoch.Add(72 * time.Hour)})
	require.NoError(t, err)
	w.runTo(epoch.Add(2 * time.Minute))
	require.Equal(t, incident.Resolved, (&scenario{w}).newest().Status)
	w.runTo(epoch.Add(4 * time.Minute))
	require.EqualValues(t, 1, (&scenario{w}).newest().Number, "no incident while there is no gap")
	s.Escalation.Coverage[0] = escalation.Coverage{Schedule: "none", Policy: "none", Within: -1}
	err = w.engine.Apply(s)
	for _, want := range []string{`coverage[0].policy: unknown policy "none"`, "coverage[0].within:", `coverage[0].schedule: "none" is not defined`} {
		require.ErrorContains(t, err, want)
	}
}

func TestSwaps(t *testing.T) {
	w := newWorld(t, statetest.SQLite(t))
	offer := escalation.Swap{Schedule: "primary", Person: "ana", Start: epoch.Add(12 * time.Hour), End: epoch.Add(20 * time.Hour), Reason: "Dentist."}
	s, err := w.engine.OfferSwap(w.ctx, "default", offer)
	require.NoError(t, err)
	w.runTo(epoch)
	require.Equal(t, []string{"0s bo: Can you take over primary? | ana would like somebody to be on call for primary from Mon 1 Jun 12:00 UTC to Mon 1 Jun 20:00 UTC. Dentist."},
		w.titles())
	_, err = w.engine.TakeSwap(w.ctx, "default", "primary", s.ID, "ana")
	require.Equal(t, fault.Invalid, fault.KindOf(err))
	taken, err := w.engine.TakeSwap(w.ctx, "default", "primary", s.ID, "bo")
	require.NoError(t, err)
	require.Equal(t, "bo", taken.TakenBy)
	_, err = w.engine.TakeSwap(w.ctx, "default", "primary", s.ID, "cem")
	require.Equal(t, fault.Conflict, fault.KindOf(err))
	w.runTo(epoch.Add(13 * time.Hour))
	require.Equal(t, []string{"0s ana: bo takes over primary | bo is on call for you from Mon 1 Jun 12:00 UTC to Mon 1 Jun 20:00 UTC."}, w.titles())
	w.notify(w.group("oncall", "Disk", "critical", "firing"))
	w.runTo(w.clock.Now())
	require.Equal(t, "13h0m0s: bo is paged, step 1 round 1", w.phones.take()[0].String())

	another, err := w.engine.OfferSwap(w.ctx, "default", escalation.Swap{Schedule: "primary", Person: "bo", Start: epoch.Add(40 * time.Hour), End: epoch.Add(41 * time.Hour)})
	require.NoError(t, err)
	_, err = w.engine.WithdrawSwap(w.ctx, "default", "primary", another.ID)
	require.NoError(t, err)
	_, err = w.engine.TakeSwap(w.ctx, "default", "primary", another.ID, "ana")
	require.Equal(t, fault.Conflict, fault.KindOf(err))
	_, err = w.engine.TakeSwap(w.ctx, "default", "primary", "nope", "ana")
	require.Equal(t, fault.NotFound, fault.KindOf(err))
	list, err := w.engine.Swaps(w.ctx, "default", "primary")
	require.NoError(t, err)
	require.Len(t, list, 2)
	_, err = w.engine.OfferSwap(w.ctx, "default", escalation.Swap{Schedule: "primary", Person: "bo", Start: epoch, End: epoch.Add(time.Hour)})
	require.Equal(t, fault.Invalid, fault.KindOf(err), "what is over cannot be given away")
}

const icsOfCem = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:20260601T000000Z\r\nSUMMARY:cem\r\n" +
	"DTSTART:20260601T010000Z\r\nDTEND:20260601T020000Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"

func (w *world) onCall(at time.Time) string {
	w.t.Helper()
	s, _ := w.engine.Directory().Schedule("primary")
	overrides, err := w.engine.Overrides(w.ctx, "default", "primary", at, at.Add(time.Second))
	require.NoError(w.t, err)
	return strings.Join(s.OnCall(at, overrides), ",")
}

func TestImportReplacesWhatItImportedBefore(t *testing.T) {
	statetest.Each(t, func(t *testing.T, place statetest.Database) {
		w := newWorld(t, place)
		at := epoch.Add(90 * time.Minute)
		for range 2 {
			r, err := w.engine.Import(w.ctx, "default", "primary", "ours", strings.NewReader(icsOfCem))
			require.NoError(t, err)
			require.Equal(t, 1, r.Imported)
		}
		require.Equal(t, "cem", w.onCall(at))
		list, err := w.engine.Overrides(w.ctx, "default", "primary", epoch, epoch.Add(day))
		require.NoError(t, err)
		require.Len(t, list, 1)
		_, err = w.engine.Import(w.ctx, "default", "primary", "ours", strings.NewReader("nonsense"))
		require.Error(t, err)
		require.Equal(t, "cem", w.onCall(at), "a bad calendar changes nothing")
		_, err = w.engine.Import(w.ctx, "default", "primary", "ours", strings.NewReader(strings.Replace(icsOfCem, "SUMMARY:cem", "SUMMARY:dia", 1)))
		require.NoError(t, err)
		require.Equal(t, "dia", w.onCall(at))
	})
}

const day = 24 * time.Hour

func TestCalendarsAreFollowed(t *testing.T) {
	w := newWorld(t, statetest.SQLite(t))
	var status atomic.Int64
	status.Store(200)
	feed := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.WriteHeader(int(status.Load()))
		_, _ = rw.Write([]byte(icsOfCem))
	}))
	defer feed.Close()
	s := settings(w.phones.server.URL)
	s.OnCall.Schedules[0].Calendars = []oncall.CalendarConfig{{URL: config.Secret(feed.URL)}}
	require.NoError(t, w.engine.Apply(s))
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { done <- w.engine.RunCalendars(ctx) }()
	eventually(t, "the calendar is imported", func() bool { return w.onCall(epoch.Add(90*time.Minute)) == "cem" })
	cancel()
	require.NoError(t, <-done)
}

func TestTheHeartbeatStopsWhenPagesDo(t *testing.T) {
	w := newWorld(t, statetest.SQLite(t))
	s := settings(w.phones.server.URL)
	var beats atomic.Int64
	outside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { beats.Add(1) }))
	defer outside.Close()
	s.Notify.Heartbeat = notify.Heartbeat{URL: config.Secret(outside.URL), Interval: model.Duration(time.Minute)}
	reg := prometheus.NewRegistry()
	e, err := escalation.New(w.ctx, escalation.Options{DB: w.db, Settings: s, Clock: w.clock, Registerer: reg})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.RunHeartbeat(ctx) }()
	eventually(t, "a first heartbeat", func() bool { return beats.Load() == 1 })
	w.notify(w.group("oncall", "Disk", "critical", "firing")) // and nobody sends it
	w.clock.Set(epoch.Add(10 * time.Minute))
	eventually(t, "one is withheld, because what is due is not done", func() bool {
		w.clock.FireAll()
		n, err := testutil.GatherAndCount(reg, "belfry_heartbeats_sent_total")
		require.NoError(t, err)
		return n == 2 // sent and withheld
	})
	require.EqualValues(t, 1, beats.Load())
	cancel()
	require.NoError(t, <-done)
	e.Notifier().Close()
}

func TestSearchFindsManyFast(t *testing.T) {
	w := newWorld(t, statetest.SQLite(t))
	w.notify(w.group("oncall", "Disk", "critical", "firing"))
	require.NoError(t, w.db.View(w.ctx, func(tx *state.Tx) error {
		rows, err := tx.Query(w.ctx, `EXPLAIN QUERY PLAN SELECT incident_id FROM incident_words WHERE tenant = ? AND word >= ? AND word < ?`, "default", "a", "b")
		require.NoError(t, err)
		defer rows.Close()
		var a, b, c int
		var plan string
		require.True(t, rows.Next())
		require.NoError(t, rows.Scan(&a, &b, &c, &plan))
		require.Contains(t, plan, "SEARCH", "by the index, not by looking at every incident")
		return nil
	}))
}
