package columnar

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"maps"
	"path"
	"sync"

	"belfry/internal/columnar/encoding"
	"belfry/internal/vfs"
	"belfry/internal/wal"
)

const (
	manifestName    = "MANIFEST"
	manifestMagic   = "BELFMAN\x00"
	manifestVersion = 2 // 1 is read too: its parts lie behind no deletion
	manifestHeader  = 16

	// The log of edits is rewritten when it is this large and mostly obsolete.
	manifestCompact = 1 << 20
)

// partInfo is what the manifest knows of a part.
type partInfo struct {
	id       uint64 // its name; ascending
	tenant   string
	day      int64  // days since the epoch
	seq      uint64 // the flush that wrote its oldest rows: the order of arrival
	level    int    // how many merges lie behind it
	rows     uint64
	size     int64
	min, max int64
	clean    uint64 // deletions up to this number do not concern its rows
}

func (p *partInfo) dir() string  { return path.Join("parts", p.tenant, dayName(p.day)) }
func (p *partInfo) name() string { return path.Join(p.dir(), fmt.Sprintf("%016x.part", p.id)) }

// edit is one atomic change of the part set.
type edit struct {
	add    []partInfo
	remove []uint64
	end    *wal.Position // all rows before it are in parts
}

// manifest is the log of edits. Its lock is taken before DB.mu.
type manifest struct {
	mu     sync.Mutex
	fs     vfs.FS
	dir    string
	f      vfs.File
	size   int64
	broken bool // the end of the file is not known to be good

	parts map[uint64]partInfo
	end   wal.Position

	version uint32 // of the file as it was found
}

// openManifest reads the manifest and repairs a torn end; dropped says how many bytes that took.
func openManifest(fsys vfs.FS, dir string) (m *manifest, dropped int64, err error) {
	m = &manifest{fs: fsys, dir: dir, parts: map[uint64]partInfo{}}
	name := path.Join(dir, manifestName)
	f, err := fsys.OpenWrite(name)
	if errors.Is(err, fs.ErrNotExist) {
		return m, 0, m.rewrite()
	}
	if err != nil {
		return nil, 0, fmt.Errorf("columnar: manifest: %w", err)
	}
	size, err := f.Size()
	if err == nil {
		b := make([]byte, size)
		if size > 0 {
			_, err = f.ReadAt(b, 0)
		}
		if err == nil {
			var good int
			if good, err = m.load(b); err == nil && int64(good) < size {
				dropped = size - int64(good)
				if err = f.Truncate(int64(good)); err == nil {
					err = f.Sync()
				}
			}
			m.size = int64(good)
		}
	}
	if err != nil {
		f.Close()
		return nil, 0, fmt.Errorf("columnar: manifest: %w", err)
	}
	m.f = f
	if m.version < manifestVersion {
		if err := m.rewrite(); err != nil {
			return nil, 0, fmt.Errorf("columnar: manifest: %w", err)
		}
	}
	return m, dropped, nil
}

// load applies the edits in b and returns where the good ones end.
func (m *manifest) load(b []byte) (int, error) {
	if len(b) < manifestHeader || string(b[:8]) != manifestMagic {
		return 0, errors.New("not a manifest")
	}
	if m.version = binary.LittleEndian.Uint32(b[8:]); m.version < 1 || m.version > manifestVersion {
		return 0, fmt.Errorf("format version %d, this release reads up to %d", m.version, manifestVersion)
	}
	off := manifestHeader
	for len(b)-off >= 8 {
		n := int(binary.LittleEndian.Uint32(b[off:]))
		if n > len(b)-off-8 {
			break
		}
		body := b[off+8:][:n]
		if crc32.Checksum(body, encoding.Castagnoli) != binary.LittleEndian.Uint32(b[off+4:]) {
			break
		}
		e, err := parseEdit(body, m.version)
		if err != nil {
			return 0, err
		}
		m.apply(e)
		off += 8 + n
	}
	// Only the last edit can be torn. One that is whole behind a damaged one
	// means that committed changes are lost: refuse rather than guess.
	for at := off + 1; at+8 < len(b); at++ {
		n := int(binary.LittleEndian.Uint32(b[at:]))
		if n == 0 || n > len(b)-at-8 {
			continue
		}
		if body := b[at+8:][:n]; crc32.Checksum(body, encoding.Castagnoli) == binary.LittleEndian.Uint32(b[at+4:]) {
			return 0, fmt.Errorf("damaged at offset %d, with good edits behind it", off)
		}
	}
	return off, nil
}

func (m *manifest) apply(e edit) {
	for _, id := range e.remove {
		delete(m.parts, id)
	}
	for _, p := range e.add {
		m.parts[p.id] = p
	}
	if e.end != nil {
		m.end = *e.end
	}
}

