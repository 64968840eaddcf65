package store

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"

	"belfry/tsdb/cold"
	"belfry/tsdb/exemplars"
)

const (
	exemplarsDir      = "exemplars"
	exemplarDeletions = "deletions.json" // in it

	// saveExemplars is how long an exemplar may be in the ring and the log alone.
	saveExemplars = 10 * time.Minute

	// deletionTime is how long a deletion is remembered at least, for the ring cannot forget, nor the log
	// that restores it. It is remembered for as long as the ring has something of it, too.
	deletionTime = 25 * time.Hour

	// expireExemplars is how often retention by selectors reaches exemplars.
	expireExemplars = 6 * time.Hour

	// maxExemplarsFound bounds the answer to a query. Of more, every second,
	// third, ... of each series is left.
	maxExemplarsFound = 100_000
)

// keptExemplars are a tenant's exemplars: the newest in Prometheus' ring, which
// the log restores, and all of them in files for as long as the samples.
type keptExemplars struct {
	db    *database
	files *exemplars.Folder

	appended atomic.Int64  // since the last save
	full     chan struct{} // asks for a save before the ring comes round

	mu      sync.Mutex          // saving and deleting
	saved   map[uint64]struct{} // what of the ring is in files; nil if that is not known
	savedAt time.Time
	expired time.Time

	deletions atomic.Pointer[[]exemplarDeletion]
}

// exemplarDeletion is a deletion that the ring has not forgotten yet.
type exemplarDeletion struct {
	Matchers   []matcherText `json:"matchers"`
	Mint, Maxt int64
	At         time.Time

	matchers []*labels.Matcher
}

// matcherText is a matcher as it is kept on disk.
type matcherText struct {
	Type        labels.MatchType
	Name, Value string
}

func textOf(ms []*labels.Matcher) (out []matcherText) {
	for _, m := range ms {
		out = append(out, matcherText{m.Type, m.Name, m.Value})
	}
	return out
}

func matchersOf(ms []matcherText) (out []*labels.Matcher, err error) {
	for _, m := range ms {
		matcher, bad := labels.NewMatcher(m.Type, m.Name, m.Value)
		err = errors.Join(err, bad)
		out = append(out, matcher)
	}
	return out, err
}

// openExemplars opens what is kept. Damage is no reason to do without the rest.
func openExemplars(d *database) (*keptExemplars, error) {
	k := &keptExemplars{db: d, full: make(chan struct{}, 1), savedAt: d.store.now()}
	k.deletions.Store(&[]exemplarDeletion{})
	k.appended.Store(1) // the log may bring back some that no file has
	var err error
	k.files, err = exemplars.Open(filepath.Join(d.dir, exemplarsDir))
	err = errors.Join(err, k.readDeletions())
	d.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "belfry_metrics_exemplars_bytes", Help: "Bytes of the exemplars that are kept in files.",
	}, func() float64 { return float64(k.files.Size()) }))
	return k, err
}

func (k *keptExemplars) path() string {
	return filepath.Join(k.db.dir, exemplarsDir, exemplarDeletions)
}

func (k *keptExemplars) readDeletions() error {
	text, err := os.ReadFile(k.path())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var all []exemplarDeletion
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	for i := range all {
		var bad error
		all[i].matchers, bad = matchersOf(all[i].Matchers)
		err = errors.Join(err, bad)
	}
	if err != nil {
		return fmt.Errorf("deletions of exemplars: %w", err)
	}
	k.deletions.Store(&all)
	return nil
}

// note counts exemplars that were appended.
func (k *keptExemplars) note(n int) {
	limit := int64(k.db.store.config().Limits.MaxExemplars)
	if n == 0 || limit == 0 || k.appended.Add(int64(n)) < limit/2 {
		return
	}
	select {
	case k.full <- struct{}{}:
	default:
	}
}

// tend saves what has waited long enough, merges files and removes those that are
// older than all samples.
func (k *keptExemplars) tend() error {
	now := k.db.store.now()
	if k.appended.Load() > 0 && now.Sub(k.savedSince()) >= saveExemplars {
		if err := k.save(); err != nil {
			return err
		}
	}
	if err := k.files.DropBefore(k.firstSample() - saveExemplars.Milliseconds()); err != nil {
		return err
	}
	if err := k.expire(now); err != nil {
		return err
	}
	return k.files.Compact(now.Add(-time.Hour).UnixMilli())
}

