package query

import (
	"context"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"
)

// TestRandomExpressions evaluates generated expressions over generated data by
// both engines. BELFRY_RANDOM_EXPRESSIONS is how many; BELFRY_RANDOM_SEED
// repeats a run.
func TestRandomExpressions(t *testing.T) {
	n, seed := randomRun(t)
	rng := rand.New(rand.NewPCG(seed, 7))
	s := newScriptStore(t)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	const end = 3_600_000
	generateData(t, rng, s, end)

	opts := engineOpts(Options{Config: scriptConfig()})
	pairs := []pair{pairOf(opts)}
	opts.EnableDelayedNameRemoval = true
	pairs = append(pairs, pairOf(opts))
	both := &comparing{t: t, pairs: pairs}
	gen := exprs{rng}
	for i := 0; i < n && !t.Failed(); i++ {
		both.random(s, rng, gen.expr(), end)
	}
	require.Greater(t, both.queries.Load(), int64(n), "most expressions are good")
	t.Logf("%d queries, of which %d in columns at least in part", both.queries.Load(), both.columns.Load())
}

// randomRun returns how many expressions to generate, and from which seed.
func randomRun(t *testing.T) (n int, seed uint64) {
	n, seed = 1000, 1
	if s := os.Getenv("BELFRY_RANDOM_EXPRESSIONS"); s != "" {
		var err error
		n, err = strconv.Atoi(s)
		require.NoError(t, err)
	}
	if s := os.Getenv("BELFRY_RANDOM_SEED"); s != "" {
		var err error
		seed, err = strconv.ParseUint(s, 10, 64)
		require.NoError(t, err)
	}
	return n, seed
}

// TestRandomNativeExpressions is TestRandomExpressions for native histograms.
func TestRandomNativeExpressions(t *testing.T) {
	n, seed := randomRun(t)
	n /= 2 // three pairs of engines
	rng := rand.New(rand.NewPCG(seed, 8))
	s := newScriptStore(t)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	const end = 3_600_000
	generateNatives(t, rng, s, end)
	opts := engineOpts(Options{Config: scriptConfig()})
	pairs := []pair{pairOf(opts), pairOf(opts)}
	pairs[1].fast.limits.Workers, pairs[1].fast.limits.Batch = 3, 2
	opts.EnableDelayedNameRemoval = true
	both := &comparing{t: t, pairs: append(pairs, pairOf(opts))}
	gen := nativeExprs{exprs{rng}}
	for i := 0; i < n && !t.Failed(); i++ {
		both.random(s, rng, gen.expr(), end)
	}
	general := testutil.ToFloat64(pairs[0].fast.metrics.queries.WithLabelValues(pathGeneral, "data"))
	t.Logf("%d queries, of which %d in columns at least in part; of one engine's, %.0f fell back", both.queries.Load(), both.columns.Load(), general)
}

// random evaluates an expression at a random time, or over a random range.
func (c *comparing) random(s storage.Queryable, rng *rand.Rand, expr string, end int64) {
	from := time.UnixMilli(rng.Int64N(end))
	var (
		q   promql.Query
		err error
	)
	if rng.IntN(3) == 0 {
		q, err = c.NewInstantQuery(context.Background(), s, nil, expr, from)
	} else {
		step := []time.Duration{15 * time.Second, time.Minute, 7*time.Second + time.Millisecond, 10 * time.Minute}[rng.IntN(4)]
		q, err = c.NewRangeQuery(context.Background(), s, nil, expr, from, from.Add(time.Duration(rng.IntN(1800))*time.Second), step)
	}
	if err != nil {
		return // not every sentence that grows is one
	}
	q.Exec(context.Background())
	q.Close()
}

// TestManyWorkers takes few series at a time, so that several workers share the
// smallest query.
func TestManyWorkers(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	s := newScriptStore(t)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	const end = 3_600_000
	generateData(t, rng, s, end)
	p := pairOf(engineOpts(Options{Config: scriptConfig()}))
	p.fast.limits.Workers, p.fast.limits.Batch = 3, 2
	both := &comparing{t: t, pairs: []pair{p}}
	gen := exprs{rng}
	for i := 0; i < 1000 && !t.Failed(); i++ {
		expr := pick(gen, "sum", "avg", "min", "max", "count", "group") + gen.grouping() + "(" + gen.rangeFunction() + ")"
		q, err := both.NewRangeQuery(context.Background(), s, nil, expr, time.UnixMilli(600_000), time.UnixMilli(end), time.Minute)
		require.NoError(t, err)
		q.Exec(context.Background())
		q.Close()
	}
	t.Logf("%d queries, of which %d in columns", both.queries.Load(), both.columns.Load())
}
