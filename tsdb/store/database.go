package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/compression"

	metrics "belfry/tsdb"
	"belfry/tsdb/seriescache"
)

const (
	// headStripes trades lock contention for the memory of an idle head:
	// Prometheus' 16384 stripes cost 5 MB a tenant.
	headStripes = 2048

	// chunkWriteBuffer is the buffer of the file that full chunks go to;
	// Prometheus' 4 MiB are for one database a process, ours has one a tenant.
	chunkWriteBuffer = 512 << 10

	// maxCache bounds the cache of the series that senders send to, bytes, and
	// cachePerSeries does so by the series that there may be.
	maxCache       = 1 << 30
	cachePerSeries = 64
)

func cacheSize(limits metrics.LimitsConfig) int {
	if limits.MaxSeries == 0 {
		return maxCache
	}
	return min(maxCache, limits.MaxSeries*cachePerSeries)
}

// database is one tenant's tsdb.
type database struct {
	store *Store
	id    string
	dir   string

	// Guarded by Store.mu.
	refs     int
	lastUsed time.Time
	closing  bool

	// reopen asks the janitor to close the database when nobody uses it, and to open
	// it again.
	reopen atomic.Bool

	ready chan struct{} // closed when open has returned; err and tsdb are set before
	gone  chan struct{} // closed when the database has been closed and forgotten
	err   error

	tsdb     *tsdb.DB
	sized    atomic.Pointer[tsdb.DB] // tsdb, for what runs while it is being opened
	registry *prometheus.Registry    // the database's own metrics
	limiter  *seriesLimiter
	series   *seriescache.Cache // of what is appended to tsdb
	changes  *changes
	metadata *metadataStore
	syncer   *walSyncer
	kept     *keptExemplars
	jobs     *deletionJobs

	cold       *coldBlocks
	tending    sync.Mutex    // one at a time looks after the cold blocks
	unfit      []ulid.ULID   // blocks that cannot be rewritten; guarded by tending
	wakeCold   chan struct{} // asks runCold to look for work at once
	cancelCold context.CancelFunc

	stop chan struct{}
	wg   sync.WaitGroup
}

func newDatabase(s *Store, id string) *database {
	return &database{
		store:    s,
		id:       id,
		dir:      s.tenantDir(id),
		lastUsed: s.now(),
		ready:    make(chan struct{}),
		gone:     make(chan struct{}),
		changes:  newChanges(&s.epochs),
		stop:     make(chan struct{}),
		wakeCold: make(chan struct{}, 1),
	}
}

// opened reports whether the database is open and usable.
func (d *database) opened() bool {
	select {
	case <-d.ready:
		return d.err == nil
	default:
		return false
	}
}

func (d *database) open() error {
	cfg := d.store.config()
	d.registry = prometheus.NewRegistry()
	d.limiter = newSeriesLimiter(d)
	log := d.store.log.With("tenant", d.id)
	var err error
	if d.cold, err = openCold(filepath.Join(d.dir, coldDir)); err != nil {
		// What can be read is served; damage is not made worse by refusing it.
		d.store.metrics.backgroundFailures.WithLabelValues(d.id, "open cold blocks").Inc()
		log.Error("cold blocks cannot be read", "error", err)
	}
	if d.kept, err = openExemplars(d); err != nil {
		d.store.metrics.backgroundFailures.WithLabelValues(d.id, "open exemplars").Inc()
		log.Error("exemplars cannot be read", "error", err)
	}
	if d.jobs, err = openDeletions(filepath.Join(d.dir, deletionsFile)); err != nil {
		d.store.metrics.backgroundFailures.WithLabelValues(d.id, "open deletions").Inc()
		log.Error("deletions cannot be read", "error", err)
	}
	db, err := tsdb.Open(d.dir, log, d.registry, d.tsdbOptions(), nil)
	if err != nil {
		return errors.Join(err, d.cold.close())
	}
	d.tsdb = db
	d.sized.Store(db)
	if err := errors.Join(d.dropColdHead(), d.dropOldHead()); err != nil {
		return errors.Join(err, db.Close(), d.cold.close())
	}
	d.limiter.enforce()
	d.series = seriescache.New(cacheSize(cfg.Limits))
	d.metadata = openMetadataStore(filepath.Join(d.dir, metadataFile), cfg.Limits.MaxMetadata, log)
	d.syncer = newWALSyncer(filepath.Join(d.dir, "wal"), filepath.Join(d.dir, "wbl"))
	d.store.metrics.addTenant(d)
	d.wg.Go(d.run)
	ctx, cancel := context.WithCancel(context.Background())
	d.cancelCold = cancel
	d.wg.Go(func() { d.runCold(ctx) })
	return nil
}