func (k *keptExemplars) savedSince() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.savedAt
}

// firstSample is the time before which there are no samples, milliseconds.
func (k *keptExemplars) firstSample() int64 {
	first := int64(math.MaxInt64)
	if head := k.db.tsdb.Head(); head.NumSeries() > 0 {
		first = head.MinTime()
	}
	for _, b := range k.db.blockMetas() {
		first = min(first, b.MinTime)
	}
	if first == math.MaxInt64 { // none at all, or not yet
		first = math.MinInt64 / 2
	}
	return max(first, k.db.store.oldest(), math.MinInt64/2)
}

// expire applies the selectors of the retention.
func (k *keptExemplars) expire(now time.Time) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	rules, err := k.db.retentionRules()
	if err != nil || len(rules) == 0 || now.Sub(k.expired) < expireExemplars {
		return err
	}
	before := int64(math.MinInt64)
	for _, r := range rules {
		before = max(before, r.Before)
	}
	k.expired = now
	return k.files.Delete(before, func(ls labels.Labels, t int64) bool { return pastRetention(rules, ls, t) })
}

// pastRetention reports whether the first rule that fits a series keeps nothing of a time.
func pastRetention(rules []cold.Rule, ls labels.Labels, t int64) bool {
	for _, r := range rules {
		if matches(ls, r.Matchers) {
			return t < r.Before
		}
	}
	return false
}

func matches(ls labels.Labels, ms []*labels.Matcher) bool {
	return !slices.ContainsFunc(ms, func(m *labels.Matcher) bool { return !m.Matches(ls.Get(m.Name)) })
}

// inRing returns what the ring has and was neither deleted nor kept long enough.
func (k *keptExemplars) inRing(start, end int64, matchers [][]*labels.Matcher) ([]exemplar.QueryResult, error) {
	q, err := k.db.tsdb.ExemplarQuerier(context.Background())
	if err != nil {
		return nil, err
	}
	found, err := q.Select(start, end, matchers...)
	if err != nil {
		return nil, err
	}
	deletions := *k.deletions.Load()
	rules, err := k.db.retentionRules()
	if err != nil || len(deletions)+len(rules) == 0 {
		return found, err
	}
	out := make([]exemplar.QueryResult, 0, len(found))
	for _, s := range found {
		s.Exemplars = slices.DeleteFunc(slices.Clone(s.Exemplars), func(e exemplar.Exemplar) bool {
			return pastRetention(rules, s.SeriesLabels, e.Ts) || slices.ContainsFunc(deletions, func(d exemplarDeletion) bool {
				return e.Ts >= d.Mint && e.Ts <= d.Maxt && matches(s.SeriesLabels, d.matchers)
			})
		})
		out = append(out, s)
	}
	return out, nil
}

// save writes what is in the ring and in no file to a file.
func (k *keptExemplars) save() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.saveLocked()
}

func (k *keptExemplars) saveLocked() error {
	waiting := k.appended.Load()
	if waiting == 0 {
		return nil
	}
	all := [][]*labels.Matcher{{labels.MustNewMatcher(labels.MatchRegexp, model.MetricNameLabel, ".*")}}
	ring, err := k.inRing(math.MinInt64, math.MaxInt64, all)
	if err != nil {
		return fmt.Errorf("save exemplars: %w", err)
	}
	if k.saved == nil {
		if err := k.findSaved(ring, all); err != nil {
			return err
		}
	}
	saved := map[uint64]struct{}{}
	fresh := make([]exemplar.QueryResult, 0, len(ring))
	for _, s := range ring {
		add := exemplar.QueryResult{SeriesLabels: s.SeriesLabels}
		for _, e := range s.Exemplars {
			id := exemplarID(s.SeriesLabels, &e)
			if _, ok := k.saved[id]; !ok {
				add.Exemplars = append(add.Exemplars, e)
			}
			saved[id] = struct{}{}
		}
		fresh = append(fresh, add)
	}
	if err := k.files.Add(fresh); err != nil {
		return err
	}
	k.saved, k.savedAt = saved, k.db.store.now()
	k.appended.Add(-waiting)
	return nil
}

