package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"belfry/internal/fault"
	"belfry/internal/tenant"
	metrics "belfry/tsdb"
)

// Delays that refused writers are asked to wait.
const (
	retryTenants  = 30 * time.Second
	retryDisk     = 10 * time.Second
	retryShutdown = 5 * time.Second
)

// closeGrace is how long Close waits for appends and queries under way.
const closeGrace = 10 * time.Second

// Options configure a Store.
type Options struct {
	Dir        string // one folder a tenant; created if missing
	Config     metrics.Config
	Logger     *slog.Logger          // nil discards
	Registerer prometheus.Registerer // nil registers nothing

	// LogMetadata puts metadata into the write-ahead log, for who follows that.
	LogMetadata bool

	// Now is the clock that bounds timestamps and ages tenants; nil is
	// time.Now.
	Now func() time.Time

	// FreeBytes returns the free space on the volume of a folder; nil asks
	// the operating system.
	FreeBytes func(dir string) (uint64, error)
}

// Store holds the metrics of all tenants. It implements metrics.Queryable and
// metrics.Appendable and is safe for concurrent use.
type Store struct {
	dir       string
	cfg       atomic.Pointer[metrics.Config]
	log       *slog.Logger
	reg       prometheus.Registerer
	now       func() time.Time
	disk      *diskGuard
	metrics   *storeMetrics
	epochs    atomic.Uint64 // databases opened so far
	openSlots chan struct{} // bounds the logs replayed at a time
	coldSlots chan struct{} // bounds the cold blocks built at a time

	logMetadata bool
	onAppend    atomic.Pointer[func(tenant string, samples int, newest int64)]

	mu     sync.Mutex
	open   map[string]*database // by tenant; includes those opening and closing
	known  map[string]struct{}  // tenants with a folder
	closed bool
	idle   chan struct{} // closed by the last release after Close began

	stop chan struct{}
	wg   sync.WaitGroup
}

var (
	_ metrics.Queryable  = (*Store)(nil)
	_ metrics.Appendable = (*Store)(nil)
)

