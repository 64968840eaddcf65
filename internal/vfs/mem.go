package vfs

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"sort"
	"strings"
	"sync"
)

// Mem is a file system in memory that knows what a crash would leave.
type Mem struct {
	mu     sync.Mutex
	files  map[string]*memNode // what a process sees
	synced map[string]*memNode // directory entries that survive a power failure
	dirs   map[string]bool
	locks  map[string]bool
}

type memNode struct {
	mu     sync.RWMutex
	data   []byte
	synced int // bytes up to here survive a power failure
}

// NewMem returns an empty file system.
func NewMem() *Mem {
	return &Mem{
		files:  map[string]*memNode{},
		synced: map[string]*memNode{},
		dirs:   map[string]bool{".": true, "/": true},
		locks:  map[string]bool{},
	}
}

var _ FS = (*Mem)(nil)

// CloneKilled returns what the next process finds if this one is killed now:
// everything that was written. Locks are gone.
func (m *Mem) CloneKilled() *Mem { return m.clone(false) }

// ClonePowerLoss returns what is found after a power failure now: synced bytes
// of files whose directory entries were synced.
func (m *Mem) ClonePowerLoss() *Mem { return m.clone(true) }

func (m *Mem) clone(powerLoss bool) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := NewMem()
	for d := range m.dirs {
		c.dirs[d] = true
	}
	src := m.files
	if powerLoss {
		src = m.synced
	}
	for name, n := range src {
		n.mu.RLock()
		data := n.data
		if powerLoss {
			data = data[:n.synced]
		}
		cn := &memNode{data: append([]byte(nil), data...), synced: min(n.synced, len(data))}
		n.mu.RUnlock()
		c.files[name], c.synced[name] = cn, cn
	}
	if !powerLoss {
		c.synced = map[string]*memNode{}
		for name, n := range m.synced {
			if m.files[name] == n {
				c.synced[name] = c.files[name]
			}
		}
	}
	return c
}

// Corrupt replaces a file's bytes by what f returns; for tests of damage.
func (m *Mem) Corrupt(name string, f func([]byte) []byte) error {
	n, err := m.node("corrupt", name)
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.data = f(append([]byte(nil), n.data...))
	n.synced = len(n.data)
	return nil
}

// Files returns the names of all files, sorted.
func (m *Mem) Files() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	names := make([]string, 0, len(m.files))
	for name := range m.files {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

func (m *Mem) node(op, name string) (*memNode, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.files[path.Clean(name)]
	if n == nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	return n, nil
}

// Create implements FS.
func (m *Mem) Create(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	name = path.Clean(name)
	if !m.dirs[path.Dir(name)] {
		return nil, &fs.PathError{Op: "create", Path: name, Err: fs.ErrNotExist}
	}
	n := &memNode{}
	m.files[name] = n
	return &memFile{n: n, write: true}, nil
}

// Open implements FS.
func (m *Mem) Open(name string) (File, error) {
	n, err := m.node("open", name)
	if err != nil {
		return nil, err
	}
	return &memFile{n: n}, nil
}

// OpenWrite implements FS.
func (m *Mem) OpenWrite(name string) (File, error) {
	n, err := m.node("open", name)
	if err != nil {
		return nil, err
	}
	return &memFile{n: n, write: true}, nil
}

// Rename implements FS.
func (m *Mem) Rename(oldName, newName string) error {
	oldName, newName = path.Clean(oldName), path.Clean(newName)
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.files[oldName]
	if n == nil {
		return &fs.PathError{Op: "rename", Path: oldName, Err: fs.ErrNotExist}
	}
	delete(m.files, oldName)
	m.files[newName] = n
	return nil
}

// Remove implements FS.
func (m *Mem) Remove(name string) error {
	name = path.Clean(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dirs[name] {
		for f := range m.files {
			if strings.HasPrefix(f, name+"/") {
				return &fs.PathError{Op: "remove", Path: name, Err: errors.New("directory not empty")}
			}
		}
		delete(m.dirs, name)
		return nil
	}
	if m.files[name] == nil {
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	}
	delete(m.files, name)
	return nil
}

// MkdirAll implements FS. Directories are durable at once.
func (m *Mem) MkdirAll(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for d := path.Clean(dir); !m.dirs[d]; d = path.Dir(d) {
		m.dirs[d] = true
	}
	return nil
}

// List implements FS.
func (m *Mem) List(dir string) ([]string, error) {
	dir = path.Clean(dir)
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.dirs[dir] {
		return nil, &fs.PathError{Op: "list", Path: dir, Err: fs.ErrNotExist}
	}
	var names []string
	for name := range m.files {
		if path.Dir(name) == dir {
			names = append(names, path.Base(name))
		}
	}
	for d := range m.dirs {
		if d != dir && path.Dir(d) == dir {
			names = append(names, path.Base(d))
		}
	}
	sort.Strings(names)
	return names, nil
}

// Size implements FS.
func (m *Mem) Size(name string) (int64, error) {
	n, err := m.node("stat", name)
	if err != nil {
		return 0, err
	}
	n.mu.RLock()
	defer n.mu.RUnlock()
	return int64(len(n.data)), nil
}

// SyncDir implements FS.
func (m *Mem) SyncDir(dir string) error {
	dir = path.Clean(dir)
	m.mu.Lock()
	defer m.mu.Unlock()
	for name := range m.synced {
		if path.Dir(name) == dir && m.files[name] == nil {
			delete(m.synced, name)
		}
	}
	for name, n := range m.files {
		if path.Dir(name) == dir {
			m.synced[name] = n
		}
	}
	return nil
}

// Lock implements FS.
func (m *Mem) Lock(name string) (io.Closer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.locks[name] {
		return nil, &fs.PathError{Op: "lock", Path: name, Err: errors.New("held by another")}
	}
	m.locks[name] = true
	return memLock{m, name}, nil
}

type memLock struct {
	m    *Mem
	name string
}

func (l memLock) Close() error {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	delete(l.m.locks, l.name)
	return nil
}

type memFile struct {
	n     *memNode
	write bool
}

func (f *memFile) Write(p []byte) (int, error) {
	if !f.write {
		return 0, fs.ErrPermission
	}
	f.n.mu.Lock()
	defer f.n.mu.Unlock()
	f.n.data = append(f.n.data, p...)
	return len(p), nil
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	f.n.mu.RLock()
	defer f.n.mu.RUnlock()
	if off >= int64(len(f.n.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.n.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) Close() error { return nil }

func (f *memFile) Sync() error {
	f.n.mu.Lock()
	defer f.n.mu.Unlock()
	f.n.synced = len(f.n.data)
	return nil
}

func (f *memFile) Truncate(size int64) error {
	f.n.mu.Lock()
	defer f.n.mu.Unlock()
	if size < int64(len(f.n.data)) {
		// A copy, so that a reader of the old bytes is not overwritten.
		f.n.data = append([]byte(nil), f.n.data[:size]...)
	}
	f.n.synced = min(f.n.synced, len(f.n.data))
	return nil
}

func (f *memFile) Size() (int64, error) {
	f.n.mu.RLock()
	defer f.n.mu.RUnlock()
	return int64(len(f.n.data)), nil
}
