package store

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/stretchr/testify/require"

	"belfry/internal/tenant"
	metrics "belfry/tsdb"
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
	first  int64
}

const (
	dayScrape  = 15_000
	dayTargets = 100 // series of a target
)

// TestDay writes a day of samples through the store's appender as fast as it
// goes, while blocks are made, rewritten and merged, then asks and deletes. It
// takes half an hour for BELFRY_DAY=100000 series; without it, 200 series stand
// for them.
func TestDay(t *testing.T) {
	n := 200
	if v := os.Getenv("BELFRY_DAY"); v != "" {
		var err error
		n, err = strconv.Atoi(v)
		require.NoError(t, err)
	} else if testing.Short() {
		t.Skip("takes some seconds")
	}
	d := newDay(t, n)
	d.write(24 * time.Hour)
	d.report("written")
	ctx := context.Background()
	require.NoError(t, d.s.RewriteCold(ctx))
	d.report("rewritten")
	require.Equal(t, 24*240*dayTargets, d.count("job", "job-0", "target", "target-0"))
	require.Equal(t, n*24*240, d.count("version", "v1.2.3"))
	d.report("read, all of it")
	before := d.disk()
	cut := d.first + (12 * time.Hour).Milliseconds()
	job := labels.MustNewMatcher(labels.MatchEqual, "job", "job-0")
	require.NoError(t, d.s.Delete(ctx, d.first, cut-1, job))
	require.Equal(t, 12*240*dayTargets, d.count("job", "job-0", "target", "target-0"))
	require.NoError(t, d.s.Admin(tenant.Default).CleanTombstones())
	d.report("deleted half a day of a tenth of the series")
	require.Equal(t, 12*240*dayTargets, d.count("job", "job-0", "target", "target-0"))
	require.Less(t, d.disk(), before)
}

func newDay(t *testing.T, n int) *day {
	d := &day{T: t, rng: rand.New(rand.NewPCG(1, 2))}
	cfg := metrics.DefaultConfig()
	cfg.MinFreeDisk = 0
	cfg.Retention.Time = 0
	d.first = time.Now().Add(-48 * time.Hour).Truncate(24 * time.Hour).UnixMilli()
	d.clock.Store(d.first)
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
			"zone", fmt.Sprintf("zone-%d", target%3), "version", "v1.2.3"))
	}
	d.refs, d.values = make([]storage.SeriesRef, n), make([]float64, n)
	return d
}

// write appends scrapes, ten targets a commit, and waits where the head holds
// more than four hours.
func (d *day) write(span time.Duration) {
	for at := d.first; at < d.first+span.Milliseconds(); at += dayScrape {
		d.clock.Store(at)
		for from := 0; from < len(d.series); from += 10 * dayTargets {
			app := d.s.AppenderV2(context.Background())
			for i := from; i < min(from+10*dayTargets, len(d.series)); i++ {
				d.step(i)
				ref, err := app.Append(d.refs[i], d.series[i], 0, at+int64(i/dayTargets%50), d.values[i], nil, nil, storage.AOptions{})
				require.NoError(d, err)
				d.refs[i] = ref
			}
			require.NoError(d, app.Commit())
		}
		if head := coldOf(d.s, tenant.Default).tsdb.Head(); at%3_600_000 == 0 && head.MaxTime()-head.MinTime() > 4*3_600_000 {
			require.NoError(d, coldOf(d.s, tenant.Default).tsdb.Compact(context.Background()))
			require.NoError(d, d.s.RewriteCold(context.Background()))
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
	var it chunkenc.Iterator
	for set.Next() {
		c.Reset()
		s := set.At()
		it = s.Iterator(it)
		ok, err := metrics.ReadColumns(&c, s, d.first, d.first+86_400_000)
		require.NoError(d, err)
		require.True(d, ok)
		n += len(c.Times)
	}
	require.NoError(d, set.Err())
	return n
}

func (d *day) disk() (n int64) {
	require.NoError(d, filepath.WalkDir(d.s.tenantDir(tenant.Default), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || strings.Contains(path, "/wal/") || strings.Contains(path, "/chunks_head/") {
			return nil //nolint:nilerr // a block that was just replaced
		}
		if info, err := e.Info(); err == nil {
			n += info.Size()
		}
		return nil
	}))
	return n
}

func (d *day) report(what string) {
	samples := len(d.series) * 24 * 240
	peak := "unknown"
	if status, err := os.ReadFile("/proc/self/status"); err == nil {
		for line := range strings.Lines(string(status)) {
			if strings.HasPrefix(line, "VmHWM:") {
				peak = strings.Join(strings.Fields(line)[1:], " ")
			}
		}
	}
	d.Logf("%s: %d samples of %d series, %.2f bytes a sample on disk without the log and the head, %s memory at the most", what, samples, len(d.series),
		float64(d.disk())/float64(samples), peak)
}