// errEditUnknown says that a failed edit may yet be found by the next start: its
// files must stay.
var errEditUnknown = errors.New("columnar: the manifest may or may not have the change")

// commit makes an edit durable, then applies it.
func (m *manifest) commit(e edit) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken || m.size > manifestCompact && m.size > 8*int64(len(m.parts))*128 {
		return m.commitByRewrite(e)
	}
	frame := appendEdit(nil, e)
	_, err := m.f.Write(frame)
	if err == nil {
		err = m.f.Sync()
	}
	if err == nil {
		m.size += int64(len(frame))
		m.apply(e)
		return nil
	}
	// The edit must not be found by the next start, since the caller goes on
	// without it.
	undo := m.f.Truncate(m.size)
	if undo == nil {
		undo = m.f.Sync()
	}
	if undo != nil {
		undo = m.rewrite()
	}
	if undo != nil {
		m.broken = true
		return fmt.Errorf("%w: %w", errEditUnknown, err)
	}
	return fmt.Errorf("columnar: manifest: %w", err)
}

// commitByRewrite writes the file anew, with the edit in it.
func (m *manifest) commitByRewrite(e edit) error {
	parts, end := maps.Clone(m.parts), m.end
	m.apply(e)
	if err := m.rewrite(); err != nil {
		m.parts, m.end = parts, end
		m.broken = true // the rename may have happened
		return fmt.Errorf("%w: %w", errEditUnknown, err)
	}
	m.broken = false
	return nil
}

// rewrite replaces the file by one edit that says all.
func (m *manifest) rewrite() error {
	e := edit{end: &m.end}
	for _, p := range m.parts {
		e.add = append(e.add, p)
	}
	b := append([]byte(nil), manifestMagic...)
	b = binary.LittleEndian.AppendUint32(b, manifestVersion)
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = appendEdit(b, e)
	name := path.Join(m.dir, manifestName)
	f, err := m.fs.Create(name + ".tmp")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = m.fs.Rename(name+".tmp", name)
	}
	if err == nil {
		err = m.fs.SyncDir(m.dir)
	}
	if err != nil {
		f.Close()
		return err
	}
	if m.f != nil {
		m.f.Close()
	}
	m.f, m.size = f, int64(len(b))
	return nil
}

func (m *manifest) close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.f == nil {
		return nil
	}
	return m.f.Close()
}

func appendEdit(dst []byte, e edit) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0)
	dst = binary.AppendUvarint(dst, uint64(len(e.remove)))
	for _, id := range e.remove {
		dst = binary.AppendUvarint(dst, id)
	}
	dst = binary.AppendUvarint(dst, uint64(len(e.add)))
	for i := range e.add {
		p := &e.add[i]
		dst = binary.AppendUvarint(dst, p.id)
		dst = encoding.AppendBytes(dst, p.tenant)
		dst = binary.AppendVarint(dst, p.day)
		dst = binary.AppendUvarint(dst, p.seq)
		dst = binary.AppendUvarint(dst, uint64(p.level))
		dst = binary.AppendUvarint(dst, p.rows)
		dst = binary.AppendUvarint(dst, uint64(p.size))
		dst = binary.AppendVarint(dst, p.min)
		dst = binary.AppendVarint(dst, p.max)
		dst = binary.AppendUvarint(dst, p.clean)
	}
	if e.end == nil {
		dst = append(dst, 0)
	} else {
		dst = append(dst, 1)
		dst = binary.AppendUvarint(dst, e.end.Segment)
		dst = binary.AppendUvarint(dst, uint64(e.end.Offset))
	}
	body := dst[start+8:]
	binary.LittleEndian.PutUint32(dst[start:], uint32(len(body)))
	binary.LittleEndian.PutUint32(dst[start+4:], crc32.Checksum(body, encoding.Castagnoli))
	return dst
}

func parseEdit(b []byte, version uint32) (edit, error) {
	r := encoding.Reader{B: b}
	var e edit
	for n := r.Count(len(b)); n > 0 && !r.Bad(); n-- {
		e.remove = append(e.remove, r.Uvarint())
	}
	for n := r.Count(len(b)); n > 0 && !r.Bad(); n-- {
		p := partInfo{
			id: r.Uvarint(), tenant: string(r.Bytes()), day: r.Varint(), seq: r.Uvarint(),
			level: r.Count(1 << 20), rows: r.Uvarint(), size: int64(r.Uvarint()), min: r.Varint(), max: r.Varint(),
		}
		if version >= 2 {
			p.clean = r.Uvarint()
		}
		e.add = append(e.add, p)
	}
	if r.Byte() == 1 {
		e.end = &wal.Position{Segment: r.Uvarint(), Offset: int64(r.Uvarint())}
	}
	return e, r.Err()
}
