package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"belfry/internal/vfs"
)

// Replayed says what Open found.
type Replayed struct {
	Segments int
	Records  int
	Bytes    int64
	// Dropped are bytes that held no whole record: the torn end of the last
	// segment, or damage before it.
	Dropped int64
	Took    time.Duration
}

// Open opens the log in o.Dir, which must exist, repairs it, and hands the
// records that lie at or behind from to replay, in order; the payload is good
// until replay returns. An error of replay ends Open.
func Open(o Options, from Position, replay func(Record, Position) error) (*Log, Replayed, error) {
	if o.SegmentBytes <= 0 {
		o.SegmentBytes = defaultSegmentBytes
	}
	if o.SyncInterval <= 0 {
		o.SyncInterval = time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	l := &Log{o: o, queue: make(chan *request, queueLen), quit: make(chan struct{}), done: sync.WaitGroup{}}
	l.number = from.Segment // a new segment must lie behind everything that was ever freed
	begin := time.Now()
	var st Replayed
	names, err := o.FS.List(o.Dir)
	if err != nil {
		return nil, st, fmt.Errorf("wal: %w", err)
	}
	var numbers []uint64
	for _, name := range names {
		hex, ok := strings.CutSuffix(name, ".wal")
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(hex, 16, 64)
		if err != nil {
			continue
		}
		numbers = append(numbers, n)
		l.number = max(l.number, n)
	}
	for i, n := range numbers {
		if n < from.Segment {
			// Freed, but the process ended before it was removed.
			if err := o.FS.Remove(segmentName(o.Dir, n)); err != nil {
				return nil, st, fmt.Errorf("wal: %w", err)
			}
			continue
		}
		if err := l.replaySegment(n, i == len(numbers)-1, from, replay, &st); err != nil {
			return nil, st, err
		}
	}
	st.Took = time.Since(begin)
	l.done.Add(2)
	go l.writer()
	go l.syncer()
	return l, st, nil
}

func (l *Log) replaySegment(number uint64, last bool, from Position, replay func(Record, Position) error, st *Replayed) error {
	name := segmentName(l.o.Dir, number)
	f, err := l.o.FS.Open(name)
	if err != nil {
		return fmt.Errorf("wal: %w", err)
	}
	b, err := readAll(f)
	f.Close()
	if err != nil {
		return fmt.Errorf("wal: read %s: %w", name, err)
	}
	st.Segments++
	salt, version, ok := parseSegmentHeader(b)
	if !ok {
		// Nothing was ever acknowledged from a segment without its header, or it is damaged.
		l.o.Logger.Warn("wal: segment without a valid header dropped", "segment", number, "bytes", len(b))
		st.Dropped += int64(len(b))
		if last && len(b) <= segmentHeader {
			return l.o.FS.Remove(name)
		}
		return l.o.FS.Rename(name, name+".corrupt")
	}
	if version != segmentVersion {
		return fmt.Errorf("wal: %s has format version %d, this release reads %d", name, version, segmentVersion)
	}
	off := segmentHeader
	end := off // of the last good record
	for off < len(b) {
		rec, n := parseRecord(b[off:], salt)
		if n == 0 {
			next := resync(b, off+1, salt)
			if next == len(b) {
				break // torn tail
			}
			l.o.Logger.Error("wal: damaged bytes skipped", "segment", number, "offset", off, "bytes", next-off)
			st.Dropped += int64(next - off)
			off = next
			continue
		}
		pos := Position{number, int64(off)}
		off += n
		end = off
		if pos.Before(from) {
			continue
		}
		st.Records++
		st.Bytes += int64(n)
		if err := replay(rec, Position{number, int64(off)}); err != nil {
			return err
		}
	}
	size := int64(len(b))
	if end < len(b) {
		l.o.Logger.Warn("wal: torn end of a segment cut", "segment", number, "offset", end, "bytes", len(b)-end)
		st.Dropped += size - int64(end)
		if err := truncate(l.o.FS, name, int64(end)); err != nil {
			return fmt.Errorf("wal: repair: %w", err)
		}
		size = int64(end)
	}
	if end == segmentHeader {
		return l.o.FS.Remove(name)
	}
	l.segments = append(l.segments, segmentInfo{number, size})
	return nil
}

func truncate(fs vfs.FS, name string, size int64) error {
	f, err := fs.OpenWrite(name)
	if err != nil {
		return err
	}
	err = f.Truncate(size)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// resync returns the offset of the next whole record at or after off, len(b) if there is none.
func resync(b []byte, off int, salt uint32) int {
	for ; off+recordHeader <= len(b); off++ {
		if binary.LittleEndian.Uint16(b[off+8:]) != recordMagic {
			continue
		}
		if _, n := parseRecord(b[off:], salt); n > 0 {
			return off
		}
	}
	return len(b)
}

func readAll(f vfs.File) ([]byte, error) {
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	b := make([]byte, size)
	n, err := f.ReadAt(b, 0)
	if errors.Is(err, io.EOF) && int64(n) == size {
		err = nil
	}
	return b[:n], err
}
