package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/record"
	"github.com/prometheus/prometheus/tsdb/wlog"
	"github.com/stretchr/testify/require"

	"belfry/internal/deletion"
	"belfry/internal/fault"
	metrics "belfry/tsdb"
)

// testClock is a clock that tests move, in milliseconds.
type testClock struct{ atomic.Int64 }

func (c *testClock) now() time.Time      { return time.UnixMilli(c.Load()) }
func (c *testClock) add(d time.Duration) { c.Add(d.Milliseconds()) }

// deletingWorld is a store that is written to hour by hour.
type deletingWorld struct {
	*testing.T
	dir   string
	s     *Store
	clock testClock
}

func newDeletingWorld(t *testing.T) *deletingWorld {
	w := &deletingWorld{T: t, dir: t.TempDir()}
	w.clock.Store(time.Now().Add(-72 * time.Hour).Truncate(6 * time.Hour).UnixMilli())
	w.open()
	t.Cleanup(func() { require.NoError(t, w.s.Close()) })
	return w
}

func (w *deletingWorld) open() {
	cfg := metrics.DefaultConfig()
	cfg.MinFreeDisk = 0
	s, err := Open(Options{Dir: w.dir, Config: cfg, Now: w.clock.now})
	require.NoError(w, err)
	w.s = s
	require.NoError(w, s.OpenTenant(context.Background(), "a"))
}

// write writes hours of two series, a sample a minute, and makes blocks of what is
// finished.
func (w *deletingWorld) write(hours int) {
	for range hours * 60 {
		w.clock.add(time.Minute)
		app := w.s.AppenderV2(ctxOf("a"))
		for _, job := range []string{"secret", "api"} {
			_, err := app.Append(0, labels.FromStrings("__name__", "x", "job", job), 0, w.clock.now().UnixMilli(), float64(w.clock.now().Unix()%1000)/7, nil, nil, storage.AOptions{})
			require.NoError(w, err)
		}
		require.NoError(w, app.Commit())
	}
	require.NoError(w, coldOf(w.s, "a").tsdb.Compact(context.Background()))
	w.tend()
}

func (w *deletingWorld) tend() {
	d := coldOf(w.s, "a")
	require.NoError(w, d.tendCold(context.Background()))
	require.NoError(w, d.tendDeletions(context.Background()))
}

func (w *deletingWorld) remove() deletion.Deletion {
	d, err := w.s.DeleteSeries(context.Background(), metrics.DeleteRequest{
		Tenant: "a", Label: `x{job="secret"}`, Mint: 0, Maxt: w.clock.now().UnixMilli(),
		Matchers: []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, "job", "secret")},
	})
	require.NoError(w, err)
	require.Equal(w, deletion.Running, d.State)
	return d
}

func (w *deletingWorld) state(id string) deletion.Deletion {
	d, err := w.s.Deletion(context.Background(), "a", id)
	require.NoError(w, err)
	require.Empty(w, d.Error)
	return d
}

// onDisk counts the samples of the secret series up to a time that any file holds.
func (w *deletingWorld) onDisk(until time.Time) int {
	return samplesOnDisk(w, w.s, "a", until.UnixMilli(), func(ls labels.Labels) bool { return ls.Get("job") == "secret" })
}

// samplesOnDisk counts the samples up to a time, milliseconds, of some series that
// a tenant's logs hold, and what its blocks hold of any series that queries do not
// see.
func samplesOnDisk(t testing.TB, s *Store, tenantID string, until int64, of func(labels.Labels) bool) (n int) {
	d := coldOf(s, tenantID)
	some := map[chunks.HeadSeriesRef]bool{}
	for _, log := range []string{"wal", "wbl"} {
		for _, pass := range []string{"series", "samples"} {
			eachRecord(t, filepath.Join(d.dir, log), func(dec *record.Decoder, rec []byte) {
				switch dec.Type(rec) {
				case record.Series:
					series, err := dec.Series(rec, nil)
					require.NoError(t, err)
					for _, s := range series {
						if of(s.Labels) {
							some[s.Ref] = true
						}
					}
				case record.Samples:
					samples, err := dec.Samples(rec, nil)
					require.NoError(t, err)
					for _, s := range samples {
						if pass == "samples" && some[s.Ref] && s.T <= until {
							n++
						}
					}
				default:
				}
			})
		}
	}
	for _, b := range d.tsdb.Blocks() {
		n += int(b.Meta().Stats.NumTombstones) //nolint:gosec // few
	}
	for _, b := range d.cold.list() {
		n += int(b.Meta().Stats.NumTombstones) //nolint:gosec // few
	}
	return n
}

func eachRecord(t testing.TB, dir string, f func(*record.Decoder, []byte)) {
	var readers []wlog.SegmentRange
	if checkpoint, _, err := wlog.LastCheckpoint(dir); err == nil {
		readers = append(readers, wlog.SegmentRange{Dir: checkpoint, First: -1, Last: -1})
	}
	readers = append(readers, wlog.SegmentRange{Dir: dir, First: -1, Last: -1})
	if _, err := os.Stat(dir); err != nil {
		return
	}
	segments, err := wlog.NewSegmentsRangeReader(readers...)
	require.NoError(t, err)
	defer func() { require.NoError(t, segments.Close()) }()
	dec := record.NewDecoder(labels.NewSymbolTable(), promslog.NewNopLogger())
	for r := wlog.NewReader(segments); r.Next(); {
		f(&dec, slices.Clone(r.Record()))
	}
}

