package columnar

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"path"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"belfry/internal/columnar/column"
	"belfry/internal/columnar/encoding"
	"belfry/internal/columnar/part"
	"belfry/internal/columnar/slab"
	"belfry/internal/fault"
	"belfry/internal/vfs"
	"belfry/internal/wal"
)

// ErrStop is returned by a Worker that has seen enough.
var ErrStop = errors.New("columnar: stop the scan")

// DB is an event engine: one signal, all tenants. It is safe for concurrent use.
type DB struct {
	o       Options
	fs      vfs.FS
	log     *slog.Logger
	now     func() time.Time
	codec   *encoding.Codec
	streams *streamCache
	metrics *metrics
	lock    io.Closer
	wal     *wal.Log

	writers  sync.Pool     // of *RowWriter
	views    sync.Pool     // of *blockView
	work     chan struct{} // bounds the blocks that queries work on at once
	manifest *manifest

	// partMu is held while the set of parts changes, manifest and memory both;
	// taken before manifest.mu and mu.
	partMu  sync.Mutex
	flushMu sync.Mutex // one flush at a time; taken before partMu

	mu     sync.RWMutex
	active *memTable
	frozen []*memTable              // oldest first
	room   chan struct{}            // closed and replaced when a frozen memtable is gone
	parts  map[string][]*partHandle // by tenant, by seq

	deletions deletionList
	expiries  []expiryClass // by the retention rules
	leaving   []*partHandle // replaced, but perhaps still read; guarded by mu

	joinMu     sync.Mutex
	joinedMems map[string]*joinedMem // by tenant

	memory      *slab.Pool        // of memtables, and of what flushes and merges build
	partWriters chan *part.Writer // that wait for the next flush or merge
	lastWrite   atomic.Int64      // when one began to wait, in nanoseconds
	cache       *part.Cache       // of what queries for a few rows read
	filterBytes atomic.Int64      // of ID filters in memory
	activity    activity

	idMu   sync.Mutex
	lastID uint64
	seq    uint64

	gateMu sync.Mutex
	closed bool
	inside sync.WaitGroup

	ctx         context.Context //nolint:containedctx // the life of the background tasks
	cancel      context.CancelFunc
	closing     chan struct{}
	tasks       sync.WaitGroup
	flushSignal chan struct{}
	mergeSignal chan struct{}
}

