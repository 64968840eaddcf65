//go:build (linux || darwin || freebsd || netbsd || openbsd || dragonfly) && !race

package slab

import "golang.org/x/sys/unix"

// mapMemory returns n bytes of the system's, nil if there are none.
func mapMemory(n int) []byte {
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil
	}
	return b
}

// unmapMemory gives back what mapMemory returned.
func unmapMemory(b []byte) error { return unix.Munmap(b) }

// protectMemory makes what mapMemory returned inaccessible and takes its pages.
func protectMemory(b []byte) error {
	if err := unix.Madvise(b, unix.MADV_DONTNEED); err != nil {
		return err
	}
	return unix.Mprotect(b, unix.PROT_NONE)
}
