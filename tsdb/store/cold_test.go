package store

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/stretchr/testify/require"

	"belfry/internal/config"
	"belfry/internal/tenant"
	metrics "belfry/tsdb"
	"belfry/tsdb/tsdbtest"
)

// frozen is a store that has made everything cold before it is asked.
type frozen struct {
	*Store
	t *testing.T
}

func (f frozen) freeze() {
	for _, id := range f.openTenants() {
		freeze(f.t, f.Store, id)
	}
}

// freeze makes all of a tenant's samples cold.
func freeze(t testing.TB, s *Store, id string) {
	t.Helper()
	ctx := ctxOf(id)
	require.NoError(t, s.Admin(id).do(ctx, func(d *database) error {
		if d.tsdb.Head().NumSeries() > 0 {
			if err := s.CompactHead(ctx); err != nil {
				return err
			}
		}
		if err := d.tsdb.CompactOOOHead(ctx); err != nil {
			return err
		}
		return d.tendCold(ctx)
	}))
}

func (f frozen) Querier(mint, maxt int64) (storage.Querier, error) {
	f.freeze()
	return f.Store.Querier(mint, maxt)
}

func (f frozen) ChunkQuerier(mint, maxt int64) (storage.ChunkQuerier, error) {
	f.freeze()
	return f.Store.ChunkQuerier(mint, maxt)
}

func TestContractOfColdBlocks(t *testing.T) {
	tsdbtest.Run(t, func(t *testing.T) tsdbtest.Store { return frozen{open(t, t.TempDir(), nil), t} })
}

// hours writes a sample each ten minutes of n hours, three series, the first
// hour beginning at an even one, and makes all of it Prometheus' blocks.
func hours(t *testing.T, s *Store, ctx context.Context, first time.Time, n int) {
	t.Helper()
	for i := range n * 6 {
		app := s.AppenderV2(ctx)
		for _, job := range []string{"edge", "core", "api"} {
			_, err := app.Append(0, labels.FromStrings("__name__", "x", "job", job), 0, first.Add(time.Duration(i)*10*time.Minute).UnixMilli(), float64(i)/10, nil, nil, storage.AOptions{})
			require.NoError(t, err)
		}
		require.NoError(t, app.Commit())
		if (i+1)%12 == 0 {
			require.NoError(t, s.CompactHead(ctx))
		}
	}
}

func evenHour(ago time.Duration) time.Time { return time.Now().Add(-ago).Truncate(6 * time.Hour) }

// upToSixHours merges blocks to a tenth of five days at most.
func upToSixHours(o *Options) { o.Config.Retention.Time = model.Duration(119 * time.Hour) }

func coldOf(s *Store, id string) *database {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open[id]
}

// sources returns the names of a folder's entries that are blocks.
func blockNames(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return nil
	}
	require.NoError(t, err)
	names := []string{}
	for _, e := range entries {
		if _, err := ulid.ParseStrict(e.Name()); err == nil {
			names = append(names, e.Name())
		}
	}
	return names
}

func TestFinishedBlocksBecomeColdAndAreMerged(t *testing.T) {
	dir, ctx := t.TempDir(), ctxOf("a")
	s := open(t, dir, upToSixHours)
	hours(t, s, ctx, evenHour(48*time.Hour), 14)
	want := floats(t, s, ctx)
	require.Len(t, want, 14*6*3)
	require.NoError(t, s.RewriteCold(ctx))
	require.Equal(t, want, floats(t, s, ctx))
	d := coldOf(s, "a")
	require.Len(t, d.cold.list(), 3, "6 h, 6 h, and what may become 6 h")
	metas, err := s.Admin("a").BlockMetas()
	require.NoError(t, err)
	require.Len(t, metas, 3, "what was replaced does not show")
	total := uint64(0)
	for _, m := range metas {
		total += m.Stats.NumSamples
	}
	require.Equal(t, uint64(len(want)), total)
	require.Len(t, d.blocksToDelete(d.tsdb.Blocks()), 7)
	require.NoError(t, s.Close())

	s = open(t, dir, upToSixHours)
	require.Equal(t, want, floats(t, s, ctx))
	require.Empty(t, blockNames(t, filepath.Join(dir, "a")), "what was replaced is gone")
	require.Len(t, blockNames(t, filepath.Join(dir, "a", coldDir)), 3)
}

