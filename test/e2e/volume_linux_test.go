package e2e

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// mountSmall mounts a file system of some bytes at a folder, which takes root.
func mountSmall(dir string, bytes int) (unmount func(), err error) {
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", bytes)); err != nil {
		return nil, err
	}
	return func() { _ = unix.Unmount(dir, unix.MNT_DETACH) }, nil
}
