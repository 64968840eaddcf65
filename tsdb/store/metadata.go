package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/metadata"
)

const (
	metadataFile = "metadata.json"

	// maxVariants is how many different descriptions one family may have;
	// services that disagree about a help text are common, and few.
	maxVariants = 5

	maxHelpLength = 1024
)

// metadataStore remembers the type, unit and help of a tenant's metric
// families. Families beyond the limit are not remembered.
type metadataStore struct {
	path string
	max  int

	mu       sync.RWMutex
	families map[string]*family
	dirty    bool
}

type family struct {
	name     string
	variants []metadata.Metadata // replaced, never changed in place
}

type metadataLine struct {
	Family string           `json:"family"`
	Type   model.MetricType `json:"type"`
	Unit   string           `json:"unit,omitempty"`
	Help   string           `json:"help,omitempty"`
}

// openMetadataStore reads what was saved. Metadata comes again with the next
// append, so a file that cannot be read is reported and left behind.
func openMetadataStore(path string, limit int, log *slog.Logger) *metadataStore {
	m := &metadataStore{path: path, max: limit, families: map[string]*family{}}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return m
	}
	var lines []metadataLine
	if err == nil {
		err = json.Unmarshal(data, &lines)
	}
	if err != nil {
		log.Warn("saved metric metadata cannot be read", "path", path, "error", err)
		return m
	}
	for _, l := range lines {
		m.record(l.Family, metadata.Metadata{Type: l.Type, Unit: l.Unit, Help: l.Help})
	}
	m.dirty = false
	return m
}

// record remembers one family's metadata. It returns the family's name in
// memory that does not belong to the caller, or "" if the store is full.
func (m *metadataStore) record(name string, md metadata.Metadata) string {
	if len(md.Help) > maxHelpLength {
		md.Help = strings.ToValidUTF8(md.Help[:maxHelpLength], "")
	}
	m.mu.RLock()
	f := m.families[name]
	full := len(m.families) >= m.max
	known := f != nil && (len(f.variants) == maxVariants || slices.Contains(f.variants, md))
	m.mu.RUnlock()
	switch {
	case known:
		return f.name
	case f == nil && full:
		return ""
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	f = m.families[name]
	if f == nil {
		f = &family{name: strings.Clone(name)}
		m.families[f.name] = f
	}
	if !slices.Contains(f.variants, md) && len(f.variants) < maxVariants {
		md.Help, md.Unit = strings.Clone(md.Help), strings.Clone(md.Unit)
		f.variants = append(slices.Clip(f.variants), md)
		m.dirty = true
	}
	return f.name
}

// snapshot returns all families, or the one that is named.
func (m *metadataStore) snapshot(name string) map[string][]metadata.Metadata {
	m.mu.RLock()
	defer m.mu.RUnlock()
	out := map[string][]metadata.Metadata{}
	if name != "" {
		if f := m.families[name]; f != nil {
			out[name] = f.variants
		}
		return out
	}
	for _, f := range m.families {
		out[f.name] = f.variants
	}
	return out
}

// save writes the metadata to disk if it has changed.
func (m *metadataStore) save() error {
	m.mu.Lock()
	if !m.dirty {
		m.mu.Unlock()
		return nil
	}
	m.dirty = false
	lines := make([]metadataLine, 0, len(m.families))
	for _, f := range m.families {
		for _, md := range f.variants {
			lines = append(lines, metadataLine{f.name, md.Type, md.Unit, md.Help})
		}
	}
	m.mu.Unlock()
	slices.SortStableFunc(lines, func(a, b metadataLine) int { return strings.Compare(a.Family, b.Family) })
	if err := writeFileAtomically(m.path, lines); err != nil {
		m.mu.Lock()
		m.dirty = true
		m.mu.Unlock()
		return fmt.Errorf("save metric metadata: %w", err)
	}
	return nil
}

func writeFileAtomically(path string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".tmp-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // gone after the rename
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