func TestPrometheusBlocksAreKeptForThanos(t *testing.T) {
	dir, ctx := t.TempDir(), ctxOf("a")
	keep := func(o *Options) { o.Config.ColdBlocks.KeepPrometheusBlocks = true }
	s := open(t, dir, keep)
	hours(t, s, ctx, evenHour(24*time.Hour), 6)
	want := floats(t, s, ctx)
	require.NoError(t, s.RewriteCold(ctx))
	require.Equal(t, want, floats(t, s, ctx), "each sample once")
	require.NoError(t, s.Close())
	s = open(t, dir, keep)
	require.Equal(t, want, floats(t, s, ctx))
	require.Len(t, blockNames(t, filepath.Join(dir, "a")), 3)
	require.Len(t, blockNames(t, filepath.Join(dir, "a", coldDir)), 1)

	// What is deleted leaves both, and the kept block's successor is known for one.
	edge := labels.MustNewMatcher(labels.MatchEqual, "job", "edge")
	require.NoError(t, s.Delete(ctx, math.MinInt64, math.MaxInt64, edge))
	require.NoError(t, s.Admin("a").CleanTombstones())
	require.NoError(t, s.RewriteCold(ctx))
	require.Len(t, floats(t, s, ctx), len(want)*2/3)
	require.Len(t, blockNames(t, filepath.Join(dir, "a", coldDir)), 1)
	require.NoError(t, s.Close())
	s = open(t, dir, keep)
	require.Len(t, floats(t, s, ctx), len(want)*2/3)
}

func TestLateSamplesJoinColdBlocks(t *testing.T) {
	s, ctx := open(t, t.TempDir(), func(o *Options) { o.Config.OutOfOrderWindow = model.Duration(100 * time.Hour) }), ctxOf("a")
	first := evenHour(48 * time.Hour)
	hours(t, s, ctx, first, 6)
	require.NoError(t, s.RewriteCold(ctx))
	n := len(floats(t, s, ctx))
	late := first.Add(61 * time.Minute).UnixMilli()
	require.NoError(t, appendFloat(t, s, ctx, late, 42, "__name__", "x", "job", "edge"))
	require.Len(t, floats(t, s, ctx), n+1)
	q, err := s.Querier(math.MinInt64, math.MaxInt64)
	require.NoError(t, err)
	set := q.Select(ctx, true, nil, labels.MustNewMatcher(labels.MatchEqual, "job", "edge"))
	require.True(t, set.Next())
	var c metrics.Columns
	ok, err := metrics.ReadColumns(&c, set.At(), math.MinInt64, math.MaxInt64)
	require.NoError(t, err)
	require.True(t, ok)
	require.Len(t, c.Times, n/3+1)
	require.IsIncreasing(t, c.Times)
	require.NoError(t, q.Close())
	cq, err := s.ChunkQuerier(math.MinInt64, math.MaxInt64)
	require.NoError(t, err)
	chunks := cq.Select(ctx, true, nil, labels.MustNewMatcher(labels.MatchEqual, "job", "edge"))
	require.True(t, chunks.Next())
	var same metrics.Columns
	reader, ok := chunks.At().(metrics.ColumnReader)
	require.True(t, ok)
	ok, err = reader.AppendColumns(&same, math.MinInt64, math.MaxInt64)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, c.Times, same.Times)
	require.Equal(t, c.Values, same.Values)
	require.NoError(t, cq.Close())
	freeze(t, s, "a")
	require.Len(t, floats(t, s, ctx), n+1)
	d := coldOf(s, "a")
	require.Len(t, d.cold.list(), 1, "the late block is merged")
	require.Equal(t, first.Add(6*time.Hour-10*time.Minute).UnixMilli()+1, d.cold.list()[0].Meta().InOrderMaxTime)
}

