package escalation_test

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"belfry/alerting/incident"
	"belfry/alerting/notify"
	"belfry/internal/state"
)

const stormGroups = 12

// TestKilledInAStorm kills a real process while it gathers, when a summary has
// arrived and is not answered yet, and when it was answered and may be recorded for
// some of its incidents. Everybody is told of every incident, and the timelines say
// so once.
func TestKilledInAStorm(t *testing.T) {
	if testing.Short() {
		t.Skip("starts many processes")
	}
	const gathering = -1 // not after a summary, but while the first page is sent
	for _, late := range []time.Duration{gathering, 0, time.Millisecond, 5 * time.Millisecond} {
		t.Run(strconv.FormatInt(int64(late), 10), func(t *testing.T) {
			t.Parallel()
			k := &killRun{t: t, phones: newPhones(t, newClock()), path: filepath.Join(t.TempDir(), "belfry.db"), env: []string{killStorm + "=1"}}
			var once sync.Once
			k.phones.mu.Lock()
			k.phones.hook = func(m received) {
				switch {
				case late == gathering:
					once.Do(k.kill)
				case m.body.Reason == string(notify.KindSummary):
					once.Do(func() { time.AfterFunc(late, k.kill) })
				}
			}
			k.phones.mu.Unlock()
			k.start()
			_ = k.cmd.Wait()
			k.start()
			defer func() { k.kill(); _ = k.cmd.Wait() }()
			db, err := state.Open(t.Context(), state.Options{Path: k.path})
			require.NoError(t, err)
			defer db.Close()
			told := map[string]int{}
			eventually(t, "every incident is recorded as told", func() bool {
				told = toldOnce(t, db)
				return len(told) == stormGroups
			})
			for what, n := range told {
				require.Equal(t, 1, n, "incident %s was recorded once", what)
			}
			all := k.phones.take()
			summaries := map[string]int{}
			for _, m := range all {
				if m.body.Reason == string(notify.KindSummary) {
					summaries[m.body.NotificationKey]++
				}
			}
			require.NotEmpty(t, summaries)
			for key, n := range summaries {
				require.LessOrEqual(t, n, 2, "%s: again only because a process died with it", key)
			}
			for id := range told {
				require.True(t, heardOf(all, id), "a message was about incident %s", id)
			}
		})
	}
}

// toldOnce counts the deliveries in the timelines of incidents, by "number ID".
func toldOnce(t *testing.T, db *state.DB) map[string]int {
	t.Helper()
	told := map[string]int{}
	require.NoError(t, db.View(t.Context(), func(tx *state.Tx) error {
		clear(told)
		list, _, err := incident.List(t.Context(), tx, "default", incident.Filter{})
		if err != nil {
			return err
		}
		for _, i := range list {
			events, err := incident.Timeline(t.Context(), tx, i.ID, 0, 1000)
			if err != nil {
				return err
			}
			for _, e := range events {
				if e.Kind == incident.KindDelivered {
					told[fmt.Sprint(i.Number, " ", i.ID)]++
				}
			}
		}
		return nil
	}))
	return told
}

func heardOf(all []received, numberAndID string) bool {
	number, id, _ := strings.Cut(numberAndID, " ")
	for _, m := range all {
		if m.body.Incident.ID == id || strings.Contains(m.body.Message, "- #"+number+" ") {
			return true
		}
	}
	return false
}
