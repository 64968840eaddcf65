package wal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path"
	"sync"
	"time"

	"belfry/internal/vfs"
)

// ErrClosed is returned by Append after Close.
var ErrClosed = errors.New("wal: closed")

// Options configure a Log.
type Options struct {
	FS           vfs.FS
	Dir          string
	SegmentBytes int64         // a segment is closed when it is larger; 64 MiB
	SyncInterval time.Duration // between syncs of what was written; 1 s
	SyncEach     bool          // sync before Append returns
	Logger       *slog.Logger

	// Committed is called for each written record, in the log's order, from one
	// goroutine, with the position behind it. May be nil.
	Committed func(r *Record, end Position)
	// Synced is called after each sync, from several goroutines. May be nil.
	Synced func(took time.Duration, err error)
	// Wrote is called after each write of a group. May be nil.
	Wrote func(records, bytes int, err error)
}

// Log is an open log. It is safe for concurrent use.
type Log struct {
	o     Options
	queue chan *request
	quit  chan struct{}
	done  sync.WaitGroup

	requests sync.Pool

	closeMu sync.RWMutex // held for reading while a request is put into the queue
	closed  bool

	// The writer goroutine's own.
	buf []byte

	mu       sync.Mutex // guards what follows
	f        vfs.File   // nil: the next write begins a segment
	salt     uint32
	number   uint64 // of the current segment
	size     int64
	dirty    bool
	segments []segmentInfo // all, the current one last
}

type segmentInfo struct {
	number uint64
	size   int64
}

type request struct {
	rec  *Record
	head []byte
	err  chan error
}

const (
	defaultSegmentBytes = 64 << 20
	// A group ends at this size.
	groupBytes = 1 << 20
	queueLen   = 1024
)

func segmentName(dir string, number uint64) string {
	return path.Join(dir, fmt.Sprintf("%016x.wal", number))
}

// Append writes a record and returns when it is committed. The record and its
// payload are the caller's again when Append returns. If ctx ends while the
// record waits to be queued it is not written; once queued it is waited for.
func (l *Log) Append(ctx context.Context, r *Record) error {
	if len(r.Payload) > MaxRecord || len(r.Tenant) > maxTenant {
		return fmt.Errorf("wal: record of %d bytes", len(r.Payload))
	}
	req, ok := l.requests.Get().(*request)
	if !ok {
		req = &request{err: make(chan error, 1)}
	}
	req.rec = r
	req.head = r.appendHeader(req.head[:0])

	l.closeMu.RLock()
	if l.closed {
		l.closeMu.RUnlock()
		return ErrClosed
	}
	select {
	case l.queue <- req:
		l.closeMu.RUnlock()
	case <-ctx.Done():
		l.closeMu.RUnlock()
		return ctx.Err()
	}
	err := <-req.err
	req.rec = nil
	l.requests.Put(req)
	return err
}

func (l *Log) writer() {
	defer l.done.Done()
	var group []*request
	for {
		req, ok := <-l.queue
		if !ok {
			return
		}
		group = append(group[:0], req)
		size := req.rec.size()
	gather:
		for size < groupBytes {
			select {
			case req, ok := <-l.queue:
				if !ok {
					break gather
				}
				group = append(group, req)
				size += req.rec.size()
			default:
				break gather
			}
		}
		l.commit(group)
		clear(group)
	}
}

// commit writes a group and answers its requests.
func (l *Log) commit(group []*request) {
	l.mu.Lock()
	start, err := l.write(group)
	if err == nil && l.o.SyncEach {
		if err = l.sync(); err != nil {
			// The kernel may have dropped the pages: nothing of this segment's
			// tail can be trusted any more.
			l.cut(start)
			l.abandon()
		}
	}
	number := l.number
	l.mu.Unlock()
	if l.o.Wrote != nil {
		l.o.Wrote(len(group), len(l.buf), err)
	}
	end := Position{Segment: number, Offset: start}
	for _, req := range group {
		end.Offset += int64(req.rec.size())
		if err == nil && l.o.Committed != nil {
			l.o.Committed(req.rec, end)
		}
		req.err <- err
	}
}

// write appends the group to the current segment and returns where it begins.
func (l *Log) write(group []*request) (int64, error) {
	if l.f != nil && l.size >= l.o.SegmentBytes {
		if err := l.finish(); err != nil {
			l.o.Logger.Error("wal: closing a segment", "segment", l.number, "error", err)
		}
	}
	if l.f == nil {
		if err := l.begin(); err != nil {
			return 0, err
		}
	}
	l.buf = l.buf[:0]
	for _, req := range group {
		at := len(l.buf)
		l.buf = append(l.buf, req.head...)
		crc := l.buf[at+4:]
		binary.LittleEndian.PutUint32(crc, binary.LittleEndian.Uint32(crc)^l.salt)
		l.buf = append(l.buf, req.rec.Payload...)
	}
	start := l.size
	if _, err := l.f.Write(l.buf); err != nil {
		l.cut(start)
		return 0, err
	}
	l.size += int64(len(l.buf))
	l.segments[len(l.segments)-1].size = l.size
	l.dirty = true
	if cap(l.buf) > 8*groupBytes {
		defer func() { l.buf = nil }()
	}
	return start, nil
}

