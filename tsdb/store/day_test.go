package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"

	"belfry/internal/deletion"
	"belfry/internal/tenant"
	metrics "belfry/tsdb"
	"belfry/tsdb/query"
)

// day is a fleet of targets of a hundred series each, scraped every 15 s: 60
// counters, 20 gauges of bytes, 20 sums of seconds.
type day struct {
	*testing.T
	s     *Store
	clock atomic.Int64 // milliseconds
	rng   *rand.Rand

	series []labels.Labels
	refs   []storage.SeriesRef
	values []float64
	first  int64 // milliseconds
	next   int64 // of the scrape to be written

	resident, anonymous atomic.Int64 // see usage
	sum, looks          atomic.Int64 // of anonymous memory, for its mean
}

const (
	dayScrape  = 15_000
	dayTargets = 100 // series of a target
)

// TestDay writes a day of samples through the store's appender as fast as it
// goes, while blocks are made, rewritten and merged, then asks and deletes, until
// no file holds what was deleted. With BELFRY_LONG=1 it is a hundred thousand
// series, takes the better part of an hour, and looks at memory; without it, 200
// series stand for them.
func TestDay(t *testing.T) {
	n, long := 200, os.Getenv("BELFRY_LONG") != ""
	switch {
	case long:
		n = 100_000
	case testing.Short():
		t.Skip("takes some seconds")
	}
	d := newDay(t, n)
	d.write(2)
	d.report("2 hours written") // the head was filled
	d.write(6)
	early := d.report("8 hours written")
	d.write(16)
	late := d.report("24 hours written")
	require.NoError(t, d.s.CompactHead(t.Context()))
	require.NoError(t, d.s.RewriteCold(t.Context()))
	d.report("rewritten")
	require.Equal(t, 24*240*dayTargets, d.count("job", "job-0", "target", "target-0"))
	require.Equal(t, n*24*240, d.count("version", "v1.2.3"))
	d.report("read, all of it")
	d.ask()
	d.report("asked")
	d.delete()
	d.report("deleted half a day of job-0")
	if long {
		// How high it rises depends on which jobs happen to run at the same time: by half from one run to the next.
		require.Less(t, late.mean, early.mean*5/4, "memory grows with what was written")
	}
}

// ask evaluates dashboards' queries over the whole day.
func (d *day) ask() {
	engine := query.NewEngine(query.Options{Config: metrics.DefaultConfig().Query})
	defer func() { require.NoError(d, engine.Close()) }()
	eval := func(expr string, step time.Duration) promql.Matrix {
		first := time.UnixMilli(d.first)
		q, err := engine.NewRangeQuery(d.Context(), d.s, nil, expr, first.Add(step), first.Add(24*time.Hour), step)
		require.NoError(d, err)
		defer q.Close()
		m, err := q.Exec(d.Context()).Matrix()
		require.NoError(d, err)
		return slices.Clone(m)
	}
	// An hour is open on the left, and a sample is up to 50 ms behind the beat.
	all := eval(`sum(count_over_time({version="v1.2.3"}[1h]))`, time.Hour)
	require.Len(d, all, 1)
	sum := 0
	for _, p := range all[0].Floats {
		sum += int(p.F)
	}
	onBeat := min(len(d.series), dayTargets) + max(len(d.series)/dayTargets-1, 0)/50*dayTargets
	require.Equal(d, len(d.series)*24*240-onBeat, sum)

	rates := eval(`sum by (job) (rate({__name__=~"requests_.*_total"}[5m]))`, time.Minute)
	require.Len(d, rates, min(len(d.series)/dayTargets, 10))
	require.Len(d, rates[0].Floats, 24*60)
}

// delete removes half a day of one job and waits, with nobody writing, until no
// file has it.
func (d *day) delete() {
	before := d.disk()
	cut := d.first + (12 * time.Hour).Milliseconds()
	share := float64(d.count("job", "job-0")) / 2 / float64(len(d.series)*24*240)
	job := labels.MustNewMatcher(labels.MatchEqual, "job", "job-0")
	deleted, err := d.s.DeleteSeries(d.Context(), metrics.DeleteRequest{Tenant: tenant.Default, Mint: d.first, Maxt: cut - 1, Matchers: []*labels.Matcher{job}})
	require.NoError(d, err)
	require.Equal(d, 12*240*dayTargets, d.count("job", "job-0", "target", "target-0"))
	d.clock.Add((4 * time.Hour).Milliseconds())
	tend := func(db *database) (err error) {
		for range 3 {
			err = errors.Join(err, db.tendCold(d.Context()), db.tendDeletions(d.Context()))
		}
		return err
	}
	// It is closed for being idle if nobody holds it, and opened again for the sake
	// of the deletion.
	require.NoError(d, d.s.Admin(tenant.Default).do(d.Context(), tend))
	d.s.closeIdle()
	require.NoError(d, d.s.Admin(tenant.Default).do(d.Context(), tend))
	deleted, err = d.s.Deletion(d.Context(), tenant.Default, deleted.ID)
	require.NoError(d, err)
	require.Equal(d, deletion.Done, deleted.State)
	isJob := func(ls labels.Labels) bool { return ls.Get("job") == "job-0" }
	require.Zero(d, samplesOnDisk(d, d.s, tenant.Default, cut-1, isJob))
	require.Equal(d, 12*240*dayTargets, d.count("job", "job-0", "target", "target-0"))
	require.Equal(d, len(d.series)*24*240-int(deleted.Records), d.count("version", "v1.2.3"))
	require.InDelta(d, share, 1-float64(d.disk())/float64(before), share/2, "disk is free again")
}