func TestDeletedSamplesAreGoneFromDiskAndStayGone(t *testing.T) {
	dir, ctx := t.TempDir(), ctxOf("a")
	s := open(t, dir, nil)
	hours(t, s, ctx, evenHour(48*time.Hour), 6)
	require.NoError(t, s.RewriteCold(ctx))
	n := len(floats(t, s, ctx))
	edge := labels.MustNewMatcher(labels.MatchEqual, "job", "edge")
	require.NoError(t, s.Delete(ctx, math.MinInt64, math.MaxInt64, edge))
	require.Len(t, floats(t, s, ctx), n*2/3, "at once")
	require.NoError(t, s.Admin("a").CleanTombstones())
	require.Len(t, floats(t, s, ctx), n*2/3)
	for _, name := range blockNames(t, filepath.Join(dir, "a", coldDir)) {
		content, err := os.ReadFile(filepath.Join(dir, "a", coldDir, name, "block"))
		require.NoError(t, err)
		require.NotContains(t, string(content), "edge")
	}
	require.NoError(t, s.Close())
	s = open(t, dir, nil)
	require.Len(t, floats(t, s, ctx), n*2/3, "the log does not bring them back")
}

func TestSnapshotHasTheColdBlocks(t *testing.T) {
	s, ctx := open(t, t.TempDir(), nil), ctxOf("a")
	hours(t, s, ctx, evenHour(48*time.Hour), 6)
	require.NoError(t, s.RewriteCold(ctx))
	edge := labels.MustNewMatcher(labels.MatchEqual, "job", "edge")
	require.NoError(t, s.Delete(ctx, math.MinInt64, math.MaxInt64, edge))
	require.NoError(t, appendFloat(t, s, ctx, at(0), 1, "__name__", "new"))
	want := floats(t, s, ctx)
	copied := t.TempDir()
	require.NoError(t, s.Admin("a").Snapshot(filepath.Join(copied, "a"), true))
	other := open(t, copied, nil)
	require.Equal(t, want, floats(t, other, ctx))
}

func TestRetentionOfColdBlocks(t *testing.T) {
	dir, ctx := t.TempDir(), ctxOf("a")
	s := open(t, dir, upToSixHours)
	hours(t, s, ctx, evenHour(96*time.Hour), 6)
	hours(t, s, ctx, evenHour(48*time.Hour), 6)
	require.NoError(t, s.RewriteCold(ctx))
	n := len(floats(t, s, ctx))
	require.NoError(t, s.Close())
	s = open(t, dir, upToSixHours) // what they replace is gone from disk
	require.Len(t, floats(t, s, ctx), n)
	d := coldOf(s, "a")
	require.Len(t, d.cold.list(), 2)

	cfg := *s.config()
	cfg.Retention.Size = config.ByteSize(d.tsdb.Head().Size() + d.cold.list()[1].Size())
	require.NoError(t, s.Reload(ctx, cfg))
	require.Len(t, d.beyondSize(nil), 1)

	cfg.Retention.Size = 0
	cfg.Retention.Time = model.Duration(72 * time.Hour)
	require.NoError(t, s.Reload(ctx, cfg))
	require.NoError(t, s.RewriteCold(ctx))
	require.Len(t, blockNames(t, filepath.Join(dir, "a", coldDir)), 1)
	require.Equal(t, n/2, len(floats(t, s, ctx))) //nolint:testifylint // Len prints all of them
}

