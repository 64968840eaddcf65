package patterns

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"time"

	"belfry/internal/vfs"
)

// The clusters are one file, replaced as a whole: docs/format/patterns.md.
const (
	fileName    = "CLUSTERS"
	fileFormat  = "belfry pattern clusters"
	fileVersion = 1
)

type header struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
}

type serviceLine struct {
	Tenant   string        `json:"tenant"`
	Service  string        `json:"service"`
	Since    time.Time     `json:"since"`
	Clusters []clusterJSON `json:"clusters"`
}

type clusterJSON struct {
	Words []string  `json:"words"`
	Gaps  []string  `json:"gaps"`
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
}

// save writes the clusters if they have changed.
func (m *Miner) save() error {
	b, err := m.encode()
	if b == nil || err != nil {
		return err
	}
	if err := m.replace(b); err != nil {
		m.mu.Lock()
		m.changed = true
		m.mu.Unlock()
		return fmt.Errorf("clusters: %w", err)
	}
	return nil
}

func (m *Miner) encode() ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.changed {
		return nil, nil
	}
	m.changed = false
	b, err := appendLine(nil, header{fileFormat, fileVersion})
	if err != nil {
		return nil, err
	}
	for _, tenant := range slices.Sorted(maps.Keys(m.tenants)) {
		t := m.tenants[tenant]
		for _, name := range slices.Sorted(maps.Keys(t.services)) {
			s := t.services[name]
			l := serviceLine{Tenant: tenant, Service: name, Since: s.since}
			for _, list := range s.byShape {
				for _, c := range list {
					l.Clusters = append(l.Clusters, clusterJSON{c.words, c.gaps, c.first, c.last})
				}
			}
			slices.SortFunc(l.Clusters, func(a, b clusterJSON) int { return a.First.Compare(b.First) })
			if b, err = appendLine(b, l); err != nil {
				return nil, err
			}
		}
	}
	return b, nil
}

func appendLine(b []byte, v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(b, "%08x %s\n", checksum(text), text), nil
}

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

func (m *Miner) replace(content []byte) error {
	name := path.Join(m.o.Dir, fileName)
	if err := m.o.FS.MkdirAll(m.o.Dir); err != nil {
		return err
	}
	f, err := m.o.FS.Create(name + ".tmp")
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
		err = m.o.FS.Rename(name+".tmp", name)
	}
	if err == nil {
		err = m.o.FS.SyncDir(m.o.Dir)
	}
	return err
}

// load reads the clusters. Damage costs no more than that patterns are found
// anew: the file is set aside.
func (m *Miner) load() error {
	name := path.Join(m.o.Dir, fileName)
	f, err := m.o.FS.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	b, err := readAll(f)
	if err != nil {
		return err
	}
	if err := m.parse(b); err != nil {
		m.o.Logger.Error("patterns: the known patterns are forgotten", "file", name, "error", err)
		clear(m.tenants)
		return m.o.FS.Rename(name, name+".corrupt")
	}
	return nil
}

func readAll(f vfs.File) ([]byte, error) {
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return b, nil
}

func (m *Miner) parse(b []byte) error {
	for n := 0; len(b) > 0; n++ {
		text, rest, _ := bytes.Cut(b, []byte{'\n'})
		b = rest
		sum, body, ok := bytes.Cut(text, []byte{' '})
		crc, err := strconv.ParseUint(string(sum), 16, 32)
		if !ok || err != nil || uint32(crc) != checksum(body) {
			return fmt.Errorf("line %d is damaged", n+1)
		}
		if n > 0 {
			if err := m.parseService(body); err != nil {
				return fmt.Errorf("line %d: %w", n+1, err)
			}
			continue
		}
		var h header
		if err := json.Unmarshal(body, &h); err != nil || h.Format != fileFormat || h.Version != fileVersion {
			return fmt.Errorf("format %q, version %d; this release reads version %d", h.Format, h.Version, fileVersion)
		}
	}
	return nil
}

func (m *Miner) parseService(body []byte) error {
	var l serviceLine
	if err := json.Unmarshal(body, &l); err != nil {
		return err
	}
	t := m.tenants[l.Tenant]
	if t == nil {
		t = newTenant()
		m.tenants[l.Tenant] = t
	}
	s := &service{since: l.Since, byShape: map[uint64][]*cluster{}}
	t.services[l.Service] = s
	for _, j := range l.Clusters {
		if len(j.Gaps) != len(j.Words)+1 {
			return errors.New("words and gaps do not fit")
		}
		c := s.add(line{j.Words, j.Gaps}, j.First)
		if c == nil {
			return errors.New("too many clusters")
		}
		c.last = j.Last
	}
	return nil
}
