package vfs

import "io"

// FS is a file system. Names are slash-separated paths. It is safe for concurrent use.
//
// What survives a power failure: a file's bytes up to its last Sync, and a
// directory's entries (creations, renames, removals) up to its last SyncDir.
// What survives the end of the process: everything that returned.
type FS interface {
	// Create creates or truncates a file for writing at its end and reading anywhere.
	Create(name string) (File, error)
	// Open opens a file for reading.
	Open(name string) (File, error)
	// OpenWrite opens an existing file for writing at its end and reading anywhere.
	OpenWrite(name string) (File, error)
	// Rename replaces newName with oldName, atomically.
	Rename(oldName, newName string) error
	// Remove removes a file or an empty directory.
	Remove(name string) error
	// MkdirAll creates a directory and what is missing above it.
	MkdirAll(dir string) error
	// List returns the names in a directory, sorted; fs.ErrNotExist if there is none.
	List(dir string) ([]string, error)
	// Size returns the size of a file in bytes.
	Size(name string) (int64, error)
	// SyncDir makes a directory's entries durable.
	SyncDir(dir string) error
	// Lock takes an exclusive lock on a file, creating it; it fails at once if
	// another process or another holder has it.
	Lock(name string) (io.Closer, error)
}

// File is an open file. ReadAt is safe for concurrent use, the rest is not.
type File interface {
	io.Writer
	io.ReaderAt
	io.Closer
	// Sync makes the bytes durable. It may run beside Write.
	Sync() error
	// Truncate cuts the file; the next Write goes to its new end.
	Truncate(size int64) error
	// Size returns the current size in bytes.
	Size() (int64, error)
}