func TestRetentionBySelector(t *testing.T) {
	dir, ctx := t.TempDir(), ctxOf("a")
	s := open(t, dir, func(o *Options) {
		o.Config.Retention.Time = model.Duration(72 * time.Hour)
		o.Config.Retention.Selectors = []metrics.SelectorRetention{
			{Match: `{job="edge"}`, Time: model.Duration(24 * time.Hour)},
			{Match: `x{job=~"core|edge"}`, Time: model.Duration(1000 * time.Hour)},
		}
	})
	hours(t, s, ctx, evenHour(96*time.Hour), 6)
	hours(t, s, ctx, evenHour(48*time.Hour), 6)
	hours(t, s, ctx, evenHour(12*time.Hour), 2)
	require.NoError(t, s.RewriteCold(ctx))
	require.NoError(t, s.RewriteCold(ctx), "what became cold just now")
	count := func(job string) int {
		return len(floats(t, s, ctx, labels.MustNewMatcher(labels.MatchEqual, "job", job)))
	}
	require.Equal(t, 12, count("edge"), "a day")
	require.Equal(t, 14*6, count("core"), "longer than the rest")
	require.Equal(t, 8*6, count("api"), "the rest: three days")
	for _, b := range coldOf(s, "a").cold.list() {
		require.Zero(t, b.Meta().Stats.NumTombstones, "gone from disk")
	}
}

// What is on disk between any two steps of a rewriting or a merge, as a crash
// leaves it, holds every sample once.
func TestEveryStateBetweenTwoStepsHoldsEverySampleOnce(t *testing.T) {
	ctx := ctxOf("a")
	before, after := t.TempDir(), t.TempDir()
	s := open(t, before, nil)
	hours(t, s, ctx, evenHour(48*time.Hour), 6)
	want := floats(t, s, ctx)
	require.NoError(t, s.Close())

	// state makes a folder of what is in others; the later win.
	state := func(parts ...string) string {
		dir := t.TempDir()
		for _, p := range parts {
			out, err := exec.Command("cp", "-a", p+"/.", dir).CombinedOutput()
			require.NoError(t, err, string(out))
		}
		return dir
	}
	check := func(name, dir string, samples []string) {
		t.Helper()
		s := open(t, dir, nil)
		require.Equal(t, samples, floats(t, s, ctx), name)
		require.NoError(t, s.RewriteCold(ctx))
		require.Equal(t, samples, floats(t, s, ctx), name)
		d := coldOf(s, "a")
		total := uint64(0)
		for _, b := range d.cold.list() {
			total += b.Meta().Stats.NumSamples
		}
		require.Equal(t, uint64(len(samples)), total, "%s: each is in one cold block", name)
		require.NoError(t, s.Close())
		entries, err := os.ReadDir(filepath.Join(dir, "a", coldDir))
		require.NoError(t, err)
		require.Len(t, entries, 1, name)
	}

	// The cold blocks of the three, not merged, and the merged one.
	single := state(before)
	s = open(t, single, func(o *Options) { o.Config.Retention.Time = model.Duration(20 * 24 * time.Hour) })
	d := func() *database {
		require.NoError(t, s.OpenTenant(ctx, "a"))
		return coldOf(s, "a")
	}()
	for range 3 {
		_, err := d.rewriteNext(ctx)
		require.NoError(t, err)
	}
	require.Len(t, d.cold.list(), 3)
	require.NoError(t, s.Close())
	require.NoError(t, os.RemoveAll(after))
	after = state(single)
	s = open(t, after, nil)
	require.NoError(t, s.OpenTenant(ctx, "a"))
	require.NoError(t, s.RewriteCold(ctx))
	require.NoError(t, s.Close())

	cold := func(dir string) string { return filepath.Join(dir, "a", coldDir) }
	names := blockNames(t, cold(single))
	require.Len(t, names, 3)
	rename := func(dir, from, to string) {
		require.NoError(t, os.Rename(filepath.Join(cold(dir), from), filepath.Join(cold(dir), to)))
	}

	dir := state(single, before)
	rename(dir, names[1], names[1]+".tmp-for-creation")
	check("a block is written, not committed", dir, want)
	check("all are committed, no source is removed", state(single, before), want)
	dir = state(single, before)
	gone := blockNames(t, filepath.Join(before, "a"))[0]
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "a", gone)))
	check("one source is removed", dir, want)
	check("merged, nothing is removed", state(before, single, after), want)
	dir = state(single, after)
	rename(dir, names[0], names[0]+".tmp-for-deletion")
	check("merged, one source is being removed", dir, want)
	dir = state(single, after)
	require.NoError(t, os.RemoveAll(filepath.Join(cold(dir), names[2])))
	check("merged, one source is removed", dir, want)
}

