package query

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/stretchr/testify/require"

	"belfry/tsdb"
	"belfry/tsdb/store"
)

// scriptStore is a store as the script runner wants it. Scripts begin in 1970,
// and load each step of time far from the one before.
type scriptStore struct{ *store.Store }

func (scriptStore) StartTime() (int64, error) { return 0, nil }

func newScriptStore(t testing.TB) storage.Storage { return openScriptStore(t, tsdb.Ignore) }

func openScriptStore(t testing.TB, st tsdb.StartTimestamps) storage.Storage {
	cfg := tsdb.DefaultConfig()
	cfg.StartTimestamps = st
	cfg.MinFreeDisk = 0
	cfg.OutOfOrderWindow = model.Duration(1000 * time.Hour)
	cfg.Retention.Time = 0
	cfg.Limits.MaxAhead = tsdb.DefaultConfig().Retention.Time * 1000
	s, err := store.Open(store.Options{Dir: t.TempDir(), Config: cfg})
	require.NoError(t, err)
	return scriptStore{s}
}

func scriptConfig() tsdb.QueryConfig {
	cfg := tsdb.DefaultConfig().Query
	cfg.MaxSamples = 1_000_000
	return cfg
}

func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.test")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			script, err := os.ReadFile(file)
			require.NoError(t, err)
			promqltest.RunTestWithStorage(t, string(script), NewEngine(Options{Config: scriptConfig()}), newScriptStore)
		})
	}
}

// TestUpstreamScripts runs the scripts that come with Prometheus against the
// store. They expect start times to be stored and names to be dropped late. Each
// query is evaluated by this package's engine and by Prometheus', with names
// dropped late and at once, and has to give the same.
func TestUpstreamScripts(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a database for each of several hundred scripts")
	}
	opts := engineOpts(Options{Config: scriptConfig(), StartTimestamps: tsdb.Stored})
	both := &comparing{t: t}
	for _, delayed := range []bool{true, false} {
		opts.EnableDelayedNameRemoval = delayed
		both.pairs = append(both.pairs, pairOf(opts))
	}
	// Where start times are not used, rates are evaluated in columns too.
	opts.UseStartTimestamps = false
	both.pairs = append(both.pairs, pairOf(opts))
	promqltest.RunBuiltinTestsWithStorage(t, both, func(t testing.TB) storage.Storage {
		return openScriptStore(t, tsdb.Stored)
	})
	require.Positive(t, both.columns.Load(), "no query was evaluated in columns")
	t.Logf("%d queries, of which %d in columns at least in part", both.queries.Load(), both.columns.Load())
}

func TestLimits(t *testing.T) {
	s := newScriptStore(t)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	run := func(cfg tsdb.QueryConfig, ctx context.Context, expr string) (annotations.Annotations, error) {
		q, err := NewEngine(Options{Config: cfg}).NewInstantQuery(ctx, s, nil, expr, time.Now())
		if err != nil {
			return nil, err
		}
		defer q.Close()
		res := q.Exec(ctx)
		return res.Warnings, res.Err
	}
	cfg := scriptConfig()
	cfg.MaxSamples = 10
	_, err := run(cfg, context.Background(), "count_over_time(vector(1)[1h:1s])")
	require.ErrorContains(t, err, "too many samples")

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = run(scriptConfig(), ctx, "vector(1)")
	require.Error(t, err)
}

func TestGateBoundsConcurrency(t *testing.T) {
	g := newGate(1)
	_, err := g.Insert(context.Background(), "a")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = g.Insert(ctx, "b")
	require.ErrorIs(t, err, context.Canceled)
	g.Delete(0)
	_, err = g.Insert(context.Background(), "b")
	require.NoError(t, err)
	require.Equal(t, 1, g.GetMaxConcurrent())
}

func TestRuleFuncAsksOneTenant(t *testing.T) {
	s := newScriptStore(t)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	ask := RuleFunc(NewEngine(Options{Config: scriptConfig()}), s, "a")
	v, err := ask(context.Background(), "vector(3)", time.Unix(5, 0))
	require.NoError(t, err)
	require.Len(t, v, 1)
	require.InDelta(t, 3, v[0].F, 0)
	require.Equal(t, int64(5000), v[0].T)
	_, err = ask(context.Background(), `"text"`, time.Unix(5, 0))
	require.Error(t, err)
}
