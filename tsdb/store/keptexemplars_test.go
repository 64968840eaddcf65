package store

import (
	"fmt"
	"math"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"

	metrics "belfry/tsdb"
	"belfry/tsdb/exemplars"
)

// exemplarWorld is a store whose ring holds ten exemplars.
type exemplarWorld struct {
	*testing.T
	dir   string
	s     *Store
	clock testClock
	more  func(*Options)
}

func newExemplarWorld(t *testing.T, more func(*Options)) *exemplarWorld {
	w := &exemplarWorld{T: t, dir: t.TempDir(), more: more}
	w.clock.Store(time.Now().Add(-48 * time.Hour).Truncate(6 * time.Hour).UnixMilli())
	w.open()
	t.Cleanup(func() { require.NoError(t, w.s.Close()) })
	return w
}

func (w *exemplarWorld) open() {
	cfg := metrics.DefaultConfig()
	cfg.MinFreeDisk = 0
	cfg.Limits.MaxExemplars = 10
	o := Options{Dir: w.dir, Config: cfg, Now: w.clock.now}
	if w.more != nil {
		w.more(&o)
	}
	s, err := Open(o)
	require.NoError(w, err)
	w.s = s
}

func (w *exemplarWorld) reopen() {
	require.NoError(w, w.s.Close())
	w.open()
}

// kept returns the exemplars' keeper.
func (w *exemplarWorld) kept() *keptExemplars {
	require.NoError(w, w.s.OpenTenant(w.Context(), "a"))
	return coldOf(w.s, "a").kept
}

// append appends n samples with an exemplar each, a minute apart, and saves in
// between, as the ring's coming round would.
func (w *exemplarWorld) append(job string, n int) {
	for range n {
		w.clock.add(time.Minute)
		at := w.clock.now().UnixMilli()
		app := w.s.AppenderV2(ctxOf("a"))
		e := exemplar.Exemplar{Labels: labels.FromStrings("trace_id", fmt.Sprint(job, at)), Value: 0.1, Ts: at, HasTs: true}
		_, err := app.Append(0, labels.FromStrings("__name__", "x_bucket", "job", job), 0, at, 1, nil, nil, storage.AOptions{Exemplars: []exemplar.Exemplar{e}})
		require.NoError(w, err)
		require.NoError(w, app.Commit())
		require.NoError(w, w.kept().save())
	}
}

func (w *exemplarWorld) count(sel ...*labels.Matcher) (n int) {
	q, err := w.s.ExemplarQuerier(ctxOf("a"))
	require.NoError(w, err)
	found, err := q.Select(0, math.MaxInt64, append(sel, labels.MustNewMatcher(labels.MatchEqual, "__name__", "x_bucket")))
	require.NoError(w, err)
	for _, r := range found {
		n += len(r.Exemplars)
	}
	return n
}

func TestExemplarsOutliveTheRing(t *testing.T) {
	w := newExemplarWorld(t, nil)
	w.append("api", 35)
	require.Equal(t, 35, w.count())
	w.reopen()
	require.Equal(t, 35, w.count(), "none is lost, none is there twice")
	w.append("api", 5)
	require.Equal(t, 40, w.count())
	w.clock.add(12 * time.Hour)
	require.NoError(t, w.kept().tend())
	require.Equal(t, 40, w.count(), "merged")
	names, err := filepath.Glob(filepath.Join(w.dir, "a", exemplarsDir, "*.exemplars"))
	require.NoError(t, err)
	require.Len(t, names, 1)

	snapshot := filepath.Join(t.TempDir(), "a")
	require.NoError(t, w.s.Admin("a").Snapshot(snapshot, true))
	copied, err := exemplars.Open(filepath.Join(snapshot, exemplarsDir))
	require.NoError(t, err)
	found, err := copied.Select(0, math.MaxInt64, []*labels.Matcher{})
	require.NoError(t, err)
	require.Len(t, found[0].Exemplars, 40)
}

func TestDeletionReachesExemplars(t *testing.T) {
	w := newExemplarWorld(t, nil)
	w.append("api", 8)
	w.append("edge", 8)
	api := labels.MustNewMatcher(labels.MatchEqual, "job", "api")
	edge := labels.MustNewMatcher(labels.MatchEqual, "job", "edge")
	require.NoError(t, w.s.Delete(ctxOf("a"), 0, math.MaxInt64, api))
	require.Zero(t, w.count(api))
	require.NoError(t, w.s.Delete(ctxOf("a"), w.clock.now().Add(-150*time.Second).UnixMilli(), math.MaxInt64, edge))
	require.Equal(t, 5, w.count(), "of the ring, too")
	w.reopen()
	require.Equal(t, 5, w.count(), "the log brings none back")
	w.append("api", 1)
	require.Equal(t, 6, w.count(), "what came after")
	w.reopen()
	require.Equal(t, 6, w.count())
}

// TestLateExemplarsAreFound: those that come with times of long ago, before they are
// in a file; and what was deleted of the ring stays deleted for as long as it is there.
func TestLateExemplarsAreFound(t *testing.T) {
	w := newExemplarWorld(t, nil)
	past := w.clock.now().Add(-5 * time.Hour)
	app := w.s.AppenderV2(ctxOf("a"))
	e := exemplar.Exemplar{Labels: labels.FromStrings("trace_id", "1"), Value: 0.1, Ts: past.UnixMilli(), HasTs: true}
	_, err := app.Append(0, labels.FromStrings("__name__", "x_bucket", "job", "api"), 0, past.UnixMilli(), 1, nil, nil, storage.AOptions{Exemplars: []exemplar.Exemplar{e}})
	require.NoError(t, err)
	require.NoError(t, app.Commit())
	w.clock.add(40 * time.Hour)
	require.Equal(t, 1, w.count())

	job := labels.MustNewMatcher(labels.MatchEqual, "job", "api")
	require.NoError(t, w.s.Delete(ctxOf("a"), 0, math.MaxInt64, job))
	require.Zero(t, w.count())
	w.clock.add(40 * time.Hour)
	require.NoError(t, w.s.Delete(ctxOf("a"), 0, 1, job))
	w.append("edge", 1)
	require.Equal(t, 1, w.count(), "the second deletion and the save brought nothing back")
}

func TestRetentionReachesExemplars(t *testing.T) {
	w := newExemplarWorld(t, func(o *Options) {
		o.Config.Retention.Time = model.Duration(100 * time.Hour)
		o.Config.Retention.Selectors = []metrics.SelectorRetention{{Match: `{job="edge"}`, Time: model.Duration(10 * time.Hour)}}
	})
	w.append("edge", 5)
	w.append("api", 5)
	w.clock.add(11 * time.Hour)
	require.NoError(t, w.kept().tend())
	w.reopen()
	found, err := w.kept().files.Select(0, math.MaxInt64, []*labels.Matcher{})
	require.NoError(t, err)
	require.Len(t, found, 1, "api's")
	w.clock.add(100 * time.Hour)
	require.NoError(t, w.kept().tend())
	require.Zero(t, w.kept().files.Size())
	require.Zero(t, w.count())
}

func TestThinnedExemplars(t *testing.T) {
	all := []exemplar.QueryResult{{Exemplars: make([]exemplar.Exemplar, 100)}, {Exemplars: make([]exemplar.Exemplar, 1)}}
	all = thinned(all, 30)
	require.Len(t, all[0].Exemplars, 25)
	require.Len(t, all[1].Exemplars, 1)
}
