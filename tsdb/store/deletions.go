package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/fileutil"
	"github.com/prometheus/prometheus/tsdb/wlog"

	"belfry/internal/deletion"
	"belfry/internal/fault"
	metrics "belfry/tsdb"
)

const (
	deletionsFile = "deletions.json"

	// endedDeletions is how many deletions that ended are remembered, and
	// runningDeletions how many may run.
	endedDeletions   = 100
	runningDeletions = 100

	// idleHead is how long after its newest sample a head is made a block for the
	// sake of a deletion. One that is written to becomes blocks by itself.
	idleHead = 3 * time.Hour

	// deletionSteps is how often an idle head's log is cut, which removes two
	// thirds of it each time.
	deletionSteps = 12
)

var _ metrics.Deleter = (*Store)(nil)

// deletionJob is a deletion as it is kept on disk.
type deletionJob struct {
	ID       string
	Label    string
	Matchers []matcherText
	Mint     int64 // milliseconds
	Maxt     int64 // included
	Created  time.Time
	Ended    time.Time // zero while it runs
	Records  int64     // samples
	Error    string    `json:",omitempty"`
	Cleaned  bool      // the blocks
	LastWAL  int       // the newest file of each log when the samples were deleted
	LastWBL  int
	LastMmap int

	// PastHead says that the head begins after the deleted samples, and
	// Checkpoint is the log's newest checkpoint at that time: later ones are
	// without them.
	PastHead   bool
	Checkpoint int
}

// deletionJobs are a tenant's deletions, the oldest first.
type deletionJobs struct {
	path string

	tending sync.Mutex // one at a time takes them further

	mu   sync.Mutex
	jobs []deletionJob
}

func openDeletions(path string) (*deletionJobs, error) {
	j := &deletionJobs{path: path}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return j, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &j.jobs)
	}
	if err != nil {
		return j, fmt.Errorf("deletions: %w", err)
	}
	return j, nil
}

// update changes the deletions and writes them to disk.
func (j *deletionJobs) update(change func([]deletionJob) []deletionJob) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	jobs := change(slices.Clone(j.jobs))
	for ended := 0; ; ended = 0 {
		oldest := -1
		for i := range jobs {
			if !jobs[i].Ended.IsZero() {
				ended++
				if oldest < 0 {
					oldest = i
				}
			}
		}
		if ended <= endedDeletions {
			break
		}
		jobs = slices.Delete(jobs, oldest, oldest+1)
	}
	text, err := json.Marshal(jobs)
	if err == nil {
		err = writeSynced(j.path, text)
	}
	if err != nil {
		return fmt.Errorf("write deletions: %w", err)
	}
	j.jobs = jobs
	return nil
}

// writeSynced replaces a file as a whole.
func writeSynced(path string, text []byte) error {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return fileutil.Replace(tmp, path)
}

// set replaces one deletion.
func (j *deletionJobs) set(job *deletionJob) error {
	return j.update(func(jobs []deletionJob) []deletionJob {
		for i := range jobs {
			if jobs[i].ID == job.ID {
				jobs[i] = *job
			}
		}
		return jobs
	})
}

func (j *deletionJobs) list() []deletionJob {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.jobs)
}

func (j *deletionJobs) running() []deletionJob {
	return slices.DeleteFunc(j.list(), func(job deletionJob) bool { return !job.Ended.IsZero() })
}

// DeleteSeries deletes the samples of a tenant from mint to maxt, milliseconds, of
// the series that match. When it returns no query sees them, and that is on disk;
// the deletion is done when no file holds them any more, logs included.
func (s *Store) DeleteSeries(ctx context.Context, r metrics.DeleteRequest) (deletion.Deletion, error) {
	db, err := s.acquire(ctx, r.Tenant, false)
	if errors.Is(err, errNoTenant) {
		return deletion.Deletion{}, fault.NotFoundf("tenant has no metrics")
	}
	if err != nil {
		return deletion.Deletion{}, err
	}
	defer s.release(db)
	if len(db.jobs.running()) >= runningDeletions {
		return deletion.Deletion{}, fault.Limitedf(time.Minute, "%d deletions are running", runningDeletions)
	}
	id, err := ulid.New(ulid.Now(), ulid.DefaultEntropy())
	if err != nil {
		return deletion.Deletion{}, err
	}
	records, err := db.countSamples(ctx, r.Mint, r.Maxt, r.Matchers)
	if err != nil {
		return deletion.Deletion{}, err
	}
	if err := db.delete(ctx, r.Mint, r.Maxt, r.Matchers); err != nil {
		return deletion.Deletion{}, err
	}
	job := deletionJob{
		ID: id.String(), Label: r.Label, Matchers: textOf(r.Matchers), Mint: r.Mint, Maxt: min(r.Maxt, db.newest()), Created: s.now().UTC(), Records: records,
		LastWAL: lastSegment(filepath.Join(db.dir, "wal")), LastWBL: lastSegment(filepath.Join(db.dir, "wbl")), LastMmap: lastNumber(filepath.Join(db.dir, "chunks_head")),
	}
	if err := db.jobs.update(func(jobs []deletionJob) []deletionJob { return append(jobs, job) }); err != nil {
		return deletion.Deletion{}, err
	}
	db.wake()
	return job.deletion(), nil
}

