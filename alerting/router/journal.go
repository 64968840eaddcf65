package router

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// journal makes Alertmanager's in-memory states survive a crash. Both silences
// and the notification log hand every change, encoded, to whoever would gossip
// it to other instances, and merge such messages idempotently: the journal
// takes those messages, and replays them at the next start over the last
// snapshot.
//
// A record is the payload's length and CRC-32C (each 4 bytes, little endian)
// and the payload. A record is with the kernel when append returns; a torn one
// at the end is what the next start finds and cuts. The older half of a journal
// is kept in path+".old" while a snapshot is being written.
type journal struct {
	path   string
	logger *slog.Logger
	errors prometheus.Counter

	mu     sync.Mutex
	file   *os.File
	size   int64 // of the whole records in file
	synced int64 // how much of it is on the disk
	failed error // of the last append
}

// maxRecord bounds one record; a longer one is damage.
const maxRecord = 16 << 20

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// openJournal replays what is there through merge, and opens for appending.
// before are files of records that come first.
func openJournal(path string, logger *slog.Logger, failures prometheus.Counter, merge func([]byte) error, before ...string) (*journal, error) {
	j := &journal{path: path, logger: logger, errors: failures}
	for _, p := range append(before, path+".old", path) {
		if err := j.replay(p, merge); err != nil {
			return nil, err
		}
	}
	if err := j.open(); err != nil {
		return nil, err
	}
	return j, nil
}

func (j *journal) open() error {
	f, err := os.OpenFile(j.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	fi, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	j.file, j.size, j.synced = f, fi.Size(), fi.Size()
	return nil
}

// syncInterval is how long a record may be with the kernel only.
const syncInterval = time.Second

// run makes records durable, until stop is closed.
func (j *journal) run(stop <-chan struct{}) {
	tick := time.NewTicker(syncInterval)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
			j.sync()
		}
	}
}

func (j *journal) sync() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil || j.synced == j.size {
		return
	}
	if err := j.file.Sync(); err != nil {
		j.errors.Inc()
		j.failed = err
		j.logger.Error("journal sync failed", "path", j.path, "err", err)
		return
	}
	j.synced = j.size
}

// replay merges all whole records of a file and cuts it after the last.
func (j *journal) replay(path string, merge func([]byte) error) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	r := bufio.NewReader(f)
	var good int64
	for {
		payload, err := readRecord(r)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = merge(payload)
		}
		if err != nil {
			j.logger.Warn("journal ends in a damaged record; it is cut", "path", path, "offset", good, "err", err)
			return f.Truncate(good)
		}
		good += 8 + int64(len(payload))
	}
}

// readRecord returns io.EOF exactly at the end of a whole record.
func readRecord(r io.Reader) ([]byte, error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint32(head[:4])
	if n > maxRecord {
		return nil, fmt.Errorf("a record of %d bytes", n)
	}
	payload := make([]byte, n)
	if _, err := io.ReadFull(r, payload); err != nil {
		return nil, fmt.Errorf("record is cut short: %w", io.ErrUnexpectedEOF)
	}
	if crc32.Checksum(payload, castagnoli) != binary.LittleEndian.Uint32(head[4:]) {
		return nil, errors.New("checksum does not match")
	}
	return payload, nil
}

// append writes a record. Its callers have no way to refuse a change any more,
// so a failure is logged, counted, and seen by healthy.
func (j *journal) append(payload []byte) {
	if err := j.put(payload); err != nil {
		j.logger.Error("journal write failed; a crash before the next snapshot would lose the change", "path", j.path, "err", err)
	}
}

// put writes a record.
func (j *journal) put(payload []byte) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	err := j.write(payload)
	if err != nil {
		j.errors.Inc()
	}
	return err
}

// length returns the size of the journal in bytes.
func (j *journal) length() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.size
}

// record frames a payload.
func record(payload []byte) []byte {
	rec := make([]byte, 8, 8+len(payload))
	binary.LittleEndian.PutUint32(rec[:4], uint32(len(payload)))
	binary.LittleEndian.PutUint32(rec[4:], crc32.Checksum(payload, castagnoli))
	return append(rec, payload...)
}

func (j *journal) write(payload []byte) error {
	if j.file == nil {
		j.failed = os.ErrClosed
		return j.failed
	}
	n, err := j.file.Write(record(payload))
	if err != nil && n > 0 {
		// What follows a torn record would never be read.
		err = errors.Join(err, j.file.Truncate(j.size))
	}
	if err == nil {
		j.size += int64(n)
	}
	j.failed = err
	return err
}

// healthy returns why the journal cannot take changes, if so. After a failure
// it tries again, with an empty record.
func (j *journal) healthy() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.failed == nil {
		return nil
	}
	return j.write(nil)
}

// fold replaces the journal by a snapshot: records from here on go to a new
// file, then snapshot writes all there is, then the older records go.
func (j *journal) fold(snapshot func() (int64, error)) (int64, error) {
	if err := j.rotate(); err != nil {
		return 0, fmt.Errorf("journal: %w", err)
	}
	size, err := snapshot()
	if err != nil {
		return size, err
	}
	if err := os.Remove(j.path + ".old"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return size, err
	}
	return size, nil
}

func (j *journal) rotate() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, err := os.Stat(j.path + ".old"); err == nil {
		return nil // an earlier snapshot failed; its records are not to be lost
	}
	if j.file != nil {
		if err := errors.Join(j.file.Sync(), j.file.Close()); err != nil {
			j.logger.Error("closing the journal failed", "path", j.path, "err", err)
		}
		j.file = nil
	}
	renamed := os.Rename(j.path, j.path+".old")
	return errors.Join(renamed, j.open())
}

// close ends the journal. Later appends are dropped.
func (j *journal) close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return nil
	}
	f := j.file
	j.file = nil
	return errors.Join(f.Sync(), f.Close())
}
