package store

import (
	"context"
	"time"
)

const (
	diskInterval    = 2 * time.Second
	janitorInterval = time.Minute

	// maintenanceInterval is how often a tenant that nobody uses is opened,
	// which applies retention and compacts.
	maintenanceInterval = 6 * time.Hour
)

func (s *Store) watchDisk() {
	tick := time.NewTicker(diskInterval)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
			if low, changed := s.disk.refresh(); changed && low {
				s.log.Error("disk is nearly full, metrics are refused", "dir", s.dir, "free_bytes", s.disk.free(), "min_free_bytes", s.disk.min.Load())
			} else if changed {
				s.log.Info("disk has space again, metrics are accepted", "dir", s.dir, "free_bytes", s.disk.free())
			}
		}
	}
}

// janitor closes the databases that nobody uses and looks after those that are
// closed.
func (s *Store) janitor() {
	tick := time.NewTicker(janitorInterval)
	defer tick.Stop()
	visited := map[string]time.Time{}
	for _, id := range s.Tenants() {
		visited[id] = s.now()
	}
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
			s.closeIdle()
			s.maintainClosed(visited)
		}
	}
}

// closeIdle closes what nobody uses, and opens again what is to be.
func (s *Store) closeIdle() {
	deadline := s.now().Add(-time.Duration(s.config().Tenants.IdleTimeout))
	var victims []*database
	s.mu.Lock()
	for _, db := range s.open {
		if db.refs == 0 && !db.closing && db.opened() && (db.lastUsed.Before(deadline) || db.reopen.Load()) {
			db.closing = true
			victims = append(victims, db)
		}
	}
	s.mu.Unlock()
	for _, db := range victims {
		s.closeDatabase(db)
		if db.reopen.Load() {
			s.maintain(db.id)
		}
	}
}

// maintain opens a tenant's database, for its own work.
func (s *Store) maintain(id string) {
	if err := s.OpenTenant(context.Background(), id); err != nil {
		s.log.Warn("maintenance of a tenant's metrics failed", "tenant", id, "error", err)
	}
}

// maintainClosed opens the tenants that have been closed for long, one after
// the other; opening deletes what is past retention, and the database's own
// loop compacts until it is idle again.
func (s *Store) maintainClosed(visited map[string]time.Time) {
	now := s.now()
	for _, id := range s.Tenants() {
		s.mu.Lock()
		_, open := s.open[id]
		room := len(s.open) < s.config().Tenants.MaxOpen
		s.mu.Unlock()
		if open {
			visited[id] = now
			continue
		}
		if !room || now.Sub(visited[id]) < maintenanceInterval {
			continue
		}
		visited[id] = now
		s.maintain(id)
	}
}
