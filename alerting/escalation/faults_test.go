package escalation_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"belfry/alerting/incident"
	"belfry/internal/state"
	"belfry/internal/state/statetest"
)

// TestTheDatabaseIsLocked lets another program hold the write lock: Alertmanager is
// told to say it again, and nothing is forgotten or told twice.
func TestTheDatabaseIsLocked(t *testing.T) {
	w := newWorld(t, statetest.SQLite(t))
	w.notify(w.group("oncall", "Before", "critical", "firing")) // decided, not sent
	other, err := sql.Open("sqlite", "file:"+w.place.Options().Path)
	require.NoError(t, err)
	defer other.Close()
	conn, err := other.Conn(t.Context())
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.ExecContext(t.Context(), "BEGIN IMMEDIATE")
	require.NoError(t, err)

	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	retry, err := w.engine.Notify(ctx, w.group("oncall", "During", "critical", "firing"))
	require.Error(t, err)
	require.True(t, retry, "Alertmanager says it again")
	_, err = w.engine.Tick(ctx)
	require.Error(t, err)
	require.Empty(t, w.phones.take(), "nothing is sent that could not be recorded as begun")

	_, err = conn.ExecContext(t.Context(), "ROLLBACK")
	require.NoError(t, err)
	w.notify(w.group("oncall", "During", "critical", "firing"))
	w.runTo(epoch)
	require.Len(t, w.phones.take(), 2)
	w.runTo(epoch)
	require.Empty(t, w.phones.take())
}

// TestTheDatabaseIsFull lets the database not grow any more.
func TestTheDatabaseIsFull(t *testing.T) {
	w := newWorld(t, statetest.SQLite(t))
	pragma := func(text string) {
		t.Helper()
		require.NoError(t, w.db.Update(w.ctx, func(tx *state.Tx) error {
			rows, err := tx.Query(w.ctx, "PRAGMA "+text)
			if err != nil {
				return err
			}
			return rows.Close()
		}))
	}
	w.notify(w.group("oncall", "Before", "critical", "firing"))
	w.runTo(epoch)
	require.Len(t, w.phones.take(), 1)
	pragma("max_page_count = 1") // as many as there are
	var failed int
	for run := range 50 { // until the free room in the last pages is used up
		n := w.group("oncall", "During", "critical", "firing")
		n.GroupKey = fmt.Sprint("During", run)
		n.CommonAnnotations["description"] = model.LabelValue(strings.Repeat("filling ", 400))
		retry, err := w.engine.Notify(w.ctx, n)
		if err != nil {
			require.True(t, retry, "it may pass: %s", err)
			failed++
			break
		}
	}
	require.Positive(t, failed, "the database never was full")
	w.phones.take()
	pragma("max_page_count = 1000000")
	w.notify(w.group("oncall", "After", "critical", "firing"))
	w.runTo(epoch)
	require.NotEmpty(t, w.phones.take())
	require.Equal(t, "After", (&scenario{w}).newest().Title)
}

// TestTheClockGoesBack sets the clock back by a day in the middle of an escalation:
// nobody is told twice, and the escalation goes on by the clock that there is.
func TestTheClockGoesBack(t *testing.T) {
	w := newWorld(t, statetest.SQLite(t))
	w.clock.Set(epoch.Add(48 * time.Hour))
	w.notify(w.group("oncall", "Disk", "critical", "firing"))
	w.runTo(epoch.Add(48 * time.Hour))
	require.Len(t, w.phones.take(), 1)
	w.clock.Set(epoch.Add(24 * time.Hour))
	n := w.group("oncall", "Disk", "critical", "firing")
	n.Reason = "repeat interval elapsed"
	w.notify(n)
	w.runTo(epoch.Add(24*time.Hour + time.Minute))
	require.Empty(t, w.phones.take(), "told already")
	i := (&scenario{w}).newest()
	require.Equal(t, incident.Triggered, i.Status)
	require.Equal(t, incident.ActionStep, i.Next)
	w.runTo(epoch.Add(48*time.Hour + 6*time.Minute))
	require.Equal(t, "48h5m0s: cem is paged, step 2 round 1", w.phones.take()[0].String())
	w.notify(w.group("oncall", "Disk", "critical", "resolved"))
	w.runTo(epoch.Add(48*time.Hour + 7*time.Minute))
	require.Equal(t, incident.Resolved, (&scenario{w}).newest().Status)
}
