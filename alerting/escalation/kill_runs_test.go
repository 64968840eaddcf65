package escalation_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"belfry/alerting/incident"
	"belfry/internal/state"
)

// killRuns is how many runs TestKilledAtEachStage makes; 200 say more than the few
// that every test run can wait for.
const killRuns = "BELFRY_TEST_KILL_RUNS"

// firstPageBound is how long after the last kill every incident's first page must
// have come: a start of the process, the lease of a message that a dead process had
// claimed, and much for a busy machine.
const firstPageBound = 10 * time.Second

// TestKilledAtEachStage kills a real process once or twice in each of many runs: at
// a random moment (opening incidents, deciding, claiming), when a page has arrived
// and is not answered yet (sent, not recorded), and just after the answer
// (recording). Every incident's first page comes within the bound; no page is
// decided twice; and only what a dead process had in flight comes a second time,
// under the same key.
func TestKilledAtEachStage(t *testing.T) {
	if testing.Short() {
		t.Skip("starts many processes")
	}
	runs, err := strconv.Atoi(os.Getenv(killRuns))
	if err != nil {
		runs = 6
	}
	var slowest time.Duration
	again, pages := 0, 0
	for run := range runs {
		k := &killRun{t: t, phones: newPhones(t, newClock()), path: filepath.Join(t.TempDir(), "belfry.db")}
		k.live(run)
		slowest = max(slowest, k.took)
		again += k.again
		pages += k.pages
	}
	t.Logf("%d runs, %d pages, %d came again under their key, the slowest first page %s after the last kill", runs, pages, again, slowest)
}

type killRun struct {
	t      *testing.T
	phones *phones
	path   string
	env    []string

	mu           sync.Mutex
	cmd          *exec.Cmd
	took         time.Duration
	again, pages int
	kills        int
}

func (k *killRun) start() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.cmd = exec.CommandContext(k.t.Context(), os.Args[0])
	k.cmd.Env = slices.Concat(os.Environ(), k.env, []string{killDatabase + "=" + k.path, killPhones + "=" + k.phones.server.URL})
	k.cmd.Stderr = os.Stderr
	require.NoError(k.t, k.cmd.Start())
}

func (k *killRun) kill() {
	k.mu.Lock()
	defer k.mu.Unlock()
	_ = k.cmd.Process.Kill()
}

// stage kills the process that was just started, in one of the ways.
func (k *killRun) stage(n int) {
	k.kills++
	random := time.Duration(rand.IntN(150)) * time.Millisecond //nolint:gosec // any moment will do
	switch n % 3 {
	case 0:
		<-time.After(random)
		k.kill()
	case 1: // the first page that comes is not answered any more
		k.onPage(k.kill)
	case 2: // answered, and perhaps recorded
		k.onPage(func() { time.AfterFunc(random/50, k.kill) })
	}
	_ = k.cmd.Wait()
	k.phones.mu.Lock()
	k.phones.hook = nil
	k.phones.mu.Unlock()
}

func (k *killRun) onPage(do func()) {
	var once sync.Once
	k.phones.mu.Lock()
	k.phones.hook = func(received) { once.Do(do) }
	k.phones.mu.Unlock()
	// A run in which nothing is left to page must end too.
	timer := time.AfterFunc(2*time.Second, k.kill)
	k.t.Cleanup(func() { timer.Stop() })
}

func (k *killRun) live(run int) {
	k.t.Helper()
	k.start()
	k.stage(run)
	if run%2 == 1 {
		k.start()
		k.stage(run / 2)
	}
	killed := time.Now()
	k.start()
	defer func() { k.kill(); _ = k.cmd.Wait() }()
	times, first := map[string]int{}, map[string]bool{}
	collect := func() {
		for _, m := range k.phones.take() {
			times[m.body.NotificationKey]++
			if m.body.Step == 1 && m.body.Round == 1 {
				first[m.body.Incident.ID] = true
			}
		}
	}
	eventually(k.t, "every first page", func() bool { collect(); return len(first) == killGroups })
	k.took = time.Since(killed)
	require.Less(k.t, k.took, firstPageBound)
	eventually(k.t, "every page", func() bool { collect(); return len(times) == 4*killGroups })
	for key, n := range times {
		k.pages++
		k.again += n - 1
		require.LessOrEqual(k.t, n, 1+k.kills, "%s: again only for each process that died with it in flight", key)
	}
	k.checkRecord()
}

// checkRecord looks at what the database says in the end: one incident for each
// group, and one decision for each page.
func (k *killRun) checkRecord() {
	k.t.Helper()
	db, err := state.Open(k.t.Context(), state.Options{Path: k.path})
	require.NoError(k.t, err)
	defer db.Close()
	require.NoError(k.t, db.View(k.t.Context(), func(tx *state.Tx) error {
		list, _, err := incident.List(k.t.Context(), tx, "default", incident.Filter{})
		require.NoError(k.t, err)
		require.Len(k.t, list, killGroups)
		for _, i := range list {
			events, err := incident.Timeline(k.t.Context(), tx, i.ID, 0, 1000)
			require.NoError(k.t, err)
			decided := map[string]int{}
			for _, e := range events {
				if e.Kind == incident.KindNotified {
					decided[fmt.Sprint(e.Detail.Person, e.Detail.Step, e.Detail.Round)]++
				}
			}
			for what, n := range decided {
				require.Equal(k.t, 1, n, "%s was decided once", what)
			}
		}
		return nil
	}))
}