// Open opens the store. Tenants are opened when they are used; OpenTenant opens
// one ahead of time.
func Open(o Options) (*Store, error) {
	if err := o.Config.Validate(); err != nil {
		return nil, fmt.Errorf("metrics configuration: %w", err)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := os.MkdirAll(o.Dir, 0o750); err != nil {
		return nil, fmt.Errorf("open metrics store: %w", err)
	}
	known, err := tenantsOnDisk(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("open metrics store: %w", err)
	}
	s := &Store{
		dir:       o.Dir,
		log:       o.Logger,
		reg:       o.Registerer,
		now:       o.Now,
		disk:      newDiskGuard(o.Dir, uint64(o.Config.MinFreeDisk), o.FreeBytes),
		openSlots: make(chan struct{}, 2),
		coldSlots: make(chan struct{}, 1),
		open:      map[string]*database{},
		known:     known,
		stop:      make(chan struct{}),

		logMetadata: o.LogMetadata,
	}
	s.cfg.Store(&o.Config)
	s.metrics = newStoreMetrics(o.Registerer, s)
	s.disk.refresh()
	s.wg.Go(s.watchDisk)
	s.wg.Go(s.janitor)
	return s, nil
}

func tenantsOnDisk(dir string) (map[string]struct{}, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	known := map[string]struct{}{}
	for _, e := range entries {
		if e.IsDir() && tenant.Validate(e.Name()) == nil {
			known[e.Name()] = struct{}{}
		}
	}
	return known, nil
}

// Tenants returns the tenants with data, sorted.
func (s *Store) Tenants() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := make([]string, 0, len(s.known))
	for id := range s.known {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// OpenTenant opens a tenant's database, replaying its log, and creates it if
// it does not exist.
func (s *Store) OpenTenant(ctx context.Context, id string) error {
	db, err := s.acquire(ctx, id, true)
	if err != nil {
		return err
	}
	s.release(db)
	return nil
}

// errNoTenant says that a tenant has never written anything.
var errNoTenant = errors.New("tenant has no metrics")

// acquire returns a tenant's open database and takes a reference to it. Without
// create, it returns errNoTenant for a tenant that is not on disk.
func (s *Store) acquire(ctx context.Context, id string, create bool) (*database, error) {
	if err := tenant.Validate(id); err != nil {
		return nil, err
	}
	for {
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			return nil, fault.Unavailablef(retryShutdown, "metrics store is shutting down")
		}
		db := s.open[id]
		if db != nil && db.closing {
			s.mu.Unlock()
			if err := wait(ctx, db.gone); err != nil {
				return nil, err
			}
			continue
		}
		if db == nil {
			var err error
			if db, err = s.startOpening(id, create); err != nil {
				var victim *database
				if errors.Is(err, errTooManyOpen) {
					victim = s.evictable()
				}
				s.mu.Unlock()
				if victim == nil {
					return nil, err
				}
				s.closeDatabase(victim)
				continue
			}
		}
		db.refs++
		s.mu.Unlock()
		if err := wait(ctx, db.ready); err != nil {
			s.release(db)
			return nil, err
		}
		if db.err != nil {
			s.release(db)
			return nil, db.err
		}
		return db, nil
	}
}

var errTooManyOpen = fault.Unavailablef(retryTenants, "too many tenants are in use at once")

// startOpening begins to open a tenant's database. The caller holds s.mu.
func (s *Store) startOpening(id string, create bool) (*database, error) {
	if _, ok := s.known[id]; !ok {
		if !create {
			return nil, errNoTenant
		}
		if len(s.known) >= s.config().Tenants.Max {
			return nil, fault.Limitedf(retryTenants, "tenant %q would be one more than the limit of %d tenants", id, s.config().Tenants.Max)
		}
	}
	if len(s.open) >= s.config().Tenants.MaxOpen {
		return nil, errTooManyOpen
	}
	db := newDatabase(s, id)
	s.open[id] = db
	s.known[id] = struct{}{}
	s.wg.Go(func() {
		s.openSlots <- struct{}{}
		err := db.open()
		<-s.openSlots
		if err != nil {
			s.log.Error("metrics of a tenant cannot be opened", "tenant", id, "error", err)
			s.mu.Lock()
			delete(s.open, id)
			if _, statErr := os.Stat(db.dir); errors.Is(statErr, fs.ErrNotExist) {
				delete(s.known, id)
			}
			s.mu.Unlock()
			db.err = classify("open metrics of tenant "+id, err)
		}
		close(db.ready)
	})
	return db, nil
}

// evictable returns the database that was unused for longest, marked as
// closing, or nil if all are in use. The caller holds s.mu.
func (s *Store) evictable() *database {
	var victim *database
	for _, db := range s.open {
		if db.refs == 0 && !db.closing && db.opened() && (victim == nil || db.lastUsed.Before(victim.lastUsed)) {
			victim = db
		}
	}
	if victim != nil {
		victim.closing = true
	}
	return victim
}

// release gives back what acquire returned.
func (s *Store) release(db *database) {
	s.mu.Lock()
	defer s.mu.Unlock()
	db.refs--
	db.lastUsed = s.now()
	if s.closed && s.idle != nil && s.references() == 0 {
		close(s.idle)
		s.idle = nil
	}
}

func (s *Store) references() int {
	n := 0
	for _, db := range s.open {
		n += db.refs
	}
	return n
}

// closeDatabase closes a database that is marked as closing and forgets it.
func (s *Store) closeDatabase(db *database) {
	if err := db.close(); err != nil {
		s.log.Error("closing the metrics of a tenant failed", "tenant", db.id, "error", err)
	}
	s.mu.Lock()
	delete(s.open, db.id)
	s.mu.Unlock()
	close(db.gone)
}

// Close waits up to ten seconds for appends and queries under way, then closes
// every tenant's database. Nothing that was acknowledged is lost even without
// it.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	var idle chan struct{}
	if s.references() > 0 {
		idle = make(chan struct{})
		s.idle = idle
	}
	s.mu.Unlock()
	close(s.stop)

	if idle != nil {
		grace := time.NewTimer(closeGrace)
		select {
		case <-idle:
		case <-grace.C:
			s.log.Warn("metrics store closes under appends or queries")
		}
		grace.Stop()
	}
	s.wg.Wait()
	var errs []error
	for _, db := range s.claimAll() {
		errs = append(errs, db.close())
	}
	s.metrics.unregister()
	return errors.Join(errs...)
}

// claimAll returns the databases that are open, marked as closing, after those
// that somebody else is closing are gone.
func (s *Store) claimAll() []*database {
	var mine, others []*database
	s.mu.Lock()
	for _, db := range s.open {
		switch {
		case db.closing:
			others = append(others, db)
		case db.opened():
			db.closing = true
			mine = append(mine, db)
		}
	}
	s.mu.Unlock()
	for _, db := range others {
		<-db.gone
	}
	return mine
}

func wait(ctx context.Context, ch <-chan struct{}) error {
	select {
	case <-ch:
		return nil
	default:
	}
	select {
	case <-ch:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Store) tenantDir(id string) string { return filepath.Join(s.dir, id) }