func newDay(t *testing.T, n int) *day {
	d := &day{T: t, rng: rand.New(rand.NewPCG(1, 2))}
	cfg := metrics.DefaultConfig()
	cfg.MinFreeDisk = 0
	cfg.Retention.Time = 0
	d.first = time.Now().Add(-48 * time.Hour).Truncate(24 * time.Hour).UnixMilli()
	d.next = d.first
	d.clock.Store(d.first)
	d.watchMemory()
	s, err := Open(Options{Dir: t.TempDir(), Config: cfg, Now: func() time.Time { return time.UnixMilli(d.clock.Load()) }})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	d.s = s
	for i := range n {
		target, kind := i/dayTargets, i%dayTargets
		name := fmt.Sprintf("requests_%d_total", kind)
		switch {
		case kind >= 80:
			name = fmt.Sprintf("latency_%d_seconds_sum", kind)
		case kind >= 60:
			name = fmt.Sprintf("memory_%d_bytes", kind)
		}
		d.series = append(d.series, labels.FromStrings("__name__", name, "job", fmt.Sprintf("job-%d", target%10), "target", fmt.Sprintf("target-%d", target),
			"kind", strconv.Itoa(kind), "zone", fmt.Sprintf("zone-%d", target%3), "version", "v1.2.3"))
	}
	d.refs, d.values = make([]storage.SeriesRef, n), make([]float64, n)
	return d
}

// write appends hours of scrapes, ten targets a commit, and waits where the head
// holds more than four hours.
func (d *day) write(hours int) {
	end := d.next + (time.Duration(hours) * time.Hour).Milliseconds()
	for ; d.next < end; d.next += dayScrape {
		d.clock.Store(d.next)
		for from := 0; from < len(d.series); from += 10 * dayTargets {
			app := d.s.AppenderV2(d.Context())
			for i := from; i < min(from+10*dayTargets, len(d.series)); i++ {
				d.step(i)
				ref, err := app.Append(d.refs[i], d.series[i], 0, d.next+int64(i/dayTargets%50), d.values[i], nil, nil, storage.AOptions{})
				require.NoError(d, err)
				d.refs[i] = ref
			}
			require.NoError(d, app.Commit())
		}
		if head := coldOf(d.s, tenant.Default).tsdb.Head(); d.next%3_600_000 == 0 && head.MaxTime()-head.MinTime() > 4*3_600_000 {
			require.NoError(d, coldOf(d.s, tenant.Default).tsdb.Compact(d.Context()))
			require.NoError(d, d.s.RewriteCold(d.Context()))
		}
	}
}

func (d *day) step(i int) {
	switch kind := i % dayTargets; {
	case kind < 60:
		d.values[i] += float64(d.rng.IntN(kind + 2))
	case kind < 80:
		d.values[i] = float64(1<<30 + 4096*d.rng.IntN(1000*(kind-59)))
	default:
		d.values[i] += d.rng.ExpFloat64() * float64(kind)
	}
}

// count counts the samples of the series with these labels.
func (d *day) count(pairs ...string) int {
	ctx := context.Background()
	q, err := d.s.Querier(d.first, d.first+86_400_000)
	require.NoError(d, err)
	defer func() { require.NoError(d, q.Close()) }()
	var ms []*labels.Matcher
	for i := 0; i < len(pairs); i += 2 {
		ms = append(ms, labels.MustNewMatcher(labels.MatchEqual, pairs[i], pairs[i+1]))
	}
	set, n := q.Select(ctx, false, nil, ms...), 0
	var c metrics.Columns
	for set.Next() {
		c.Reset()
		s := set.At()
		ok, err := metrics.ReadColumns(&c, s, d.first, d.first+86_400_000)
		require.NoError(d, err)
		require.True(d, ok)
		n += len(c.Times)
	}
	require.NoError(d, set.Err())
	return n
}

// disk is the size of the blocks that queries see.
func (d *day) disk() (n int64) {
	db := coldOf(d.s, tenant.Default)
	for _, b := range db.tsdb.Blocks() {
		if meta := b.Meta(); !db.cold.replaces(&meta) {
			n += b.Size()
		}
	}
	for _, b := range db.cold.list() {
		n += b.Size()
	}
	return n
}

// usage is the most memory that was resident since it was last asked for, in
// bytes: all of it, and what is no file's; and the mean of the latter.
type usage struct{ resident, anonymous, mean int64 }

// report logs what disk and memory were used.
func (d *day) report(what string) usage {
	samples := float64(d.next-d.first) / dayScrape * float64(len(d.series))
	d.lookAtMemory()
	u := usage{d.resident.Swap(0), d.anonymous.Swap(0), d.sum.Swap(0) / max(1, d.looks.Swap(0))}
	d.Logf("%s: %.0f samples, %.2f bytes a sample in blocks, most memory %d MiB, %d MiB of it anonymous, %d in the mean", what, samples,
		float64(d.disk())/samples, u.resident>>20, u.anonymous>>20, u.mean>>20)
	return u
}

// watchMemory looks at what is resident while the test goes on.
func (d *day) watchMemory() {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	d.Cleanup(func() { cancel(); done.Wait() })
	done.Go(func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			d.lookAtMemory()
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	})
}

func (d *day) lookAtMemory() {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return // no Linux
	}
	for line := range strings.Lines(string(status)) {
		var kb int64
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kb); n == 1 {
			d.resident.Store(max(d.resident.Load(), kb<<10))
		}
		if n, _ := fmt.Sscanf(line, "RssAnon: %d kB", &kb); n == 1 {
			d.anonymous.Store(max(d.anonymous.Load(), kb<<10))
			d.sum.Add(kb << 10)
			d.looks.Add(1)
		}
	}
}
