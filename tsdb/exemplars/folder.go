package exemplars

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/fileutil"
)

const (
	suffix   = ".exemplars"
	creating = ".tmp"

	// mergeRange is the range of time whose files become one, milliseconds, and
	// mergeCount how many exemplars such a file has at the most.
	mergeRange = 6 * 60 * 60 * 1000
	mergeCount = 1 << 20
)

// Folder holds files of exemplars.
type Folder struct {
	dir string

	change sync.Mutex // one change of the files at a time

	mu    sync.RWMutex // held for reading while files are read
	files []*file      // by name, which is the order in which they were written
	next  uint64       // number of the next file
}

// Open opens a folder, which it makes if it is not there. Files that cannot be
// opened are in the error; the others are there all the same.
func Open(dir string) (*Folder, error) {
	d := &Folder{dir: dir}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return d, nil
	}
	if err != nil {
		return d, err
	}
	var errs []error
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if strings.HasSuffix(e.Name(), creating) {
			errs = append(errs, os.Remove(path))
			continue
		}
		var n uint64
		if _, err := fmt.Sscanf(e.Name(), "%016x"+suffix, &n); err != nil {
			continue
		}
		d.next = max(d.next, n+1)
		f, err := openFile(path)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		d.files = append(d.files, f)
	}
	slices.SortFunc(d.files, func(a, b *file) int { return strings.Compare(a.path, b.path) })
	return d, errors.Join(errs...)
}

// Size returns the bytes on disk.
func (d *Folder) Size() (n int64) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	for _, f := range d.files {
		n += f.size
	}
	return n
}

// Add writes exemplars. When it returns they are on disk.
func (d *Folder) Add(all []exemplar.QueryResult) error {
	d.change.Lock()
	defer d.change.Unlock()
	return d.replace(nil, Merge(all))
}

