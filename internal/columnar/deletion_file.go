package columnar

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path"
	"strconv"
	"time"

	"belfry/internal/columnar/encoding"
	"belfry/internal/vfs"
	"belfry/internal/wal"
)

// The list of deletions is one small file, replaced as a whole.
const (
	deletionsName    = "DELETIONS"
	deletionsFormat  = "belfry deletions"
	deletionsVersion = 1
)

type deletionsHeader struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
	Next    uint64 `json:"next"` // the number that comes next
}

type deletionLine struct {
	ID      uint64          `json:"id"`
	Tenant  string          `json:"tenant"`
	From    int64           `json:"from"`
	To      int64           `json:"to"`
	Filter  json.RawMessage `json:"filter"`
	Label   string          `json:"label,omitempty"`
	State   DeletionState   `json:"state"`
	Segment uint64          `json:"segment"` // the boundary
	Offset  int64           `json:"offset"`
	Created time.Time       `json:"created"`
	Due     time.Time       `json:"due"`
	Ended   time.Time       `json:"ended,omitzero"`
	Rows    int64           `json:"rows,omitempty"`
	Parts   int             `json:"parts,omitempty"`
	Unread  int             `json:"unread,omitempty"`
}

// saveDeletions writes the list of deletions. Their lock is held.
func (db *DB) saveDeletions() error {
	var b []byte
	line := func(v any) error {
		text, err := json.Marshal(v)
		if err != nil {
			return err
		}
		b = fmt.Appendf(b, "%08x %s\n", crc32.Checksum(text, encoding.Castagnoli), text)
		return nil
	}
	db.mu.RLock()
	l := &db.deletions
	err := line(deletionsHeader{deletionsFormat, deletionsVersion, l.nextID})
	for _, list := range [][]*deletion{l.ended, l.pending} {
		for _, d := range list {
			err = errors.Join(err, line(deletionLine{
				ID: d.ID, Tenant: d.Tenant, From: d.From, To: d.To, Filter: d.filter, Label: d.Label, State: d.State,
				Segment: d.boundary.Segment, Offset: d.boundary.Offset,
				Created: d.Created, Due: d.Due, Ended: d.Ended, Rows: d.Rows, Parts: d.Parts, Unread: d.Unread,
			}))
		}
	}
	db.mu.RUnlock()
	if err != nil {
		return err
	}
	return replaceFile(db.fs, db.o.Dir, deletionsName, b)
}

// replaceFile replaces a file's content, durably and all at once.
func replaceFile(fsys vfs.FS, dir, name string, content []byte) error {
	name = path.Join(dir, name)
	f, err := fsys.Create(name + ".tmp")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = fsys.Rename(name+".tmp", name)
	}
	if err == nil {
		err = fsys.SyncDir(dir)
	}
	return err
}

// loadDeletions reads the list of deletions. A list that cannot be read ends
// Open: without it, rows that were to go would come back.
func (db *DB) loadDeletions() error {
	db.deletions = deletionList{saving: make(chan struct{}, 1), signal: make(chan struct{}, 1), nextID: 1}
	defer db.skipUsedNumbers()
	f, err := db.fs.Open(path.Join(db.o.Dir, deletionsName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := readFile(f)
	if err != nil {
		return err
	}
	if err := db.parseDeletions(b); err != nil {
		return fmt.Errorf("%s: %w (without the file, deletions that had not ended are forgotten)", deletionsName, err)
	}
	return nil
}

// skipUsedNumbers makes sure that no part is taken to lie behind a deletion that is yet to come.
func (db *DB) skipUsedNumbers() {
	for _, p := range db.manifest.parts {
		db.deletions.nextID = max(db.deletions.nextID, p.clean+1)
	}
}

func readFile(f vfs.File) ([]byte, error) {
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	b := make([]byte, size)
	if size > 0 {
		_, err = f.ReadAt(b, 0)
	}
	return b, err
}

func (db *DB) parseDeletions(b []byte) error {
	for n := 0; len(b) > 0; n++ {
		text, rest, _ := bytes.Cut(b, []byte{'\n'})
		b = rest
		sum, body, ok := bytes.Cut(text, []byte{' '})
		crc, err := strconv.ParseUint(string(sum), 16, 32)
		if !ok || err != nil || uint32(crc) != crc32.Checksum(body, encoding.Castagnoli) {
			return fmt.Errorf("line %d is damaged", n+1)
		}
		if n > 0 {
			if err := db.parseDeletion(body); err != nil {
				return fmt.Errorf("line %d: %w", n+1, err)
			}
			continue
		}
		var h deletionsHeader
		if err := json.Unmarshal(body, &h); err != nil {
			return err
		}
		if h.Format != deletionsFormat || h.Version != deletionsVersion {
			return fmt.Errorf("format %q, version %d; this release reads version %d", h.Format, h.Version, deletionsVersion)
		}
		db.deletions.nextID = h.Next
	}
	return nil
}

func (db *DB) parseDeletion(body []byte) error {
	var j deletionLine
	if err := json.Unmarshal(body, &j); err != nil {
		return err
	}
	filter, err := decodeFilter(j.Filter)
	if err != nil {
		return err
	}
	d, err := prepareDeletion(Deletion{
		ID: j.ID, Tenant: j.Tenant, From: j.From, To: j.To, Label: j.Label, State: j.State,
		Created: j.Created, Due: j.Due, Ended: j.Ended, Rows: j.Rows, Parts: j.Parts, Unread: j.Unread,
	}, j.Filter, filter)
	if err != nil {
		return err
	}
	d.boundary = wal.Position{Segment: j.Segment, Offset: j.Offset}
	if d.Ended.IsZero() {
		db.deletions.pending = append(db.deletions.pending, d)
		return nil
	}
	close(d.ended)
	db.deletions.ended = append(db.deletions.ended, d)
	return nil
}
