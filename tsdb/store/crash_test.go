package store

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"github.com/stretchr/testify/require"

	"belfry/internal/tenant"
	metrics "belfry/tsdb"
	"belfry/tsdb/tsdbtest"
)

// crashDir is set in the process that is going to be killed.
const crashDir = "BELFRY_TEST_CRASH_DIR"

// crashBase is the time of the first sample; both processes must agree on it.
const crashBaseEnv = "BELFRY_TEST_CRASH_BASE"

// crashWriter appends until it is killed, and says after each commit which one
// it was.
func crashWriter(dir string, base int64) error {
	cfg := metrics.DefaultConfig()
	cfg.MinFreeDisk = 0
	s, err := Open(Options{Dir: dir, Config: cfg})
	if err != nil {
		return err
	}
	for n := int64(0); ; n++ {
		ctx := tenant.WithID(context.Background(), crashTenant(n))
		app := s.AppenderV2(ctx)
		for i := range int64(20) {
			o := storage.AOptions{Exemplars: []exemplar.Exemplar{{Labels: labels.FromStrings("n", strconv.FormatInt(n, 10)), Value: 1, Ts: base + n, HasTs: true}}}
			if _, err := app.Append(0, labels.FromStrings("__name__", "f", "i", strconv.FormatInt(i, 10)), 0, base+n, float64(n), nil, nil, o); err != nil {
				return err
			}
		}
		if _, err := app.Append(0, labels.FromStrings("__name__", "h"), 0, base+n, 0, tsdbutil.GenerateTestHistogram(n), nil, storage.AOptions{}); err != nil {
			return err
		}
		// Out of order: a new series is always in order, an old time is not.
		if _, err := app.Append(0, labels.FromStrings("__name__", "late"), 0, base-n, float64(n), nil, nil, storage.AOptions{}); err != nil {
			return err
		}
		if err := app.Commit(); err != nil {
			return err
		}
		fmt.Fprintln(os.Stdout, "committed", n)
	}
}

func crashTenant(n int64) string { return []string{"a", "b"}[n%2] }

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		base, err := strconv.ParseInt(os.Getenv(crashBaseEnv), 10, 64)
		if err == nil {
			err = crashWriter(dir, base)
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if dir := os.Getenv(coldCrashDir); dir != "" {
		fmt.Fprintln(os.Stderr, coldCrasher(dir))
		os.Exit(1)
	}
	runTests(m)
}

// killAfter starts a process that says which of its commits were acknowledged,
// kills it after the given one and returns the last that it said.
func killAfter(t *testing.T, cmd *exec.Cmd, commit int64, stderr *strings.Builder) int64 {
	t.Helper()
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	acknowledged, killed := int64(-1), false
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		_, err := fmt.Sscanf(lines.Text(), "committed %d", &acknowledged)
		require.NoError(t, err)
		if acknowledged >= commit && !killed {
			killed = true
			require.NoError(t, cmd.Process.Kill()) // and read on: what was said counts
		}
	}
	require.Error(t, cmd.Wait())
	require.GreaterOrEqual(t, acknowledged, commit, stderr.String())
	return acknowledged
}

func TestKillLosesNothingAcknowledged(t *testing.T) {
	dir := t.TempDir()
	base := time.Now().Add(-10 * time.Minute).UnixMilli()
	var acknowledged int64
	for round := range 3 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), crashDir+"="+dir, fmt.Sprintf("%s=%d", crashBaseEnv, base+int64(round)*100_000))
		var stderr strings.Builder
		cmd.Stderr = &stderr
		acknowledged = killAfter(t, cmd, 400, &stderr)
		checkCrashed(t, dir, base+int64(round)*100_000, acknowledged)
	}
}

func checkCrashed(t *testing.T, dir string, base, acknowledged int64) {
	t.Helper()
	s := open(t, dir, nil)
	defer func() { require.NoError(t, s.Close()) }()
	got := map[string]map[string]bool{}
	for _, id := range []string{"a", "b"} {
		got[id] = map[string]bool{}
		for _, line := range tsdbtest.Dump(t, tenant.WithID(context.Background(), id), s) {
			got[id][line] = true
		}
	}
	for n := range acknowledged + 1 {
		seconds := float64(base+n) / 1000
		for i := range 20 {
			want := fmt.Sprintf(`{__name__="f", i="%d"} %g@%g`, i, float64(n), seconds)
			require.True(t, got[crashTenant(n)][want], "lost %s of commit %d", want, n)
		}
		want := fmt.Sprintf(`{__name__="h"} %s@%g`, tsdbutil.GenerateTestFloatHistogram(n), seconds)
		require.True(t, got[crashTenant(n)][want], "lost %s", want)
		want = fmt.Sprintf(`{__name__="late"} %g@%g`, float64(n), float64(base-n)/1000)
		require.True(t, got[crashTenant(n)][want], "lost %s", want)
	}
	q, err := s.ExemplarQuerier(tenant.WithID(context.Background(), crashTenant(acknowledged)))
	require.NoError(t, err)
	ex, err := q.Select(base+acknowledged, base+acknowledged, []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, "i", "7")})
	require.NoError(t, err)
	require.Len(t, ex, 1, "exemplar of the last commit")
}

// A log that ends in the middle of a record, as after a power failure, costs
// the samples of that record and nothing else.
func TestTornLogIsRepaired(t *testing.T) {
	dir, ctx := t.TempDir(), context.Background()
	s := open(t, dir, nil)
	require.NoError(t, appendFloat(t, s, ctx, at(0), 1, "__name__", "x"))
	require.NoError(t, appendFloat(t, s, ctx, at(time.Second), 2, "__name__", "x"))
	require.NoError(t, s.Close())
	_, last, err := segments(filepath.Join(dir, tenant.Default, "wal"))
	require.NoError(t, err)
	segment := filepath.Join(dir, tenant.Default, "wal", fmt.Sprintf("%08d", last))
	content, err := os.ReadFile(segment)
	require.NoError(t, err)
	end := len(strings.TrimRight(string(content), "\x00"))
	require.NoError(t, os.WriteFile(segment, content[:end-3], 0o600))

	s = open(t, dir, nil)
	require.Equal(t, []string{`{__name__="x"} 0 1`}, floats(t, s, ctx))
	require.NoError(t, appendFloat(t, s, ctx, at(2*time.Second), 3, "__name__", "x"))
	require.NoError(t, s.Close())
	s = open(t, dir, nil)
	require.Equal(t, []string{`{__name__="x"} 0 1`, `{__name__="x"} 2 3`}, floats(t, s, ctx))
}

func TestDamagedMetadataIsLeftBehind(t *testing.T) {
	dir, ctx := t.TempDir(), context.Background()
	s := open(t, dir, nil)
	require.NoError(t, appendFloat(t, s, ctx, at(0), 1, "__name__", "x"))
	require.NoError(t, s.Close())
	require.NoError(t, os.WriteFile(filepath.Join(dir, tenant.Default, metadataFile), []byte("{"), 0o600))
	s = open(t, dir, nil)
	require.Len(t, floats(t, s, ctx), 1)
}

func TestOneProcessHasTheStore(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, nil)
	require.NoError(t, s.OpenTenant(context.Background(), "a"))
	other := open(t, dir, nil)
	require.Error(t, other.OpenTenant(context.Background(), "a"))
	require.NoError(t, s.Close())
	require.NoError(t, other.OpenTenant(context.Background(), "a"), "a failed opening is tried again")
}