// findSaved looks up what of the ring, as the log restored it, is in files.
func (k *keptExemplars) findSaved(ring []exemplar.QueryResult, all [][]*labels.Matcher) error {
	first, last := int64(math.MaxInt64), int64(math.MinInt64)
	for _, s := range ring {
		for _, e := range s.Exemplars {
			first, last = min(first, e.Ts), max(last, e.Ts)
		}
	}
	k.saved = map[uint64]struct{}{}
	if first > last {
		return nil
	}
	found, err := k.files.Select(first, last, all...)
	for _, s := range found {
		for _, e := range s.Exemplars {
			k.saved[exemplarID(s.SeriesLabels, &e)] = struct{}{}
		}
	}
	return err
}

func exemplarID(series labels.Labels, e *exemplar.Exemplar) uint64 {
	var b [32]byte
	binary.LittleEndian.PutUint64(b[0:], series.Hash())
	binary.LittleEndian.PutUint64(b[8:], e.Labels.Hash())
	binary.LittleEndian.PutUint64(b[16:], uint64(e.Ts)) //nolint:gosec // its bits
	binary.LittleEndian.PutUint64(b[24:], math.Float64bits(e.Value))
	return xxhash.Sum64(b[:])
}

// query returns the exemplars from start to end, of the ring and of the files.
func (k *keptExemplars) query(start, end int64, matchers [][]*labels.Matcher) ([]exemplar.QueryResult, error) {
	start = max(start, k.firstSample()-saveExemplars.Milliseconds())
	ring, err := k.inRing(start, end, matchers)
	if err != nil {
		return nil, err
	}
	found, err := k.files.Select(start, end, matchers...)
	if err != nil {
		return nil, err
	}
	for _, s := range ring {
		s.Exemplars = slices.Clone(s.Exemplars)
		found = append(found, s)
	}
	if len(found) == 0 {
		return []exemplar.QueryResult{}, nil // which is not null in JSON
	}
	return thinned(exemplars.Merge(found), maxExemplarsFound), nil
}

// thinned leaves every second, third, ... exemplar of each series, so that there
// are no more than a number of them, and at least one of each series.
func thinned(all []exemplar.QueryResult, most int) []exemplar.QueryResult {
	total := 0
	for _, s := range all {
		total += len(s.Exemplars)
	}
	every := (total + most - 1) / most
	if every <= 1 {
		return all
	}
	for i := range all {
		es := all[i].Exemplars
		kept := es[:0]
		for j := 0; j < len(es); j += every {
			kept = append(kept, es[j])
		}
		all[i].Exemplars = kept
	}
	return all
}

// remove deletes exemplars: from files when it returns, and what the ring has of
// them for whoever asks.
func (k *keptExemplars) remove(mint, maxt int64, ms []*labels.Matcher) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.db.store.now()
	// Who deletes until the end of time means what is there.
	maxt = min(maxt, max(now.UnixMilli(), k.db.tsdb.Head().MaxTime()))
	all := slices.DeleteFunc(slices.Clone(*k.deletions.Load()), func(d exemplarDeletion) bool {
		return now.Sub(d.At) > deletionTime && !k.ringHas(d)
	})
	all = append(all, exemplarDeletion{Matchers: textOf(ms), Mint: mint, Maxt: maxt, At: now, matchers: ms})
	if err := k.writeDeletions(all); err != nil {
		return err
	}
	k.deletions.Store(&all)
	return k.files.Delete(maxt+1, func(ls labels.Labels, t int64) bool { return t >= mint && t <= maxt && matches(ls, ms) })
}

// ringHas reports whether the ring has, or may have, what a deletion names.
func (k *keptExemplars) ringHas(d exemplarDeletion) bool {
	q, err := k.db.tsdb.ExemplarQuerier(context.Background())
	if err != nil {
		return true
	}
	found, err := q.Select(d.Mint, d.Maxt, d.matchers)
	return err != nil || len(found) > 0
}

func (k *keptExemplars) writeDeletions(all []exemplarDeletion) error {
	text, err := json.Marshal(all)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(k.path()), 0o750); err != nil {
		return err
	}
	if err := writeSynced(k.path(), text); err != nil {
		return fmt.Errorf("write deletions of exemplars: %w", err)
	}
	return nil
}

// link makes a copy in dir, of hard links.
func (k *keptExemplars) link(dir string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.saveLocked(); err != nil {
		return err
	}
	return k.files.Link(dir)
}