func TestADeletionIsDoneWhenNoFileHasTheSamples(t *testing.T) {
	w := newDeletingWorld(t)
	w.write(9)
	until := w.clock.now()
	require.Positive(t, w.onDisk(until))
	d := w.remove()
	require.Len(t, floats(t, w.s, ctxOf("a")), 9*60, "gone from queries at once")
	w.tend()
	d = w.state(d.ID)
	require.Equal(t, deletion.Running, d.State, "the log has them")
	require.InDelta(t, 0.5, d.Progress, 0.3)
	require.Equal(t, int64(9*60), d.Records)
	require.Positive(t, w.onDisk(until))
	require.NoError(t, w.s.Close())
	w.open()
	require.Equal(t, deletion.Running, w.state(d.ID).State, "after a restart")
	for range 20 {
		w.write(2)
		if d = w.state(d.ID); d.State == deletion.Done {
			break
		}
	}
	require.Equal(t, deletion.Done, d.State)
	require.InDelta(t, 1, d.Progress, 0)
	require.Equal(t, w.clock.now().UTC(), d.Ended)
	require.Zero(t, w.onDisk(until))
	_, err := w.s.CancelDeletion(context.Background(), "a", d.ID, true)
	require.Equal(t, fault.Conflict, fault.KindOf(err))
}

func TestADeletionOfATenantThatHasStoppedWriting(t *testing.T) {
	w := newDeletingWorld(t)
	w.write(2)
	until := w.clock.now()
	d := w.remove()
	w.tend()
	require.Equal(t, deletion.Running, w.state(d.ID).State)
	w.clock.add(4 * time.Hour)
	for range 3 {
		w.tend()
	}
	require.Equal(t, deletion.Done, w.state(d.ID).State)
	require.Zero(t, w.onDisk(until))
	require.Len(t, floats(t, w.s, ctxOf("a")), 2*60, "the others are there")
	w.write(1)
	require.Len(t, floats(t, w.s, ctxOf("a")), 2*60+2*60)
}

// The first deletion leaves a head without series, whose log nobody cuts.
func TestALaterDeletionOfATenantThatHasStoppedWriting(t *testing.T) {
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprintf("restart=%t", restart), func(t *testing.T) { laterDeletion(t, restart) })
	}
}

func laterDeletion(t *testing.T, restart bool) {
	w := newDeletingWorld(t)
	w.write(2)
	first := w.remove()
	w.clock.add(4 * time.Hour)
	for range 3 {
		w.tend()
	}
	require.Equal(t, deletion.Done, w.state(first.ID).State)
	if restart {
		require.NoError(t, w.s.Close())
		w.open()
	}
	later, err := w.s.DeleteSeries(context.Background(), metrics.DeleteRequest{
		Tenant: "a", Maxt: w.clock.now().UnixMilli(), Matchers: []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, "job", "api")},
	})
	require.NoError(t, err)
	require.Less(t, later.From, later.To)
	for range 3 {
		w.tend()
	}
	require.Equal(t, deletion.Done, w.state(later.ID).State)
	require.Empty(t, floats(t, w.s, ctxOf("a")))
	w.write(1)
	require.Len(t, floats(t, w.s, ctxOf("a")), 2*60)
}

// The head keeps the file that it wrote chunks to last for as long as it is open.
func TestADeletionIsDoneWhenTheHeadsChunksAreGone(t *testing.T) {
	w := newDeletingWorld(t)
	w.write(2)
	w.write(1)
	coldOf(w.s, "a").tsdb.ForceHeadMMap()
	d := w.remove()
	w.clock.add(4 * time.Hour)
	for range 3 {
		w.tend()
	}
	require.Equal(t, deletion.Running, w.state(d.ID).State)
	chunkFiles := filepath.Join(w.dir, "a", "chunks_head")
	require.NotEmpty(t, numbers(chunkFiles))
	open := coldOf(w.s, "a")
	w.s.closeIdle()
	require.NotSame(t, open, coldOf(w.s, "a"))
	for range 3 {
		w.tend()
	}
	require.Equal(t, deletion.Done, w.state(d.ID).State)
	require.Empty(t, numbers(chunkFiles))
	require.Len(t, floats(t, w.s, ctxOf("a")), 3*60)
}

// A late sample that was deleted does not come back when late samples become a
// block.
func TestDeletedLateSamplesStayDeleted(t *testing.T) {
	w := newDeletingWorld(t)
	w.write(1)
	app := w.s.AppenderV2(ctxOf("a"))
	_, err := app.Append(0, labels.FromStrings("__name__", "x", "job", "secret"), 0, w.clock.now().Add(-10*time.Minute).UnixMilli()+7, 42, nil, nil, storage.AOptions{})
	require.NoError(t, err)
	require.NoError(t, app.Commit())
	d := w.remove()
	require.Len(t, floats(t, w.s, ctxOf("a")), 60)
	w.clock.add(4 * time.Hour)
	for range 3 {
		w.tend()
	}
	require.Equal(t, deletion.Done, w.state(d.ID).State)
	require.Len(t, floats(t, w.s, ctxOf("a")), 60)
}