func (d *database) tsdbOptions() *tsdb.Options {
	cfg := d.store.config()
	o := tsdb.DefaultOptions()
	o.RetentionDuration = cfg.Retention.Longest().Milliseconds()
	o.MaxBytes = int64(cfg.Retention.Size)
	o.MaxBlockDuration = maxBlockDuration(cfg.Retention.Longest()).Milliseconds()
	if cfg.ColdBlocks.Enabled {
		// Blocks are merged once they are cold, late ones too.
		o.MaxBlockDuration = tsdb.DefaultBlockDuration
		o.EnableOverlappingCompaction = false
	}
	o.BlockQuerierFunc = d.blockQuerier
	o.BlockChunkQuerierFunc = d.blockChunkQuerier
	o.BlockCompactionExcludeFunc = d.cold.replaces
	o.WALCompression = compression.Snappy
	o.StripeSize = headStripes
	o.HeadChunksWriteBufferSize = chunkWriteBuffer
	o.EnableExemplarStorage = true // with no room for any if there are to be none
	o.MaxExemplars = int64(cfg.Limits.MaxExemplars)
	o.OutOfOrderTimeWindow = time.Duration(cfg.OutOfOrderWindow).Milliseconds()
	switch cfg.StartTimestamps {
	case metrics.ZeroSamples:
		o.EnableSTAsZeroSample = true
	case metrics.Stored:
		o.EnableSTStorage = true
		o.EnableHistogramSTEncoding = true
		o.XOR2EncodingAllowed = true
		o.FloatChunkEncoding = chunkenc.EncXOR2
	}
	o.EnableSharding = true
	o.EnableMetadataWALRecords = d.store.logMetadata
	o.SeriesLifecycleCallback = d.limiter
	o.BlocksToDelete = d.blocksToDelete
	o.BlockReloadInterval = blockReloadInterval
	return o
}

// maxBlockDuration is Prometheus' own default: a tenth of the retention, so
// that deleting by whole blocks is fine enough, and a month at most.
func maxBlockDuration(retention time.Duration) time.Duration {
	const month = 31 * 24 * time.Hour
	if retention == 0 || retention/10 > month {
		return month
	}
	return max(retention/10, 2*time.Hour)
}

// run syncs the log and saves metadata until the database is closed.
func (d *database) run() {
	syncEvery := time.NewTicker(time.Duration(d.store.config().SyncInterval))
	defer syncEvery.Stop()
	eachMinute := time.NewTicker(time.Minute)
	defer eachMinute.Stop()
	for {
		select {
		case <-d.stop:
			return
		case <-syncEvery.C:
			d.background("sync", d.syncer.syncIfDirty)
		case <-eachMinute.C:
			d.background("save metadata", d.metadata.save)
			d.background("retention", d.dropOldHead)
			d.background("exemplars", d.kept.tend)
		case <-d.kept.full:
			d.background("exemplars", d.kept.save)
		}
	}
}

func (d *database) background(what string, f func() error) {
	if err := f(); err != nil {
		d.store.metrics.backgroundFailures.WithLabelValues(d.id, what).Inc()
		d.store.log.Error("metrics store background work failed", "tenant", d.id, "work", what, "error", err)
	}
}

func (d *database) close() error {
	close(d.stop)
	d.cancelCold()
	d.wg.Wait()
	d.store.metrics.removeTenant(d)
	errs := []error{d.metadata.save(), d.kept.save()}
	if err := d.tsdb.Close(); err != nil {
		errs = append(errs, fmt.Errorf("close metrics of tenant %s: %w", d.id, err))
	}
	if err := d.cold.close(); err != nil {
		errs = append(errs, fmt.Errorf("close cold blocks of tenant %s: %w", d.id, err))
	}
	return errors.Join(errs...)
}

// commitDone is called after a successful commit. It returns when the commit
// has the durability that is configured.
func (d *database) commitDone() error {
	if d.store.config().Durability == metrics.Fsync {
		return d.syncer.sync()
	}
	d.syncer.markDirty()
	return nil
}