// replace writes a file in place of others; none if it would be empty. The caller
// holds change. A crash in between leaves exemplars twice, which are read once.
func (d *Folder) replace(old []*file, all []exemplar.QueryResult) error {
	var added []*file
	if len(all) > 0 {
		f, err := d.write(all)
		if err != nil {
			return fmt.Errorf("write exemplars: %w", err)
		}
		added = append(added, f)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.files = append(slices.DeleteFunc(d.files, func(f *file) bool { return slices.Contains(old, f) }), added...)
	var errs []error
	for _, f := range old {
		errs = append(errs, os.Remove(f.path))
	}
	if len(old) > 0 {
		errs = append(errs, syncDir(d.dir))
	}
	return errors.Join(errs...)
}

func (d *Folder) write(all []exemplar.QueryResult) (*file, error) {
	bytes, err := encode(all)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(d.dir, 0o750); err != nil {
		return nil, err
	}
	path := filepath.Join(d.dir, fmt.Sprintf("%016x"+suffix, d.next))
	d.next++
	tmp, err := os.OpenFile(path+creating, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, err
	}
	_, err = tmp.Write(bytes)
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return nil, errors.Join(err, os.Remove(path+creating))
	}
	if err := fileutil.Replace(path+creating, path); err != nil { // syncs the folder
		return nil, err
	}
	return openFile(path)
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Select returns the exemplars from start to end, milliseconds, both included, of
// the series that match all matchers of any of the sets: series in the order of
// their labels, the exemplars of each in the order of time, none twice.
func (d *Folder) Select(start, end int64, matchers ...[]*labels.Matcher) ([]exemplar.QueryResult, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	var all []exemplar.QueryResult
	for _, f := range d.files {
		if f.maxt < start || f.mint > end {
			continue
		}
		found, err := f.read(query{start, end, matchers})
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return Merge(all), nil
}

// everything matches all series.
func everything() [][]*labels.Matcher { return [][]*labels.Matcher{{}} }

// Delete removes the exemplars that a function says, from disk when it returns.
// It is asked about those of files that begin before a time only.
func (d *Folder) Delete(before int64, gone func(series labels.Labels, t int64) bool) error {
	d.change.Lock()
	defer d.change.Unlock()
	for _, f := range d.list() {
		if f.mint >= before {
			continue
		}
		all, err := f.read(query{math.MinInt64, math.MaxInt64, everything()})
		if err != nil {
			return err
		}
		removed := false
		for i := range all {
			s := &all[i]
			n := len(s.Exemplars)
			s.Exemplars = slices.DeleteFunc(s.Exemplars, func(e exemplar.Exemplar) bool { return gone(s.SeriesLabels, e.Ts) })
			removed = removed || len(s.Exemplars) < n
		}
		if !removed {
			continue
		}
		if err := d.replace([]*file{f}, Merge(all)); err != nil {
			return err
		}
	}
	return nil
}

// DropBefore removes the files all of whose exemplars are before a time.
func (d *Folder) DropBefore(t int64) error {
	d.change.Lock()
	defer d.change.Unlock()
	old := slices.DeleteFunc(d.list(), func(f *file) bool { return f.maxt >= t })
	if len(old) == 0 {
		return nil
	}
	return d.replace(old, nil)
}

// Compact merges the files of each six hours that ended before a time.
func (d *Folder) Compact(ended int64) error {
	d.change.Lock()
	defer d.change.Unlock()
	windows := map[int64][]*file{}
	for _, f := range d.list() {
		if w := floorDiv(f.mint, mergeRange); floorDiv(f.maxt, mergeRange) == w && (w+1)*mergeRange <= ended {
			windows[w] = append(windows[w], f)
		}
	}
	for _, group := range windows {
		// Files that are full stay; the small ones are put together.
		slices.SortFunc(group, func(a, b *file) int { return cmp.Compare(a.count, b.count) })
		n, count := 0, uint64(0)
		for n < len(group) && count+group[n].count <= mergeCount {
			count += group[n].count
			n++
		}
		if n < 2 {
			continue
		}
		var all []exemplar.QueryResult
		for _, f := range group[:n] {
			found, err := f.read(query{math.MinInt64, math.MaxInt64, everything()})
			if err != nil {
				return err
			}
			all = append(all, found...)
		}
		if err := d.replace(group[:n], Merge(all)); err != nil {
			return err
		}
	}
	return nil
}

func (d *Folder) list() []*file {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return slices.Clone(d.files)
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// Merge puts results in the order of their series' labels, those of one series
// together, in the order of time, and none twice: one that comes back from a log
// has forgotten whether its time was its own. Empty ones are left out.
func Merge(all []exemplar.QueryResult) []exemplar.QueryResult {
	slices.SortStableFunc(all, func(a, b exemplar.QueryResult) int { return labels.Compare(a.SeriesLabels, b.SeriesLabels) })
	out := all[:0]
	for _, s := range all {
		switch {
		case len(s.Exemplars) == 0:
		case len(out) > 0 && labels.Equal(out[len(out)-1].SeriesLabels, s.SeriesLabels):
			last := &out[len(out)-1]
			last.Exemplars = append(last.Exemplars[:len(last.Exemplars):len(last.Exemplars)], s.Exemplars...)
		default:
			out = append(out, s)
		}
	}
	for i := range out {
		es := out[i].Exemplars
		slices.SortFunc(es, compare)
		out[i].Exemplars = slices.CompactFunc(es, func(a, b exemplar.Exemplar) bool { return compare(a, b) == 0 })
	}
	return out
}

func compare(a, b exemplar.Exemplar) int {
	return cmp.Or(cmp.Compare(a.Ts, b.Ts), cmp.Compare(math.Float64bits(a.Value), math.Float64bits(b.Value)), labels.Compare(a.Labels, b.Labels))
}

// Link makes a copy of the folder in dir, of hard links.
func (d *Folder) Link(dir string) error {
	d.change.Lock()
	defer d.change.Unlock()
	files := d.list()
	if len(files) == 0 {
		return nil
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	for _, f := range files {
		if err := os.Link(f.path, filepath.Join(dir, filepath.Base(f.path))); err != nil {
			return fmt.Errorf("link exemplars: %w", err)
		}
	}
	return syncDir(dir)
}
