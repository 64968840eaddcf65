package cold

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/prometheus/tsdb/fileutil"
	"github.com/prometheus/prometheus/tsdb/tombstones"
)

// Block is an open block.
type Block struct {
	dir      string
	file     *fileutil.MmapFile
	size     int64
	meta     Meta
	sections layout
	names    *names
	times    []timesColumn

	decodedTimes atomic.Int64    // bytes
	verified     []atomic.Uint64 // a bit for each page of columns that was checked
	decoders     sync.Pool       // of *decoder

	tombstones atomic.Pointer[stones]
	deleting   sync.Mutex // one change of the tombstones at a time

	mu      sync.Mutex
	readers int
	closing bool
	idle    chan struct{} // closed by the last reader once closing
}

// stones are the deletions of a block.
type stones struct {
	*tombstones.MemTombstones
	bytes int64
	n     uint64
}

// ErrClosed is returned by a block that is closed.
var ErrClosed = errors.New("cold block is closed")

// Open opens the block in a folder and checks all of it but the columns.
func Open(dir string) (*Block, error) {
	file, err := fileutil.OpenMmapFile(filepath.Join(dir, blockFile))
	if err != nil {
		return nil, fmt.Errorf("open cold block: %w", err)
	}
	b, err := newBlock(file.Bytes())
	if err == nil {
		b.dir, b.file = dir, file
		err = b.readTombstones()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open cold block %s: %w", filepath.Base(dir), err), file.Close())
	}
	return b, nil
}

func newBlock(file []byte) (*Block, error) {
	sections, meta, err := parse(file)
	if err != nil {
		return nil, err
	}
	b := &Block{sections: sections, meta: meta, size: int64(len(file))}
	b.decoders.New = func() any { return &decoder{} }
	if groups := (meta.Stats.NumSeries + seriesGroup - 1) / seriesGroup; uint64(len(sections[sectionGroups])) != groups*groupSize {
		return nil, corruptf("groups of %d series", meta.Stats.NumSeries)
	}
	pages := (len(sections[sectionColumns]) + pageSize - 1) / pageSize
	if len(sections[sectionPages]) != 4*pages {
		return nil, corruptf("checksums of %d pages", pages)
	}
	b.verified = make([]atomic.Uint64, (pages+63)/64)
	if b.names, err = parseNames(sections[sectionNames], sections[sectionPostings]); err != nil {
		return nil, err
	}
	b.times, err = parseTimes(sections[sectionTimesDir], sections[sectionTimes])
	b.tombstones.Store(&stones{MemTombstones: tombstones.NewMemTombstones()})
	return b, err
}

func (b *Block) readTombstones() error {
	read, size, err := tombstones.ReadTombstones(b.dir)
	if err != nil {
		return fmt.Errorf("tombstones: %w", err)
	}
	mem := tombstones.NewMemTombstones()
	err = read.Iter(func(ref storageRef, ivs tombstones.Intervals) error {
		mem.AddInterval(ref, ivs...)
		return nil
	})
	if err != nil {
		return fmt.Errorf("tombstones: %w", err)
	}
	b.tombstones.Store(&stones{mem, size, mem.Total()})
	return nil
}

// Dir returns the block's folder.
func (b *Block) Dir() string { return b.dir }

// ID returns the block's identity.
func (b *Block) ID() ulid.ULID { return b.meta.ULID }

// Meta describes the block.
func (b *Block) Meta() Meta {
	m := b.meta
	m.Stats.NumTombstones = b.tombstones.Load().n
	return m
}

// Size returns the bytes on disk.
func (b *Block) Size() int64 { return b.size + b.tombstones.Load().bytes }

// Overlaps reports whether the block may have samples from mint to maxt, both
// included.
func (b *Block) Overlaps(mint, maxt int64) bool {
	return b.meta.MinTime <= maxt && mint < b.meta.MaxTime
}

// acquire keeps the block open until release.
func (b *Block) acquire() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closing {
		return ErrClosed
	}
	b.readers++
	return nil
}

func (b *Block) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.readers--
	if b.closing && b.readers == 0 {
		close(b.idle)
	}
}

// Close waits for readers and closes the block.
func (b *Block) Close() error {
	b.mu.Lock()
	if b.closing {
		b.mu.Unlock()
		return nil
	}
	b.closing = true
	b.idle = make(chan struct{})
	if b.readers == 0 {
		close(b.idle)
	}
	b.mu.Unlock()
	<-b.idle
	if b.file == nil {
		return nil
	}
	return b.file.Close()
}

// Remove waits for readers, closes the block and removes it from disk. After a
// crash in between the block is there or it is gone.
func (b *Block) Remove() error {
	if err := b.Close(); err != nil {
		return err
	}
	return removeFolder(b.dir)
}

func removeFolder(dir string) error {
	doomed := dir + deleting
	if err := fileutil.Replace(dir, doomed); err != nil {
		return err
	}
	return os.RemoveAll(doomed)
}

// Link makes a copy of the block in dir, which must not exist. The file itself
// is a hard link.
func (b *Block) Link(dir string) error {
	if err := b.acquire(); err != nil {
		return err
	}
	defer b.release()
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	if err := os.Link(filepath.Join(b.dir, blockFile), filepath.Join(dir, blockFile)); err != nil {
		return err
	}
	stones := b.tombstones.Load()
	if stones.n == 0 {
		return nil
	}
	_, err := tombstones.WriteFile(discard, dir, stones)
	return err
}

// column returns bytes of the columns, checked.
func (b *Block) column(offset uint64, length uint32) ([]byte, error) {
	all := b.sections[sectionColumns]
	end := offset + uint64(length)
	for page := offset / pageSize; page*pageSize < end; page++ {
		bit := uint64(1) << (page % 64)
		if b.verified[page/64].Load()&bit != 0 {
			continue
		}
		bytes := all[page*pageSize : min((page+1)*pageSize, uint64(len(all)))]
		if crc32.Checksum(bytes, castagnoli) != binary.LittleEndian.Uint32(b.sections[sectionPages][4*page:]) {
			return nil, corruptf("checksum of page %d of block %s", page, b.meta.ULID)
		}
		b.verified[page/64].Or(bit)
	}
	return all[offset:end:end], nil
}