// Deletions implements deletion.Keeper.
func (s *Store) Deletions(ctx context.Context, tenant string) (out []deletion.Deletion, err error) {
	err = s.Admin(tenant).do(ctx, func(d *database) error {
		for _, job := range slices.Backward(d.jobs.list()) {
			out = append(out, job.deletion())
		}
		return nil
	})
	return out, err
}

// Deletion implements deletion.Keeper.
func (s *Store) Deletion(ctx context.Context, tenant, id string) (deletion.Deletion, error) {
	all, err := s.Deletions(ctx, tenant)
	if err != nil {
		return deletion.Deletion{}, err
	}
	for i := range all {
		if all[i].ID == id {
			return all[i], nil
		}
	}
	return deletion.Deletion{}, fault.NotFoundf("no deletion %q", id)
}

// CancelDeletion implements deletion.Keeper. Samples are deleted at once, so there
// is nothing to take back.
func (s *Store) CancelDeletion(ctx context.Context, tenant, id string, _ bool) (deletion.Deletion, error) {
	d, err := s.Deletion(ctx, tenant, id)
	if err != nil {
		return d, err
	}
	return d, fault.New(fault.Conflict, "deletion %s cannot be canceled: samples are deleted when it is accepted", id)
}

func (j *deletionJob) deletion() deletion.Deletion {
	d := deletion.Deletion{
		ID: j.ID, Label: j.Label, From: j.Mint * 1e6, To: j.Maxt*1e6 + 1, State: deletion.Running,
		Created: j.Created, Due: j.Created, Ended: j.Ended, Records: j.Records, Error: j.Error,
	}
	switch {
	case !j.Ended.IsZero():
		d.State, d.Progress = deletion.Done, 1
	case j.PastHead:
		d.Progress = 0.75
	case j.Cleaned:
		d.Progress = 0.5
	}
	return d
}

// tendDeletions takes the deletions that run a step further.
func (d *database) tendDeletions(ctx context.Context) error {
	d.jobs.tending.Lock()
	defer d.jobs.tending.Unlock()
	var errs []error
	for _, job := range d.jobs.running() {
		before := job
		err := d.tendDeletion(ctx, &job)
		job.Error = ""
		if err != nil {
			job.Error = err.Error()
			errs = append(errs, fmt.Errorf("deletion %s: %w", job.ID, err))
		}
		if !reflect.DeepEqual(job, before) {
			errs = append(errs, d.jobs.set(&job))
		}
	}
	return errors.Join(errs...)
}

func (d *database) tendDeletion(ctx context.Context, job *deletionJob) error {
	head := d.tsdb.Head()
	if head.NumSeries() > 0 && head.MaxTime() < d.store.now().Add(-idleHead).UnixMilli() {
		if err := d.retireHead(ctx, job); err != nil {
			return err
		}
	}
	wal := filepath.Join(d.dir, "wal")
	if !job.PastHead && (head.NumSeries() == 0 || head.MinTime() > job.Maxt) {
		job.Checkpoint = lastCheckpoint(wal)
		if err := d.pastHead(ctx, job); err != nil {
			return err
		}
	}
	if !job.Cleaned {
		if err := d.cleanTombstones(ctx); err != nil {
			return err
		}
		job.Cleaned = true
	}
	if head.NumSeries() == 0 && !d.logsPast(job) { // nothing else cuts the logs until somebody writes
		if err := errors.Join(d.retireLate(ctx), d.cutLog(job)); err != nil {
			return err
		}
	}
	if !job.PastHead || !d.logsPast(job) {
		if job.PastHead && head.NumSeries() == 0 && !d.chunksPast(job) {
			d.reopen.Store(true) // the head keeps the file that it wrote chunks to last
		}
		return nil
	}
	job.Ended = d.store.now().UTC()
	return nil
}

