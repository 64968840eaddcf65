package store

import (
	"context"
	"testing"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/tsdbutil"
	"github.com/stretchr/testify/require"

	metrics "belfry/tsdb"
)

// followed is a store, with one series, and who follows it.
type followed struct {
	*testing.T
	s    *Store
	in   metrics.Following
	mark metrics.ChangeMark
	at   int64
}

func newFollowed(t *testing.T) *followed {
	cfg := metrics.DefaultConfig()
	cfg.MinFreeDisk = 0
	cfg.Retention.Time = 0
	s, err := Open(Options{Dir: t.TempDir(), Config: cfg})
	require.NoError(t, err)
	f := &followed{T: t, s: s, at: 1_700_000_000_000}
	f.append(1)
	in, ok := s.Follow(context.Background())
	require.True(t, ok)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	t.Cleanup(in.Close)
	f.in, f.mark = in, in.Begin()
	return f
}

func (f *followed) append(n int) {
	app := f.s.AppenderV2(context.Background())
	for range n {
		f.add(app, nil)
	}
	require.NoError(f, app.Commit())
}

func (f *followed) add(app storage.AppenderV2, h *histogram.Histogram) {
	name := "x"
	if h != nil {
		name = "h"
	}
	f.at++
	_, err := app.Append(0, labels.FromStrings("__name__", name), 0, f.at, float64(f.at), h, nil, storage.AOptions{})
	require.NoError(f, err)
}

// since returns what was appended since the mark, and moves it.
func (f *followed) since() (all []metrics.AppendedBatch, ok bool) {
	f.mark, ok = f.in.Since(f.mark, func(b metrics.AppendedBatch) bool {
		all = append(all, b)
		return true
	})
	return all, ok
}

func TestFollowingTellsWhatIsAppended(t *testing.T) {
	f := newFollowed(t)
	all, ok := f.since()
	require.True(t, ok)
	require.Empty(t, all, "what was there before")
	ref, ls, ok := f.in.Ref(labels.FromStrings("__name__", "x"))
	require.True(t, ok)
	require.Equal(t, `{__name__="x"}`, ls.String())
	f.append(2)
	app := f.s.AppenderV2(context.Background())
	f.add(app, tsdbutil.GenerateTestHistogram(1))
	require.NoError(t, app.Commit())

	all, ok = f.since()
	require.True(t, ok)
	require.Len(t, all, 2)
	want := []metrics.Appended{{Ref: ref, T: f.at - 2, V: float64(f.at - 2)}, {Ref: ref, T: f.at - 1, V: float64(f.at - 1)}}
	require.Equal(t, want, all[0].Floats)
	require.Less(t, all[0].Begun, all[0].Done)
	require.GreaterOrEqual(t, all[1].Begun, all[0].Done, "one after the other")
	require.Len(t, all[1].Histograms, 1)
	ls, ok = f.in.Labels(all[1].Histograms[0])
	require.True(t, ok)
	require.Equal(t, `{__name__="h"}`, ls.String())
	require.Equal(t, f.at, f.in.MaxTime())

	_, ok = f.in.Labels(1 << 40)
	require.False(t, ok)
	_, _, ok = f.in.Ref(labels.FromStrings("__name__", "y"))
	require.False(t, ok)
}

func TestFollowingSaysWhatItDoesNotKnow(t *testing.T) {
	for name, interrupt := range map[string]func(*followed){
		"deletion": func(f *followed) {
			require.NoError(f, f.s.Delete(context.Background(), 0, f.at, labels.MustNewMatcher(labels.MatchEqual, "__name__", "x")))
		},
		"more than is kept": func(f *followed) {
			for range maxFeed/20_000 + 2 {
				f.append(20_000)
			}
		},
		"more than is recorded unread, and less since": func(f *followed) {
			for range maxUnread/100_000 + 2 {
				f.append(100_000)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFollowed(t)
			interrupt(f)
			_, ok := f.since()
			require.False(t, ok)
			f.mark = f.in.Begin()
			f.append(1)
			all, ok := f.since()
			require.True(t, ok)
			require.Len(t, all, 1)
		})
	}
}

// An appender that was opened before anybody followed has recorded nothing.
func TestFollowingMissesNoOpenAppender(t *testing.T) {
	cfg := metrics.DefaultConfig()
	cfg.MinFreeDisk = 0
	cfg.Retention.Time = 0
	s, err := Open(Options{Dir: t.TempDir(), Config: cfg})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	f := &followed{T: t, s: s, at: 1_700_000_000_000}
	app := s.AppenderV2(context.Background())
	f.add(app, nil)
	in, ok := s.Follow(context.Background())
	require.True(t, ok)
	t.Cleanup(in.Close)
	f.in, f.mark = in, in.Begin()
	require.NoError(t, app.Commit())
	_, ok = f.since()
	require.False(t, ok)
}

func TestOverlappingCommitsAreTold(t *testing.T) {
	f := newFollowed(t)
	db, err := f.s.acquire(context.Background(), "default", false)
	require.NoError(t, err)
	defer f.s.release(db)
	first, second := db.changes.recording(), db.changes.recording()
	db.changes.begin(first)
	db.changes.begin(second)
	db.changes.add(1, 1, second)
	db.changes.add(1, 1, first)
	all, ok := f.since()
	require.True(t, ok)
	require.Len(t, all, 2)
	require.Less(t, all[1].Begun, all[0].Done)
}
