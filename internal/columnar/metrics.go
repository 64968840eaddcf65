package columnar

import (
	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the DB's own, one set per instance.
type metrics struct {
	rows, payloadBytes, rejected prometheus.Counter
	appends                      *prometheus.CounterVec
	flushes, merges              *prometheus.CounterVec
	flushSeconds, mergeSeconds   prometheus.Counter
	flushedRows, mergedRows      prometheus.Counter
	fsync                        prometheus.Histogram
	walWrites                    prometheus.Counter
	walWriteErrors               prometheus.Counter
	quarantined                  prometheus.Counter
	retired                      *prometheus.CounterVec
	erasedRows, erasedParts      *prometheus.CounterVec
	eraseErrors                  prometheus.Counter
	rejoined                     prometheus.Counter
	replaySeconds                prometheus.Gauge
	replayedRows, replayDropped  prometheus.Gauge
	queries                      *prometheus.CounterVec
	scannedBytes                 prometheus.Counter
}

func newMetrics(signal string) *metrics {
	labels := prometheus.Labels{"signal": signal}
	opts := func(name, help string) prometheus.CounterOpts { return metricOpts(labels, name, help) }
	gauge := func(name, help string) prometheus.GaugeOpts { return prometheus.GaugeOpts(opts(name, help)) }
	m := &metrics{
		rows:           prometheus.NewCounter(opts("rows_appended_total", "Rows acknowledged.")),
		payloadBytes:   prometheus.NewCounter(opts("payload_bytes_total", "Payload bytes acknowledged.")),
		rejected:       prometheus.NewCounter(opts("rows_rejected_total", "Rows refused one by one.")),
		appends:        prometheus.NewCounterVec(opts("appends_total", "Payloads by outcome."), []string{"outcome"}),
		flushes:        prometheus.NewCounterVec(opts("flushes_total", "Flushes by outcome."), []string{"outcome"}),
		merges:         prometheus.NewCounterVec(opts("merges_total", "Merges by outcome."), []string{"outcome"}),
		flushSeconds:   prometheus.NewCounter(opts("flush_seconds_total", "Time spent flushing.")),
		mergeSeconds:   prometheus.NewCounter(opts("merge_seconds_total", "Time spent merging.")),
		flushedRows:    prometheus.NewCounter(opts("flushed_rows_total", "Rows written by flushes.")),
		mergedRows:     prometheus.NewCounter(opts("merged_rows_total", "Rows written by merges.")),
		walWrites:      prometheus.NewCounter(opts("wal_writes_total", "Group commits.")),
		walWriteErrors: prometheus.NewCounter(opts("wal_write_errors_total", "Group commits that failed.")),
		quarantined:    prometheus.NewCounter(opts("parts_quarantined_total", "Parts taken out of service because of damage.")),
		retired:        prometheus.NewCounterVec(opts("parts_retired_total", "Parts dropped by retention."), []string{"reason"}),
		erasedRows:     prometheus.NewCounterVec(opts("rows_erased_total", "Rows taken out of parts, by why: a deletion or a retention rule."), []string{"reason"}),
		erasedParts:    prometheus.NewCounterVec(opts("parts_erased_total", "Parts rewritten or dropped for that."), []string{"reason"}),
		eraseErrors:    prometheus.NewCounter(opts("erase_errors_total", "Attempts at that which failed and will be repeated.")),
		rejoined:       prometheus.NewCounter(opts("groups_rejoined_total", "Groups split over parts that merges joined again.")),
		queries:        prometheus.NewCounterVec(opts("queries_total", "Queries by kind and outcome."), []string{"kind", "outcome"}),
		scannedBytes:   prometheus.NewCounter(opts("scanned_bytes_total", "Bytes decoded by queries.")),
		replaySeconds:  prometheus.NewGauge(gauge("wal_replay_seconds", "How long the replay at start-up took.")),
		replayedRows:   prometheus.NewGauge(gauge("wal_replayed_rows", "Rows replayed at start-up.")),
		replayDropped:  prometheus.NewGauge(gauge("wal_replay_dropped_bytes", "Torn or damaged log bytes dropped at start-up.")),
		fsync: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "belfry", Subsystem: "columnar", Name: "wal_fsync_seconds", Help: "Duration of syncs of the log.",
			ConstLabels: labels, Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}),
	}
	return m
}

func metricOpts(labels prometheus.Labels, name, help string) prometheus.CounterOpts {
	return prometheus.CounterOpts{Namespace: "belfry", Subsystem: "columnar", Name: name, Help: help, ConstLabels: labels}
}

