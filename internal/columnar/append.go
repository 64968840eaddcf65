package columnar

import (
	"context"
	"errors"
	"fmt"
	"time"

	"belfry/internal/fault"
	"belfry/internal/tenant"
	"belfry/internal/wal"
)

// AppendResult says what became of a payload's rows.
type AppendResult struct {
	Rows     int    // kept
	Rejected int    // refused one by one
	Reason   string // why, the most common reasons first; "" if none was
}

const recordPayload = 1 // kind of log records

// Delays that refused appends are told to wait.
const (
	retryFull  = time.Second
	retryError = 5 * time.Second
)

// Append decodes payload and stores its rows. The payload is the caller's again
// when it returns. Errors carry a fault: Invalid and TooLarge are permanent,
// Limited and Unavailable may be repeated; in all cases nothing was kept.
func (db *DB) Append(ctx context.Context, tenantID string, payload []byte) (AppendResult, error) {
	res, err := db.append(ctx, tenantID, payload)
	outcome := "ok"
	if err != nil {
		outcome = "refused"
		if fault.KindOf(err) == fault.Internal {
			outcome = "error"
		}
	}
	db.metrics.appends.WithLabelValues(outcome).Inc()
	return res, err
}

func (db *DB) append(ctx context.Context, tenantID string, payload []byte) (AppendResult, error) {
	if err := tenant.Validate(tenantID); err != nil {
		return AppendResult{}, err
	}
	if len(payload) > db.o.MaxPayloadBytes {
		return AppendResult{}, fault.New(fault.TooLarge, "payload of %d bytes is over the limit of %d", len(payload), db.o.MaxPayloadBytes)
	}
	if err := db.enter(); err != nil {
		return AppendResult{}, err
	}
	defer db.leave()
	if err := db.waitForRoom(ctx); err != nil {
		return AppendResult{}, err
	}
	receivedAt := time.Unix(0, db.now().UnixNano()).UTC() // exactly what a replay will see
	w := db.writer(receivedAt)
	w.tenant, w.live = tenantID, true
	if err := db.decode(payload, receivedAt, w); err != nil {
		return AppendResult{}, err
	}
	res := AppendResult{Rows: len(w.times), Rejected: w.reject, Reason: w.reason()}
	size := len(payload)
	if res.Rows > 0 {
		rec := wal.Record{Kind: recordPayload, Tenant: tenantID, Time: receivedAt, Payload: payload, Owner: w}
		if err := db.wal.Append(ctx, &rec); err != nil {
			switch {
			case errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
				return AppendResult{}, err
			case errors.Is(err, wal.ErrClosed):
				return AppendResult{}, fault.Unavailablef(0, "columnar: closed")
			}
			return AppendResult{}, fault.Unavailablef(retryError, "write-ahead log: %w", err)
		}
	}
	db.putWriter(w)
	db.metrics.rows.Add(float64(res.Rows))
	db.metrics.rejected.Add(float64(res.Rejected))
	db.metrics.payloadBytes.Add(float64(size))
	return res, nil
}

// waitForRoom holds an append back while flushes cannot keep up: the memtable that
// fills up is full, and no more may wait for their flush.
func (db *DB) waitForRoom(ctx context.Context) error {
	var timeout <-chan time.Time
	for {
		db.mu.RLock()
		behind, room := db.active.bytes >= db.o.FlushBytes && !db.mayRotate(), db.room
		db.mu.RUnlock()
		if !behind {
			return nil
		}
		if timeout == nil {
			t := time.NewTimer(max(db.o.MaxWait, 0))
			defer t.Stop()
			timeout = t.C
		}
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		case <-timeout:
			return fault.Limitedf(retryFull, "%d full memtables wait to be written to disk", db.o.MaxFrozen+1)
		}
	}
}

// committed is called by the log's writer for each record, in order.
func (db *DB) committed(r *wal.Record, end wal.Position) {
	w, ok := r.Owner.(*RowWriter)
	if !ok {
		return
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	db.active.publish(r.Tenant, w, &db.o, r.Time, end)
	db.rotateIfFull()
}

// writer returns an empty RowWriter.
func (db *DB) writer(receivedAt time.Time) *RowWriter {
	w, ok := db.writers.Get().(*RowWriter)
	if !ok {
		w = newRowWriter(&db.o, db.streams)
	}
	oldest := int64(-1 << 63)
	if age := db.o.Retention.longest(); age > 0 {
		oldest = receivedAt.Add(-age).UnixNano()
	}
	w.reset(oldest)
	return w
}

func (db *DB) putWriter(w *RowWriter) {
	if w.reusable() {
		db.writers.Put(w)
	}
}

// decode runs the decoder. A decoder that panics has met input that it cannot
// read; that must cost its sender an error, not everybody the process.
func (db *DB) decode(payload []byte, receivedAt time.Time, w *RowWriter) (err error) {
	defer func() {
		if p := recover(); p != nil {
			db.log.Error("columnar: decoder panicked", "panic", fmt.Sprint(p), "bytes", len(payload))
			err = fault.Invalidf("payload cannot be decoded")
		}
	}()
	if err := db.o.Decode(payload, receivedAt, w); err != nil {
		if fault.KindOf(err) == fault.Internal {
			return &fault.Error{Kind: fault.Invalid, Err: err}
		}
		return err
	}
	if w.open {
		w.drop()
	}
	return nil
}