// logsPast reports whether no file of the logs and of the head's chunks is as old
// as the deletion.
func (d *database) logsPast(job *deletionJob) bool {
	wal := filepath.Join(d.dir, "wal")
	if job.LastWAL >= 0 {
		if c := lastCheckpoint(wal); c <= job.Checkpoint || c < job.LastWAL {
			return false
		}
		if first, _, err := wlog.Segments(wal); err != nil || (first >= 0 && first <= job.LastWAL) {
			return false
		}
	}
	if first, _, err := wlog.Segments(filepath.Join(d.dir, "wbl")); job.LastWBL >= 0 && err == nil && first >= 0 && first <= job.LastWBL {
		return false
	}
	return d.chunksPast(job)
}

// chunksPast reports whether no file of the head's chunks is as old as the
// deletion.
func (d *database) chunksPast(job *deletionJob) bool {
	first := firstNumber(filepath.Join(d.dir, "chunks_head"))
	return first < 0 || first > job.LastMmap
}

// pastHead is called when what the head had of the samples is in blocks. Late ones
// are made a block without regard to what was deleted, so they are deleted again.
func (d *database) pastHead(ctx context.Context, job *deletionJob) error {
	ms, err := matchersOf(job.Matchers)
	if err != nil {
		return err
	}
	if err := d.delete(ctx, job.Mint, job.Maxt, ms); err != nil {
		return err
	}
	job.PastHead, job.Cleaned = true, false
	return nil
}

// retireHead makes a head that nobody writes to blocks, and cuts its logs until
// nothing in them is as old as a deletion.
func (d *database) retireHead(ctx context.Context, job *deletionJob) error {
	head := d.tsdb.Head()
	if err := d.tsdb.CompactHead(tsdb.NewRangeHead(head, head.MinTime(), head.MaxTime())); err != nil {
		return fmt.Errorf("make the head a block: %w", err)
	}
	if err := d.retireLate(ctx); err != nil {
		return err
	}
	job.Checkpoint = lastCheckpoint(filepath.Join(d.dir, "wal"))
	if err := d.pastHead(ctx, job); err != nil {
		return err
	}
	return d.cutLog(job)
}

// retireLate makes a block of the head's late samples, which cuts their log.
func (d *database) retireLate(ctx context.Context) error {
	if err := d.tsdb.CompactOOOHead(ctx); err != nil {
		return fmt.Errorf("make the head's late samples a block: %w", err)
	}
	return nil
}

// cutLog cuts the log of a head that is in blocks until nothing in it is as old as
// a deletion.
func (d *database) cutLog(job *deletionJob) error {
	newest := max(d.newest(), job.Maxt) // all blocks may be gone
	for i := int64(2); i < deletionSteps && !d.logsPast(job); i++ {
		if err := d.tsdb.Head().Truncate(newest + i); err != nil {
			return fmt.Errorf("cut the head's log: %w", err)
		}
	}
	return nil
}

// newest is the time of the newest sample, milliseconds, or the end of the newest
// block where the head never had one.
func (d *database) newest() (t int64) {
	if maxt := d.tsdb.Head().MaxTime(); maxt != math.MinInt64 {
		return maxt
	}
	for _, m := range d.blockMetas() {
		t = max(t, m.MaxTime)
	}
	return t
}

// countSamples counts the samples that queries see.
func (d *database) countSamples(ctx context.Context, mint, maxt int64, ms []*labels.Matcher) (n int64, err error) {
	q, err := d.querier(mint, maxt)
	if err != nil {
		return 0, err
	}
	defer q.Close() //nolint:errcheck // reading is done
	var it chunkenc.Iterator
	set := trimmedSet{q.Select(ctx, false, &storage.SelectHints{Start: mint, End: maxt, DisableTrimming: true}, ms...), span{mint, maxt}}
	for set.Next() {
		it = set.At().Iterator(it)
		for it.Next() != chunkenc.ValNone {
			n++
		}
		if err := it.Err(); err != nil {
			return n, err
		}
	}
	return n, set.Err()
}

func lastSegment(dir string) int {
	if _, last, err := wlog.Segments(dir); err == nil {
		return last
	}
	return -1
}

func lastCheckpoint(dir string) int {
	if _, n, err := wlog.LastCheckpoint(dir); err == nil {
		return n
	}
	return -1
}

// numbers returns the numbers that files in a folder have for names.
func numbers(dir string) (all []int) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil {
			all = append(all, n)
		}
	}
	return all
}

func firstNumber(dir string) int {
	if all := numbers(dir); len(all) > 0 {
		return slices.Min(all)
	}
	return -1
}

func lastNumber(dir string) int {
	if all := numbers(dir); len(all) > 0 {
		return slices.Max(all)
	}
	return -1
}