// register registers the metrics, and gauges of the open db; reg may be nil.
func (m *metrics) register(db *DB, reg prometheus.Registerer) error {
	if reg == nil {
		return nil
	}
	labels := prometheus.Labels{"signal": db.o.Signal}
	gauge := func(name, help string) prometheus.GaugeOpts {
		return prometheus.GaugeOpts(metricOpts(labels, name, help))
	}
	counter := func(name, help string) prometheus.CounterOpts { return metricOpts(labels, name, help) }
	collectors := []prometheus.Collector{
		m.rows, m.payloadBytes, m.rejected, m.appends, m.flushes, m.merges, m.flushSeconds, m.mergeSeconds,
		m.flushedRows, m.mergedRows, m.walWrites, m.walWriteErrors, m.quarantined, m.retired, m.erasedRows, m.erasedParts, m.eraseErrors, m.rejoined,
		m.queries, m.scannedBytes,
		m.replaySeconds, m.replayedRows, m.replayDropped, m.fsync,
		prometheus.NewGaugeFunc(gauge("parts", "Live parts."), func() float64 { n, _, _ := db.partTotals(); return float64(n) }),
		prometheus.NewGaugeFunc(gauge("part_bytes", "Bytes of live parts."), func() float64 { _, n, _ := db.partTotals(); return float64(n) }),
		prometheus.NewGaugeFunc(gauge("part_rows", "Rows in live parts."), func() float64 { _, _, n := db.partTotals(); return float64(n) }),
		prometheus.NewGaugeFunc(gauge("memtable_bytes", "Bytes in memtables."), func() float64 { n, _ := db.memTotals(); return float64(n) }),
		prometheus.NewGaugeFunc(gauge("memtable_rows", "Rows in memtables."), func() float64 { _, n := db.memTotals(); return float64(n) }),
		prometheus.NewGaugeFunc(gauge("slab_used_bytes", "Bytes that memtables, flushes, merges and the cache of parts have outside of the Go heap."), func() float64 { used, _ := db.memory.Stats(); return float64(used) }),
		prometheus.NewGaugeFunc(gauge("slab_idle_bytes", "Bytes outside of the Go heap that are kept for the next of them."), func() float64 { _, idle := db.memory.Stats(); return float64(idle) }),
		prometheus.NewGaugeFunc(gauge("id_filter_bytes", "Bytes of ID filters in memory."), func() float64 { return float64(db.filterBytes.Load()) }),
		prometheus.NewGaugeFunc(gauge("part_cache_bytes", "Bytes of parts that are kept for queries for a few rows."), func() float64 { return float64(db.cache.Size()) }),
		prometheus.NewCounterFunc(counter("part_cache_hits_total", "Pieces of parts that such queries found there."), func() float64 { n, _ := db.cache.Counts(); return float64(n) }),
		prometheus.NewCounterFunc(counter("part_cache_misses_total", "Pieces of parts that such queries read."), func() float64 { _, n := db.cache.Counts(); return float64(n) }),
		prometheus.NewGaugeFunc(gauge("deletions_pending", "Deletions that wait or run."), func() float64 { n, _ := db.deletionTotals(); return float64(n) }),
		prometheus.NewGaugeFunc(gauge("deletion_oldest_due_seconds", "How long ago the oldest deletion that has not ended was due."), func() float64 { _, s := db.deletionTotals(); return s }),
		prometheus.NewGaugeFunc(gauge("wal_bytes", "Bytes of log segments."), func() float64 { return float64(db.wal.Size()) }),
		prometheus.NewGaugeFunc(gauge("wal_queue", "Appends that wait to be written."), func() float64 { return float64(db.wal.Queued()) }),
	}
	for _, c := range collectors {
		if err := reg.Register(c); err != nil {
			return err
		}
	}
	return nil
}

func (db *DB) partTotals() (parts int, size int64, rows uint64) {
	db.mu.RLock()
	defer db.mu.RUnlock()
	for _, live := range db.parts {
		for _, h := range live {
			parts++
			size += h.size
			rows += h.rows
		}
	}
	return parts, size, rows
}

func (db *DB) memTotals() (bytes, rows int) {
	db.mu.RLock()
	defer db.mu.RUnlock()
	for _, m := range append(db.frozen[:len(db.frozen):len(db.frozen)], db.active) {
		bytes += m.bytes
		rows += m.rows
	}
	return bytes, rows
}