func TestDamagedBlockIsLeftOutAndItsSourceComesBack(t *testing.T) {
	dir, ctx := t.TempDir(), ctxOf("a")
	keep := func(o *Options) { o.Config.ColdBlocks.KeepPrometheusBlocks = true }
	s := open(t, dir, keep)
	hours(t, s, ctx, evenHour(24*time.Hour), 2)
	want := floats(t, s, ctx)
	require.NoError(t, s.RewriteCold(ctx))
	require.NoError(t, s.Close())
	name := filepath.Join(dir, "a", coldDir, blockNames(t, filepath.Join(dir, "a", coldDir))[0], "block")
	content, err := os.ReadFile(name)
	require.NoError(t, err)
	content[len(content)-100] ^= 1
	require.NoError(t, os.Chmod(name, 0o600))
	require.NoError(t, os.WriteFile(name, content, 0o600))
	s = open(t, dir, keep)
	require.Equal(t, want, floats(t, s, ctx))
}

const coldCrashDir = "BELFRY_TEST_COLD_CRASH_DIR"

// coldCrasher writes two hours at a time, makes them cold and deletes a third,
// until it is killed.
func coldCrasher(dir string) error {
	cfg := metrics.DefaultConfig()
	cfg.MinFreeDisk, cfg.Retention.Time = 0, 0
	s, err := Open(Options{Dir: dir, Config: cfg})
	if err != nil {
		return err
	}
	ctx := tenant.WithID(context.Background(), "a")
	head := int64(0)
	if err := s.OpenTenant(ctx, "a"); err != nil {
		return err
	}
	for _, b := range coldOf(s, "a").cold.list() {
		head = max(head, b.Meta().MaxTime)
	}
	for _, b := range coldOf(s, "a").tsdb.Blocks() {
		head = max(head, b.MaxTime())
	}
	step := tsdb.DefaultBlockDuration / 4
	for n := (head + step - 1) / step; ; n++ {
		app := s.AppenderV2(ctx)
		for i := range 3 {
			if _, err := app.Append(0, labels.FromStrings("__name__", "x", "i", strconv.Itoa(i)), 0, n*step, float64(n), nil, nil, storage.AOptions{}); err != nil {
				if _, rejected := metrics.Rejected(err); !rejected { // the commit before the crash had it
					return err
				}
			}
		}
		if err := app.Commit(); err != nil {
			return err
		}
		fmt.Fprintln(os.Stdout, "committed", n)
		if n%4 == 3 {
			if err := s.CompactHead(ctx); err != nil {
				return err
			}
			if err := s.RewriteCold(ctx); err != nil {
				return err
			}
		}
	}
}

func TestKillDuringRewritingLosesAndDoublesNothing(t *testing.T) {
	dir := t.TempDir()
	last := int64(-1)
	rounds := 6
	if testing.Short() {
		rounds = 2
	}
	for round := range rounds {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), coldCrashDir+"="+dir)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		last = killAfter(t, cmd, last+int64(20+7*round), &stderr)

		s := open(t, dir, func(o *Options) { o.Config.Retention.Time = 0 })
		got := map[string]int{}
		for _, line := range tsdbtest.Dump(t, ctxOf("a"), s) {
			got[line]++
		}
		for n := range last + 1 {
			for i := range 3 {
				line := fmt.Sprintf(`{__name__="x", i="%d"} %g@%g`, i, float64(n), float64(n*tsdb.DefaultBlockDuration/4)/1000)
				require.Equal(t, 1, got[line], "%s in round %d", line, round)
			}
		}
		total := uint64(0)
		for _, b := range coldOf(s, "a").cold.list() {
			total += b.Meta().Stats.NumSamples
		}
		require.LessOrEqual(t, total, uint64(len(got)), "no sample is in two cold blocks")
		require.NoError(t, s.Close())
	}
}
