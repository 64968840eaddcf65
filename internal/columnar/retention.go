package columnar

import (
	"sort"
	"time"
)

// retainer drops old parts, once a minute.
func (db *DB) retainer() {
	defer db.tasks.Done()
	t := time.NewTicker(time.Minute)
	defer t.Stop()
	for {
		if err := db.retain(); err != nil {
			db.log.Error("columnar: retention", "error", err)
		}
		select {
		case <-db.closing:
			return
		case <-t.C:
		}
	}
}

// retain drops the parts that the retention does not keep.
func (db *DB) retain() error {
	r := db.o.Retention
	age := r.longest()
	if age <= 0 && r.MaxBytes == 0 {
		return nil
	}
	db.partMu.Lock()
	defer db.partMu.Unlock()
	db.mu.RLock()
	var parts []*partHandle
	for _, live := range db.parts {
		parts = append(parts, live...)
	}
	db.mu.RUnlock()
	sort.Slice(parts, func(i, j int) bool {
		if parts[i].day != parts[j].day {
			return parts[i].day < parts[j].day
		}
		return parts[i].seq < parts[j].seq
	})
	total := uint64(0)
	for _, h := range parts {
		total += uint64(h.size)
	}
	oldest := int64(-1 << 63)
	if age > 0 {
		oldest = db.now().Add(-age).UnixNano()
	}
	var drop []*partHandle
	var e edit
	for _, h := range parts {
		switch {
		case h.max < oldest:
			db.metrics.retired.WithLabelValues("age").Inc()
		case r.MaxBytes > 0 && total > r.MaxBytes:
			db.metrics.retired.WithLabelValues("size").Inc()
		default:
			continue
		}
		total -= uint64(h.size)
		drop = append(drop, h)
		e.remove = append(e.remove, h.id)
	}
	if len(drop) == 0 {
		return nil
	}
	if err := db.manifest.commit(e); err != nil {
		return err
	}
	db.mu.Lock()
	db.swapParts(nil, drop)
	db.mu.Unlock()
	for _, h := range drop {
		h.drop.Store(true)
		h.release()
	}
	db.log.Info("columnar: parts dropped by retention", "parts", len(drop))
	return nil
}
