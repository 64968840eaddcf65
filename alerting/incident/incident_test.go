package incident_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"belfry/alerting/incident"
	"belfry/internal/fault"
	"belfry/internal/state"
	"belfry/internal/state/statetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var epoch = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)

func open(t *testing.T, db *state.DB, i *incident.Incident) {
	t.Helper()
	require.NoError(t, db.Update(t.Context(), func(tx *state.Tx) error { return incident.Insert(t.Context(), tx, i) }))
}

func newIncident(tenant, key string, at time.Time) *incident.Incident {
	return &incident.Incident{Tenant: tenant, SourceKey: key, Title: key, Severity: "info", OpenedAt: at, UpdatedAt: at,
		Progress: incident.Progress{Status: incident.Triggered, Policy: "p"}}
}

func TestIncidentIsKeptWhole(t *testing.T) {
	statetest.Each(t, func(t *testing.T, d statetest.Database) {
		db, ctx := d.Open(), t.Context()
		want := newIncident("t", "k", epoch)
		want.Source, want.Receiver, want.GroupKey, want.Summary = "s", "r", "g", "text"
		want.GroupLabels = map[string]string{"a": "1"}
		want.Labels, want.Annotations = map[string]string{"b": "2"}, map[string]string{"c": "3"}
		want.Progress = incident.Progress{Status: incident.Acknowledged, Policy: "p", Generation: 1, Step: 2, Round: 3, Next: incident.ActionUnsnooze,
			NextAt: epoch.Add(1e6), AcknowledgedBy: "ana", AcknowledgedAt: epoch.Add(2e6), SnoozedUntil: epoch.Add(3e6), Assignees: []string{"ana"}}
		open(t, db, want)
		require.EqualValues(t, 1, want.Number)
		require.NoError(t, db.View(ctx, func(tx *state.Tx) error {
			got, err := incident.Get(ctx, tx, "t", want.ID)
			require.NoError(t, err)
			require.Equal(t, want, got)
			_, err = incident.Get(ctx, tx, "other", want.ID)
			require.Equal(t, fault.NotFound, fault.KindOf(err))
			due, err := incident.Due(ctx, tx, epoch.Add(1e6), 10)
			require.Equal(t, []incident.Ref{{Tenant: "t", ID: want.ID}}, due)
			return err
		}))
	})
}

func TestOneOpenIncidentForASource(t *testing.T) {
	statetest.Each(t, func(t *testing.T, d statetest.Database) {
		db, ctx := d.Open(), t.Context()
		first := newIncident("t", "k", epoch)
		open(t, db, first)
		open(t, db, newIncident("other", "k", epoch))
		require.Error(t, db.Update(ctx, func(tx *state.Tx) error { return incident.Insert(ctx, tx, newIncident("t", "k", epoch)) }))
		first.Status, first.ResolvedAt = incident.Resolved, epoch.Add(time.Hour)
		require.NoError(t, db.Update(ctx, func(tx *state.Tx) error { return incident.Save(ctx, tx, first) }))
		second := newIncident("t", "k", epoch.Add(2*time.Hour))
		open(t, db, second)
		require.EqualValues(t, 2, second.Number, "numbers have no gaps and are the tenant's own")
		require.NoError(t, db.View(ctx, func(tx *state.Tx) error {
			current, err := incident.OpenFor(ctx, tx, "t", "k")
			require.NoError(t, err)
			require.Equal(t, second.ID, current.ID)
			last, err := incident.LastFor(ctx, tx, "t", "k")
			require.NoError(t, err)
			require.Equal(t, second.ID, last.ID)
			none, err := incident.OpenFor(ctx, tx, "t", "unknown")
			require.Nil(t, none)
			return err
		}))
	})
}

func TestMergeAlerts(t *testing.T) {
	statetest.Each(t, func(t *testing.T, d statetest.Database) {
		db, ctx := d.Open(), t.Context()
		i := newIncident("t", "k", epoch)
		open(t, db, i)
		alert := func(name, status string) incident.Alert {
			return incident.Alert{Fingerprint: name, Status: status, Labels: map[string]string{"alertname": name}, Annotations: map[string]string{}, StartsAt: epoch}
		}
		for n, c := range []struct {
			in                   []incident.Alert
			fired, firing, total int
			events               int
		}{
			{[]incident.Alert{alert("a", "firing"), alert("b", "firing")}, 2, 2, 2, 2},
			{[]incident.Alert{alert("a", "firing"), alert("b", "firing")}, 0, 2, 2, 2},
			{[]incident.Alert{alert("a", "resolved"), alert("c", "firing")}, 1, 2, 3, 4}, // b was not mentioned
			{[]incident.Alert{alert("a", "firing")}, 1, 3, 3, 5},
			{[]incident.Alert{alert("d", "resolved")}, 0, 3, 4, 5}, // came and went between two notifications
		} {
			require.NoError(t, db.Update(ctx, func(tx *state.Tx) error {
				fresh, err := incident.Get(ctx, tx, "t", i.ID)
				require.NoError(t, err)
				fired, err := incident.MergeAlerts(ctx, tx, fresh, fresh.SourceKey, c.in, epoch)
				require.NoError(t, err)
				require.Len(t, fired, c.fired, "%d", n)
				require.Equal(t, []int{c.firing, c.total}, []int{fresh.AlertsFiring, fresh.AlertsTotal}, "%d", n)
				require.NoError(t, incident.Save(ctx, tx, fresh))
				events, err := incident.Timeline(ctx, tx, i.ID, 0, 100)
				require.Len(t, events, c.events, "%d", n)
				return err
			}))
		}
	})
}

func FuzzClip(f *testing.F) {
	f.Add("héllo\x00\xff", 4)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		if limit < 3 || limit > 1000 {
			return
		}
		got := incident.Clip(text, limit)
		require.LessOrEqual(t, len(got), limit)
		require.True(t, utf8.ValidString(got))
		require.NotContains(t, got, "\x00")
		if len(text) <= limit && utf8.ValidString(text) && !strings.Contains(text, "\x00") {
			require.Equal(t, text, got)
		}
	})
}
