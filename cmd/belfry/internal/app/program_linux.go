package app

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// releaseProgram takes the program's own code and constants out of the resident
// set, so that only what runs from now on comes back. The kernel maps 64 KiB around
// every page that a start touches, and the initialisers of some hundred packages
// touch nearly all of the file: 90 MB, most of which is never looked at again.
//
// Nothing is lost: the pages of these mappings are those of the file, stay in the
// kernel's page cache, and a touch maps them again (madvise(2), MADV_DONTNEED).
// Where the loader has written addresses into a mapping before it was made
// read-only (RELRO), its pages are no longer the file's, and are left alone.
func releaseProgram() error {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return err
	}
	maps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return err
	}
	defer maps.Close()
	list, err := fileMappings(maps, program)
	if err != nil {
		return err
	}
	for _, m := range list {
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, m.start, m.end-m.start, unix.MADV_DONTNEED); errno != 0 {
			return fmt.Errorf("madvise: %w", errno)
		}
	}
	return nil
}

// fileMappings returns the mappings of a program that hold nothing but what its
// file does, from /proc/PID/smaps (proc_pid_smaps(5)).
func fileMappings(smaps io.Reader, program string) (list []mapping, err error) {
	var at mapping
	wanted := false
	lines := bufio.NewScanner(smaps)
	for lines.Scan() {
		line := lines.Text()
		if size, ok := strings.CutPrefix(line, "Anonymous:"); ok {
			if wanted && strings.TrimSpace(size) == "0 kB" {
				list = append(list, at)
			}
			wanted = false
		} else if m, ok := parseMapping(line); ok {
			at, wanted = m, m.path == program && !m.writable
		}
	}
	return list, lines.Err()
}

// mapping is a line of /proc/PID/maps (proc_pid_maps(5)).
type mapping struct {
	start, end uintptr
	writable   bool
	path       string
}

func parseMapping(line string) (m mapping, ok bool) {
	fields := strings.Fields(line)
	if len(fields) < 6 {
		return m, false // memory without a file
	}
	if _, err := fmt.Sscanf(fields[0], "%x-%x", &m.start, &m.end); err != nil {
		return m, false
	}
	m.writable = strings.Contains(fields[1], "w")
	m.path = strings.Join(fields[5:], " ")
	return m, true
}
