package escalation_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"belfry/alerting/escalation"
	"belfry/alerting/router"
	"belfry/internal/state"
)

// The variables that make the test binary a process to be killed.
const (
	killDatabase = "BELFRY_TEST_KILL_DATABASE"
	killPhones   = "BELFRY_TEST_KILL_PHONES"
	killStorm    = "BELFRY_TEST_KILL_STORM" // not empty: stormGroups, each paged once, two of them alone
)

func TestMain(m *testing.M) {
	if path := os.Getenv(killDatabase); path != "" {
		if err := victim(path, os.Getenv(killPhones)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

const killGroups = 3

// victim is a process with an Alertmanager that says the same after every start,
// until it is killed.
func victim(path, base string) error {
	ctx := context.Background()
	db, err := state.Open(ctx, state.Options{Path: path})
	if err != nil {
		return err
	}
	s := settings(base)
	for i := range s.Escalation.Policies[0].Steps {
		s.Escalation.Policies[0].Steps[i].Wait = model.Duration(20 * time.Millisecond)
	}
	if os.Getenv(killStorm) != "" {
		s.Escalation.Policies[0].Steps[0].Wait = model.Duration(time.Hour)
		s.Escalation.Storm = escalation.Storm{Pages: 2, Window: model.Duration(time.Second)}
	}
	e, err := escalation.New(ctx, escalation.Options{DB: db, Settings: s, Lease: time.Second, Sweep: 50 * time.Millisecond})
	if err != nil {
		return err
	}
	w := world{clock: newClock()}
	w.clock.Set(time.Now())
	groups := killGroups
	if os.Getenv(killStorm) != "" {
		groups = stormGroups
	}
	for i := range groups {
		n := w.group("oncall", fmt.Sprint("Alert", i), "critical", router.StatusFiring)
		if _, err := e.Notify(ctx, n); err != nil {
			return err
		}
	}
	return e.Run(ctx)
}

// TestKilledAtAnyMoment kills a real process again and again; every incident must
// be opened once and go through all its pages, each delivered at least once.
func TestKilledAtAnyMoment(t *testing.T) {
	if testing.Short() {
		t.Skip("starts many processes")
	}
	phones := newPhones(t, newClock())
	path := filepath.Join(t.TempDir(), "belfry.db")
	start := func() *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), killDatabase+"="+path, killPhones+"="+phones.server.URL)
		cmd.Stderr = os.Stderr
		require.NoError(t, cmd.Start())
		return cmd
	}
	const kills = 20
	for range kills {
		cmd := start()
		<-time.After(time.Duration(rand.IntN(120)) * time.Millisecond) //nolint:gosec // any moment will do
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait()
	}
	cmd := start()
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()

	// Two steps, two rounds, for each incident.
	times := map[string]int{}
	eventually(t, "every page is delivered", func() bool {
		for _, m := range phones.take() {
			times[m.body.NotificationKey]++
		}
		return len(times) >= killGroups*4
	})
	require.Len(t, times, killGroups*4, "no page that nobody decided")
	again := 0
	for _, n := range times {
		again += n - 1
	}
	t.Logf("%d pages, %d of them sent again after %d kills", len(times), again, kills)
	require.LessOrEqual(t, again, kills*killGroups, "only what was in flight may come twice")
}