func (o *Options) setDefaults() error {
	if o.Dir == "" || o.Signal == "" || o.Decode == nil {
		return errors.New("columnar: Dir, Signal and Decode are required")
	}
	def := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	def(&o.FlushBytes, defaultFlushBytes)
	def(&o.MaxFrozen, defaultMaxFrozen)
	def(&o.BlockRows, defaultBlockRows)
	def(&o.MaxColumns, defaultMaxColumns)
	def(&o.MaxPayloadBytes, defaultMaxPayloadBytes)
	def(&o.QueryConcurrency, runtime.GOMAXPROCS(0))
	def(&o.MaxConcurrentWork, 2*runtime.GOMAXPROCS(0))
	o.BlockRows = min(o.BlockRows, encoding.MaxRows)
	if o.MergeConcurrency == 0 {
		o.MergeConcurrency = 1
	}
	if o.FlushAge <= 0 {
		o.FlushAge = defaultFlushAge
	}
	if o.MaxWait == 0 {
		o.MaxWait = defaultMaxWait
	}
	if o.SegmentBytes <= 0 {
		o.SegmentBytes = defaultSegmentBytes
	}
	if o.SyncInterval <= 0 {
		o.SyncInterval = defaultSyncInterval
	}
	if o.FilterMemory == 0 {
		o.FilterMemory = defaultFilterMemory
	}
	if o.CacheMemory == 0 {
		o.CacheMemory = defaultCacheMemory
	}
	if o.MergeMemory <= 0 {
		o.MergeMemory = defaultMergeMemory
	}
	if o.FS == nil {
		o.FS = vfs.OS{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	seen := map[ColumnKey]bool{}
	for _, c := range o.Columns {
		key := ColumnKey{c.Name, c.Kind}
		if !c.Kind.Valid() || seen[key] || key == overflowKey {
			return fmt.Errorf("columnar: column %q of kind %s is invalid or twice there", c.Name, c.Kind)
		}
		if c.Indexed && c.Kind != column.ID {
			return fmt.Errorf("columnar: column %q of kind %s cannot be indexed", c.Name, c.Kind)
		}
		seen[key] = true
	}
	return nil
}

// Open opens the DB in o.Dir, creating it if there is none, and replays its log.
func Open(o Options) (*DB, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	db := &DB{
		o: o, fs: o.FS, log: o.Logger.With("signal", o.Signal), now: o.Now,
		streams:     newStreamCache(),
		work:        make(chan struct{}, o.MaxConcurrentWork),
		memory:      slab.NewPool(slab.Options{MaxIdle: int64(o.FlushBytes + o.FlushBytes/2), Now: o.Now}),
		partWriters: make(chan *part.Writer, 1+max(o.MergeConcurrency, 0)),
		room:        make(chan struct{}),
		parts:       map[string][]*partHandle{},
		joinedMems:  map[string]*joinedMem{},
		closing:     make(chan struct{}),
		flushSignal: make(chan struct{}, 1),
		mergeSignal: make(chan struct{}, 1),
		activity:    activity{begin: time.Now()},
	}
	db.active = newMemTable(db.memory.NewSet(), nil)
	db.ctx, db.cancel = context.WithCancel(context.Background())
	if err := db.open(); err != nil {
		db.cancel()
		_ = db.releaseAll() // the first error says why
		return nil, fmt.Errorf("columnar: open %s: %w", o.Dir, err)
	}
	db.tasks.Add(2)
	go db.flusher()
	go db.retainer()
	if o.MergeConcurrency > 0 {
		db.tasks.Add(1)
		go db.eraser()
	}
	for range o.MergeConcurrency {
		db.tasks.Add(1)
		go db.mergeWorker()
	}
	return db, nil
}

func (db *DB) open() error {
	for _, dir := range []string{"", "parts", "wal"} {
		if err := db.fs.MkdirAll(path.Join(db.o.Dir, dir)); err != nil {
			return err
		}
	}
	var err error
	if db.lock, err = db.fs.Lock(path.Join(db.o.Dir, "LOCK")); err != nil {
		return err
	}
	if db.codec, err = encoding.NewCodec(runtime.GOMAXPROCS(0)); err != nil {
		return err
	}
	db.metrics, db.cache = newMetrics(db.o.Signal), part.NewCache(db.o.CacheMemory, db.memory)
	if db.expiries, err = db.o.Retention.expiryClasses(); err != nil {
		return err
	}
	files, err := db.partFiles()
	if err != nil {
		return err
	}
	if _, err := db.fs.Size(path.Join(db.o.Dir, manifestName)); errors.Is(err, fs.ErrNotExist) && len(files) > 0 {
		return fmt.Errorf("there are %d parts but no manifest", len(files))
	}
	var dropped int64
	if db.manifest, dropped, err = openManifest(db.fs, db.o.Dir); err != nil {
		return err
	}
	if dropped > 0 {
		db.log.Warn("columnar: torn end of the manifest cut", "bytes", dropped)
	}
	if err := db.loadDeletions(); err != nil {
		return err
	}
	if err := db.openParts(files); err != nil {
		return err
	}
	if err := db.replay(); err != nil {
		return err
	}
	return db.metrics.register(db, db.o.Registerer)
}

// partFiles returns the names of all part files, relative to the directory.
func (db *DB) partFiles() (map[string]bool, error) {
	files := map[string]bool{}
	list := func(dir string) ([]string, error) {
		names, err := db.fs.List(path.Join(db.o.Dir, dir))
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return names, err
	}
	tenants, err := list("parts")
	if err != nil {
		return nil, err
	}
	for _, t := range tenants {
		days, err := list(path.Join("parts", t))
		if err != nil {
			return nil, err
		}
		for _, d := range days {
			names, err := list(path.Join("parts", t, d))
			if err != nil {
				return nil, err
			}
			for _, n := range names {
				if strings.HasSuffix(n, ".part") {
					files[path.Join("parts", t, d, n)] = true
				}
			}
		}
	}
	return files, nil
}

// openParts opens the manifest's parts, sets damaged ones aside, and removes
// files that no manifest knows: what a crash left of a flush or a merge.
func (db *DB) openParts(files map[string]bool) error {
	infos := make([]partInfo, 0, len(db.manifest.parts))
	for _, info := range db.manifest.parts {
		infos = append(infos, info)
	}
	for _, info := range infos {
		db.lastID = max(db.lastID, info.id)
		db.seq = max(db.seq, info.seq)
		present := files[info.name()]
		delete(files, info.name())
		h, err := db.openPart(info)
		if err == nil {
			db.swapParts([]*partHandle{h}, nil)
			continue
		}
		if present && !isCorrupt(err) {
			return err
		}
		db.metrics.quarantined.Inc()
		db.log.Error("columnar: damaged part quarantined", "part", info.name(), "rows", info.rows, "error", err)
		if err := db.manifest.commit(edit{remove: []uint64{info.id}}); err != nil {
			return err
		}
		if present {
			db.setAside(info)
		}
	}
	for name := range files {
		if id, err := strconv.ParseUint(strings.TrimSuffix(path.Base(name), ".part"), 16, 64); err == nil {
			db.lastID = max(db.lastID, id)
		}
		db.log.Info("columnar: removing an unfinished part", "part", name)
		if err := db.fs.Remove(path.Join(db.o.Dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// replay opens the log and brings back the rows that no part has.
func (db *DB) replay() error {
	rows := 0
	replay := func(r wal.Record, end wal.Position) error {
		w := db.writer(r.Time)
		w.tenant = r.Tenant
		err := db.decode(r.Payload, r.Time, w)
		if err != nil {
			// It was decoded once; if a release cannot any more, losing it
			// loudly beats not starting.
			db.log.Error("columnar: logged payload cannot be decoded", "tenant", r.Tenant, "bytes", len(r.Payload), "error", err)
			return nil
		}
		rows += len(w.times)
		db.mu.Lock()
		db.crossDeletions(end)
		db.active.publish(r.Tenant, w, &db.o, r.Time, end)
		db.rotateIfFull()
		frozen := len(db.frozen)
		db.mu.Unlock()
		db.putWriter(w)
		if frozen > 0 {
			return db.flushFrozen(db.ctx)
		}
		return nil
	}
	from := db.manifest.end
	log, st, err := wal.Open(wal.Options{
		FS: db.fs, Dir: path.Join(db.o.Dir, "wal"), SegmentBytes: db.o.SegmentBytes, SyncInterval: db.o.SyncInterval,
		SyncEach: db.o.Durability == DurabilityFsync, Logger: db.log,
		Committed: db.committed, Synced: db.synced, Wrote: db.wrote,
	}, from, replay)
	if err != nil {
		return err
	}
	db.wal = log
	db.mu.Lock()
	db.crossDeletions(wal.Position{Segment: math.MaxUint64}) // what comes now comes behind all of them
	db.mu.Unlock()
	db.metrics.replaySeconds.Set(st.Took.Seconds())
	db.metrics.replayedRows.Set(float64(rows))
	db.metrics.replayDropped.Set(float64(st.Dropped))
	if st.Records > 0 || st.Dropped > 0 {
		db.log.Info("columnar: log replayed", "records", st.Records, "rows", rows, "bytes", st.Bytes, "dropped_bytes", st.Dropped, "took", st.Took)
	}
	return nil
}

func (db *DB) synced(took time.Duration, _ error) {
	db.metrics.fsync.Observe(took.Seconds())
}

func (db *DB) wrote(_, _ int, err error) {
	db.metrics.walWrites.Inc()
	if err != nil {
		db.metrics.walWriteErrors.Inc()
	}
}

func (db *DB) nextPartID() uint64 {
	db.idMu.Lock()
	defer db.idMu.Unlock()
	db.lastID++
	return db.lastID
}

func (db *DB) nextSeq() uint64 {
	db.idMu.Lock()
	defer db.idMu.Unlock()
	db.seq++
	return db.seq
}

// enter admits a call; leave must follow.
func (db *DB) enter() error {
	db.gateMu.Lock()
	defer db.gateMu.Unlock()
	if db.closed {
		return fault.Unavailablef(0, "columnar: closed")
	}
	db.inside.Add(1)
	db.activity.enter()
	return nil
}

func (db *DB) leave() {
	db.activity.leave()
	db.inside.Done()
}

// Close flushes and closes. Appends and queries that come after fail with
// fault.Unavailable; those under way are waited for.
func (db *DB) Close() error {
	db.gateMu.Lock()
	if db.closed {
		db.gateMu.Unlock()
		return nil
	}
	db.closed = true
	db.gateMu.Unlock()
	db.inside.Wait()

	err := db.wal.Close()
	close(db.closing)
	db.cancel()
	db.tasks.Wait()
	db.mu.Lock()
	db.rotate()
	db.mu.Unlock()
	err = errors.Join(err, db.flushFrozen(context.Background()))
	return errors.Join(err, db.releaseAll())
}

// releaseAll closes the files.
func (db *DB) releaseAll() error {
	var err error
	for _, live := range db.parts {
		for _, h := range live {
			h.release()
		}
	}
	db.parts = nil
	db.active.release()
	for _, m := range db.frozen {
		m.release()
	}
	db.cache.Close()
	db.memory.Close()
	if db.manifest != nil {
		err = db.manifest.close()
	}
	if db.codec != nil {
		db.codec.Close()
	}
	if db.lock != nil {
		err = errors.Join(err, db.lock.Close())
	}
	return err
}