// cut takes a failed write back. If that fails too, the segment is left as it
// is: its torn end is skipped by a replay.
func (l *Log) cut(size int64) {
	if l.f == nil {
		return
	}
	if err := l.f.Truncate(size); err != nil {
		l.o.Logger.Error("wal: cutting a failed write", "segment", l.number, "offset", size, "error", err)
		l.abandon()
		return
	}
	l.size = size
	l.segments[len(l.segments)-1].size = size
}

func (l *Log) abandon() {
	if l.f != nil {
		l.f.Close()
		l.f = nil
	}
}

// begin creates the next segment.
func (l *Log) begin() error {
	number := l.number + 1
	name := segmentName(l.o.Dir, number)
	f, err := l.o.FS.Create(name)
	if err != nil {
		return err
	}
	salt := rand.Uint32()
	_, err = f.Write(appendSegmentHeader(nil, number, salt))
	if err == nil {
		err = l.o.FS.SyncDir(l.o.Dir)
	}
	if err != nil {
		f.Close()
		_ = l.o.FS.Remove(name) // best effort: an empty segment does no harm
		return err
	}
	l.f, l.salt, l.number, l.size = f, salt, number, segmentHeader
	l.segments = append(l.segments, segmentInfo{number, segmentHeader})
	return nil
}

// finish syncs and closes the current segment.
func (l *Log) finish() error {
	err := l.sync()
	if cerr := l.f.Close(); err == nil {
		err = cerr
	}
	l.f = nil
	return err
}

func (l *Log) sync() error {
	if !l.dirty || l.f == nil {
		return nil
	}
	begin := time.Now()
	err := l.f.Sync()
	if l.o.Synced != nil {
		l.o.Synced(time.Since(begin), err)
	}
	if err == nil {
		l.dirty = false
	}
	return err
}

func (l *Log) syncer() {
	defer l.done.Done()
	t := time.NewTicker(l.o.SyncInterval)
	defer t.Stop()
	for {
		select {
		case <-l.quit:
			return
		case <-t.C:
		}
		if err := l.Sync(); err != nil {
			l.o.Logger.Error("wal: sync", "error", err)
		}
	}
}

// Sync makes all committed records durable. Writes go on meanwhile.
func (l *Log) Sync() error {
	l.mu.Lock()
	f := l.f
	if f == nil || !l.dirty {
		l.mu.Unlock()
		return nil
	}
	l.dirty = false
	l.mu.Unlock()

	begin := time.Now()
	err := f.Sync()
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil && l.f != f {
		return nil // the segment was finished meanwhile, and synced by that
	}
	if l.o.Synced != nil {
		l.o.Synced(time.Since(begin), err)
	}
	if err != nil {
		// What the kernel dropped it does not report twice: go on in a new segment.
		l.abandon()
	}
	return err
}

// Free removes the segments that lie wholly before p.
func (l *Log) Free(p Position) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	keep := l.segments[:0:0]
	for i, s := range l.segments {
		current := l.f != nil && i == len(l.segments)-1
		if current || s.number > p.Segment || s.number == p.Segment && p.Offset < s.size {
			keep = append(keep, s)
			continue
		}
		if err := l.o.FS.Remove(segmentName(l.o.Dir, s.number)); err != nil {
			errs = append(errs, err)
			keep = append(keep, s)
		}
	}
	l.segments = keep
	return errors.Join(errs...)
}

// Rotate ends the current segment: what is appended from now on lies in another
// one, so that Free can remove this one.
func (l *Log) Rotate() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f == nil {
		return nil
	}
	return l.finish()
}

// Holds reports whether there is a segment that begins at or before p.
func (l *Log) Holds(p Position) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.segments) > 0 && l.segments[0].number <= p.Segment
}

// Size returns the bytes of all segments.
func (l *Log) Size() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := int64(0)
	for _, s := range l.segments {
		n += s.size
	}
	return n
}

// Queued returns the number of records that wait to be written.
func (l *Log) Queued() int { return len(l.queue) }

// End returns the position behind the last record written.
func (l *Log) End() Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Position{l.number, l.size}
}

// Close writes what waits, syncs and closes.
func (l *Log) Close() error {
	l.closeMu.Lock()
	if l.closed {
		l.closeMu.Unlock()
		return nil
	}
	l.closed = true
	close(l.queue)
	l.closeMu.Unlock()
	close(l.quit)
	l.done.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f == nil {
		return nil
	}
	return l.finish()
}
