package vfs

import "io"

// Op is an operation that changes a file system, or a read.
type Op uint8

// The operations that a hook sees.
const (
	OpCreate Op = iota
	OpOpen
	OpWrite
	OpSync
	OpTruncate
	OpRename
	OpRemove
	OpSyncDir
	OpReadAt
)

// Hooked is a file system that asks a hook before each operation; an error of
// the hook becomes the operation's. A refused write may still write part of its
// bytes: the hook's first result says how many.
type Hooked struct {
	FS
	// Hook is given the operation, the file's name, and the bytes of a write. It
	// may be called from several goroutines.
	Hook func(op Op, name string, p []byte) (written int, err error)
}

func (h *Hooked) ask(op Op, name string) error {
	_, err := h.Hook(op, name, nil)
	return err
}

// Create implements FS.
func (h *Hooked) Create(name string) (File, error) {
	if err := h.ask(OpCreate, name); err != nil {
		return nil, err
	}
	return h.wrap(name)(h.FS.Create(name))
}

// Open implements FS.
func (h *Hooked) Open(name string) (File, error) {
	if err := h.ask(OpOpen, name); err != nil {
		return nil, err
	}
	return h.wrap(name)(h.FS.Open(name))
}

// OpenWrite implements FS.
func (h *Hooked) OpenWrite(name string) (File, error) {
	if err := h.ask(OpOpen, name); err != nil {
		return nil, err
	}
	return h.wrap(name)(h.FS.OpenWrite(name))
}

func (h *Hooked) wrap(name string) func(File, error) (File, error) {
	return func(f File, err error) (File, error) {
		if err != nil {
			return nil, err
		}
		return &hookedFile{f, h, name}, nil
	}
}

// Rename implements FS.
func (h *Hooked) Rename(oldName, newName string) error {
	if err := h.ask(OpRename, oldName); err != nil {
		return err
	}
	return h.FS.Rename(oldName, newName)
}

// Remove implements FS.
func (h *Hooked) Remove(name string) error {
	if err := h.ask(OpRemove, name); err != nil {
		return err
	}
	return h.FS.Remove(name)
}

// SyncDir implements FS.
func (h *Hooked) SyncDir(dir string) error {
	if err := h.ask(OpSyncDir, dir); err != nil {
		return err
	}
	return h.FS.SyncDir(dir)
}

// Lock implements FS.
func (h *Hooked) Lock(name string) (io.Closer, error) { return h.FS.Lock(name) }

type hookedFile struct {
	File
	h    *Hooked
	name string
}

func (f *hookedFile) Write(p []byte) (int, error) {
	if n, err := f.h.Hook(OpWrite, f.name, p); err != nil {
		n = min(max(n, 0), len(p))
		if n > 0 {
			if _, werr := f.File.Write(p[:n]); werr != nil {
				return 0, werr
			}
		}
		return n, err
	}
	return f.File.Write(p)
}

func (f *hookedFile) ReadAt(p []byte, off int64) (int, error) {
	if _, err := f.h.Hook(OpReadAt, f.name, nil); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

func (f *hookedFile) Sync() error {
	if err := f.h.ask(OpSync, f.name); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *hookedFile) Truncate(size int64) error {
	if err := f.h.ask(OpTruncate, f.name); err != nil {
		return err
	}
	return f.File.Truncate(size)
}
